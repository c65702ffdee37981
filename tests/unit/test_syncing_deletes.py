"""Deletes of which no answer was heard: sent again, each is counted once; and however many wait for an answer, or for a
copy before them, every checkpoint fits into an item of the control table."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.journals.control_items import body_of
from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectPage
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.task import RangeTask
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.faults import Killed
from tests.unit.syncing_world import OPTIONS, PAIR, SEALER, at_once, one_range

MANY = 12_000


def fits(checkpoint: Checkpoint) -> None:
    """Raises JournalError if an item of the control table cannot hold it."""
    body_of(
        {
            "segment": 0,
            "total_segments": 1,
            "cursor": checkpoint.cursor,
            "done": checkpoint.done,
            "digest": f"{checkpoint.digest:032x}",
            "counters": dict(checkpoint.counters),
        }
    )


class Range:
    """One range, synced by calls that may be killed: what they saved and told."""

    def __init__(self, keys: Sequence[str], page_size: int) -> None:
        self.store = MemoryBuckets([])
        self.store.buckets["to"] = {}
        self.store.put("from", "z", b"z")
        for key in keys:
            self.store.put("to", key, b"x")
        self.planned = len(keys)
        self.page_size = page_size
        self.saved: list[Checkpoint] = []
        self.told: list[str] = []

    def save(self, checkpoint: Checkpoint) -> None:
        """As a control table would."""
        fits(checkpoint)
        self.saved.append(checkpoint)

    def sync(self, transfer: MemoryTransfer) -> Checkpoint:
        """One call, which ends: a standstill would be a failure."""

        async def bounded() -> Checkpoint:
            async with asyncio.timeout(60):
                return await sync_range(
                    RangeTask("c", PAIR, KeyRange(), "etag", self.planned),
                    self.saved[-1] if self.saved else Checkpoint(0, 1),
                    transfer=transfer,
                    sealer=SEALER,
                    save=self.save,
                    chosen=KeyFilter(OPTIONS),
                    told=lambda action, key, _: self.told.append(f"{action} {key}"),
                )

        return asyncio.run(bounded())

    def check(self, done: Checkpoint) -> None:
        """Everything was deleted, told and counted once, and the source's object copied."""
        assert done.done
        assert list(self.store.buckets["to"]) == ["z"]
        deleted = [line for line in self.told if line.startswith("delete")]
        assert (done.counters["deleted"], len(deleted), len(set(deleted))) == (self.planned,) * 3


class Killing(MemoryTransfer):
    """Its first delete is sent, and nothing is heard of it."""

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        raise Killed


class Answering(MemoryTransfer):
    """Deletes at once and answers late: when the copy of the last object begins, or, if that is so, when a key that is
    gone is looked up."""

    def __init__(self, store: MemoryBuckets, page_size: int, *, at_lookup: bool) -> None:
        super().__init__(store, page_size)
        self.at_lookup = at_lookup
        self.answer = asyncio.Event()
        self.at_page: dict[int, Callable[[], object]] = {}
        self.target_pages = 0

    async def page(self, bucket: SourceBucket | TargetBucket, **how: Any) -> ObjectPage:
        if isinstance(bucket, TargetBucket) and not how.get("prefix"):
            self.target_pages += 1
            self.at_page.get(self.target_pages, list)()
        if self.at_lookup and how.get("prefix"):
            self.answer.set()
        return await super().page(bucket, **how)

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        await super().delete(target, keys)
        await self.answer.wait()
        return {}

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        self.answer.set()
        return await super().copy(source, target, item, to)


@pytest.mark.parametrize("at_lookup", [False, True])
def test_what_was_sent_again_and_is_under_way_is_counted_by_its_own_answer(
    monkeypatch: pytest.MonkeyPatch, at_lookup: bool
) -> None:
    monkeypatch.setattr("downstage.syncing.deletes._AT_ONCE", 2)
    work = Range([f"d/{number}" for number in range(6)], 3)
    with pytest.raises(Killed):
        work.sync(Killing(work.store, 3))
    work.check(work.sync(Answering(work.store, 3, at_lookup=at_lookup)))


def test_what_waits_to_be_sent_again_and_goes_meanwhile_is_counted_once() -> None:
    work = Range([f"d/{number}" for number in range(6)], 3)
    with pytest.raises(Killed):
        work.sync(Killing(work.store, 3))
    transfer = Answering(work.store, 3, at_lookup=False)
    transfer.answer.set()
    transfer.at_page = {2: lambda: work.store.buckets["to"].pop("d/0")}  # what was sent before is carried out now
    work.check(work.sync(transfer))


class Slow(MemoryTransfer):
    """Answers a delete after more time than the listing takes; may be killed when so many were carried out; may copy
    one object only when most are gone."""

    kill_at = 0
    slow = ""

    async def page(self, bucket: SourceBucket | TargetBucket, **how: Any) -> ObjectPage:
        found = self.store.buckets[bucket.name].get(how.get("prefix", ""))
        if how.get("limit") == 1:  # a look at one key, which need not sort them all
            return ObjectPage((found,) if found is not None else (), more=False)
        return await super().page(bucket, **how)

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        await super().delete(target, keys)
        if 0 < self.kill_at <= self.calls["delete"]:
            raise Killed
        for _ in range(200):
            await asyncio.sleep(0)
        return {}

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        while item.key == self.slow and len(self.store.buckets["to"]) > 500:
            await asyncio.sleep(0)
        return await super().copy(source, target, item, to)


