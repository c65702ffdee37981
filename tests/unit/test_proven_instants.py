"""What is proven is told place by place and by instants: what was looked at when, not which run began first; and what
was refused, forgotten or given up neither proves nor hides anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from downstage.domain.outcome import StepState
from downstage.domain.plan import MaxDelete
from downstage.errors import ApprovalWanted, GuardRefused, LeakFound, VerificationFailed
from downstage.ports import StepRecord
from downstage.testing.world import COPIES, FUNCTION, TARGET, World, bucket_pair, plan_of
from downstage.workflow import gates
from downstage.workflow.refresh import LEAK_SCAN, forget_from
from tests.unit.proven_world import (
    PROOFS,
    again,
    ended,
    later,
    leak,
    leaking,
    loaded,
    refused,
    scanned,
    streams_on,
    verified,
)
from tests.unit.search_world import up_to

# ---- a run that waits or goes on asks like anybody else


def waiting() -> World:
    """A refresh that is proven and waits until somebody lets it switch the consumers on."""
    world = World(plan=plan_of(approve=("consumers-on",)))
    with pytest.raises(ApprovalWanted):
        world.refresh()
    taken = world.journal.run("run-1")
    assert taken is not None
    gates.approve(world.journal, taken, "now")
    return later(world)


def test_a_leak_that_was_found_while_a_refresh_waited_stops_it() -> None:
    world = waiting()
    before = leak(world)
    with pytest.raises(LeakFound):
        scanned(world, "run-2")
    with pytest.raises(GuardRefused, match=r"run-2 found personal data.*verify test --leaks"):
        world.resume()
    assert not world.consumers.enabled
    world.target_tables[TARGET].items.clear()
    world.target_tables[TARGET].items.update(before)
    world.target_tables[TARGET].records.pop()  # the stream has lost it, so that the index may be proven
    scanned(later(world), "run-3")
    world.resume()
    assert world.consumers.enabled == [FUNCTION]


def test_so_does_a_verification_that_found_it_otherwise() -> None:
    world = waiting()
    world.target_tables[TARGET].items.popitem()
    with pytest.raises(VerificationFailed):
        verified(world, "run-2")
    with pytest.raises(GuardRefused, match="run run-1 did in 'copy' is not verified"):
        world.resume()
    assert not world.consumers.enabled


def test_one_that_was_refused_them_switches_off_what_somebody_switched_on_since() -> None:
    world = waiting()
    leak(world)
    with pytest.raises(LeakFound):
        scanned(world, "run-2")
    with pytest.raises(GuardRefused):
        world.resume()
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=True)
    with pytest.raises(GuardRefused):
        world.resume()
    assert not world.consumers.enabled


# ---- what was refused has loaded nothing


def test_a_copy_that_was_refused_is_no_load() -> None:
    world = later(loaded("finished", *PROOFS))
    with pytest.raises(GuardRefused):
        world.refresh(world.begin("run-2", "copy"), chosen=("copy",))
    ended(world, "failed", "run-2")
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_nor_does_it_make_an_older_leak_one_of_before() -> None:
    world = later(ended(leaking(), "cancelled"))
    with pytest.raises(GuardRefused):
        world.refresh(world.begin("run-2", "copy"), chosen=("copy",))
    refused(ended(world, "cancelled", "run-2"), "run-1 found personal data", accept=("run-1", "run-2"))


def test_a_sync_that_its_plan_pass_refused_is_no_load() -> None:
    world = later(loaded("finished", *PROOFS))
    for number in range(9):
        world.store.put(COPIES, f"stray-{number}", b"x")
    world.plan = replace(world.plan, buckets=(bucket_pair(max_delete=MaxDelete(share=0.1)),))
    with pytest.raises(GuardRefused):
        world.refresh(world.begin("run-2", "sync"), chosen=("sync",))
    ended(world, "failed", "run-2")
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


# ---- what was found is not forgotten


@pytest.mark.parametrize("step", ["copy", "verify-tables"])
def test_a_leak_whose_verdict_was_taken_back_is_still_one(step: str) -> None:
    world = leaking()
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, step)
    ended(world, "cancelled")
    refused(later(world), "run-1 found personal data", accept="run-1")


def test_nor_while_the_run_that_found_it_copies_anew() -> None:
    world = leaking()
    again(later(world), "wipe", "sync")
    ended(world, "cancelled")
    refused(world, "run-1 found personal data", accept="run-1")


def test_until_it_is_proven() -> None:
    world = leaking()
    again(later(world), "wipe", "verify-buckets")
    ended(world, "cancelled")
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


# ---- by instants


def test_a_proof_of_before_does_not_answer_a_copy_of_after() -> None:
    world = loaded("failed")
    verified(later(world), "run-2")
    later(world)
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "wipe")
    world.refresh(taken, chosen=up_to("sync"))
    leak(world)
    with pytest.raises(LeakFound):
        world.resume(chosen=up_to("verify-tables"))
    refused(ended(world, "cancelled"), "run-1 found personal data", accept="run-1")


def test_nor_a_scan_that_had_begun_before() -> None:
    world = leaking()
    run = world.begin("run-2", "leaks")
    began = world.clock.now() - 60.0
    intent = {"tables": [TARGET], "buckets": [COPIES], "domain": "search-test"}
    result = {"began": began, "at": later(world).clock.now(), "looked_for": 5}
    world.journal.save_step("run-2", run.epoch, StepRecord(LEAK_SCAN, StepState.DONE.value, 0.0, "", intent, result))
    refused(ended(world, "cancelled"), "run-1 found personal data", accept="run-1")


def test_a_leak_of_before_does_not_stop_a_copy_that_is_proven_since() -> None:
    world = loaded("failed", *PROOFS)
    leak(later(world))
    with pytest.raises(LeakFound):
        scanned(world, "run-2")
    again(later(world), "wipe", "verify-buckets")
    ended(world, "cancelled")
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_a_sync_that_was_done_again_is_not_what_was_compared_before() -> None:
    world = loaded("failed", "verify-tables")
    verified(later(world), "run-2")
    later(world)
    taken = world.journal.take_over("run-1")
    world.journal.forget_step("run-1", taken.epoch, "sync", ("sync/", "survey/", "personal/"))
    world.refresh(taken, chosen=("sync",))
    refused(ended(world, "cancelled"), "run run-1 did in 'sync' is not verified")
    verified(later(world), "run-3")
    streams_on(world, "run-9")
    assert world.consumers.enabled == [FUNCTION]


def test_records_of_before_instants_are_placed_by_their_own_run() -> None:
    world = loaded("finished", *PROOFS)
    run = world.journal.run("run-1")
    assert run is not None
    for record in world.journal.steps("run-1"):
        bare = {name: value for name, value in record.result.items() if name not in ("began", "at", "started")}
        world.journal.save_step("run-1", run.epoch, replace(record, result=bare))
    streams_on(later(world))
    assert world.consumers.enabled == [FUNCTION]
