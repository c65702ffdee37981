"""What a runner does about runs that cannot be carried, or whose process had no time to say how it ended: it says so
once, tries again ever more seldom, at once when something has changed, and a bug in one run ends nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from downstage.app import background, carrying, late_words
from downstage.app.notifying import Herald, Place
from downstage.app.runs import Project
from downstage.domain.notice import Occasion
from downstage.domain.outcome import StepState
from downstage.errors import Interrupted, LeaseLost
from downstage.ports import RunRecord, StepRecord
from downstage.testing.simple import Recorder
from downstage.workflow.stopped import mark_told, remember
from tests.unit.test_background import CONFIG, NOON, Queue
from tests.unit.test_notifying import EVERYTHING, Listener

SECRET = "jane.roe@mail.example.org"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    return Project.open(path)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """Who is told by the runner of what is no longer carried."""
    heard = Listener()

    def herald(*_about: Any) -> Herald:
        return Herald([Place("hook", EVERYTHING, heard)])

    monkeypatch.setattr("downstage.app.notifying.herald_for", herald)
    monkeypatch.setattr(late_words, "herald_for", herald)
    return heard


class Service:
    """A runner whose clock the test sets, and whose queue carries what it is handed before the next look."""

    def __init__(self, project: Project) -> None:
        self.now = NOON
        self.said: list[str] = []
        self.carried: list[datetime] = []
        self._runner = background.Runner(
            lambda: Project.open(project.config.path), Recorder(), self.said.append, lambda: self.now
        )

    def tried(self) -> list[float]:
        """When runs were carried, in seconds since the first look."""
        return [(moment - NOON).total_seconds() for moment in self.carried]

    def look(self, seconds: float = 0.0) -> None:
        """One look, `seconds` after the one before."""
        self.now += timedelta(seconds=seconds)
        queue = Queue()
        self._runner.look(queue)
        for run_id in queue.runs:
            self.carried.append(self.now)
            self._runner.carry(run_id)


@pytest.fixture
def refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A detached run that the runner may not carry: its masking key is another one now."""
    run = project.enqueue("test", ("preflight",))
    monkeypatch.setenv("KEY", hashlib.sha256(b"another key").hexdigest())
    return run


def test_a_refused_run_is_said_once_and_tried_ever_more_seldom(
    project: Project, refused: RunRecord, listener: Listener
) -> None:
    service = Service(project)
    for seconds in (0, 5, 5, 10, 10, 40, 79, 1, 160, 320, 300, 300, 599, 1):
        service.look(seconds)
    begins, why = service.said
    assert begins == f"{refused.run_id}: begins"
    assert "not carried" in why
    assert "the masking key or policy is not the one" in why
    assert service.tried() == [0, 10, 30, 70, 150, 310, 630, 1230, 1830]
    assert [(one.occasion, one.run_id) for one in listener.notices] == [(Occasion.FAILURE, refused.run_id)]


def test_it_is_tried_and_said_again_at_once_when_the_configuration_or_the_run_changes(
    project: Project, refused: RunRecord, listener: Listener
) -> None:
    service = Service(project)
    for seconds in (0, 10, 20):
        service.look(seconds)
    tries, said = len(service.carried), len(service.said)

    path = project.config.path
    path.write_text(path.read_text() + "engine: {workers: 3}\n")
    service.look(1)
    assert (len(service.carried), len(service.said)) == (tries + 1, said + 2)
    service.look(1)
    assert (len(service.carried), len(service.said)) == (tries + 1, said + 2)

    taken = project.journal("test").take_over(refused.run_id)
    project.journal("test").end_run(refused.run_id, taken.epoch, "interrupted", "")
    service.look(1)
    assert (len(service.carried), len(service.said)) == (tries + 2, said + 4)


