"""What a run may do hangs on all that was done to the environment: by runs of the control table, CI's journal, and by
one of which only the lease knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from downstage.app.other_journal import Both
from downstage.app.precedence import loaded_since, refuse_outdated
from downstage.domain.outcome import StepState
from downstage.errors import GuardRefused, RunConflict
from downstage.planning.consumers import alive
from downstage.ports import LastLoad, Recorded, RunRecord
from downstage.testing.simple import InOrder
from downstage.testing.world import TARGET, World, plan_of
from downstage.workflow.loaders import LOADED_BEFORE, settings_before
from downstage.workflow.parts import Shared
from downstage.workflow.proven import ACCEPT
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import forget_from, run_steps
from downstage.workflow.standing import PUT_BACK
from tests.unit.proven_world import PROOFS, ended, leaking, loaded, renamed
from tests.unit.search_world import up_to

NONE = LastLoad()


def switched_on(
    here: World,
    known: Recorded,
    run: RunRecord | None = None,
    *,
    loaded_by: str = "",
    accept: Sequence[str] = (),
) -> None:
    """The step that switches the consumers on, of a run that knows as much."""
    run = run or here.begin("run-8", "streams", **{ACCEPT: list(accept)})
    shared = Shared(lambda: known, lambda: None, lambda: loaded_by)
    run_steps(replace(here.parts(run), shared=shared), InOrder(), ("consumers-on",))


def other_of(*steps: str, state: str = "failed", run_id: str = "run-2") -> World:
    """What another journal has of a run that came so far, in a world of its own."""
    there = World()
    there.refresh(there.begin(run_id), chosen=steps)
    return ended(there, state, run_id)


def given_up(here: World, known: Recorded, run_id: str = "run-1", last: LastLoad = NONE) -> str:
    taken = here.journal.take_over(run_id)
    parts = here.parts(taken)
    return put_back(
        here.journal,
        taken,
        parts.consumers,
        here.plan,
        parts.guard,
        lambda one: alive(here.plan, one, here.target_tables),
        known,
        loaded_since(known, taken, last),
    )


# ---- both journals as one


def test_both_are_read_as_one_in_the_order_of_their_runs() -> None:
    first, second = loaded("finished", *PROOFS), World()
    second.begin("run-0")
    both = Both(first.journal, second.journal)
    assert [each.run_id for each in both.runs()] == ["run-0", "run-1"]
    assert both.steps("run-1") == first.journal.steps("run-1")
    assert both.step("run-1", "copy") == first.journal.step("run-1", "copy") is not None
    assert both.steps("run-0") == []
    assert both.step("run-0", "copy") is None
    assert both.findings("run-0") == []


# ---- consumers on


def test_a_leak_that_ci_has_found_keeps_a_laptop_from_switching_them_on() -> None:
    there = ended(leaking(), "cancelled")
    for accepted in ([], ["run-1", "none"]):
        here = World()
        with pytest.raises(GuardRefused, match="run-1 found personal data"):
            switched_on(here, Both(here.journal, there.journal), accept=accepted)


def test_a_refresh_that_waited_before_it_does_not_pass_by_a_leak_that_ci_has_found_since() -> None:
    """It has proven what it loaded, and was taken over."""
    here, there = loaded("waiting", *PROOFS), renamed(leaking(), "run-9")
    taken = here.journal.take_over("run-1")
    forget_from(here.journal, taken, "consumers-on")
    with pytest.raises(GuardRefused, match="run-9 found personal data"):
        switched_on(here, Both(here.journal, there.journal), taken)
    assert not here.consumers.enabled


def test_what_ci_has_proven_passes_and_what_it_has_not_is_taken_by_name_only() -> None:
    here = World()
    switched_on(here, Both(here.journal, loaded("finished", *PROOFS).journal))
    assert here.consumers.enabled
    here, there = World(), loaded("cancelled")
    with pytest.raises(GuardRefused, match="run run-1 did in 'copy' is not verified"):
        switched_on(here, Both(here.journal, there.journal))
    here = World()
    switched_on(here, Both(here.journal, there.journal), accept=["run-1"])


def test_what_a_run_has_loaded_that_no_journal_here_knows_is_taken_by_name_only() -> None:
    here = loaded("finished", *PROOFS, "expiry", "parity", "consumers-on")
    with pytest.raises(GuardRefused, match=r"run far has loaded test.*--accept-unproven far"):
        switched_on(here, here.journal, loaded_by="far")
    here = loaded("finished", *PROOFS, "expiry", "parity", "consumers-on")
    switched_on(here, here.journal, loaded_by="far", accept=["far"])
    here = loaded("finished", *PROOFS, "expiry", "parity", "consumers-on")
    switched_on(here, here.journal, loaded_by="run-1")


SYNCED = ("sync", "verify-buckets")
ON = (*PROOFS, "expiry", "parity", "consumers-on")


def loading_nothing(here: World, run_id: str, kind: str, steps: Sequence[str], last: LastLoad) -> None:
    """A run of ours that was entered after `last`, and loads no tables."""
    here.refresh(here.begin(run_id, kind, **settings_before(last)), chosen=steps)


def test_a_sync_of_ours_hides_none_that_loaded_before_it() -> None:
    """Only the last is named by the lease, and that one is known; what stands in the tables is the other's."""
    here = loaded("finished", *ON)
    loading_nothing(here, "run-7", "sync", SYNCED, LastLoad("far", 2))
    with pytest.raises(GuardRefused, match=r"run far has loaded test.*--accept-unproven far"):
        switched_on(here, here.journal, loaded_by="run-7")
    switched_on(here, here.journal, here.begin("run-9", "streams", **{ACCEPT: ["far"]}), loaded_by="run-7")