def keys_of(length: int, number: int = MANY) -> list[str]:
    """Keys that nothing makes shorter."""
    return [(f"d/{n:06d}/" + hashlib.sha512(b"%d" % n).hexdigest() * 8)[:length] for n in range(number)]


@pytest.mark.parametrize("length", [64, 300])
def test_thousands_of_deletes_that_wait_for_their_answers_fit_into_a_checkpoint(length: int) -> None:
    work = Range(keys_of(length, MANY if length == 64 else 3000), 1000)
    transfer = Slow(work.store)
    work.check(work.sync(transfer))
    assert transfer.calls["delete"] <= 2 * work.planned * length // (48 * 1024), "they go many at a time"


def test_a_sync_that_is_killed_among_them_goes_on_and_counts_each_once() -> None:
    work = Range(keys_of(64), 1000)
    for kill_at in (2, 1, 3):
        transfer = Slow(work.store)
        transfer.kill_at = kill_at
        with pytest.raises(Killed):
            work.sync(transfer)
    work.check(work.sync(Slow(work.store)))


def test_deletes_behind_a_slow_copy_fit_into_a_checkpoint() -> None:
    work = Range(keys_of(300, 3000), 1000)
    work.store.put("from", "a", b"a")
    transfer = Slow(work.store)
    transfer.slow = "a"
    done = work.sync(transfer)
    assert (done.done, done.counters["deleted"], done.counters["copied"]) == (True, 3000, 2)
    assert sorted(work.store.buckets["to"]) == ["a", "z"]


def test_what_was_deleted_above_the_cursor_is_counted_once() -> None:
    store = MemoryBuckets([])
    store.put("from", "a/slow", b"new")
    for number in range(1000):
        store.put("to", f"b/{number:05d}", b"x")
    saved: list[Checkpoint] = []
    held = True

    class Slow(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            while held and store.buckets["to"]:
                await asyncio.sleep(0)
            if held:
                for _ in range(10):
                    await asyncio.sleep(0)  # the answer to the delete has arrived
                raise Killed
            return await super().copy(source, target, item, to)

    def sync() -> Checkpoint:
        return one_range(Slow(store), saved)

    with pytest.raises(Killed):
        sync()
    assert saved[-1].counters["deleted"] == 1000
    held = False
    assert sync().counters["deleted"] == 1000
    assert sorted(store.buckets["to"]) == ["a/slow"]


@pytest.mark.parametrize(("ending", "parked"), [("the time is up", False), ("a kill", False), ("a kill", True)])
def test_a_delete_of_which_no_answer_was_heard_is_counted_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch, ending: str, parked: bool
) -> None:
    """S3 carries out what was sent, and the answer comes too late: the object is gone, and was deleted by us."""
    monkeypatch.setattr("downstage.syncing.bucket._DRAIN_SECONDS", 0.0)
    store = MemoryBuckets([])
    for number in range(5):
        store.put("from", f"a/{number}", b"same")
        store.put("to", f"a/{number}", b"same")
    for name in ("a/05", "b", "z/1", "z/2"):
        store.put("to", name, b"x")
    saved: list[Checkpoint] = []
    told: list[str] = []
    now = 0.0
    deaf, refusals = True, int(parked)

    class Deaf(MemoryTransfer):
        async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
            nonlocal now, refusals
            if refusals:
                refusals -= 1
                return dict.fromkeys(keys, "AccessDenied")
            await super().delete(target, keys)
            if deaf:
                now = 100.0
                if ending == "a kill":
                    raise Killed
                await asyncio.Event().wait()
            return {}

    def sync(stop_at: float | None) -> Checkpoint:
        async def bounded() -> Checkpoint:
            async with asyncio.timeout(60):
                return await sync_range(
                    RangeTask("c", PAIR, KeyRange(), "etag", 4),
                    saved[-1] if saved else Checkpoint(0, 1),
                    transfer=Deaf(store, 3),
                    sealer=SEALER,
                    save=saved.append,
                    chosen=KeyFilter(OPTIONS),
                    told=lambda action, key, _: told.append(f"{action} {key}"),
                    sleep=at_once,
                    stop_at=stop_at,
                    clock=lambda: now,
                )

        return asyncio.run(bounded())

    if ending == "a kill":
        with pytest.raises(Killed):
            sync(None)
    else:
        assert not sync(50.0).done
    assert saved[-1].counters["deleted"] == 0
    deaf = False
    done = sync(None)
    assert done.done
    assert (done.counters["deleted"], done.counters["unchanged"], done.counters["failed"]) == (4, 5, 0)
    assert sorted(told) == [f"delete {key}" for key in ("a/05", "b", "z/1", "z/2")]
    assert sorted(store.buckets["to"]) == sorted(store.buckets["from"])
    assert len(saved[-1].cursor or "") == 0
