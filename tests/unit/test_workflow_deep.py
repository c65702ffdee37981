"""A target that is not what was written: what is wrong is named by keyed hash, what moved on in production is not held
against it, and a repair mends the rest and proves it. In memory, with the real steps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from downstage.domain.events import Event, Note, Progress
from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import EnginePlan
from downstage.domain.table_outcome import TableOutcome
from downstage.errors import GuardRefused, LeakFound, RunConflict, VerificationFailed
from downstage.masking.keys import MaskKey
from downstage.ports import Item
from downstage.testing.faults import Killed, Trip
from downstage.testing.simple import FixedIdentity, InOrder
from downstage.testing.world import KEYS, PROD, SOURCE, TARGET, World, case, plan_of, some_items
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Side
from downstage.workflow import deep, watching
from downstage.workflow.reference import REPAIR, reference_of, repair_task, repairs_of
from downstage.workflow.refresh import STEPS, run_steps
from downstage.workflow.sums import summed

UP_TO_COPY = STEPS[: STEPS.index("sync") + 1]
PROOF = ("verify-tables", "verify-buckets")
Answer = TypeVar("Answer")


def copied(**plan: Any) -> World:
    """Forty items copied, of which some have an address in the key; nothing verified."""
    items = [*some_items(), *(case(number, f"q{number}@court.example.org") for number in range(10, 42))]
    world = World(items, plan_of(**{"engine": EnginePlan("serial", 1, 4), **plan}))
    world.refresh(chosen=UP_TO_COPY)
    world.writes.clear()
    return world


def source_key(world: World, number: int) -> bytes:
    return world.source_tables[SOURCE].key(case(number, "x"))


def alter(world: World, number: int) -> None:
    items = world.target_tables[TARGET].items
    items[source_key(world, number)] = items[source_key(world, number)] | {"filed": {"N": "4711"}}


def lose(world: World, number: int) -> None:
    del world.target_tables[TARGET].items[source_key(world, number)]


def add(world: World, number: int) -> None:
    world.target_tables[TARGET].put([{"pk": {"S": f"case|{number}"}, "sk": {"S": "nobody wrote this"}}])


def change_source(world: World, number: int) -> None:
    world.source_tables[SOURCE].put([case(number, f"q{number}@court.example.org", changed={"BOOL": True})])


def delete_source(world: World, number: int) -> None:
    del world.source_tables[SOURCE].items[source_key(world, number)]


def verify(world: World, run_id: str = "run-2", *, repair: bool = False, trip: Trip | None = None) -> TableOutcome:
    """A run of `verify`, or of `verify --repair`; gives the table's outcome. Raises what the run raises."""
    run = world.begin(run_id, kind="repair" if repair else "verify", copy_run="run-1")
    steps = (REPAIR, *PROOF) if repair else PROOF
    world.refresh(run, chosen=steps, trip=trip)
    return table(world, run_id)


def table(world: World, run_id: str = "run-2") -> TableOutcome:
    return world.outcome(run_id).tables[0]


def wrong(found: TableOutcome) -> tuple[int, int, int, int]:
    assert found.differences is not None
    kinds = found.differences
    assert not kinds.untold
    assert not kinds.unexplained
    return kinds.missing, kinds.extra, kinds.differing, kinds.source_changed


def target_is(world: World, *, as_of: World) -> bool:
    """The target holds what the other world's does."""
    return world.target_tables[TARGET].items == as_of.target_tables[TARGET].items


def left_on_disk(world: World) -> list[str]:
    return [path.name for path in world.folder.glob("*")]


def test_a_table_that_holds_is_not_looked_at_item_by_item() -> None:
    world = copied()
    found = verify(world)
    assert found.proven
    assert found.differences is None
    assert not world.folder.exists()


def test_what_is_wrong_is_told_from_what_moved_on_and_named_by_keyed_hash() -> None:
    world = copied()
    alter(world, 10)
    lose(world, 11)
    add(world, 12)
    change_source(world, 13)
    delete_source(world, 14)
    with pytest.raises(VerificationFailed) as caught:
        verify(world)
    said = str(caught.value)
    assert "1 item missing, 1 item extra, 1 item differing; 2 items changed in the source since" in said
    assert "downstage verify test --repair" in said
    assert "resume" not in said
    assert wrong(table(world)) == (1, 1, 1, 2)
    differences = table(world).differences
    assert differences is not None
    assert sorted(kind for kind, _ in differences.names) == ["differing", "extra", "missing"]
    assert len({name for _, name in differences.names}) == 3
    outcome = world.outcome("run-2")
    assert (outcome.result, outcome.exit_code) == (Result.FAILED, 4)
    assert "1 item missing" in outcome.objections[0].text
    assert not world.writes
    assert not left_on_disk(world)
    assert "court.example.org" not in repr(vars(world.journal))


