"""Two listings become copy, delete and equal: in order, page by page, by three ways of comparing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.plan import Compare
from downstage.ports import ObjectFacts
from downstage.syncing.merge import (
    ARCHIVED,
    Action,
    Operation,
    Side,
    comparing,
    could_be_encrypted,
    decide,
    is_archived,
)

A, B = f'"{"a" * 32}"', f'"{"b" * 32}"'
PARTS = f'"{"c" * 32}-7"'


def entry(
    key: str, etag: str = A, size: int = 1, modified: float = 1.0, kind: str = "STANDARD", *, restored: bool = False
) -> ObjectFacts:
    return ObjectFacts(key, etag, size, modified, kind, restored)


def side(*entries: ObjectFacts, ended: bool = True) -> Side:
    return Side([each.key for each in entries], list(entries), ended=ended)


def operations(source: Side, target: Side, *, delete: bool = True) -> list[tuple[Action, str]]:
    stretch = decide(source, target, comparing("etag"), delete=delete)
    return [(operation.action, operation.key) for operation in stretch.operations]


def test_what_only_one_side_has_is_copied_or_deleted_and_what_differs_is_copied() -> None:
    source = side(entry("a"), entry("b"), entry("d", B))
    target = side(entry("b"), entry("c"), entry("d"), entry("e"))
    assert operations(source, target) == [
        (Action.COPY, "a"),
        (Action.DELETE, "c"),
        (Action.COPY, "d"),
        (Action.DELETE, "e"),
    ]


def test_without_delete_what_only_the_target_has_is_counted_and_kept() -> None:
    stretch = decide(side(entry("b")), side(entry("a"), entry("b"), entry("c")), comparing("etag"), delete=False)
    assert (stretch.operations, stretch.unchanged, stretch.extra, stretch.last) == ([], 1, 2, "c")


def test_keys_that_need_nothing_are_counted_with_the_operation_that_follows_them() -> None:
    source = side(entry("a"), entry("b"), entry("c"), entry("d"))
    target = side(entry("a"), entry("b"), entry("d"))
    stretch = decide(source, target, comparing("etag"), delete=True)
    assert stretch.operations == [Operation(Action.COPY, "c", entry("c"), None, "", 2, 0)]
    assert (stretch.unchanged, stretch.last) == (1, "d")


def test_nothing_is_decided_past_the_end_of_a_page_that_is_not_the_last() -> None:
    source, target = side(entry("a"), entry("b"), ended=False), side(entry("a"), entry("x"), entry("z"))
    stretch = decide(source, target, comparing("etag"), delete=True)
    assert (stretch.last, stretch.operations) == ("b", [Operation(Action.COPY, "b", entry("b"), unchanged=1)])
    assert source.spent
    assert not target.spent, "x and z may still come in the source"


@given(st.sets(st.text(max_size=4), max_size=30), st.sets(st.text(max_size=4), max_size=30), st.integers(1, 7))
def test_any_two_listings_cut_into_any_pages_are_decided_wholly(ours: set[str], theirs: set[str], page: int) -> None:
    def pages(keys: set[str]) -> list[list[ObjectFacts]]:
        listed = [entry(key) for key in sorted(keys, key=lambda key: key.encode("utf-8", "surrogatepass"))]
        return [listed[first : first + page] for first in range(0, len(listed), page)] or [[]]

    left, right = pages(ours), pages(theirs)
    source, target = Side(), Side()
    done: list[tuple[Action, str]] = []
    unchanged = 0
    while True:
        for where, waiting in ((source, left), (target, right)):
            if where.spent and not where.ended:
                found = waiting.pop(0)
                where.keys, where.entries, where.at = [each.key for each in found], found, 0
                where.ended = not waiting
        if source.spent and target.spent:
            break
        stretch = decide(source, target, comparing("etag"), delete=True)
        done += [(operation.action, operation.key) for operation in stretch.operations]
        unchanged += stretch.unchanged + sum(operation.unchanged for operation in stretch.operations)
    assert {key for action, key in done if action is Action.COPY} == ours - theirs
    assert {key for action, key in done if action is Action.DELETE} == theirs - ours
    assert unchanged == len(ours & theirs)
    assert [key for _, key in done] == sorted(ours ^ theirs)


SAME: list[tuple[Compare, ObjectFacts, ObjectFacts, bool]] = [
    ("etag", entry("k"), entry("k", modified=9.0), True),
    ("etag", entry("k"), entry("k", modified=0.5), True),
    ("etag", entry("k"), entry("k", B, modified=9.0), False),
    ("etag", entry("k"), entry("k", size=2), False),
    ("etag", entry("k", PARTS), entry("k", modified=2.0), True),
    ("etag", entry("k", PARTS), entry("k", modified=0.5), False),
    ("etag", entry("k"), entry("k", PARTS, modified=2.0), True),
    ("etag", entry("k", ""), entry("k", "", modified=0.5), False),
    ("aws", entry("k"), entry("k", B, modified=2.0), True),
    ("aws", entry("k"), entry("k", modified=0.5), False),
    ("aws", entry("k"), entry("k", size=2, modified=2.0), False),
    ("size", entry("k"), entry("k", B, modified=0.5), True),
    ("size", entry("k"), entry("k", size=2), False),
]


@pytest.mark.parametrize(("mode", "source", "target", "same"), SAME)
def test_when_an_object_is_the_sources(mode: Compare, source: ObjectFacts, target: ObjectFacts, same: bool) -> None:
    assert comparing(mode)(source, target) is same


@pytest.mark.parametrize("kind", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_skipped_with_its_reason_unless_it_is_restored(kind: str) -> None:
    cold, thawed = entry("a", kind=kind), entry("b", kind=kind, restored=True)
    stretch = decide(side(cold, thawed), side(), comparing("etag"), delete=True)
    assert [(each.action, each.reason) for each in stretch.operations] == [(Action.SKIP, ARCHIVED), (Action.COPY, "")]
    assert (is_archived(cold), is_archived(thawed), is_archived(entry("c"))) == (True, False, False)


def test_an_object_that_differs_in_its_etag_alone_and_is_newer_may_be_encrypted() -> None:
    assert could_be_encrypted(entry("k"), entry("k", B, modified=2.0))
    assert not could_be_encrypted(entry("k"), entry("k", B, modified=0.5)), "it is older: it was not copied from this"
    assert not could_be_encrypted(entry("k"), entry("k", B, size=2, modified=2.0))
