"""The runner: what it carries through, what it starts by itself and when, and that it needs nothing but the journal."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from downstage.app import background
from downstage.app.carrying import Finished
from downstage.app.ending import approve
from downstage.app.runs import Project
from downstage.domain.events import Event
from downstage.errors import ConfigError, JournalError, RunConflict, TimeBoxReached
from downstage.ports import StepRecord

CONFIG = """
version: 1
state: state
journal: sqlite
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test:
    account: "222222222222"
    region: us-east-1
    refresh: {from: prod, schedule: {via: runner, day: 1, hour: 5}}
masking: {key: "env:KEY"}
"""
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)


class Queue:
    """Implements `ports.RunQueue`: remembers what it was handed."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def hand_over(self, run_id: str, environment: str) -> None:
        assert environment == "test"
        self.runs.append(run_id)

    def under_way(self) -> set[str]:
        return set(self.runs)


class Silent:
    def emit(self, event: Event) -> None:
        raise AssertionError(event)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    (tmp_path / "state").mkdir()
    return Project.open(path)


def runner(project: Project, now: Callable[[], datetime], said: list[str]) -> background.Runner:
    return background.Runner(lambda: Project.open(project.config.path), Silent(), said.append, now)


def test_a_detached_run_is_handed_over_once(project: Project) -> None:
    run = project.enqueue("test", ("preflight",))
    queue, said = Queue(), []  # type: ignore[var-annotated]
    service = runner(project, lambda: NOON, said)
    service.look(queue)
    service.look(queue)
    assert queue.runs == [run.run_id]
    assert project.find(run.run_id).state == "queued"


def test_a_runner_that_lost_its_own_state_finds_what_it_carried(project: Project) -> None:
    run = project.enqueue("test", ("preflight",))
    journal = project.journal("test")
    for state in ("running", "interrupted", "parked"):
        taken = journal.take_over(run.run_id)
        if state != "running":
            journal.end_run(run.run_id, taken.epoch, state, "")
        queue = Queue()
        runner(project, lambda: NOON, []).look(queue)
        assert queue.runs == [run.run_id], state
    for state in ("failed", "finished", "cancelled"):
        taken = journal.take_over(run.run_id)
        journal.end_run(run.run_id, taken.epoch, state, "")
        queue = Queue()
        runner(project, lambda: NOON, []).look(queue)
        assert queue.runs == [], state


def test_a_run_that_somebody_waits_for_is_left_to_them(project: Project) -> None:
    run = project.enqueue("test", ("preflight",))
    journal = project.journal("test")
    settings = {name: value for name, value in run.settings.items() if name != "detached"}
    journal.create_run(replace(run, run_id="test-by-hand", state="parked", settings=settings))
    queue = Queue()
    runner(project, lambda: NOON, []).look(queue)
    assert queue.runs == [run.run_id]


def test_a_run_that_waits_goes_on_once_it_is_approved(project: Project) -> None:
    run = project.enqueue("test", ("preflight",))
    journal = project.journal("test")
    journal.save_step(run.run_id, 1, StepRecord("approve wipe", "pending", 0.0, ""))
    journal.end_run(run.run_id, 1, "waiting", "")
    queue = Queue()
    runner(project, lambda: NOON, []).look(queue)
    assert queue.runs == []
    assert approve(project, run.run_id)[1] == ["wipe"]
    runner(project, lambda: NOON, []).look(queue)
    assert queue.runs == [run.run_id]


@pytest.mark.parametrize(("own", "expected"), [(3540.0, 3540.0), (None, 600.0)])
def test_a_run_is_carried_in_pieces_of_its_own_time_box_or_else_the_runners(
    project: Project, monkeypatch: pytest.MonkeyPatch, own: float | None, expected: float
) -> None:
    run = project.enqueue("test", ("preflight",), time_box=own)
    over = TimeBoxReached("the time-box ended: go on with 'downstage resume'")
    boxes: list[float | None] = []

    def resume(project: Project, run_id: str, _events: object, *, time_box: float | None) -> Finished:
        boxes.append(time_box)
        taken = project.journal("test").take_over(run_id)
        project.journal("test").end_run(run_id, taken.epoch, "parked", "")
        return Finished("refresh", project.outcome(taken), Path("report.html"), over)

    monkeypatch.setattr(Project, "resume", resume)
    queue, said = Queue(), []  # type: ignore[var-annotated]
    service = background.Runner(lambda: Project.open(project.config.path), Silent(), said.append, lambda: NOON, 600.0)
    for _ in range(3):
        service.look(queue)
        assert queue.runs == [run.run_id]
        assert "goes on in the next piece" in service.carry(queue.runs.pop())
    assert boxes == [expected] * 3