def test_a_key_that_is_put_back_lets_the_run_go_on_by_itself(
    project: Project, refused: RunRecord, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    service = Service(project)
    for seconds in (0, 10, 20):
        service.look(seconds)
    began: list[str] = []

    def carried(_setting: object, run: RunRecord, *, resumed: bool) -> carrying.Finished:
        began.append(run.run_id)
        project.journal("test").end_run(run.run_id, run.epoch, "finished", "")
        return carrying.Finished("refresh", project.outcome(run), Path("report.html"), None)

    monkeypatch.setattr(carrying, "carry", carried)
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    service.look(600)
    assert began == [refused.run_id]


# ---- a bug


def broken(*_parts: Any, **_more: Any) -> Any:
    raise TypeError(SECRET)


def test_a_bug_in_a_step_is_carried_once_and_told_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    run = project.enqueue("test", ("preflight",))
    monkeypatch.setattr(carrying, "parts_for", broken)
    service = Service(project)
    for _ in range(5):
        service.look(600)
    assert project.find(run.run_id).state == "failed", service.said
    begins, why = service.said
    assert begins == f"{run.run_id}: begins"
    assert "internal error (TypeError)" in why
    assert [(one.occasion, one.result) for one in listener.notices] == [
        (Occasion.START, ""),
        (Occasion.FAILURE, "failed"),
    ]
    assert SECRET not in repr(service.said) + repr(listener.notices)
    assert (project.state / "reports" / f"{run.run_id}.json").exists()


def test_a_bug_before_the_run_begins_is_told_once_and_tried_seldom(
    project: Project, monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    project.enqueue("test", ("preflight",))
    monkeypatch.setattr("downstage.app.runs.settings_of", broken)
    service = Service(project)
    for seconds in (0, 5, 5, 20):
        service.look(seconds)
    assert service.tried() == [0, 10, 30]
    assert len(service.said) == 2
    assert [one.occasion for one in listener.notices] == [Occasion.FAILURE]
    assert SECRET not in repr(service.said)


# ---- what a process had no time to say


def ended(project: Project, state: str) -> RunRecord:
    """A refresh that somebody began by hand, and that is in `state` now with a step under way."""
    run = project.enqueue("test", ("preflight",))
    settings = {name: value for name, value in run.settings.items() if name != "detached"}
    journal = project.journal("test")
    journal.end_run(run.run_id, run.epoch, "superseded", "")
    begun = replace(run, run_id="test-by-hand", state="running", settings=settings)
    journal.create_run(begun)
    journal.save_step(begun.run_id, begun.epoch, StepRecord("copy", StepState.RUNNING.value, 1.0, ""))
    if state != "running":
        journal.end_run(begun.run_id, begun.epoch, state, "2027-01-31T11:00:00Z")
    return begun


@pytest.mark.parametrize(
    ("state", "stop", "code", "result"),
    [
        ("running", None, 137, "incomplete"),
        ("interrupted", Interrupted("it was terminated (SIGTERM)", 143), 143, "incomplete"),
    ],
)
def test_a_refresh_that_was_killed_is_told_of_once_and_has_a_report(
    project: Project, listener: Listener, state: str, stop: Interrupted | None, code: int, result: str
) -> None:
    run = ended(project, state)
    if stop is not None:
        remember(project.journal("test"), run, stop)
    service = Service(project)
    for _ in range(3):
        service.look(10)
    Service(project).look()  # one that was started anew
    (notice,) = listener.notices
    assert (notice.occasion, notice.run_id, notice.step) == (Occasion.FAILURE, run.run_id, "copy")
    assert (notice.exit_code, notice.result) == (code, result)
    assert "was stopped in step copy: it was " in notice.summary
    assert Path(notice.report).exists()
    assert service.carried == []

    taken = project.journal("test").take_over(run.run_id)  # a later attempt is another matter
    assert taken.epoch > run.epoch
    Service(project).look()
    assert len(listener.notices) == 2


def told(project: Project, run: RunRecord) -> None:
    """The process itself has told it."""
    remember(project.journal("test"), run, Interrupted("it was terminated (SIGTERM)", 143))
    mark_told(project.journal("test"), run)


def lost(project: Project, run: RunRecord) -> None:
    """The lease was lost, which the process had the time to tell."""
    remember(project.journal("test"), run, LeaseLost("the lease cannot be renewed"))


@pytest.mark.parametrize("before", [told, lost])
def test_what_was_told_is_not_told_again(
    project: Project, listener: Listener, before: Callable[[Project, RunRecord], None]
) -> None:
    before(project, ended(project, "interrupted"))
    Service(project).look()
    assert listener.notices == []


def test_a_run_that_a_living_process_holds_is_left_to_it(project: Project, listener: Listener) -> None:
    run = ended(project, "interrupted")
    remember(project.journal("test"), run, Interrupted("it was terminated (SIGTERM)", 143))
    with project.lock("test").held(1.0, run.run_id):
        Service(project).look()
    assert listener.notices == []


def test_a_runner_that_is_stopped_leaves_reports_of_what_it_carries(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project.enqueue("test", ("preflight",))
    service = background.Runner(lambda: Project.open(project.config.path), Recorder(), lambda _text: None, lambda: NOON)
    report = project.state / "reports" / f"{run.run_id}.md"
    service.leave()
    assert not report.exists()

    def stopped(*_run: Any, **_more: Any) -> carrying.Finished:
        project.journal("test").take_over(run.run_id)
        service.leave()
        raise KeyboardInterrupt

    monkeypatch.setattr(Project, "resume", stopped)
    with pytest.raises(KeyboardInterrupt):
        service.carry(run.run_id)
    assert "The run was cut off: no process is behind it" in report.read_text()
