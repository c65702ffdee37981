"""A detached refresh gets its turn by the same rule as one that is waited for: it never takes the place of a run that
is alive on another machine, and waits out one that is silent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from downstage.app import carrying, runs
from downstage.app.runs import Project
from downstage.app.wiring import RunPlaces
from downstage.aws.control_table import ControlTable
from downstage.aws.lease import LONGEST_REQUEST, SECONDS, EnvironmentLease
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.events import Event, Note
from downstage.errors import RunConflict, UsageError
from downstage.ports import RunRecord
from tests.unit.lease_world import Clock
from tests.unit.lease_world import nowhere as nowhere
from tests.unit.lease_world import shared_clock as shared_clock

CONFIG = """
version: 1
state: state
journal: dynamodb
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test: {account: "123456789012", region: us-east-1, refresh: {from: prod}}
masking: {key: "env:KEY"}
"""
LOWER = Environment("test", "123456789012", "us-east-1")


class Said:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def emit(self, event: Event) -> None:
        assert isinstance(event, Note)
        self.notes.append(event.text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG)
    return Project.open(path)


@pytest.fixture
def elsewhere(project: Project, clock: Clock) -> EnvironmentLease:
    """Another machine's lease, for a run that the journal says is running."""
    run = project.enqueue("test", ("preflight",), run_id="test-elsewhere")
    lease = EnvironmentLease(
        ControlTable(Session(LOWER), "downstage-control", sleep=lambda _seconds: None),
        "test",
        clock=clock,
        who="another machine",
    )
    lease.acquire(run.run_id)
    project.journal("test").take_over(run.run_id)
    return lease


def test_a_run_that_is_alive_elsewhere_is_not_superseded(
    project: Project, clock: Clock, elsewhere: EnvironmentLease
) -> None:
    clock.each = elsewhere.beat
    with pytest.raises(RunConflict, match=r"test-elsewhere of test is going on \(another machine\)"):
        project.enqueue("test", ("preflight",), take_over=True)
    assert [(run.run_id, run.state) for run, _ in project.runs()] == [("test-elsewhere", "running")]
    elsewhere.beat()
    elsewhere.check()


def test_one_that_is_silent_is_waited_out_and_then_replaced(
    project: Project, clock: Clock, elsewhere: EnvironmentLease
) -> None:
    began, said = clock.time, Said()
    run = project.enqueue("test", ("preflight",), take_over=True, events=said)
    assert clock.time - began > SECONDS + LONGEST_REQUEST
    assert len(said.notes) == 1
    states = {run.run_id: run.state for run, _ in project.runs()}
    assert states == {"test-elsewhere": "superseded", run.run_id: "queued"}
    holder = project.holder("test")
    assert holder is not None
    assert (holder.run_id, holder.state) == (run.run_id, "parked")


def test_whoever_carries_it_need_not_wait(project: Project, clock: Clock) -> None:
    run = project.enqueue("test", ("preflight",))
    began = clock.time
    with project.exclusive("test", run.run_id):
        assert clock.time == began
    with pytest.raises(RunConflict, match="already"):
        project.enqueue("test", ("preflight",), run_id=run.run_id)


def test_without_a_command_nobody_is_replaced(project: Project, elsewhere: EnvironmentLease) -> None:
    with pytest.raises(RunConflict, match="wait for it, or end it with"):
        project.enqueue("test", ("preflight",))
    assert replace(project.find("test-elsewhere"), settings={}).state == "running"


@pytest.mark.parametrize(("kind", "held"), [("streams", True), ("verify", False)])
def test_workers_watch_a_lease_only_if_the_run_holds_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, held: bool
) -> None:
    """A verification holds none: workers that looked for it would find it free, and end themselves."""
    told: list[RunPlaces] = []

    def carry(setting: carrying.Setting, record: RunRecord, *, resumed: bool) -> object:
        told.append(setting.places)
        raise Carried

    monkeypatch.setattr(carrying, "carry", carry)
    monkeypatch.setattr(runs, "earlier_run", lambda *_: {})
    with pytest.raises(Carried):
        project.start("test", kind, ("preflight",), Said())
    (places_,) = told
    assert (places_.lease is not None) is held
    assert places_.journal.kind == "dynamodb"


class Carried(Exception):
    """The run would be carried now."""


@pytest.mark.parametrize("engine", ["spark", "glue"])
def test_an_engine_that_cannot_write_this_journal_is_refused_before_the_run_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Else the environment would belong to a run that never began."""
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    path = tmp_path / "downstage.yaml"
    role = "arn:aws:iam::111111111111:role/downstage-glue"
    glue = f"{{default: {engine}, glue: {{job: copy, role: '{role}', bucket: artifacts}}}}"
    path.write_text(CONFIG.replace("journal: dynamodb", f"journal: sqlite\nengine: {glue}"))
    project = Project.open(path)
    for begin in (
        lambda: project.start("test", "refresh", ("preflight",), Said()),
        lambda: project.enqueue("test", ("preflight",)),
    ):
        with pytest.raises(UsageError, match="cannot write the SQLite journal"):
            begin()
    assert not project.runs()
