"""What is proven is told place by place: a look answers for what it covered, and a run holds what it loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from downstage.domain.outcome import StepState
from downstage.domain.plan import TablePair
from downstage.errors import GuardRefused, LeakFound
from downstage.ports import StepRecord
from downstage.testing.world import COPIES, FUNCTION, KEYS, TARGET, World, case
from downstage.workflow.history import history_of
from downstage.workflow.reference import REPAIR
from downstage.workflow.refresh import LEAK_SCAN, STEPS, forget_from
from tests.unit.proven_world import (
    LEAK,
    PROOFS,
    emptied,
    ended,
    give_up,
    later,
    leak,
    loaded,
    refused,
    scanned,
    streams_on,
)
from tests.unit.search_world import up_to

# ---- place by place


def two_tables() -> World:
    """A world whose plan copies two tables."""
    world = World()
    world.source_tables.create("app-prod-2", KEYS).put([case(1, "p1@court.example.org")])
    world.target_tables.create("app-test-2", KEYS)
    world.target_tables[TARGET].items.clear()
    world.plan = replace(world.plan, tables=(world.plan.tables[0], pair_2(world)))
    return world


def pair_2(world: World) -> TablePair:
    pair = world.plan.tables[0]
    return replace(
        pair,
        source=replace(pair.source, name="app-prod-2"),
        target=replace(pair.target, name="app-test-2"),
    )


def test_a_table_that_was_left_out_meanwhile_is_not_proven_by_the_others() -> None:
    world = two_tables()
    both = world.plan
    steps = ("consumers-off", "copy")
    world.refresh(chosen=steps)
    leak(world, "app-test-2")
    with pytest.raises(LeakFound):
        world.resume(chosen=(*steps, "verify-tables"))
    ended(world, "cancelled")
    world.plan = replace(both, tables=both.tables[:1])
    world.target_tables[TARGET].items.clear()
    world.refresh(later(world).begin("run-2"), chosen=(*steps, "verify-tables"))
    ended(world, "finished", "run-2")
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=False)
    world.plan = both
    refused(world, "run-1 found personal data", accept=("run-1", "run-2"), run_id="run-9")


def test_a_table_of_the_plan_that_no_proof_covers_is_a_doubt() -> None:
    world = two_tables()
    both = world.plan
    world.refresh(chosen=("consumers-off", "copy"))
    ended(world, "finished")
    world.plan = replace(both, tables=both.tables[:1])
    world.target_tables[TARGET].items.clear()
    world.refresh(later(world).begin("run-2"), chosen=("copy", "verify-tables"))
    ended(world, "finished", "run-2")
    world.plan = both
    said = refused(world, "what run run-1 did in 'copy' is not verified (app-test-2)", "refresh again")
    assert "downstage verify" not in said  # which goes by run-2's copy


def copied_only(world: World, run_id: str) -> None:
    left_out = ("sync", "verify-buckets")
    steps = [name for name in STEPS if name not in left_out]
    world.refresh(world.begin(run_id), chosen=steps)


def test_a_leak_in_a_bucket_is_not_forgotten_by_a_refresh_of_the_tables_alone() -> None:
    world = later(loaded("finished", *PROOFS))
    world.store.put(COPIES, f"letters/{LEAK}.pdf", b"x")
    with pytest.raises(LeakFound):
        scanned(world, "run-2")
    with pytest.raises(GuardRefused, match="run-2 found personal data"):
        copied_only(later(world), "run-3")
    assert not world.consumers.enabled


def test_a_leak_in_a_table_is_gone_with_the_table() -> None:
    world = later(loaded("finished", *PROOFS))
    leak(world)
    with pytest.raises(LeakFound):
        scanned(world, "run-2")
    copied_only(later(world), "run-3")
    assert world.consumers.enabled == [FUNCTION]


def test_who_looks_for_no_canaries_does_not_answer_what_a_canary_found() -> None:
    for canaries, answers in ((0, False), (3, True)):
        world = loaded("finished", *PROOFS)
        scan = {"tables": [TARGET], "buckets": [], "domain": None}
        for run_id, state in (("run-2", StepState.FAILED), ("run-3", StepState.DONE)):
            run = later(world).begin(run_id, "leaks")
            result = {"began": world.clock.now(), "at": world.clock.now(), "looked_for": canaries}
            world.journal.save_step(run_id, run.epoch, StepRecord(LEAK_SCAN, state.value, 0.0, "", scan, result))
        found = {"where": TARGET, "path": "email", "layers": ["canary"], "fingerprint": "ab"}
        world.journal.add_finding("run-2", 1, f"verify/{TARGET}", found)
        if answers:
            streams_on(world)
        else:
            refused(world, "run-2 found personal data")


# ---- who holds them off


def test_a_run_that_failed_before_another_has_loaded_holds_nothing() -> None:
    world = World()
    world.refresh(chosen=up_to("consumers-off"))
    ended(world, "failed")
    world.refresh(later(world).begin("run-2"), chosen=up_to("consumers-on"))
    ended(world, "failed", "run-2")  # its index has stalled
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=False)
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_one_that_was_begun_anew_holds_them_though_its_copy_is_forgotten() -> None:
    world = loaded("finished", *PROOFS)
    world.refresh(later(world).begin("run-2"), chosen=up_to("verify-buckets"))
    forget_from(world.journal, world.journal.take_over("run-2"), "wipe")
    refused(ended(world, "failed", "run-2"), "run-2 holds them off", accept=("run-1", "run-2"))


def test_a_repair_that_was_refused_has_mended_nothing() -> None:
    world = loaded("finished", *PROOFS)
    run = later(world).begin("run-2", "repair", copy_run="run-1")
    world.journal.save_step("run-2", run.epoch, StepRecord(REPAIR, StepState.FAILED.value, 0.0, ""))
    streams_on(world)
    assert world.consumers.enabled == [FUNCTION]


def test_giving_an_older_run_up_leaves_them_off_while_a_newer_one_holds_them() -> None:
    world = World()
    world.refresh(chosen=("preflight", "consumers-off"))
    ended(world, "failed")
    world.refresh(later(world).begin("run-2"), chosen=up_to("copy"))
    ended(world, "failed", "run-2")
    said = give_up(world)
    assert said.startswith("off, and they stay off: run run-2 holds them")
    assert "'downstage cancel run-2'" in said
    assert not world.consumers.enabled
    assert "run-2 holds them" in world.outcome().standing
    said = give_up(world, "run-2")  # which puts back what the first record says
    assert f"{FUNCTION} of {TARGET} in us-east-1 on again" in said
    assert world.consumers.enabled == [FUNCTION]


def test_where_none_of_them_touched_the_consumers_it_is_as_ever() -> None:
    world = World()
    world.refresh(chosen=("preflight", "consumers-off"))
    ended(world, "failed")
    world.refresh(later(world).begin("run-2"), chosen=("preflight", "flags"))
    ended(world, "failed", "run-2")
    assert f"{FUNCTION} of {TARGET} in us-east-1 on again" in give_up(world)


# ---- taken upon oneself


def test_two_runs_may_be_taken_together() -> None:
    world = loaded("cancelled")
    world.refresh(later(world).begin("run-2", "sync"), chosen=("sync",))
    ended(world, "finished", "run-2")
    refused(world, "run-2", accept=("run-1",))
    streams_on(world, "run-9", accept=("run-1", "run-2"))
    assert world.consumers.enabled == [FUNCTION]
    said = world.outcome("run-9").consumers
    assert "run run-1 did in 'copy'" in said
    assert "run run-2 did in 'sync'" in said


def test_verify_is_advised_only_where_it_can_work() -> None:
    world = World()
    emptied(world)
    world.refresh(world.begin("run-1", "sync"), chosen=("sync",))
    ended(world, "finished")
    scanned(later(world), "run-2")  # the tables are looked at; the sync is not compared by that
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=False)
    said = refused(world, "run run-1 did in 'sync' is not verified", "'downstage sync test' syncs again")
    assert "downstage verify" not in said


# ---- work


def test_findings_are_read_of_runs_that_may_have_left_some_only() -> None:
    world = loaded("finished", *PROOFS)
    asked: list[str] = []
    look = world.journal.findings

    def counted(run_id: str) -> Sequence[object]:
        asked.append(run_id)
        return look(run_id)

    for number in range(2, 12):
        world.refresh(world.begin(f"run-{number:02}", "verify", copy_run="run-1", steps=PROOFS), chosen=PROOFS)
    world.journal.findings = counted  # type: ignore[method-assign, assignment]
    history_of(world.journal, "test")
    assert asked == ["run-1"]  # whose settings do not say what it was to do
