"""The proof of the buckets goes on where it was killed: no range is listed from its beginning again, what was found
before the kill is not forgotten and not counted twice, and what is long ago is not gone on with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.bucket_outcome import BucketOutcome
from downstage.domain.plan import EnginePlan
from downstage.errors import LeakFound, VerificationFailed
from downstage.ports import ObjectDetails, ObjectPage
from downstage.testing.buckets import MemoryTransfer
from downstage.testing.faults import Killed
from downstage.testing.world import COPIES, DOCUMENTS, World, bucket_pair, plan_of
from downstage.workflow import bucket_progress

STEPS = ("sync", "verify-buckets")
ALONE: dict[str, Any] = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
OBJECTS = 120
PAGE = 5
LEAKED = "a/ada@court.example.org"


class Pages:
    """How many pages were asked for, and after how many a kill comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.kill_at: int | None = None
        page = MemoryTransfer.page

        async def counted(transfer: MemoryTransfer, *where: Any, **how: Any) -> ObjectPage:
            self.asked += 1
            if self.kill_at is not None and self.asked >= self.kill_at:
                raise Killed
            return await page(transfer, *where, **how)

        monkeypatch.setattr(MemoryTransfer, "page", counted)

    def of(self, world: World, kill_at: int | None = None) -> int:
        """Those of the rest of the run."""
        self.asked, self.kill_at = 0, kill_at
        try:
            world.resume(chosen=STEPS)
        finally:
            self.kill_at = None
        return self.asked


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setattr(bucket_progress, "SAVE_SECONDS", 0.0)
    return Pages(monkeypatch)


def synced(*, delete: bool = True, **options: object) -> World:
    """After the sync, before the proof."""
    pair = replace(bucket_pair(**options), delete=delete)
    world = World(plan=plan_of(**ALONE, buckets=(pair,), engine=EnginePlan("serial", 1, 1)))
    world.page_size = PAGE
    for number in range(OBJECTS):
        world.store.put(DOCUMENTS, f"more/{number:04d}", b"%d" % number)
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    return world


def bucket_of(world: World) -> BucketOutcome:
    (found,) = world.outcome().buckets
    return found


@pytest.mark.parametrize("mode", ["fail", "mask"])
def test_a_proof_that_is_killed_goes_on_from_its_cursors(pages: Pages, mode: str) -> None:
    whole = pages.of(synced(on_personal_key=mode))
    assert whole >= 2 * OBJECTS // PAGE
    for kill_at in range(10, whole - 25, 13):
        world = synced(on_personal_key=mode)
        with pytest.raises(Killed):
            pages.of(world, kill_at)
        assert pages.of(world) <= whole - kill_at + 8, "what was read ahead of the cursor is read again, and no more"
        bucket = bucket_of(world)
        assert (bucket.proven, bucket.contents, bucket.changed) == (True, 20, 0)
        assert world.outcome().leaks.scanned_keys == OBJECTS + 3
        assert sum(sample.looked for sample in world.outcome().leaks.details) == OBJECTS + 3


def test_what_was_found_before_a_kill_is_not_forgotten_and_not_counted_twice(pages: Pages) -> None:
    def spoilt() -> World:
        world = synced(delete=False)
        world.store.put(COPIES, LEAKED, b"x")
        world.store.hung[COPIES, "more/0001"] = ObjectDetails({"owner": "ada@court.example.org"}, {})
        del world.store.buckets[COPIES]["case/1.pdf"]
        return world

    def found(world: World) -> tuple[Any, ...]:
        bucket, leaks = bucket_of(world), world.outcome().leaks
        return bucket.differing, bucket.names, bucket.contents, leaks.scanned_keys, leaks.found, leaks.places

    unharmed = spoilt()
    with pytest.raises(LeakFound, match="2 addresses"):
        pages.of(unharmed)
    for kill_at in range(3, pages.asked - 25, 11):
        world = spoilt()
        with pytest.raises(Killed):
            pages.of(world, kill_at)
        with pytest.raises(LeakFound, match="2 addresses"):
            pages.of(world)
        assert found(world) == found(unharmed)
    assert found(unharmed)[:2] == (1, ("case/1.pdf",))


def test_a_proof_that_failed_is_made_from_the_beginning_again(pages: Pages) -> None:
    world = synced()
    stale = world.store.buckets[COPIES].pop("case/1.pdf")
    with pytest.raises(VerificationFailed):
        pages.of(world)
    whole = pages.asked
    world.store.buckets[COPIES]["case/1.pdf"] = stale
    assert pages.of(world) >= whole - 3
    assert bucket_of(world).proven


def test_what_is_long_ago_is_not_gone_on_with(pages: Pages) -> None:
    world = synced()
    whole = pages.of(synced())
    with pytest.raises(Killed):
        pages.of(world, whole // 2)
    world.clock.sleep(bucket_progress.FRESH_SECONDS + 1)
    assert pages.of(world) == whole
    assert bucket_of(world).proven


def test_what_was_begun_long_ago_is_not_gone_on_with_however_often_it_was_cut_off(pages: Pages) -> None:
    world = synced()
    whole = pages.of(synced())
    for kill_at in (whole // 2, 10):
        with pytest.raises(Killed):
            pages.of(world, kill_at)
        world.clock.sleep(0.6 * bucket_progress.FRESH_SECONDS)
    with pytest.raises(Killed):
        pages.of(world, whole // 2)  # the third begins anew, and is of now
    assert pages.of(world) < whole
    assert bucket_of(world).proven
    world = synced()
    for kill_at in (whole // 2, 10):
        with pytest.raises(Killed):
            pages.of(world, kill_at)
        world.clock.sleep(0.6 * bucket_progress.FRESH_SECONDS)
    assert pages.of(world) == whole


def test_the_journal_holds_no_key_of_an_object(pages: Pages) -> None:
    world = synced()
    with pytest.raises(Killed):
        pages.of(world, 20)
    saved = world.journal.checkpoints("run-1", f"prove/{COPIES}")
    assert len(saved) > 1
    assert "more/" not in repr(saved)
    pages.of(world)
    assert all(one.cursor is None for one in world.journal.checkpoints("run-1", f"prove/{COPIES}"))