def test_a_second_detached_run_is_refused(project: Project) -> None:
    run = project.enqueue("test", ("preflight",))
    with pytest.raises(RunConflict, match=run.run_id):
        project.enqueue("test", ("preflight",))
    later = project.enqueue("test", ("preflight",), take_over=True)
    assert project.find(run.run_id).state == "superseded"
    assert project.find(later.run_id).state == "queued"


# ---- schedules


def looks(project: Project, *times: datetime) -> tuple[list[str], list[str]]:
    """What a runner hands over and says that looks at these times."""
    queue, said = Queue(), []  # type: ignore[var-annotated]
    now = list(times)
    service = runner(project, lambda: now[0], said)
    while now:
        service.look(queue)
        now.pop(0)
    return queue.runs, said


def test_a_refresh_begins_when_it_is_due_and_once(project: Project) -> None:
    due = datetime(2027, 2, 1, 5, tzinfo=UTC)
    runs, said = looks(project, NOON, due - timedelta(seconds=1), due, due + timedelta(seconds=10))
    assert runs == ["test-20270201-050000-due"]
    assert len(said) == 1


def test_a_runner_that_was_down_for_a_while_makes_up_for_it_once(project: Project) -> None:
    looks(project, datetime(2027, 2, 1, 4, tzinfo=UTC))
    runs, _ = looks(project, datetime(2027, 2, 1, 9, tzinfo=UTC), datetime(2027, 2, 1, 10, tzinfo=UTC))
    assert runs == ["test-20270201-050000-due"]


def test_one_that_was_down_for_days_does_not(project: Project) -> None:
    looks(project, NOON)
    assert looks(project, datetime(2027, 2, 5, tzinfo=UTC))[0] == []


def test_one_that_starts_for_the_first_time_does_not(project: Project) -> None:
    assert looks(project, datetime(2027, 2, 1, 6, tzinfo=UTC))[0] == []


def test_two_runners_enter_a_due_run_once(project: Project) -> None:
    looks(project, datetime(2027, 2, 1, 4, tzinfo=UTC))
    seen = (project.state / "runner.json").read_bytes()
    due = datetime(2027, 2, 1, 5, tzinfo=UTC)
    looks(project, due)
    (project.state / "runner.json").write_bytes(seen)  # the other's own
    _, said = looks(project, due)
    assert "was not begun" in said[0]
    assert [run.run_id for run, _ in project.runs()] == ["test-20270201-050000-due"]


def test_a_configuration_that_is_being_edited_stops_nothing(project: Project) -> None:
    queue = Queue()
    service = runner(project, lambda: NOON, [])
    text = project.config.path.read_text()
    project.config.path.write_text("version: [")
    service.look(queue)
    project.config.path.write_text(text)
    run = project.enqueue("test", ("preflight",))
    service.look(queue)
    assert queue.runs == [run.run_id]


def test_a_run_that_cannot_be_carried_is_told_and_the_runner_goes_on(project: Project) -> None:
    said: list[str] = []
    answer = runner(project, lambda: NOON, said).carry("test-nothing")
    assert "there is no run test-nothing" in answer
    assert len(said) == 2


# ---- one runner, one database


def test_a_second_runner_of_a_state_directory_is_refused_and_the_name_stays(project: Project) -> None:
    names = []
    for _ in range(2):
        assert not background.runner_is_up(project.state)
        with background.the_only_runner(project) as name:
            names.append(name)
            assert background.runner_is_up(project.state)
            with pytest.raises(RunConflict, match="already"), background.the_only_runner(project):
                pass
    assert names[0] == names[1] != ""


def test_postgres_with_a_sqlite_journal_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project.config.path
    path.write_text(CONFIG + "durable: {database: 'env:DATABASE'}\n")
    monkeypatch.setenv("DATABASE", "postgresql://user:secret@127.0.0.1/x")
    with pytest.raises(ConfigError, match="journal: dynamodb") as caught:
        background.database_of(Project.open(path))
    assert "secret" not in str(caught.value)
    path.write_text(path.read_text().replace("journal: sqlite", "journal: dynamodb"))
    assert background.database_of(Project.open(path)).startswith("postgresql://")
    monkeypatch.setenv("DATABASE", "sqlite:////tmp/x")
    with pytest.raises(ConfigError, match="only Postgres"):
        background.database_of(Project.open(path))


def test_a_runner_whose_journal_cannot_be_read_looks_again(project: Project) -> None:
    said: list[str] = []
    stop = threading.Event()

    class Unreadable(background.Runner):
        looks = 0

        def look(self, queue: object) -> None:
            self.looks += 1
            if self.looks == 3:
                stop.set()
            raise JournalError("cannot be read")

    service = Unreadable(lambda: project, Silent(), said.append, lambda: NOON)
    background.serve(service, Queue(), stop, poll=0.0)
    assert said == ["cannot be read"] * 3
