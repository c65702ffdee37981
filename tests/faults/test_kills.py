"""A run that is killed at any call of any port, resumed by another process, always ends proven.

The call is fatal before its effect, or after it: done, and nobody knows. The dead process makes no further call.
"""

from __future__ import annotations

import pytest

from downstage.domain.outcome import Result, StepState
from downstage.errors import AwsError, GuardRefused, RunConflict
from downstage.ports import StepRecord
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import DOMAIN, FUNCTION, INDEX, TARGET, World, case


def calls_of_a_refresh() -> int:
    """How many calls an undisturbed refresh makes."""
    trip = Trip()
    World().refresh(trip=trip)
    return trip.calls


def proven(world: World) -> bool:
    """The outcome is proven, the consumers deliver, and production is as it was."""
    outcome = world.outcome()
    return (
        outcome.result is Result.PROVEN
        and world.consumers.enabled == [FUNCTION]
        and world.source_tables["app-prod"].items == World().source_tables["app-prod"].items
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_killed_at_any_call_ends_proven(after: bool) -> None:
    calls = calls_of_a_refresh()
    assert calls > 100
    for at in range(1, calls + 1):
        world = World()
        with pytest.raises(Killed):
            world.refresh(trip=(trip := Trip(at, after=after)))
        where = f"call {at} ({trip.names[at - 1]})"
        done = {step.name for step in world.journal.steps("run-1") if step.state == StepState.DONE}
        if "consumers-off" in done and world.journal.step("run-1", "consumers-on") is None:
            assert not world.consumers.enabled, where
            assert not world.target_domains.index(DOMAIN).count(INDEX), where
        before = len(world.writes)
        world.resume()
        assert proven(world), where
        redone = world.writes[before:]
        if "wipe" in done:
            assert f"delete table {TARGET}" not in redone, where
        if "deploy" in done:
            assert "deploy" not in redone, where
        if "copy" in done:
            assert f"put {TARGET}" not in redone, where


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_again_and_again_gets_there(after: bool) -> None:
    for stride in (5, 9, 14):
        world = World()
        with pytest.raises(Killed):
            world.refresh(trip=Trip(stride, after=after))
        for attempt in range(200):  # each gets a little further: a step that only looks is begun anew each time
            try:
                world.resume(trip=Trip(stride + attempt, after=after))
            except Killed:
                continue
            break
        assert proven(world), f"stride {stride}"


def test_an_aws_error_anywhere_is_recorded_and_survived() -> None:
    for at in range(1, calls_of_a_refresh() + 1, 3):
        world = World()
        trip = Trip(at, error=lambda: AwsError("AWS said no", "AccessDenied"), lasting=False)
        try:
            world.refresh(trip=trip)
        except (AwsError, GuardRefused):  # a listing that fails must not pass for an empty one
            assert world.outcome().result is not Result.PROVEN
            world.resume()
        assert proven(world), f"call {at} ({trip.names[at - 1]})"


def test_a_zombie_writes_nothing_more_into_the_journal() -> None:
    world = World()
    run = world.begin()
    parts = world.parts(run)
    world.resume()
    with pytest.raises(RunConflict, match="taken over"):
        parts.journal.save_step(run.run_id, run.epoch, StepRecord("copy", "failed", 0.0, ""))
    assert proven(world)


def test_a_finished_run_that_is_resumed_writes_nothing() -> None:
    world = World()
    world.refresh()
    before = len(world.writes)
    world.resume()
    assert world.writes[before:] == []


def test_a_kill_in_a_run_with_quarantined_items_counts_them_once() -> None:
    twins = {"M": {"ada@court.example.org": {"S": "1"}, "ADA@court.example.org": {"S": "2"}}}
    items = [case(number, f"p{number}@court.example.org") for number in range(4)]
    items.append({"pk": {"S": "zz"}, "sk": {"S": "x" * (401 * 1024)}, "twins": twins})
    for at in range(40, 90, 3):
        world = World(items)
        with pytest.raises(Killed):
            world.refresh(trip=Trip(at, after=True))
        world.resume()
        outcome = world.outcome()
        (table,) = outcome.tables
        assert (table.read, table.written, table.quarantined) == (5, 4, 1)
        assert (outcome.result, outcome.exit_code) == (Result.INCOMPLETE, 6)
        assert len(world.journal.quarantined("run-1", f"copy/{TARGET}")) == 1
