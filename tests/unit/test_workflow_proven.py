"""Nobody switches the consumers on while what the environment was loaded with last is not proven, whichever run loaded
it; and a run that goes on switches off again what somebody switched on meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from downstage.domain.outcome import StepState
from downstage.domain.plan import Streams
from downstage.errors import ApprovalWanted, GuardRefused, LeakFound, VerificationFailed
from downstage.ports import StepRecord
from downstage.report.markdown import render_markdown
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import COPIES, FUNCTION, TARGET, World, case, plan_of
from downstage.workflow import gates
from downstage.workflow.proven import ACCEPT, NOBODY
from downstage.workflow.reference import REPAIR
from downstage.workflow.refresh import LEAK_SCAN, STEPS, forget_from
from tests.unit.proven_world import (
    PROOFS,
    emptied,
    ended,
    leaking,
    loaded,
    refused,
    streams_on,
    verified,
)
from tests.unit.search_world import detail, notes, up_to

# ---- what was loaded by another run


@pytest.mark.parametrize("state", ["running", "interrupted", "parked", "failed"])
@pytest.mark.parametrize("accept", [None, "run-1"])
def test_not_while_a_refresh_that_can_go_on_has_loaded_half(state: str, accept: str | None) -> None:
    world = World()
    with pytest.raises(Killed):
        world.refresh(trip=Trip(_first_put()))
    ended(world, state)
    assert not world.consumers.enabled
    refused(world, "run-1", "'downstage resume run-1'", "'downstage cancel run-1'", accept=accept)
    world.resume()
    assert world.consumers.enabled == [FUNCTION]
    assert world.outcome().result.value == "proven"


def _first_put() -> int:
    """The number of the call that ends in the middle of the copy."""
    for at in range(1, 400):
        world = World()
        try:
            world.refresh(trip=Trip(at))
        except Killed:
            if f"put {TARGET}" in world.writes:
                return at
    raise AssertionError("no call wrote an item")


def test_never_after_a_leak_whatever_anybody_takes_upon_himself() -> None:
    world = leaking()
    refused(world, "run-1 found personal data", accept="run-1")
    ended(world, "cancelled")
    refused(world, "run-1 found personal data", "refresh test again", accept="run-1", run_id="run-9")


def test_nor_after_a_leak_that_another_command_found() -> None:
    world = loaded("finished", *PROOFS)
    world.target_tables[TARGET].put([case(7, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        world.refresh(world.begin("run-2", "leaks"), chosen=(LEAK_SCAN,))
    refused(world, "run-2 found personal data", accept="run-2")


def test_a_whole_look_that_finds_nothing_answers_an_earlier_leak() -> None:
    world = loaded("finished", *PROOFS)
    table = world.target_tables[TARGET]
    before = dict(table.items)
    table.put([case(7, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        world.refresh(world.begin("run-2", "leaks"), chosen=(LEAK_SCAN,))
    table.items.clear()
    table.items.update(before)
    world.refresh(world.begin("run-3", "leaks"), chosen=(LEAK_SCAN,))
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_a_look_that_was_cut_off_and_had_found_something_counts() -> None:
    world = loaded("finished", *PROOFS)
    run = world.begin("run-2", "verify", copy_run="run-1")
    world.journal.save_step(run.run_id, run.epoch, StepRecord("verify-tables", StepState.RUNNING.value, 0.0, ""))
    world.journal.add_finding(run.run_id, run.epoch, f"verify/{TARGET}", {"where": TARGET})
    refused(world, "run-2 found personal data")


def test_what_was_given_up_is_taken_only_by_name_and_the_report_says_so() -> None:
    world = loaded("cancelled")
    said = refused(world, "run run-1 did in 'copy' is not verified", "--accept-unproven run-1")
    assert "resume" not in said
    refused(world, "run-1", accept="run-7", run_id="run-9")
    streams_on(world, "run-a", accept="run-1")
    assert world.consumers.enabled == [FUNCTION]
    why = "what run run-1 did in 'copy' is not verified"
    assert why in detail(world, "consumers-on", "run-a")
    assert why in notes(world)
    outcome = world.outcome("run-a")
    assert why in outcome.consumers
    assert "not verified" in render_markdown(outcome)


def test_the_record_of_it_survives_a_kill_before_the_switch() -> None:
    for at in range(1, 40):
        world = loaded("cancelled")
        run = world.begin("run-8", "streams", **{ACCEPT: "run-1"})
        try:
            world.refresh(run, chosen=("consumers-on",), trip=Trip(at))
        except Killed:
            record = world.journal.step("run-8", "consumers-on")
            assert not world.consumers.enabled or (record is not None and record.result["accepted"])
            continue
        return
    raise AssertionError("it never came to its end")


def test_what_was_proven_afterwards_may_be_seen() -> None:
    world = loaded("finished")
    refused(world, "'downstage verify test'")
    verified(world, "run-2")
    streams_on(world, "run-9")
    assert world.consumers.enabled == [FUNCTION]
    assert world.outcome("run-9").consumers == "on"


def test_a_later_proof_that_fails_undoes_the_earlier() -> None:
    world = loaded("finished", *PROOFS)
    world.target_tables[TARGET].items.popitem()
    with pytest.raises(VerificationFailed):
        verified(world, "run-2")
    refused(world, "run run-1 did in 'copy' is not verified")


def test_a_repair_that_has_begun_undoes_it_until_it_is_proven() -> None:
    world = loaded("finished", *PROOFS)
    world.target_tables[TARGET].items.popitem()
    verified(world, "run-2", "repair", (REPAIR,))
    refused(world, "run run-1 did in 'copy' is not verified")
    verified(world, "run-3")
    streams_on(world, "run-9")
    assert world.consumers.enabled == [FUNCTION]


def test_a_proof_of_a_copy_that_was_made_anew_since_is_none() -> None:
    world = loaded("finished")
    verified(world, "run-2")
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "wipe")
    world.refresh(taken, chosen=up_to("sync"))
    ended(world, "finished")
    refused(world, "run run-1 did in 'copy' is not verified")


def test_a_sync_that_nobody_compared_counts_too() -> None:
    world = loaded("finished", *PROOFS)
    world.store.put(COPIES, "stray", b"x")
    world.refresh(world.begin("run-2", "sync"), chosen=("sync",))
    refused(world, "what run run-2 did in 'sync' is not verified")
    ended(world, "finished", "run-2")
    streams_on(world, "run-9", accept="run-2")


def test_every_doubt_must_be_taken_not_only_the_first() -> None:
    world = loaded("cancelled")
    world.refresh(world.begin("run-2", "sync"), chosen=("sync",))
    ended(world, "finished", "run-2")
    refused(world, "run-2", accept="run-1")


def test_a_refresh_of_that_step_alone_is_no_way_round_it() -> None:
    world = ended(leaking(), "cancelled")
    with pytest.raises(GuardRefused, match="run-1 found personal data"):
        world.refresh(world.begin("run-2"), chosen=("consumers-on",))
    assert not world.consumers.enabled


def test_not_while_a_run_waits_for_somebody_to_approve_it() -> None:
    world = World(plan=plan_of(approve=("consumers-on",)))
    with pytest.raises(ApprovalWanted):
        world.refresh()
    ended(world, "waiting")
    refused(world, "run-1 holds them off", "'downstage resume run-1'", accept="run-1")
    taken = world.journal.run("run-1")
    assert taken is not None
    gates.approve(world.journal, taken, "now")
    world.resume()
    assert world.consumers.enabled == [FUNCTION]


def test_where_all_is_proven_it_is_as_ever() -> None:
    world = loaded("finished", *PROOFS)
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


@pytest.mark.parametrize("way", ["taken", "looked at"])
def test_tables_that_no_known_run_has_loaded_need_a_look_or_somebody_who_takes_them(way: str) -> None:
    world = World()
    emptied(world)
    for consumer in world.consumers.consumers([TARGET]):
        world.consumers.switch(consumer, on=False)
    refused(
        world,
        f"knows of no run that has loaded {TARGET}",
        "DOWNSTAGE__JOURNAL",
        "'downstage verify test --leaks'",
        "'downstage streams on test --accept-unproven none'",
    )
    if way == "looked at":
        world.refresh(world.begin("run-2", "leaks"), chosen=(LEAK_SCAN,))
    streams_on(world, "run-9", accept=(NOBODY,) if way == "taken" else None)
    assert world.consumers.enabled == [FUNCTION]
    assert ("knows of no run" in world.outcome("run-9").consumers) is (way == "taken")


def test_a_stalled_index_is_no_doubt_of_the_tables() -> None:
    world = loaded("failed", *PROOFS, "consumers-on")
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=False)
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_other_environments_do_not_count() -> None:
    world = loaded("parked")
    run = world.journal.run("run-1")
    assert run is not None
    other = World()
    other.journal.create_run(
        type(run)("run-1", "another", run.kind, "parked", 1, run.started, run.ended, dict(run.settings))
    )
    for step in world.journal.steps("run-1"):
        other.journal.save_step("run-1", 1, step)
    streams_on(other, accept=NOBODY)


# ---- a run that goes on


@pytest.mark.parametrize("step", ["consumers-off", "copy", "sync", "verify-tables", "verify-buckets"])
def test_a_run_that_goes_on_switches_them_off_again_before_it_does_anything(step: str) -> None:
    world = World()
    world.refresh(chosen=up_to(step))
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=True)  # by hand, in Lambda's console
    before = len(world.writes)
    world.resume()
    assert world.writes[before] == f"switch {FUNCTION} off"
    off = world.journal.step("run-1", "consumers-off")
    assert off is not None
    assert off.intent["enabled"] == []  # as it was first seen: the deployment had made them, off
    assert f"{FUNCTION} of {TARGET} in us-east-1: switched on since" in notes(world)
    assert f"off again: {FUNCTION} of {TARGET}" in world.outcome().consumers
    assert world.outcome().consumers.startswith("on;")


def test_nothing_is_loaded_while_they_are_on_wherever_it_is_killed() -> None:
    for at in range(1, 400):
        world = World(plan=plan_of(search=None))
        try:
            world.refresh(trip=Trip(at))
        except Killed:
            on = world.journal.step("run-1", "consumers-on")
            off = world.journal.step("run-1", "consumers-off")
            if on is not None:
                return
            if off is None or off.state != StepState.DONE:
                continue
            for consumer in world.consumers.consumers([TARGET]):
                world.consumers.switch(consumer, on=True)
            before = len(world.writes)
            try:
                world.resume(trip=Trip(4 + at % 5, after=True))  # and once more while it switches them off
            except Killed:
                world.resume()
            writes = world.writes[before:]
            puts = [place for place, write in enumerate(writes) if write == f"put {TARGET}"]
            assert writes.index(f"switch {FUNCTION} off") < min([*puts, len(writes)]), f"call {at}"
    raise AssertionError("it never came to its end")


def test_one_that_is_proven_leaves_them_on() -> None:
    world = World()
    world.refresh(chosen=up_to("consumers-on"))
    before = len(world.writes)
    world.resume()
    assert f"switch {FUNCTION} off" not in world.writes[before:]
    assert world.outcome().consumers == "on"


def test_a_run_without_consumers_looks_for_none() -> None:
    world = World(plan=plan_of(streams=None, search=None))
    world.refresh(chosen=up_to("copy"))
    world.resume()
    assert world.outcome().result.value == "proven"


def test_going_on_looks_once_a_run_not_once_an_item() -> None:
    world = World(plan=plan_of(streams=Streams((FUNCTION,))))
    world.refresh(chosen=up_to("copy"))
    calls: list[object] = []
    look = world.consumers.consumers

    def counted(tables: Sequence[str]) -> object:
        calls.append(tables)
        return look(tables)

    world.consumers.consumers = counted  # type: ignore[method-assign, assignment]
    world.resume(chosen=STEPS[: STEPS.index("verify-tables") + 1])
    assert len(calls) == 1
