"""Who is refused because another has the environment, or the run, is told so by a class of its own: at a CI nobody is
told of it then. Any other conflict is an end of this run, and whoever waits for it must be told."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from downstage.app.precedence import GOING_ON, KEEPING, refuse_kept, refuse_outdated
from downstage.app.runs import Project
from downstage.app.turns import Turn
from downstage.errors import HeldByAnother, RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import LastLoad, StepRecord
from tests.unit.lease_world import Clock, lease
from tests.unit.lease_world import _aws as _aws
from tests.unit.lease_world import clock as clock
from tests.unit.test_runs_lock import journal_of, run
from tests.unit.test_runs_lock import project as project

NONE = LastLoad()


def test_it_is_a_conflict_with_its_exit_code_and_travels() -> None:
    error = pickle.loads(pickle.dumps(HeldByAnother("held")))
    assert isinstance(error, HeldByAnother)
    assert isinstance(error, RunConflict)
    assert error.exit_code == RunConflict.exit_code == 3


def test_the_lock_of_another_process(project: Project) -> None:
    with project.exclusive("test"), pytest.raises(HeldByAnother), project.exclusive("test", patience=0.0):
        pass


def test_the_lease_of_another_run_that_is_parked_or_going_on(clock: Clock) -> None:
    first = lease(clock)
    first.acquire("run-1")
    with pytest.raises(HeldByAnother):
        lease(clock).acquire("run-2")
    clock.each = first.beat
    with pytest.raises(HeldByAnother):
        lease(clock, "another machine").acquire("run-1")
    first.park()
    with pytest.raises(HeldByAnother):
        lease(clock).acquire("run-2")


@pytest.mark.parametrize("state", KEEPING)
def test_a_run_that_keeps_the_environment_is_waited_for_only_if_it_goes_on(project: Project, state: str) -> None:
    """Nobody goes on by himself with one that was cut off, or stopped: whoever waits would wait for ever."""
    journal = journal_of(run("old1", state=state))
    with pytest.raises(RunConflict, match="go on with 'downstage resume old1', end it with") as caught:
        project._make_room(journal, "test", "refresh", Turn(None), take_over=False)
    assert isinstance(caught.value, HeldByAnother) is (state in GOING_ON)
    assert {"running", "interrupted"}.isdisjoint(GOING_ON)


def test_nor_if_it_cannot_go_on_any_more(project: Project) -> None:
    """As one that was taken over on a machine whose runs cannot end it: it is not said to be gone on with."""
    old = run("old1", state="parked")
    for known, last in ((journal_of(old), LastLoad("far", 1)), (journal_of(old, run("new2"), begun=("new2",)), NONE)):
        with pytest.raises(RunConflict, match=r"is parked and cannot go on, for .*: end it with.*take-over") as caught:
            refuse_kept(known, old, last)
        assert not isinstance(caught.value, HeldByAnother)
        assert "resume" not in str(caught.value)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_run_that_another_process_has_taken_over(tmp_path: Path, kind: str) -> None:
    journal = MemoryJournal() if kind == "memory" else SqliteJournal(tmp_path / "journal.sqlite")
    journal.create_run(run("old1", state="running"))
    journal.take_over("old1")
    with pytest.raises(HeldByAnother):
        journal.save_step("old1", 1, StepRecord("wipe", "running", 1.0, ""))


def test_what_a_newer_run_has_changed_is_held_by_nobody() -> None:
    old, newer = run("old1"), run("new2", "wipe")
    with pytest.raises(RunConflict) as caught:
        refuse_outdated(journal_of(old, newer, begun=("new2",)), old, NONE)
    assert not isinstance(caught.value, HeldByAnother)
    assert "'downstage cancel old1'" in str(caught.value)
    assert "--take-over" in str(caught.value)  # a plain refresh is refused as long as that run can be given up