def test_a_repair_mends_what_is_wrong_leaves_what_moved_on_and_proves_it() -> None:
    world, untouched = copied(), copied()
    alter(world, 10)
    lose(world, 11)
    add(world, 12)
    change_source(world, 13)
    delete_source(world, 14)
    found = verify(world, repair=True)
    assert target_is(world, as_of=untouched)
    assert found.proven
    assert found.repaired is not None
    assert (found.repaired.put, found.repaired.deleted, found.repaired.left) == (2, 1, 0)
    assert wrong(found) == (1, 1, 1, 2)
    assert [step.state for step in world.outcome("run-2").steps] == [StepState.DONE] * 3
    assert sorted(world.writes) == ["delete an item app-test", "mend app-test", "mend app-test"]
    assert not left_on_disk(world)
    again = verify(world, "run-3")
    assert again.proven
    assert again.repaired is None


def test_a_repaired_refresh_goes_on_and_is_proven() -> None:
    world = copied()
    lose(world, 11)
    with pytest.raises(VerificationFailed, match="then 'downstage resume run-1'"):
        world.resume()
    assert not world.consumers.enabled
    verify(world, repair=True)
    world.resume()
    outcome = world.outcome("run-1")
    assert outcome.result is Result.PROVEN
    assert world.consumers.enabled


def test_a_repair_of_a_table_that_holds_changes_nothing() -> None:
    world = copied()
    found = verify(world, repair=True)
    assert found.proven
    assert found.expected is None
    assert not world.writes
    assert "nothing to mend" in world.outcome("run-2").steps[0].detail


def test_what_production_changed_after_it_was_altered_is_mended_to_what_it_is_now() -> None:
    """What was written is not known any more: it cannot be told, so it is made what production, masked, holds."""
    world = copied()
    alter(world, 10)
    change_source(world, 10)
    with pytest.raises(VerificationFailed, match="cannot be told"):
        verify(world)
    found = verify(world, "run-3", repair=True)
    assert found.proven
    assert world.target_tables[TARGET].items[source_key(world, 10)]["changed"] == {"BOOL": True}
    assert verify(world, "run-4").proven


def test_an_item_lost_on_both_sides_is_settled_by_a_repair() -> None:
    world = copied()
    lose(world, 10)
    delete_source(world, 10)
    with pytest.raises(VerificationFailed, match="1 segment whose digest no item explains"):
        verify(world)
    found = verify(world, "run-3", repair=True)
    assert found.proven
    assert (found.written, found.must_hold) == (40, 39)
    assert not world.writes
    lose(world, 11)
    change_source(world, 12)
    with pytest.raises(VerificationFailed, match="1 item missing; 1 item changed"):
        verify(world, "run-4")
    assert verify(world, "run-5", repair=True).proven


def test_an_old_report_stays_what_it_was_when_a_later_repair_changes_the_table() -> None:
    world = copied()
    assert verify(world).proven
    alter(world, 10)
    change_source(world, 10)
    assert verify(world, "run-3", repair=True).proven
    assert table(world, "run-2").proven
    assert table(world, "run-2").expected is None
    assert table(world, "run-3").expected == 40


@pytest.mark.parametrize("expired", [True, False], ids=["expired since", "expires later now"])
def test_the_copys_own_cut_off_holds(expired: bool) -> None:
    """An item that has expired since by the cut-off, and one that had and has not any more: the source's change."""
    world = copied()
    if expired:
        world.source_tables[SOURCE].put([case(10, "q10@court.example.org", expires={"N": "1799999999"})])
    else:
        world.source_tables[SOURCE].put([{"pk": {"S": "session|1"}, "sk": {"S": "x"}, "expires": {"N": "1999999999"}}])
    lose(world, 11)
    with pytest.raises(VerificationFailed, match="1 item missing; 1 item changed in the source since"):
        verify(world)