def test_nor_does_a_refresh_of_ours_that_was_refused_before_it_copied() -> None:
    here = loaded("finished", *ON)
    loading_nothing(here, "run-6", "sync", SYNCED, LastLoad("far", 2))
    loading_nothing(here, "run-7", "refresh", ("preflight", "wipe"), LastLoad("run-6", 3))
    ended(here, "cancelled", "run-7")
    with pytest.raises(GuardRefused, match="run far has loaded test"):
        switched_on(here, here.journal, loaded_by="run-7")


def test_but_a_copy_of_ours_answers_for_the_tables() -> None:
    here = World()
    here.refresh(here.begin(**settings_before(LastLoad("far", 2))), chosen=(*up_to("sync"), *ON))
    loading_nothing(ended(here, "finished"), "run-7", "sync", SYNCED, LastLoad("run-1", 3))
    switched_on(here, here.journal, loaded_by="run-7")
    assert here.consumers.enabled


def test_a_refresh_that_copies_nothing_itself_asks_who_loaded_before_it() -> None:
    here = loaded("finished", *ON)
    taken = here.begin("run-7", **settings_before(LastLoad("far", 2)))
    with pytest.raises(GuardRefused, match="run far has loaded test"):
        switched_on(here, here.journal, taken, loaded_by="run-7")


# ---- going on


def test_a_run_is_not_resumed_over_what_ci_has_loaded_since() -> None:
    here, there = loaded("failed"), other_of(*up_to("wipe"))
    record = here.journal.run("run-1")
    assert record is not None
    refuse_outdated(here.journal, record, NONE)
    with pytest.raises(RunConflict, match="run-2 has changed test since"):
        refuse_outdated(Both(here.journal, there.journal), record, NONE)


def test_a_run_is_not_resumed_over_what_was_loaded_since_on_a_machine_that_cannot_be_asked() -> None:
    here = loaded("failed")
    record = here.journal.run("run-1")
    assert record is not None
    for last in (NONE, LastLoad("run-1", 7)):
        refuse_outdated(here.journal, record, last)
    with pytest.raises(RunConflict, match="far, whose journal is not here, has loaded test since"):
        refuse_outdated(here.journal, record, LastLoad("far", 7))
    before = replace(record, settings={**record.settings, **settings_before(LastLoad("far", 7))})
    refuse_outdated(here.journal, before, LastLoad("far", 7))
    with pytest.raises(RunConflict, match="farther, whose journal"):
        refuse_outdated(here.journal, before, LastLoad("farther", 8))


