"""The sync of one pair: it ends with the source's objects, whatever it is cut into; what goes wrong with one object is
settled or named, and the rest is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from downstage.errors import AwsError
from downstage.ports import CopyResult, ObjectFacts
from downstage.syncing.merge import ARCHIVED, Action
from downstage.testing.buckets import MemoryTransfer
from downstage.testing.faults import Trip, faulty
from tests.unit.syncing_world import PAIR, Odd, Sync

# -- the result


def test_the_target_holds_what_the_source_holds() -> None:
    sync = Sync()
    done = sync.range()
    assert sync.arrived
    assert done == sync.saved[-1]
    assert (done.done, done.cursor) == (True, None)
    assert {name: count for name, count in done.counters.items() if count} == {
        "copied": 6, "deleted": 2, "unchanged": 1, "skipped": 1, "bytes_copied": 6, f"skipped: {ARCHIVED}": 1,
    }  # fmt: skip
    actions = [action for action, _, _ in sync.finished]
    assert {action: actions.count(action) for action in actions} == {Action.COPY: 6, Action.DELETE: 2, Action.SKIP: 1}
    assert sync.transfer.calls == {"page": 5, "copy": 6, "delete": 1}
    assert sync.range(faulty(sync.transfer, Trip(1))) is done, "a finished range is not looked at again"


def test_without_delete_extra_objects_stay() -> None:
    sync = Sync(replace(PAIR, delete=False))
    assert sync.range().counters["deleted"] == 0
    assert sync.saved[-1].counters["extra"] == 2
    assert {"zzz", "case/old"} <= set(sync.etags("to"))


@pytest.mark.parametrize("ranges", [1, 2, 5])
def test_ranges_together_are_one_sync(ranges: int) -> None:
    sync = Sync()
    for number in range(300):
        sync.store.put("from", f"d/{number * 7919 % 1000:03}", b"%d" % number)
    result = sync.whole(MemoryTransfer(sync.store, 20), ranges=ranges, smallest=10)
    assert sync.arrived
    assert (result.counters["copied"], result.counters["deleted"]) == (306, 2)
    again = MemoryTransfer(sync.store, 20)
    assert sync.whole(again, ranges=ranges, smallest=10).counters["unchanged"] == 307
    assert (again.calls["copy"], again.calls["delete"]) == (0, 0)


# -- what goes wrong with one object


def test_an_object_that_changes_under_our_hands_is_listed_anew_and_copied() -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/2-\U0001f4c4.pdf"

    def change(item: ObjectFacts) -> CopyResult | None:
        if item.key == key and item.size == 1:
            sync.store.put("from", key, b"changed meanwhile")
        return None

    odd.on_copy = change
    done = sync.range(odd)
    assert done.done
    assert sync.arrived
    assert (done.counters["copied"], done.counters["failed"]) == (6, 0)


def test_an_object_that_goes_under_our_hands_goes_from_the_target_too() -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/4-\U0001f4c4.pdf"

    def vanish(item: ObjectFacts) -> CopyResult | None:
        if item.key == key:
            sync.store.buckets["from"].pop(key, None)
        return None

    odd.on_copy = vanish
    done = sync.range(odd)
    assert sync.arrived
    assert key not in sync.etags("to")
    assert (done.counters["copied"], done.counters["deleted"], done.counters["failed"]) == (5, 3, 0)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (CopyResult(refusal="refused", code="AccessDenied"), "S3 refuses it (AccessDenied)"),
        (CopyResult(refusal="changed", code="PreconditionFailed"), "it kept changing"),
    ],
)
def test_what_cannot_be_settled_is_named_and_the_rest_is_done(result: CopyResult, reason: str) -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/2-\U0001f4c4.pdf"
    odd.on_copy = lambda item: result if item.key == key else None
    done = sync.range(odd)
    assert done.done
    assert (done.counters["failed"], done.counters[f"failed: {reason}"], done.counters["copied"]) == (1, 1, 5)
    assert (Action.FAIL, key, reason) in sync.finished


def test_an_archived_tier_that_the_listing_does_not_tell_is_skipped() -> None:
    sync = Sync()
    odd = Odd(sync)
    odd.on_copy = lambda item: CopyResult(refusal="refused", code="InvalidObjectState")
    assert sync.range(odd).counters["skipped"] == 7


def test_copies_that_are_refused_one_after_the_other_end_the_sync() -> None:
    sync = Sync()
    for number in range(200):
        sync.store.put("from", f"d/{number:03}", b"x")
    odd = Odd(sync)
    odd.on_copy = lambda item: CopyResult(refusal="refused", code="AccessDenied")
    with pytest.raises(AwsError, match=r"one copy after the other \(AccessDenied\); allow it .* or set 'tags: skip'"):
        sync.range(odd)
    assert not sync.saved[-1].done


def test_a_key_that_was_not_deleted_is_tried_again_and_then_named() -> None:
    sync = Sync()
    odd = Odd(sync)
    tries: list[str] = []

    def refuse(keys: Sequence[str]) -> Mapping[str, str]:
        tries.extend(key for key in keys if key == "zzz")
        return {"zzz": "AccessDenied"} if "zzz" in keys else {}

    odd.on_delete = refuse
    done = sync.range(odd)
    assert len(tries) == 4
    assert (done.counters["deleted"], done.counters["failed"]) == (1, 1)
    assert (Action.FAIL, "zzz", "S3 refuses it (AccessDenied)") in sync.finished
