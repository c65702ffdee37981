"""Deletes that cannot hurt: no more than was planned, none for an empty or disordered listing, refused before
anything is written if they are too many; and they hold nothing up."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from downstage.domain.plan import MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import GuardRefused, VerificationFailed
from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectPage
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.task import RangeTask
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.faults import Killed
from tests.unit.syncing_world import OPTIONS, PAIR, SEALER, Odd, Sync, at_once, one_range


def test_no_more_is_deleted_than_was_planned() -> None:
    sync = Sync()
    with pytest.raises(GuardRefused, match="more objects of bucket 'to' than were planned"):
        sync.range(deletes=1)
    assert {"zzz", "case/old"} & set(sync.etags("to"))


def test_a_source_that_empties_after_the_plan_takes_nothing_with_it() -> None:
    planned = Sync()
    planned.pair = replace(PAIR, options=replace(OPTIONS, max_delete=MaxDelete(share=0.6)))
    odd = Odd(planned)
    pages = 0

    def page(found: ObjectPage) -> ObjectPage:
        nonlocal pages
        pages += 1
        if pages == 10:
            planned.store.buckets["from"].clear()
        return found

    odd.on_page = page
    with pytest.raises(GuardRefused, match="than were planned"):
        planned.whole(odd)
    assert len(planned.etags("to")) >= 1


@pytest.mark.parametrize(
    ("limit", "refused"),
    [
        (MaxDelete(), True),
        (MaxDelete(share=0.5), False),
        (MaxDelete(objects=1, share=1.0), True),
        (MaxDelete(objects=2, share=1.0), False),
    ],
)
def test_too_many_deletes_are_refused_before_anything_is_written(limit: MaxDelete, refused: bool) -> None:
    sync = Sync(replace(PAIR, options=SyncOptions(max_delete=limit)))
    if refused:
        with pytest.raises(GuardRefused, match="deleting 2 of 4 objects of bucket 'to'"):
            sync.whole()
        assert sync.store.writes == []
        assert sync.whole(yes=True).complete
    else:
        assert sync.whole().complete
    assert sync.arrived


def test_an_empty_source_deletes_nothing_even_if_deletes_are_allowed() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, include=("nothing*", "case/old", "zzz"))))
    with pytest.raises(GuardRefused, match="the source bucket 'from' is empty"):
        sync.whole(yes=True)
    assert sync.store.writes == []


@pytest.mark.parametrize("bucket", ["from", "to"])
def test_a_listing_out_of_order_ends_the_sync(bucket: str) -> None:
    sync = Sync()
    odd = Odd(sync)

    def shuffle(page: ObjectPage) -> ObjectPage:
        mine = {entry.key for entry in sync.store.buckets[bucket].values()}
        disorder = len(page.entries) > 1 and all(entry.key in mine for entry in page.entries)
        return ObjectPage(list(reversed(page.entries)), page.more) if disorder else page

    odd.on_page = shuffle
    with pytest.raises(VerificationFailed, match="not in key order"):
        sync.range(odd)
    assert "remove objects of to" not in sync.store.writes


def test_deletes_that_wait_for_a_full_batch_do_not_hold_the_sync_up() -> None:
    store = MemoryBuckets([])
    store.buckets["to"] = {}
    for number in range(999):
        store.put("to", f"a/{number:05d}", b"x")
    for number in range(6000):
        store.put("from", f"b/{number:05d}", b"y")

    class Refusing(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            if item.key in ("b/00000", "b/00001") and self.calls["copy"] < 3000:
                self.calls["copy"] += 1
                await asyncio.sleep(0)
                return CopyResult(refusal="changed", code="PreconditionFailed")
            return await super().copy(source, target, item, to)

    async def sync() -> Checkpoint:
        task = RangeTask("c", PAIR, KeyRange(), "etag", 99_999)
        async with asyncio.timeout(60):
            return await sync_range(
                task,
                Checkpoint(0, 1),
                transfer=Refusing(store),
                sealer=SEALER,
                save=lambda _: None,
                chosen=KeyFilter(OPTIONS),
                sleep=at_once,
            )

    done = asyncio.run(sync())
    assert done.done
    assert sorted(store.buckets["to"]) == sorted(store.buckets["from"])


def test_the_allowance_of_deletes_outlives_a_kill() -> None:
    store = MemoryBuckets([])
    store.put("from", "a/slow", b"new")
    for number in range(1000):
        store.put("to", f"b/{number:05d}", b"x")
    for number in range(2000):
        store.put("from", f"c/{number:05d}", b"y")
        store.put("to", f"c/{number:05d}", b"y")
    saved: list[Checkpoint] = []

    class Slow(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            if item.key == "a/slow":
                while not self.calls["delete"]:
                    await asyncio.sleep(0)
                raise Killed
            return await super().copy(source, target, item, to)

    def sync() -> None:
        one_range(Slow(store), saved)

    with pytest.raises(Killed):
        sync()
    for number in range(1000):
        del store.buckets["from"][f"c/{number:05d}"]
    with pytest.raises((Killed, GuardRefused)):
        sync()
    assert len(store.buckets["to"]) >= 2000, "no more than the thousand that were planned"
