"""The buckets' steps with an inventory: it is chosen once, its age is told, its sorted file lasts as long as it is
needed, and what has changed since it was made contradicts no proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from downstage.app.syncing import show
from downstage.domain.events import Note, ObjectSynced
from downstage.domain.inventory import InventoryPlan
from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.domain.refs import ExportBucket
from downstage.errors import GuardRefused, TimeBoxReached
from downstage.ports import ObjectFacts
from downstage.testing.faults import Killed, Trip
from downstage.testing.inventories import inventory_files, row
from downstage.testing.world import COPIES, DOCUMENTS, PROD, World, bucket_pair, plan_of

ALONE = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
STEPS = ("sync", "verify-buckets")
PLAN = InventoryPlan(ExportBucket(PROD, "lists"), "daily/all")
NOW = 1_800_000_000.0
CREATED = NOW - 7 * 3600


def world_of(created: float = CREATED) -> World:
    """The documents' buckets, and an inventory of the source as it is now."""
    plan = plan_of(**ALONE, buckets=(bucket_pair(inventory=PLAN),), engine=EnginePlan("serial", 1, 3))
    world = World(plan=plan)
    take(world, created)
    return world


def take(world: World, created: float) -> None:
    rows = [row(DOCUMENTS, entry) for entry in world.store.buckets[DOCUMENTS].values()]
    world.exports.objects |= inventory_files(DOCUMENTS, rows, bucket="lists", prefix=PLAN.prefix, created=created)


def change(world: World, key: str, content: bytes, modified: float) -> None:
    """Puts an object into the source at that instant."""
    world.store.put(DOCUMENTS, key, content)
    world.store.buckets[DOCUMENTS][key] = world.store.buckets[DOCUMENTS][key]._replace(modified=modified)


def sync(world: World, run_id: str = "run-1") -> None:
    world.refresh(world.begin(run_id, "sync"), chosen=STEPS)


def begin_and_die(world: World) -> None:
    """A sync that is killed at its first copy."""
    counted = Trip()
    same = world_of()
    same.refresh(same.begin(kind="sync"), trip=counted, chosen=STEPS)
    first = next(number for number, name in enumerate(counted.names, 1) if name.endswith("copy"))
    with pytest.raises(Killed):
        world.refresh(world.begin(kind="sync"), trip=Trip(first), chosen=STEPS)
    assert len(kept(world)) == 1


def kept(world: World) -> list[str]:
    return [path.name for path in (world.folder / "inventories").glob("*")]


def target(world: World) -> dict[str, str]:
    return {key: entry.etag for key, entry in world.store.buckets[COPIES].items()}


def test_a_sync_by_inventory_says_how_old_it_is_and_leaves_no_file() -> None:
    world = world_of()
    sync(world)
    assert target(world) == {key: entry.etag for key, entry in world.store.buckets[DOCUMENTS].items()}
    outcome = world.outcome()
    assert (outcome.result, outcome.buckets[0].proven) == (Result.PROVEN, True)
    said = "an inventory of 3 objects, 7.0 h old when the sync was planned"
    assert [said in step.detail for step in outcome.steps if step.name == "sync"] == [True]
    assert any(said in event.text for event in world.events.events if isinstance(event, Note))
    assert kept(world) == []


def test_what_changed_since_the_inventory_is_named_and_contradicts_nothing() -> None:
    world = world_of()
    change(world, "new.pdf", b"new", CREATED + 60)
    change(world, "old.pdf", b"new", CREATED + 60)  # the target has another one, which the inventory would delete
    stale = world.store.buckets[DOCUMENTS].pop("case/0.pdf")
    world.store.buckets[COPIES]["case/0.pdf"] = stale  # equal by the inventory, and the source has it no more
    sync(world)
    bucket = world.outcome().buckets[0]
    assert (bucket.differing, bucket.changed, sorted(bucket.names)) == (0, 2, ["case/0.pdf", "new.pdf"])
    assert target(world)["old.pdf"] == world.store.buckets[DOCUMENTS]["old.pdf"].etag


def test_what_the_inventory_ought_to_name_and_does_not_contradicts_the_proof() -> None:
    world = world_of()
    change(world, "forgotten.pdf", b"x", CREATED - 3600)
    with pytest.raises(Exception, match="objects still differ"):
        sync(world)


def test_a_stale_inventory_stops_the_run_before_anything_is_written() -> None:
    world = world_of(NOW - 49 * 3600)
    with pytest.raises(GuardRefused, match=r"49\.0 h old"):
        sync(world)
    assert (world.writes, kept(world)) == ([], [])


def test_a_dry_run_tells_what_a_run_then_does() -> None:
    world = world_of()
    show(world.parts(world.begin("dry", "sync")))
    assert world.writes == []
    shown = {(event.action, event.key) for event in world.events.events if isinstance(event, ObjectSynced)}
    assert shown == {("(dry run) copy", f"case/{number}.pdf") for number in range(3)} | {
        ("(dry run) delete", "old.pdf")
    }


def test_who_goes_on_lists_by_the_same_inventory_even_if_its_file_is_lost() -> None:
    world = world_of()
    begin_and_die(world)
    for path in (world.folder / "inventories").iterdir():
        path.unlink()
    change(world, "new.pdf", b"new", NOW - 60)
    take(world, NOW - 30)
    world.resume(chosen=STEPS)
    assert "new.pdf" not in target(world), "the newer inventory is the next sync's"
    assert (world.outcome().buckets[0].changed, kept(world)) == (1, [])


def test_another_manifest_in_its_place_is_refused_by_who_goes_on() -> None:
    world = world_of()
    begin_and_die(world)
    for path in (world.folder / "inventories").iterdir():
        path.unlink()
    change(world, "new.pdf", b"new", NOW - 60)
    take(world, CREATED)
    with pytest.raises(GuardRefused, match="not the one that the sync was planned with"):
        world.resume(chosen=STEPS)


def test_the_next_run_deletes_what_a_failed_one_left_but_not_a_dry_runs_file() -> None:
    world = world_of()
    folder = world.folder / "inventories"
    folder.mkdir(parents=True)
    for name in (f"run-0@{COPIES}.sqlite", f"dry-run@{COPIES}.sqlite", "run-0@other.sqlite"):
        (folder / name).write_bytes(b"")
    sync(world)
    assert sorted(kept(world)) == [f"dry-run@{COPIES}.sqlite", "run-0@other.sqlite"]


def test_the_time_box_ends_the_reading_of_an_inventory_too() -> None:
    world = world_of()
    world.stop_at = NOW
    with pytest.raises(TimeBoxReached, match="the inventory of bucket"):
        sync(world)
    assert (world.writes, kept(world)) == ([], [])
    world.stop_at = None
    world.resume(chosen=STEPS)
    assert world.outcome().result is Result.PROVEN


def test_without_a_disk_to_sort_on_it_is_refused() -> None:
    world = world_of()
    parts = world.parts(world.begin(kind="sync"))
    alone = replace(parts, objects=replace(parts.objects, inventories=None))
    with pytest.raises(GuardRefused, match="cannot be read here"):
        show(alone)
    assert world.writes == []


def test_what_the_target_holds_already_is_not_copied_again() -> None:
    world = world_of()
    sync(world)
    world.writes.clear()
    world.store.buckets[COPIES]["case/0.pdf"] = ObjectFacts(
        "case/0.pdf", world.store.buckets[DOCUMENTS]["case/0.pdf"].etag, 1, NOW
    )
    sync(world, "run-2")
    assert world.writes == []
