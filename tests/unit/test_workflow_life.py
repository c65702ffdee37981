"""The life of a run beyond its steps: approvals, steps done all over again, consumers put back, and in what words all
that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from downstage.domain.outcome import StepState
from downstage.errors import ApprovalWanted, GuardRefused, LeaseLost, UsageError
from downstage.planning.consumers import alive
from downstage.ports import Consumer, RunRecord
from downstage.testing.faults import Killed, Trip
from downstage.testing.simple import InOrder
from downstage.testing.world import FUNCTION, TARGET, World, plan_of
from downstage.workflow import gates
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import STEPS, forget_from, run_steps


def run_of(world: World, run_id: str = "run-1") -> RunRecord:
    run = world.journal.run(run_id)
    assert run is not None
    return run


def killed_after(world: World, step: str, run_id: str = "run-1") -> None:
    """A refresh whose process is gone once `step` is done."""
    chosen = ("preflight", "flags", "wipe", "deploy", "consumers-off", "copy", "sync")
    world.refresh(world.begin(run_id), chosen=chosen[: chosen.index(step) + 1])


# ---- approvals


def test_a_run_stops_before_what_must_be_approved_and_goes_on_after_that() -> None:
    world = World(plan=plan_of(approve=("wipe", "consumers-on")))
    with pytest.raises(ApprovalWanted, match="'downstage approve run-1'") as caught:
        world.refresh()
    assert caught.value.exit_code == 75
    assert "delete table" not in " ".join(world.writes)
    with pytest.raises(ApprovalWanted):
        world.resume()  # nobody said yes
    assert gates.waiting(world.journal, run_of(world)) == ["wipe"]
    assert gates.approve(world.journal, run_of(world), "now") == ["wipe"]
    with pytest.raises(ApprovalWanted, match="consumers-on"):
        world.resume()
    assert not world.consumers.enabled
    gates.approve(world.journal, run_of(world), "now")
    world.resume()
    assert world.outcome().result.value == "proven"
    assert world.consumers.enabled == [FUNCTION]


def test_only_what_waits_can_be_approved() -> None:
    world = World(plan=plan_of(approve=("wipe",)))
    world.begin()
    with pytest.raises(UsageError, match="waits for no approval"):
        gates.approve(world.journal, run_of(world), "now")


def test_an_approval_survives_whatever_the_run_survives() -> None:
    world = World(plan=plan_of(approve=("copy",)))
    with pytest.raises(ApprovalWanted):
        world.refresh()
    gates.approve(world.journal, run_of(world), "now")
    with pytest.raises(Killed):
        world.resume(trip=Trip(12))
    world.resume()
    assert world.outcome().result.value == "proven"


# ---- all over again from a step


def test_from_a_step_it_and_all_after_it_are_done_again() -> None:
    world = World()
    world.refresh()
    before = len(world.writes)
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "wipe")
    world.refresh(taken)
    again = world.writes[before:]
    assert f"delete table {TARGET}" in again
    assert f"put {TARGET}" in again
    assert "deploy" in again
    assert world.outcome().result.value == "proven"


def test_from_the_verification_on_nothing_is_written_to_tables() -> None:
    world = World()
    world.refresh()
    before = len(world.writes)
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "verify-tables")
    world.refresh(taken)
    assert not [write for write in world.writes[before:] if write.startswith(("put", "delete", "deploy"))]
    assert world.outcome().result.value == "proven"


def test_the_first_record_of_what_was_on_is_kept() -> None:
    world = World()
    killed_after(world, "copy")
    assert not world.consumers.enabled
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "flags")
    forget_from(world.journal, taken, "preflight")
    before = world.journal.step("run-1", "preflight")
    assert before is not None
    assert before.result["consumers"] == [[FUNCTION, TARGET, "us-east-1"]]
    assert before.state == StepState.PENDING
    assert world.journal.step("run-1", "copy") is None
    world.refresh(taken, chosen=("preflight",))
    before = world.journal.step("run-1", "preflight")
    assert before is not None
    assert before.result["consumers"] == [[FUNCTION, TARGET, "us-east-1"]]  # though it is off now
    assert not world.journal.checkpoints("run-1", f"copy/{TARGET}")


# ---- consumers put back


def living(world: World) -> Callable[[Consumer], bool]:
    return lambda consumer: alive(world.plan, consumer, world.target_tables)


def give_up(world: World, run_id: str = "run-1") -> str:
    taken = world.journal.take_over(run_id)
    parts = world.parts(taken)
    said = put_back(world.journal, taken, parts.consumers, world.plan, parts.guard, living(world), world.journal, "")
    world.journal.end_run(run_id, taken.epoch, "cancelled", "now")
    return said


def test_a_run_that_is_given_up_puts_the_consumers_back() -> None:
    world = World()
    killed_after(world, "copy")
    assert not world.consumers.enabled
    assert FUNCTION in give_up(world)
    assert world.consumers.enabled == [FUNCTION]
    assert "on again" in world.outcome().consumers


def test_what_was_off_before_stays_off() -> None:
    world = World()
    for consumer in world.consumers.consumers([TARGET]):
        world.consumers.switch(consumer, on=False)
    killed_after(world, "copy")
    assert give_up(world) == "off, as they were before"
    assert not world.consumers.enabled


def test_a_run_that_never_touched_them_leaves_them() -> None:
    world = World()
    killed_after(world, "flags")
    before = list(world.consumers.enabled)
    assert "did not touch" in give_up(world)
    assert world.consumers.enabled == before


def test_never_after_a_leak() -> None:
    world = World()
    killed_after(world, "copy")
    run = run_of(world)
    world.journal.add_finding(run.run_id, run.epoch, f"verify/{TARGET}", {"where": TARGET})
    assert "personal data" in give_up(world)
    assert not world.consumers.enabled


def test_a_second_run_knows_what_the_first_one_switched_off() -> None:
    world = World()
    killed_after(world, "copy")
    later = replace(run_of(world), run_id="run-2", started="2027-01-16T08:00:00Z", epoch=1)
    world.journal.create_run(later)
    world.refresh(later, chosen=("preflight", "wipe", "deploy", "consumers-off"))
    off = world.journal.step("run-2", "consumers-off")
    assert off is not None
    assert off.intent["enabled"] == []
    assert FUNCTION in give_up(world, "run-2")
    assert world.consumers.enabled == [FUNCTION]


def test_a_second_run_does_not_undo_that_the_first_one_found_a_leak() -> None:
    world = World()
    killed_after(world, "copy")
    run = run_of(world)
    world.journal.add_finding(run.run_id, run.epoch, f"verify/{TARGET}", {"where": TARGET})
    later = replace(run, run_id="run-2", started="2027-01-16T08:00:00Z", epoch=1)
    world.journal.create_run(later)
    world.refresh(later, chosen=("preflight", "consumers-off"))
    assert "stay off" in give_up(world, "run-2")
    assert not world.consumers.enabled


def test_a_kill_while_they_are_put_back_is_made_good_by_calling_again() -> None:
    for at in range(1, 12):
        world = World()
        killed_after(world, "copy")
        taken = world.journal.take_over("run-1")
        parts = world.parts(taken, Trip(at, after=True))
        try:
            guard, known = parts.guard, parts.journal
            put_back(parts.journal, taken, parts.consumers, world.plan, guard, living(world), known, "")
        except Killed:
            give_up(world)
        assert world.consumers.enabled == [FUNCTION], f"call {at}"


# ---- whose turn it is


def test_a_run_whose_lease_is_lost_begins_no_step_and_writes_nothing() -> None:
    world = World()
    run = world.begin()

    def lost() -> None:
        raise LeaseLost("lost")

    parts = replace(world.parts(run), still_ours=lost)
    with pytest.raises(LeaseLost):
        parts.guard()
    with pytest.raises(LeaseLost):
        run_steps(parts, InOrder(), STEPS)
    assert world.writes == []
    assert not [step for step in world.journal.steps("run-1") if step.state != StepState.SKIPPED]


# ---- in plain words


@pytest.mark.parametrize(
    ("step", "state", "words"),
    [
        ("preflight", "failed", ["The run failed.", "Nothing was written yet."]),
        ("flags", "parked", ["time-box ended", "The flags are set"]),
        ("wipe", "cut off", ["was cut off", "The tables and search domains that 'wipe' names are deleted."]),
        ("deploy", "interrupted", ["was interrupted", "were deleted and the deployment has ended"]),
        ("consumers-off", "parked", ["are off", FUNCTION, "stay off", "downstage cancel run-1"]),
        ("copy", "parked", ["are loaded and not verified", "The consumers are off"]),
    ],
)
def test_it_is_said_how_the_environment_stands(step: str, state: str, words: list[str]) -> None:
    world = World()
    killed_after(world, step)
    run = run_of(world)
    world.journal.end_run(run.run_id, run.epoch, state, "")
    standing = world.outcome().standing
    for word in words:
        assert word in standing
    assert "\n" not in standing


def test_a_run_that_finished_says_nothing_of_the_kind() -> None:
    world = World()
    world.refresh()
    run = run_of(world)
    world.journal.end_run(run.run_id, run.epoch, "finished", "")
    assert world.outcome().standing == ""


def test_unproven_consumers_stay_off_whoever_approves() -> None:
    world = World(plan=plan_of(approve=("consumers-on",)))
    chosen = ("preflight", "wipe", "deploy", "consumers-off", "copy", "consumers-on")
    run = world.begin()
    with pytest.raises(ApprovalWanted):
        world.refresh(run, chosen=chosen)
    gates.approve(world.journal, run_of(world), "now")
    with pytest.raises(GuardRefused):
        world.resume(chosen=chosen)
    assert not world.consumers.enabled