@pytest.mark.parametrize("step", ["wipe", "deploy", "copy", "sync"])
def test_whoever_loads_says_so_before_anything_is_written(step: str) -> None:
    world = World()
    world.refresh(chosen=up_to("preflight"))
    run = world.journal.run("run-1")
    assert run is not None
    before = len(world.writes)
    seen: list[int] = []

    def loading() -> None:
        seen.append(len(world.writes))
        record = world.journal.step("run-1", step)
        assert record is None or record.state != StepState.RUNNING
        raise RunConflict("stop here")

    shared = Shared(lambda: world.journal, loading, lambda: "")
    with pytest.raises(RunConflict, match="stop here"):
        run_steps(replace(world.parts(run), shared=shared), InOrder(), (step,))
    assert seen == [before]
    run_steps(replace(world.parts(run), shared=shared), InOrder(), ("flags", "consumers-off"))
    assert seen == [before]  # these do not load


def test_whoever_has_nothing_to_load_is_not_the_last_that_has() -> None:
    world = World(plan=plan_of(wipe=None, deploy=None, buckets=()))
    told: list[bool] = []
    shared = Shared(lambda: world.journal, lambda: told.append(True), lambda: "")
    parts = replace(world.parts(world.begin()), shared=shared, deployer=None)
    run_steps(parts, InOrder(), ("wipe", "deploy", "sync"))
    assert told == []


def test_nor_over_what_hides_behind_a_run_of_ours() -> None:
    """That one has only synced, and could have been told apart; who loaded before it could not."""
    here = loaded("failed")
    record = here.journal.run("run-1")
    assert record is not None
    here.begin("run-0", "sync", **settings_before(LastLoad("far", 2)))
    assert loaded_since(here.journal, record, LastLoad("run-0", 3)) == "far"
    entered = replace(record, settings={**record.settings, **settings_before(LastLoad("far", 2))})
    assert loaded_since(here.journal, entered, LastLoad("run-0", 3)) == ""
    with pytest.raises(RunConflict, match="run-0 has loaded test since"):
        refuse_outdated(here.journal, entered, LastLoad("run-0", 3))


def test_one_that_loads_again_has_loaded_since() -> None:
    """It was the last when this one was entered, and was gone on with where nobody knows of this one."""
    here = loaded("failed")
    record = here.journal.run("run-1")
    assert record is not None
    entered = replace(record, settings={**record.settings, **settings_before(LastLoad("far", 2))})
    assert loaded_since(here.journal, entered, LastLoad("far", 2)) == ""
    assert loaded_since(here.journal, entered, LastLoad("far", 3)) == "far"
    early = replace(record, settings={**record.settings, LOADED_BEFORE: ""})
    assert loaded_since(here.journal, early, NONE) == ""


# ---- giving up


def test_a_run_that_is_given_up_puts_nothing_back_over_a_leak_that_ci_has_found() -> None:
    here = loaded("failed")
    there = renamed(ended(leaking(), "cancelled"), "run-2")  # it is over: nobody holds them off any more
    assert "personal data was found" in given_up(here, Both(here.journal, there.journal))
    assert not here.consumers.enabled


def test_nor_while_a_newer_one_of_ci_holds_them_off() -> None:
    here, there = loaded("failed"), other_of(*up_to("copy"), state="parked")
    assert "run run-2 holds them" in given_up(here, Both(here.journal, there.journal))
    assert not here.consumers.enabled


def test_nor_over_what_was_loaded_since_on_a_machine_that_cannot_be_asked() -> None:
    here = loaded("failed")
    said = given_up(here, here.journal, last=LastLoad("far", 1))
    assert said.startswith("left as they are: run far, whose journal is not here, has loaded the environment since")
    assert not here.consumers.enabled
    put = here.journal.step("run-1", PUT_BACK)
    assert put is not None
    assert put.detail in here.outcome().standing


def test_nor_over_what_hides_behind_a_sync_of_ours() -> None:
    here = loaded("failed")
    loading_nothing(here, "run-7", "sync", SYNCED, LastLoad("far", 2))
    assert given_up(here, here.journal, last=LastLoad("run-7", 3)).startswith("left as they are: run far")
    assert not here.consumers.enabled


def test_what_stands_in_both_is_put_back() -> None:
    here, there = loaded("failed"), World()
    said = given_up(here, Both(here.journal, there.journal), last=LastLoad("run-1", 1))
    assert f"of {TARGET}" in said
    assert here.consumers.enabled
