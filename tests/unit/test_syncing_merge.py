"""The merge against a model that knows both listings at once; and when an object is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.errors import VerificationFailed
from downstage.ports import ObjectFacts
from downstage.syncing.merge import LARGEST_COPY, Action, merge, same

PLAIN, OTHER, MULTIPART = '"0cc175b9c0f1b6a831c399e269772661"', '"92eb5ffee6ae2fec3ad71c777531578f"', '"abc-2"'

# Astral characters come after U+FFFF in UTF-8 and before U+E000 in UTF-16: where the orders part, a merge goes wrong.
AWKWARD = ["a", "/", "é", "e\u0301", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "%", "+"]
KEYS = st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=3).map("".join)
OBJECTS = st.dictionaries(KEYS, st.sampled_from([PLAIN, OTHER]), max_size=12)


def entry(key: str, etag: str = PLAIN, size: int = 1, modified: float = 0.0, kind: str = "STANDARD") -> ObjectFacts:
    return ObjectFacts(key, etag, size, modified, kind)


def listing(objects: dict[str, str]) -> list[ObjectFacts]:
    """As S3 lists: by the bytes of the UTF-8 keys."""
    return [entry(key, etag) for key, etag in sorted(objects.items(), key=lambda pair: pair[0].encode())]


@given(source=OBJECTS, target=OBJECTS, delete=st.booleans())
def test_the_merge_is_the_model(source: dict[str, str], target: dict[str, str], delete: bool) -> None:
    def model(key: str) -> Action:
        if key not in source:
            return Action.DELETE if delete else Action.EXTRA
        return Action.EQUAL if source[key] == target.get(key) else Action.COPY

    found = list(merge(listing(source), listing(target), delete=delete))
    assert [(difference.key, difference.action) for difference in found] == [
        (key, model(key)) for key in sorted({*source, *target}, key=str.encode)
    ]


@pytest.mark.parametrize("keys", [["b", "a"], ["a", "a"], ["\U00010000", "\uffff"]])
def test_a_listing_out_of_order_ends_the_merge(keys: list[str]) -> None:
    entries = [entry(key) for key in keys]
    for source, target in ((entries, []), ([], entries)):
        with pytest.raises(VerificationFailed, match="not in key order"):
            list(merge(source, target, delete=True))


def test_nothing_is_deleted_before_the_order_is_seen_to_break() -> None:
    target = [entry("a"), entry("c"), entry("b")]
    found = merge([entry("a"), entry("b"), entry("c")], target, delete=True)
    with pytest.raises(VerificationFailed):
        assert all(difference.action is not Action.DELETE for difference in found)


@pytest.mark.parametrize(
    ("source", "target", "equal"),
    [
        (entry("k"), entry("k"), True),
        (entry("k"), entry("k", OTHER), False),
        (entry("k"), entry("k", size=2), False),
        (entry("k", modified=9), entry("k", modified=1), True),
        (entry("k", MULTIPART, modified=1), entry("k", PLAIN, modified=2), True),
        (entry("k", MULTIPART, modified=2), entry("k", PLAIN, modified=1), False),
        (entry("k", MULTIPART, modified=1), entry("k", '"def-3"', modified=1), True),
        (entry("k", MULTIPART, modified=9), entry("k", MULTIPART, modified=1), True),
        (entry("k", MULTIPART, size=2, modified=1), entry("k", MULTIPART, modified=1), False),
    ],
)
def test_when_an_object_is_the_same(source: ObjectFacts, target: ObjectFacts, equal: bool) -> None:
    assert same(source, target) is equal


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (entry("k", kind="GLACIER"), "archived: restore it first"),
        (entry("k", kind="DEEP_ARCHIVE", size=LARGEST_COPY + 1), "archived: restore it first"),
        (entry("k", size=LARGEST_COPY + 1), "larger than 5 GB"),
    ],
)
def test_what_cannot_be_copied_is_skipped_with_a_reason(source: ObjectFacts, reason: str) -> None:
    for target in ([], [entry("k", OTHER)]):
        (difference,) = merge([source], target, delete=True)
        assert (difference.action, difference.reason) == (Action.SKIP, reason)
    assert next(merge([source], [source], delete=True)).action is Action.EQUAL


@pytest.mark.parametrize("kind", ["GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"])
def test_other_classes_are_copied(kind: str) -> None:
    (difference,) = merge([entry("k", kind=kind, size=LARGEST_COPY)], [], delete=False)
    assert difference.action is Action.COPY