def counted(calls: list[Any], method: Callable[..., Answer]) -> Callable[..., Answer]:
    """The method, whose calls are noted by their last argument."""

    def call(*arguments: Any) -> Answer:
        calls.append(arguments[-1])
        return method(*arguments)

    return call


def test_a_comparison_of_many_lanes_looks_at_all_of_its_progress_a_few_hundred_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of lanes that each had every segment's row read, or every entry of the quarantine, would take hours."""
    world = copied(engine=EnginePlan("serial", 1, 1200))
    lose(world, 11)
    in_full: list[Any] = []
    wanted = Spill.wanted

    def wanted_by(spill: Spill, side: Side, segments: Collection[int] | None = None) -> Any:
        in_full.extend([side] if segments is None else [])
        return wanted(spill, side, segments)

    monkeypatch.setattr(Spill, "surveys", counted(in_full, Spill.surveys))
    monkeypatch.setattr(Spill, "wanted", wanted_by)
    monkeypatch.setattr(world.journal, "quarantined", counted(in_full, world.journal.quarantined))
    with pytest.raises(VerificationFailed, match="1 item missing"):
        verify(world)
    looks = [event.step for event in world.events.events if isinstance(event, Progress)]
    assert 0 < looks.count("compare target") <= 200
    assert 0 < looks.count("compare source") <= 200
    assert len(in_full) < 20, "1,200 segments are 300 lanes a side"


def test_a_proof_reads_the_repairs_once_and_the_progress_of_a_table_once_a_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = copied(engine=EnginePlan("serial", 1, 1))
    verify(world)
    verify(world, "run-3", repair=True)
    steps: list[str] = []
    points: list[str] = []
    monkeypatch.setattr(world.journal, "step", counted(steps, world.journal.step))
    monkeypatch.setattr(world.journal, "checkpoints", counted(points, world.journal.checkpoints))
    monkeypatch.setattr(watching, "_repeat", lambda tell, stop: None)
    world.refresh(world.begin("run-4", kind="verify", copy_run="run-1"), chosen=("verify-tables",))
    assert points.count(f"verify/{TARGET}") <= 5, "before, for the lanes, by the lane, when they have ended, after"
    steps.clear()
    assert repairs_of(world.journal, "run-1") == ["run-3"]
    assert steps.count(REPAIR) == 4, "once a run"
    for table_name in (TARGET, "app-other"):
        reference_of(world.journal, "run-1", table_name, ["run-3"])
    assert steps.count(REPAIR) == 4, "and not once more a table"


def test_what_the_copy_quarantined_is_neither_missing_nor_put_by_a_repair() -> None:
    world = copied()
    poison = case(60, "q60@court.example.org", text={"S": "x" * 500_000})
    other = World([*world.source_tables[SOURCE].all(), poison], world.plan)
    other.refresh(chosen=UP_TO_COPY)
    lose(other, 11)
    with pytest.raises(VerificationFailed, match="written: 1 item missing; mend it"):
        verify(other)
    found = table(other).differences
    assert found is not None
    assert (found.missing, found.source_changed, found.quarantined) == (1, 0, 1)
    verify(other, "run-3", repair=True)
    assert source_key(other, 60) not in other.target_tables[TARGET].items


