"""A run whose lanes are on other machines (spark, glue): what shares a file with the launching machine is done there,
without being asked, and said; where it cannot be, it is said what else to do."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from downstage.domain.events import Note
from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.errors import CredentialsError, DownstageError, JournalError, LeakFound, VerificationFailed
from downstage.planning.surroundings import SPILLED_BYTES
from downstage.ports import DiskFacts, ItemGetter, Lane
from downstage.testing.deep_lanes import MemoryItems
from downstage.testing.surroundings import harmless
from downstage.testing.world import COPIES, DOCUMENTS, SOURCE, TARGET, World, bucket_pair, case, plan_of, some_items
from downstage.workflow.reference import REPAIR
from downstage.workflow.refresh import STEPS
from tests.unit.test_inventory_steps import CREATED, PLAN, take

UP_TO_COPY = STEPS[: STEPS.index("sync") + 1]
PROOF = ("verify-tables",)
SYNC = ("sync", "verify-buckets")
OF_OTHERS = ("copy", "verify", "sync")


class Elsewhere:
    """Implements `ports.Engine` of other machines: they have none of our files. `tasks` are what they were handed."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.stopped = False

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Each lane in turn."""
        for lane in lanes:
            self.tasks.append(lane.task)
            assert lane.task.partition("/")[0] in OF_OTHERS, f"{lane.task} needs a file of the launching machine"
            work(lane)
            yield lane

    def stop(self) -> None:
        """Is noted."""
        self.stopped = True


def copied(engine: str = "spark") -> tuple[World, Elsewhere]:
    """A copy made elsewhere, of which one item was altered and one lost since."""
    items = [*some_items(), *(case(number, f"q{number}@court.example.org") for number in range(10, 42))]
    world = World(items, plan_of(engine=EnginePlan(engine, 8, 4)))
    world.elsewhere = elsewhere = Elsewhere()
    world.refresh(chosen=UP_TO_COPY)
    table, source = world.target_tables[TARGET], world.source_tables[SOURCE]
    altered, lost = (source.key(case(number, "x")) for number in (10, 11))
    table.items[altered] = table.items[altered] | {"filed": {"N": "4711"}}
    del table.items[lost]
    world.writes.clear()
    elsewhere.tasks.clear()
    return world, elsewhere


def verify(world: World, run_id: str = "run-2", *, repair: bool = False) -> None:
    run = world.begin(run_id, kind="repair" if repair else "verify", copy_run="run-1")
    world.refresh(run, chosen=(REPAIR, *PROOF) if repair else PROOF)


def notes(world: World) -> list[str]:
    return [event.text for event in world.events.events if isinstance(event, Note)]


def failing(error: DownstageError) -> Callable[[str], ItemGetter]:
    """Source items that nobody can read."""

    def make(_name: str) -> ItemGetter:
        raise error

    return make


@pytest.mark.parametrize("engine", ["spark", "glue"])
def test_a_failed_proof_is_compared_item_by_item_on_the_launching_machine(engine: str) -> None:
    world, elsewhere = copied(engine)
    with pytest.raises(VerificationFailed, match=r"1 item missing, 1 item differing; mend it with 'downstage verify"):
        verify(world)
    assert set(elsewhere.tasks) == {f"verify/{TARGET}"}
    (said,) = [note for note in notes(world) if "this machine" in note]
    assert said.endswith(f"compared with its source, on this machine (1 at a time), not on {engine}")
    assert not world.writes


@pytest.mark.parametrize("engine", ["spark", "glue"])
def test_a_repair_mends_there_and_proves_elsewhere(engine: str) -> None:
    world, elsewhere = copied(engine)
    verify(world, repair=True)
    table = world.outcome("run-2").tables[0]
    assert table.proven
    assert table.repaired is not None
    assert (table.repaired.put, table.repaired.left) == (2, 0)
    assert set(elsewhere.tasks) == {f"verify/{TARGET}"}
    assert [note for note in notes(world) if "compared and mended, on this machine" in note]
    assert not list(world.folder.glob("*"))


def test_where_this_machine_cannot_read_a_side_it_is_said_what_else_to_do() -> None:
    world, _ = copied()
    world.source_items = failing(CredentialsError("prod: the SSO session has ended; run 'aws sso login'"))
    with pytest.raises(VerificationFailed) as caught:
        verify(world)
    assert "could not be compared item by item: prod: the SSO session has ended" in str(caught.value)
    assert "; 'downstage verify test --engine local', on a machine that has the room for it and" in str(caught.value)
    assert not list(world.folder.glob("*")), "nobody goes on with what was spilled"


@pytest.mark.parametrize("free", [0, 40 * SPILLED_BYTES])
def test_a_disk_that_is_too_small_is_said_before_anything_is_read(free: int) -> None:
    world, _ = copied()
    world.around = harmless(disk=DiskFacts("state", free, writable=True))
    reads = 0

    def counted(name: str) -> MemoryItems:
        nonlocal reads
        reads += 1
        return MemoryItems(world.source_tables[name])

    world.source_items = counted
    with pytest.raises(VerificationFailed) as caught:
        verify(world)
    small = "GB are free at state; make room there" in str(caught.value)
    assert (small, reads > 0) == ((True, False) if free == 0 else (False, True))
    assert ("--engine local" in str(caught.value)) is small


def test_a_repair_without_room_writes_nothing() -> None:
    world, _ = copied()
    world.around = harmless(disk=DiskFacts("state", 0, writable=True))
    with pytest.raises(JournalError, match="make room there"):
        verify(world, repair=True)
    assert not world.writes


def test_a_disk_that_cannot_be_looked_at_is_one_line() -> None:
    def broken() -> DiskFacts:
        raise OSError(errno.EIO, "Input/output error")

    world, _ = copied()
    world.around = replace(harmless(), disk=broken)
    with pytest.raises(VerificationFailed, match=r"cannot be looked at \(Input/output error\)"):
        verify(world)


def test_a_leak_goes_before_a_comparison_that_cannot_be_made() -> None:
    world, _ = copied()
    world.target_tables[TARGET].put([case(99, "somebody@court.example.org")])
    world.around = harmless(disk=DiskFacts("state", 0, writable=True))
    with pytest.raises(LeakFound):
        verify(world)


def test_on_one_machine_nothing_is_said_of_it() -> None:
    world, _ = copied()
    world.elsewhere = None
    with pytest.raises(VerificationFailed):
        verify(world)
    assert not [note for note in notes(world) if "this machine" in note]


def test_a_bucket_that_an_inventory_lists_is_synced_from_here_and_others_elsewhere() -> None:
    alone = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
    world = World(plan=plan_of(**alone, buckets=(bucket_pair(inventory=PLAN),), engine=EnginePlan("spark", 8, 3)))
    world.elsewhere = elsewhere = Elsewhere()
    take(world, CREATED)
    world.refresh(world.begin("run-1", "sync"), chosen=SYNC)
    assert elsewhere.tasks == []
    assert world.outcome().result is Result.PROVEN
    assert set(world.store.buckets[COPIES]) == set(world.store.buckets[DOCUMENTS])
    (said,) = [note for note in notes(world) if "synced from here" in note]
    assert f"bucket {COPIES}: listed by an inventory" in said

    world = World(plan=plan_of(**alone, buckets=(bucket_pair(),), engine=EnginePlan("spark", 8, 3)))
    world.elsewhere = elsewhere = Elsewhere()
    world.refresh(world.begin("run-1", "sync"), chosen=SYNC)
    assert set(elsewhere.tasks) == {f"sync/{COPIES}"}
    assert not [note for note in notes(world) if "synced from here" in note]


def test_every_engine_of_a_run_is_wrapped_and_can_be_stopped() -> None:
    world, _ = copied()
    parts = world.parts(world.begin("run-2", "verify", copy_run="run-1"))
    wrapped: list[Elsewhere] = []

    def wrap(_engine: object) -> Elsewhere:
        wrapped.append(Elsewhere())
        return wrapped[-1]

    braked = parts.with_engines(wrap)
    assert list(braked.engines) == wrapped
    assert len(wrapped) == 3
    assert braked.engine_here is wrapped[2]
    assert braked.engine is not braked.engine_here
