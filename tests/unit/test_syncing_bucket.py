"""The sync of one bucket: it ends with the source's objects wherever it was cut off, and its counts add up."""

from __future__ import annotations

import base64

import pytest

from downstage.domain.plan import BucketPair
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, JournalError
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, ObjectFacts, ObjectStore
from downstage.syncing.bucket import compare_bucket, sync_bucket
from downstage.syncing.merge import Action
from downstage.testing.buckets import MemoryBuckets
from downstage.testing.faults import Killed, Trip, faulty
from downstage.testing.world import KEY

PAIR = BucketPair(SourceBucket("1", "from"), TargetBucket("2", "to"), delete=True)
START = Checkpoint(0, 1)
SEALER = KeySealer(KEY)


class Sync:
    """Two buckets that differ in every way, and what a sync of them said and saved."""

    def __init__(self) -> None:
        self.store = MemoryBuckets([])
        for number in range(7):
            self.store.put("from", f"case/{number}-\U0001f4c4.pdf", b"%d" % number)
        self.store.put("from", "cold", b"cold", "GLACIER")
        self.store.put("to", "case/3-\U0001f4c4.pdf", b"3")
        self.store.put("to", "case/4-\U0001f4c4.pdf", b"stale")
        self.store.put("to", "case/old", b"old")
        self.store.put("to", "zzz", b"old")
        self.saved: list[Checkpoint] = []
        self.finished: list[tuple[Action, str]] = []

    def run(self, store: ObjectStore | None = None, pair: BucketPair = PAIR) -> Checkpoint:
        return sync_bucket(
            pair,
            self.saved[-1] if self.saved else START,
            store=store or self.store,
            sealer=SEALER,
            context="run-1/sync/to",
            save=self.saved.append,
            finished=lambda action, key: self.finished.append((action, key)),
            workers=2,
            chunk_size=3,
        )

    @property
    def contents(self) -> tuple[dict[str, str], dict[str, str]]:
        """Keys and ETags of both sides, without what cannot be copied."""
        source, target = (self.store.buckets[name] for name in ("from", "to"))
        return {k: v.etag for k, v in source.items() if k != "cold"}, {k: v.etag for k, v in target.items()}


def test_the_target_holds_what_the_source_holds() -> None:
    sync = Sync()
    done = sync.run()
    source, target = sync.contents
    assert source == target
    assert done == sync.saved[-1] == Checkpoint(
        0, 1, None, True, 0,
        {"copied": 6, "deleted": 2, "unchanged": 1, "skipped": 1, "bytes_copied": 6,
         "skipped: archived: restore it first": 1},
    )  # fmt: skip
    actions = [action for action, _ in sync.finished]
    assert {action: actions.count(action) for action in actions} == {Action.COPY: 6, Action.DELETE: 2, Action.SKIP: 1}
    assert sync.run(faulty(sync.store, Trip(1))) is done, "a finished sync is not looked at again"


def test_without_delete_extra_objects_stay() -> None:
    sync = Sync()
    done = sync.run(pair=BucketPair(PAIR.source, PAIR.target))
    assert done.counters["deleted"] == 0
    assert {"zzz", "case/old"} <= set(sync.contents[1])


@pytest.mark.parametrize("after", [False, True])
def test_a_sync_cut_off_at_any_call_is_brought_to_its_end(after: bool) -> None:
    calls = Trip()
    Sync().run(faulty(Sync().store, calls))
    assert calls.calls == 10
    for at in range(1, calls.calls + 1):
        sync = Sync()
        with pytest.raises(Killed):
            sync.run(faulty(sync.store, Trip(at, after=after)))
        done = sync.run()
        source, target = sync.contents
        assert source == target, f"call {at}"
        counters = done.counters
        assert counters["copied"] + counters["unchanged"] == 7
        assert counters["skipped"] == 1
        assert counters["deleted"] <= 2


def test_a_failed_copy_ends_the_sync_and_what_was_done_stands() -> None:
    sync = Sync()
    trip = Trip(5, error=lambda: AwsError("no", "AccessDenied"), lasting=False)
    with pytest.raises(AwsError):
        sync.run(faulty(sync.store, trip, only=["copy"]))
    assert sync.saved[-1].counters["copied"] == 3
    assert not sync.saved[-1].done


def test_an_object_that_changed_since_it_was_listed_is_not_taken() -> None:
    sync = Sync()
    listed = next(iter(sync.store.list(PAIR.source, None)))
    sync.store.put("from", listed.key, b"changed")
    with pytest.raises(AwsError):
        sync.store.copy(PAIR.source, PAIR.target, listed)


def test_the_cursor_is_sealed_and_fits_its_own_run_only() -> None:
    sync = Sync()
    sync.run()
    cursor = sync.saved[0].cursor
    assert cursor is not None
    assert b"case" not in base64.b64decode(cursor)
    with pytest.raises(JournalError):
        SEALER.open(cursor, "run-2/sync/to")


def test_a_comparison_sees_what_is_left_and_shows_every_object_of_the_target() -> None:
    sync = Sync()
    seen: list[ObjectFacts] = []
    assert compare_bucket(PAIR, sync.store, seen.append) == (10, 8)
    assert [entry.key for entry in seen] == sorted(sync.store.buckets["to"], key=str.encode)
    sync.run()
    assert compare_bucket(PAIR, sync.store, seen.append) == (8, 0)
    sync.store.put("to", "extra", b"x")
    assert compare_bucket(PAIR, sync.store, seen.append) == (9, 1)
    assert compare_bucket(BucketPair(PAIR.source, PAIR.target), sync.store, seen.append) == (9, 0)