def test_a_row_that_leaks_is_removed_by_a_repair() -> None:
    world = copied()
    world.target_tables[TARGET].put([case(70, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        verify(world)
    found = verify(world, "run-3", repair=True)
    assert found.proven
    assert not world.outcome("run-3").leaks.found


def test_an_item_deleted_in_production_between_two_attempts_at_its_page_is_an_extra_row() -> None:
    """The page is written, the process is killed before the checkpoint, the item is deleted, the run is resumed."""
    attempt = World(plan=plan_of(engine=EnginePlan("serial", 1, 1)))
    trip = Trip()
    attempt.refresh(chosen=UP_TO_COPY, trip=trip)
    at = trip.names.index("MemoryJournal.save_checkpoint", trip.names.index("MemoryWriter.put")) + 1
    world = World(plan=attempt.plan)
    with pytest.raises(Killed):
        world.refresh(chosen=UP_TO_COPY, trip=Trip(at))
    put = next(iter(sorted(world.target_tables[TARGET].items)))
    (gone,) = [key for key in world.source_tables[SOURCE].items if key == put]
    del world.source_tables[SOURCE].items[gone]
    with pytest.raises(VerificationFailed, match="1 item extra"):
        world.resume()
    assert wrong(table(world, "run-1")) == (0, 1, 0, 0)
    found = verify(world, repair=True)
    assert put not in world.target_tables[TARGET].items
    assert found.repaired is not None
    assert found.repaired.deleted == 1
    world.resume()
    assert world.outcome("run-1").result is Result.PROVEN


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_repair_killed_at_any_call_ends_mended_when_it_is_resumed(after: bool) -> None:
    def tampered() -> World:
        world = copied()
        alter(world, 10)
        lose(world, 11)
        add(world, 12)
        change_source(world, 13)
        return world

    def mend(world: World, trip: Trip | None = None) -> None:
        world.refresh(
            world.begin("run-2", kind="repair", copy_run="run-1"), chosen=(REPAIR, "verify-tables"), trip=trip
        )

    trip = Trip()
    mend(tampered(), trip)
    assert {"MemoryItems.get", "MemoryItems.put", "MemoryItems.delete"} <= set(trip.names)
    first, last, untouched = trip.names.index("MemoryItems.get"), len(trip.names), copied()
    for at in [*range(1, first, 23), *range(first, last + 1, 7)]:
        world = tampered()
        with pytest.raises(Killed):
            mend(world, Trip(at, after=after))
        world.resume("run-2", chosen=(REPAIR, "verify-tables"))
        where = f"call {at} ({trip.names[at - 1]})"
        assert table(world).proven, where
        assert target_is(world, as_of=untouched), where
        assert not left_on_disk(world), where


def test_a_repair_whose_spill_is_lost_looks_anew() -> None:
    world = copied()
    for number in range(10, 20):
        lose(world, number)
    trip = Trip()
    verify(w := copied_like(world), repair=True, trip=trip)
    assert table(w).proven
    at = [place for place, name in enumerate(trip.names, 1) if name == "MemoryItems.put"][5]
    with pytest.raises(Killed):
        verify(world, repair=True, trip=Trip(at, after=True))
    for path in world.folder.iterdir():
        path.unlink()
    world.resume("run-2", chosen=(REPAIR, *PROOF))
    assert table(world).proven


def copied_like(world: World) -> World:
    """The same tampering in a fresh world."""
    other = copied()
    for key in set(other.target_tables[TARGET].items) - set(world.target_tables[TARGET].items):
        del other.target_tables[TARGET].items[key]
    return other


def test_what_a_killed_comparison_left_on_the_disk_is_cleared_by_the_next() -> None:
    world = copied()
    lose(world, 11)
    trip = Trip()
    verify(copied_like(world), repair=True, trip=trip)
    with pytest.raises(Killed):
        verify(world, repair=True, trip=Trip(trip.names.index("MemoryItems.put") + 1))
    assert [name.partition(".")[0] for name in left_on_disk(world) if name.endswith(".sqlite")] == ["run-2"]
    assert verify(world, "run-3", repair=True).proven
    assert not left_on_disk(world)


# -- what a repair refuses


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda world: setattr(world, "target_identity", FixedIdentity(PROD)), GuardRefused),
        (lambda world: setattr(world, "key", MaskKey(bytes(range(1, 33)))), RunConflict),
        (lambda world: recreated(world, "target_tables", TARGET), RunConflict),
        (lambda world: recreated(world, "source_tables", SOURCE), RunConflict),
        (lambda world: setattr(world, "plan", replace(world.plan, target=world.plan.source)), GuardRefused),
    ],
    ids=["another account", "another key", "another target table", "another source table", "production"],
)
def test_a_repair_that_is_not_safe_writes_nothing(spoil: Callable[[World], None], error: type[Exception]) -> None:
    world = copied()
    lose(world, 11)
    spoil(world)
    world.writes.clear()
    with pytest.raises(error):
        verify(world, repair=True)
    assert not world.writes


def recreated(world: World, side: str, name: str) -> None:
    tables = getattr(world, side)
    items = tables[name].all()
    tables.create(name, KEYS, "expires").put(items)


def test_too_much_that_differs_is_counted_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "MOST_DIFFERENCES", 5)
    world = copied()
    for number in range(10, 20):
        lose(world, number)
    with pytest.raises(VerificationFailed, match=r"10 items missing \(too many to look at each\); refresh again"):
        verify(world)
    with pytest.raises(VerificationFailed, match="start a new refresh"):
        verify(world, "run-3", repair=True)
    assert not world.writes
    assert not left_on_disk(world)


