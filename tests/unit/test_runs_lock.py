"""Whose turn it is on one machine: the lock, that looking at it disturbs nobody, and that a run which can be resumed
keeps its environment."""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from downstage.app.carrying import given_up
from downstage.app.precedence import kept, outlived, refuse_outdated
from downstage.app.runs import Project
from downstage.app.turns import Turn
from downstage.errors import RunConflict, UsageError
from downstage.journals.memory import MemoryJournal
from downstage.ports import LastLoad, RunRecord, StepRecord
from tests.unit.plain_config import CONFIG


@pytest.fixture
def project(tmp_path: Path) -> Project:
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    return Project.open(path)


def run(name: str, kind: str = "refresh", environment: str = "test", state: str = "failed") -> RunRecord:
    return RunRecord(name, environment, kind, state, 1, f"2027-01-15T08:00:{name[-1]}", "", {})


def journal_of(*runs: RunRecord, begun: tuple[str, ...] = ()) -> MemoryJournal:
    """A journal of runs; those of `begun` have wiped."""
    journal = MemoryJournal()
    for one in runs:
        journal.create_run(one)
        journal.save_step(one.run_id, 1, StepRecord("preflight", "done", 1.0, ""))
        if one.run_id in begun:
            journal.save_step(one.run_id, 1, StepRecord("wipe", "running", 1.0, ""))
    return journal


def test_the_second_run_is_refused_and_the_first_is_named(project: Project) -> None:
    with (
        project.exclusive("test"),
        pytest.raises(RunConflict, match=f"process {os.getpid()}"),
        project.exclusive("test", patience=0.0),
    ):
        pass
    with project.exclusive("test"):
        pass  # it was let go


def test_environments_do_not_wait_for_each_other(project: Project) -> None:
    with project.exclusive("test"), project.exclusive("staging"):
        pass


def test_looking_makes_nothing_and_changes_nothing(project: Project) -> None:
    assert project.runs() == []
    assert project.lock("test").holder() is None
    with pytest.raises(UsageError, match="no refresh here yet"):
        project.find(None)
    assert not project.state.exists()
    with project.exclusive("test"):
        assert project.lock("test").holder() == os.getpid()
        assert (project.state / "test.lock").read_text() == str(os.getpid())
    assert project.lock("test").holder() is None


def test_a_lock_is_held_for_one_run_and_for_no_other(project: Project) -> None:
    with project.exclusive("test", "run-1"):
        assert project.lock("test").holder() == os.getpid()
        assert project.lock("test").holder("run-1") == os.getpid()
        assert project.lock("test").holder("run-2") is None, "whoever cancels run 2 must not end this process"


def test_who_only_looks_does_not_pass_for_another_run(project: Project) -> None:
    project.state.mkdir()
    with (project.state / "test.lock").open("a+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        letting_go = threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN))
        letting_go.start()
        with project.exclusive("test"):
            assert project.lock("test").holder() == os.getpid()
        letting_go.join()


def test_a_state_directory_that_cannot_be_made(project: Project) -> None:
    project.state.write_text("a file")
    with pytest.raises(UsageError, match=r"the state directory .* cannot be used"), project.exclusive("test"):
        pass


def test_a_place_has_one_name_and_another_has_another(project: Project) -> None:
    names = []
    for environment in ("test", "test", "staging"):
        with project.lock(environment).held() as place:
            names.append(place)
    assert names[0] == names[1] != names[2]


def test_a_run_is_not_resumed_over_what_a_newer_one_has_made() -> None:
    others = (run("a0", "verify"), run("b9", environment="staging"))
    old, newer = run("old1"), run("new2", "wipe")
    refuse_outdated(journal_of(old, *others, begun=("b9", "a0")), old, LastLoad())
    refuse_outdated(journal_of(old, newer), old, LastLoad())  # it has only looked
    with pytest.raises(RunConflict, match="new2 has changed test since"):
        refuse_outdated(journal_of(old, newer, begun=("new2",)), old, LastLoad())
    refuse_outdated(journal_of(old, newer, begun=("old1", "new2")), newer, LastLoad())


@pytest.mark.parametrize("state", ["queued", "running", "interrupted", "parked", "waiting"])
def test_a_run_that_can_be_resumed_keeps_its_environment(project: Project, state: str) -> None:
    journal = project.journal("test")
    journal.create_run(run("old1", state=state))
    assert [one.run_id for one in kept(journal, "test")] == ["old1"]
    with pytest.raises(RunConflict, match=r"belongs to run old1.*downstage cancel old1.*--take-over"):
        project._make_room(journal, "test", "refresh", Turn(None), take_over=False)
    with pytest.raises(RunConflict, match="belongs to run old1"):
        project._make_room(journal, "test", "repair", Turn(None), take_over=False)
    project._make_room(journal, "test", "verify", Turn(None), take_over=False)
    project._make_room(journal, "staging", "refresh", Turn(None), take_over=False)
    project._make_room(journal, "test", "refresh", Turn(None), take_over=True)
    given = journal.run("old1")
    assert given is not None
    assert (given.state, given.epoch) == ("superseded", 2)  # whatever is alive of it writes nothing more


@pytest.mark.parametrize("state", ["failed", "finished", "cancelled", "superseded"])
def test_a_run_that_has_ended_keeps_nothing(state: str) -> None:
    assert kept(journal_of(run("old1", state=state)), "test") == []


def test_what_a_finished_run_has_outlived_ends_for_good() -> None:
    finished = run("new3", state="finished")
    journal = journal_of(run("old1"), run("old2", state="cancelled"), run("b0", environment="staging"), finished)
    older = outlived(journal, finished)
    assert [one.run_id for one in older] == ["old1"]
    given_up(journal, older, "now")
    assert [one.state for one in journal.runs()] == ["failed", "superseded", "cancelled", "finished"]


def test_a_run_in_the_other_journal_is_named_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    Project.open(path).journal("test").create_run(replace(run("old1"), state="parked"))
    path.write_text(CONFIG.replace("journal: sqlite", "control_table: downstage-control"))
    assert Project(Project.open(path).config, {"CI": "true"}).kind == "dynamodb"
    assert Project(Project.open(path).config, {}).kind == "sqlite"
    assert Project(Project.open(path).config, {"CI": "0"}).kind == "sqlite"
    with pytest.raises(UsageError, match="DOWNSTAGE__JOURNAL=dynamodb"):
        Project(Project.open(path).config, {}).find("never")
