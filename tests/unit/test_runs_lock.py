"""One refresh an environment and state directory: the lock, and that looking at it disturbs nobody."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from downstage.app.runs import Project, _refuse_outdated
from downstage.errors import RunConflict, UsageError
from downstage.ports import RunRecord

CONFIG = """
version: 1
state: state
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test: {account: "222222222222", region: us-east-1, refresh: {from: prod}}
masking: {key: "env:KEY"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    return Project.open(path)


def test_the_second_run_is_refused_and_the_first_is_named(project: Project) -> None:
    with (
        project.exclusive("test"),
        pytest.raises(RunConflict, match=f"process {os.getpid()}"),
        project.exclusive("test"),
    ):
        pass
    with project.exclusive("test"):
        pass  # it was let go


def test_environments_do_not_wait_for_each_other(project: Project) -> None:
    with project.exclusive("test"), project.exclusive("staging"):
        pass


def test_looking_makes_nothing_and_changes_nothing(project: Project) -> None:
    assert project.runs() == []
    assert not project._held("test")
    with pytest.raises(UsageError, match="no refresh here yet"):
        project.find(None)
    assert not project.state.exists()
    with project.exclusive("test"):
        assert project._held("test")
        assert (project.state / "test.lock").read_text() == str(os.getpid())
    assert not project._held("test")


def test_who_only_looks_does_not_pass_for_another_run(project: Project) -> None:
    project.state.mkdir()
    with (project.state / "test.lock").open("a+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        letting_go = threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN))
        letting_go.start()
        with project.exclusive("test"):
            assert project._held("test")
        letting_go.join()


def test_a_state_directory_that_cannot_be_made(project: Project) -> None:
    project.state.write_text("a file")
    with pytest.raises(UsageError, match=r"the state directory .* cannot be used"), project.exclusive("test"):
        pass


def test_a_run_is_not_resumed_over_what_a_newer_one_has_made() -> None:
    def run(name: str, kind: str, environment: str = "test") -> RunRecord:
        return RunRecord(name, environment, kind, "failed", 1, "2027-01-15T08:00:00Z", "", {})

    old = run("old", "refresh")
    _refuse_outdated(old, [old, run("seen", "verify"), run("other", "refresh", "staging")])
    with pytest.raises(RunConflict, match="new has changed test since"):
        _refuse_outdated(old, [run("older", "refresh"), old, run("new", "wipe")])