class Moment:
    """An event sink that does something when a table is said to differ."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def emit(self, event: Event) -> None:
        if isinstance(event, Note) and "is not what was written" in event.text:
            self._do()


def test_what_a_second_reading_finds_right_is_read_once_more_and_proven() -> None:
    """The first reading saw something that was being put right: the proof is a third one, of the whole table."""
    world = copied()
    lose(world, 11)
    lost = case(11, "q11@court.example.org")
    expected = next(item for key, item in copied().target_tables[TARGET].items.items() if key == source_key(world, 11))
    assert expected != lost
    run = world.begin("run-2", kind="verify", copy_run="run-1")
    parts = replace(world.parts(run), events=Moment(lambda: world.target_tables[TARGET].put([expected])))
    run_steps(parts, InOrder(), PROOF)
    assert table(world).proven
    assert wrong(table(world)) == (0, 0, 0, 0)


def test_a_target_that_is_changed_all_the_time_is_not_proven() -> None:
    world = copied()
    lose(world, 11)
    expected = copied().target_tables[TARGET].items[source_key(world, 11)]
    run = world.begin("run-2", kind="verify", copy_run="run-1")

    items = world.target_tables[TARGET].items

    class Meddler(Moment):
        """Puts the item back for the comparison, and takes it away again for the reading after it."""

        def emit(self, event: Event) -> None:
            super().emit(event)
            if isinstance(event, Progress) and event.step == "compare target":
                del items[source_key(world, 11)]

    parts = replace(world.parts(run), events=Meddler(lambda: world.target_tables[TARGET].put([expected])))
    with pytest.raises(VerificationFailed, match="is being changed while it is verified"):
        run_steps(parts, InOrder(), PROOF)
    assert world.outcome("run-2").exit_code == 4


def test_a_verification_that_failed_reads_again_when_it_is_resumed() -> None:
    world = copied()
    expected = world.target_tables[TARGET].items[source_key(world, 11)]
    lose(world, 11)
    with pytest.raises(VerificationFailed):
        verify(world)
    world.target_tables[TARGET].put([expected])
    world.resume("run-2", chosen=PROOF)
    assert table(world).proven


def test_a_comparison_that_was_cut_off_is_made_anew_and_says_how_things_stand_now() -> None:
    world = copied()
    lose(world, 11)
    trip = Trip()
    with pytest.raises(VerificationFailed):
        verify(world, "run-9", trip=trip)
    with pytest.raises(Killed):
        verify(world, trip=Trip(trip.names.index("MemoryItems.get") + 1, after=True))
    lose(world, 12)
    with pytest.raises(VerificationFailed, match="2 items missing"):
        world.resume("run-2", chosen=PROOF)


def test_an_older_repair_is_not_resumed_after_a_newer_one() -> None:
    world = copied()
    lose(world, 11)
    trip = Trip()
    with pytest.raises(Killed):
        verify(world, repair=True, trip=Trip(40))
    verify(world, "run-3", repair=True, trip=trip)
    with pytest.raises(RunConflict, match="run-3 has repaired test since"):
        world.resume("run-2", chosen=(REPAIR, *PROOF))


# -- work is bounded


def test_only_what_differs_is_read_by_key() -> None:
    world = copied()
    lose(world, 11)
    alter(world, 12)
    trip = Trip()
    with pytest.raises(VerificationFailed):
        verify(world, trip=trip)
    assert trip.names.count("MemoryItems.get") == 4


def test_the_reference_of_a_repair_is_kept_by_segment() -> None:
    world = copied()
    alter(world, 10)
    change_source(world, 10)
    verify(world, repair=True)
    checkpoints = world.journal.checkpoints("run-2", repair_task(TARGET))
    assert [checkpoint.segment for checkpoint in checkpoints] == [0, 1, 2, 3]
    assert summed(checkpoints)["written"] == 40
    assert all(checkpoint.done for checkpoint in checkpoints)


def test_no_item_of_production_is_ever_written_by_looking() -> None:
    world = copied()
    before: dict[bytes, Item] = dict(world.source_tables[SOURCE].items)
    lose(world, 11)
    verify(world, repair=True)
    assert world.source_tables[SOURCE].items == before
