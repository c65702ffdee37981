"""Who is refused because another has the environment, or the run, is told so by a class of its own: at a CI nobody is
told of it then. Any other conflict is an end of this run, and whoever waits for it must be told."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from downstage.app.precedence import refuse_outdated
from downstage.app.runs import Project
from downstage.errors import HeldByAnother, RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import StepRecord
from tests.unit.lease_world import Clock, lease
from tests.unit.lease_world import _aws as _aws
from tests.unit.lease_world import clock as clock
from tests.unit.test_runs_lock import journal_of, run
from tests.unit.test_runs_lock import project as project


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


def test_a_run_that_keeps_the_environment(project: Project) -> None:
    journal = journal_of(run("old1", state="parked"))
    with pytest.raises(HeldByAnother):
        project._make_room(journal, "test", "refresh", take_over=False)


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
        refuse_outdated(journal_of(old, newer, begun=("new2",)), old)
    assert not isinstance(caught.value, HeldByAnother)
