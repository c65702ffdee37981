"""A run is given up wherever it is going on: a process of its own by a signal, the runner's without ending the runner;
and what is put back hangs on what all journals know, and on who was the last to load."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from downstage.app import ending, known_runs
from downstage.app.entering import settings_of
from downstage.app.places import ControlPlace, control_table
from downstage.app.runs import Project
from downstage.app.successors import watching
from downstage.app.turns import numbered
from downstage.app.wiring import Sides
from downstage.aws.lease import LONGEST_REQUEST, EnvironmentLease
from downstage.domain.environment import Environment
from downstage.domain.events import Note
from downstage.errors import HeldByAnother, RunConflict, UsageError
from downstage.journals.memory import MemoryJournal
from downstage.planning import guards
from downstage.ports import RunRecord
from downstage.testing.simple import Recorder
from downstage.testing.world import World
from tests.unit import plain_config
from tests.unit.lease_world import Clock
from tests.unit.lease_world import nowhere as nowhere
from tests.unit.lease_world import shared_clock as shared_clock
from tests.unit.proven_world import ended, leaking, loaded, renamed

CONFIG = plain_config.CONFIG.replace("222222222222", "123456789012")  # the one that moto answers for
ELSEWHERE = 4242
"""A process that carries a run, of which only its lock is real."""


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Project]:
    def made(journal: str) -> Project:
        path = tmp_path / "downstage.yaml"
        path.write_text(CONFIG.replace("journal: sqlite", journal))
        return Project(Project.open(path).config, {})

    return made


@pytest.fixture
def project(make: Callable[[str], Project]) -> Project:
    return make("journal: sqlite")


def entered(project: Project, state: str = "parked", kind: str = "refresh") -> RunRecord:
    settings = settings_of(Sides.of(project.plan("test")))
    run = RunRecord("run-1", "test", kind, state, 1, "2027-01-15T08:00:00Z", "", settings)
    project.journal("test").create_run(run)
    return run


def now(project: Project) -> RunRecord:
    run = project.journal("test").run("run-1")
    assert run is not None
    return run


@contextmanager
def carried(project: Project, host: str | None = None) -> Iterator[Callable[[], None]]:
    """A process has the environment for the run, until what is given is called."""
    project.state.mkdir(exist_ok=True)
    with (project.state / "test.lock").open("a+") as lock:
        lock.truncate(0)
        lock.write(f"{ELSEWHERE} run-1 {numbered() if host is None else host}".strip())
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


@contextmanager
def runner(project: Project) -> Iterator[None]:
    """A runner serves the state directory."""
    project.state.mkdir(exist_ok=True)
    with (project.state / "runner.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def killing(monkeypatch: pytest.MonkeyPatch, does: Callable[[], None]) -> list[tuple[int, int]]:
    """What is signalled, and what comes of it."""
    told: list[tuple[int, int]] = []

    def kill(process: int, number: int) -> None:
        told.append((process, number))
        does()

    monkeypatch.setattr(os, "kill", kill)
    return told


def cancel(project: Project) -> ending.Cancelled:
    return ending.cancel(project, "run-1", Recorder(), sleep=lambda _seconds: None)


# ---- a run that nobody carries


@pytest.mark.parametrize("state", ["queued", "running", "interrupted", "parked", "waiting", "failed"])
def test_a_run_that_can_go_on_is_given_up_for_good(project: Project, state: str) -> None:
    entered(project, state)
    done = cancel(project)
    assert (now(project).state, now(project).epoch) == ("cancelled", 2)
    assert done.outcome.run_id == "run-1"
    assert done.consumers == "as they were: this run did not touch them"
    assert done.report.exists()
    with project.exclusive("test"):
        pass  # the environment is free


@pytest.mark.parametrize("state", ["finished", "cancelled", "superseded"])
def test_one_that_has_ended_is_not(project: Project, state: str) -> None:
    entered(project, state)
    with pytest.raises(UsageError, match=f"has ended already \\({state}\\)"):
        cancel(project)
    assert now(project).epoch == 1


def test_one_that_ends_before_it_hears_of_it_has_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(project, "running")
    with carried(project) as let_go:

        def finishes() -> None:
            project.journal("test").end_run("run-1", 1, "finished", "now")
            let_go()

        killing(monkeypatch, finishes)
        with pytest.raises(UsageError, match="has ended meanwhile"):
            cancel(project)
    assert now(project).state == "finished"


# ---- a run that somebody carries


def test_a_process_of_its_own_is_ended_by_a_signal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(project, "running")
    with carried(project) as let_go:
        told = killing(monkeypatch, let_go)
        cancel(project)
    assert told == [(ELSEWHERE, signal.SIGTERM)]
    assert (now(project).state, now(project).epoch) == ("cancelled", 2)


def test_the_runner_is_not_ended_and_hears_of_it_in_the_journal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It carries other environments too."""
    run = entered(project, "running")
    told = killing(monkeypatch, lambda: None)
    with runner(project), carried(project) as let_go, watching(project.journal("test"), run, let_go, 0.01):
        cancel(project)
    assert told == []
    assert (now(project).state, now(project).epoch) == ("cancelled", 3)  # taken from it, then ended


def failing(error: OSError) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


@pytest.mark.parametrize("error", [ProcessLookupError(), PermissionError()])
def test_a_process_that_cannot_be_signalled_is_asked_by_the_journal(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """It has ended in this instant, or is another user's."""
    run = entered(project, "running")
    killing(monkeypatch, failing(error))
    with carried(project) as let_go, watching(project.journal("test"), run, let_go, 0.01):
        cancel(project)
    assert now(project).state == "cancelled"


@pytest.mark.parametrize(
    "host", ["another-container", "", socket.gethostname(), f"{socket.gethostname()}/pid:[another]"]
)
def test_the_number_of_a_process_elsewhere_is_not_signalled(
    project: Project, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    run = entered(project, "running")
    with carried(project, host) as let_go, watching(project.journal("test"), run, let_go, 0.01):
        told = killing(monkeypatch, let_go)
        cancel(project)
    assert told == []
    assert now(project).state == "cancelled"


def test_one_that_does_not_stop_is_said_in_the_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(project, "running")
    times = iter(range(0, 10_000, 100))

    def busy(*_named: Any, **_more: Any) -> None:
        raise RunConflict("another run of test is going on")

    monkeypatch.setattr(Project, "exclusive", busy)
    with carried(project):
        told = killing(monkeypatch, lambda: None)
        with pytest.raises(RunConflict, match="going on"):
            ending.cancel(
                project, "run-1", Recorder(), monotonic=lambda: float(next(times)), sleep=lambda _seconds: None
            )
    assert len(told) == 2  # asked again meanwhile
    assert now(project).state == "running"


def test_one_that_holds_the_lease_is_asked_there(
    make: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner's run stops in an orderly way: its epoch stays its own until it has ended."""
    project = make("control_table: downstage-control")
    entered(project, "running")
    told = killing(monkeypatch, lambda: None)
    with runner(project), project.exclusive("test", "run-1") as turn:
        ending._ask_to_stop(project, now(project))
        assert turn.lease is not None
        turn.lease.beat()  # type: ignore[attr-defined]
        assert turn.lease.stop_wanted  # type: ignore[attr-defined]
    assert told == []
    assert now(project).epoch == 1


# ---- what is put back


@pytest.fixture
def both(make: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch) -> Callable[[World, World], Project]:
    """A laptop whose file is one world's journal, and its control table another's; the consumers are the first's."""

    def made(here: World, there: World | None = None) -> Project:
        project = make("")
        elsewhere = MemoryJournal() if there is None else there.journal
        monkeypatch.setattr(
            known_runs, "open_journal", lambda place: elsewhere if isinstance(place, ControlPlace) else here.journal
        )
        project.state.mkdir()
        project.journal_path.touch()
        target = Environment("test", "123456789012", "us-east-1")
        plan = replace(here.plan, target=target)
        monkeypatch.setattr(Project, "plan", lambda _project, _name: plan)
        monkeypatch.setattr(guards, "check_accounts", lambda *_: None)
        monkeypatch.setattr(ending, "MappingControl", lambda *_: here.consumers)
        monkeypatch.setattr(ending, "TableControl", lambda _session: here.target_tables)
        return project

    return made


def test_what_was_on_is_put_back(both: Callable[..., Project]) -> None:
    here = loaded("failed")
    assert not here.consumers.enabled
    done = cancel(both(here))
    assert "on again, as before" in done.consumers
    assert here.consumers.enabled
    assert done.consumers in done.outcome.standing


def test_nothing_is_put_back_over_a_leak_that_a_run_of_ci_has_found(both: Callable[..., Project]) -> None:
    """Its journal is the control table, and it has ended: neither the lease nor this journal knows of it."""
    here, there = loaded("failed"), renamed(ended(leaking(), "cancelled"), "run-2")
    done = cancel(both(here, there))
    assert "personal data was found" in done.consumers
    assert not here.consumers.enabled


def test_a_run_that_another_has_the_environment_of_is_not_waited_for(
    make: Callable[[str], Project], clock: Clock
) -> None:
    """Neither while that one goes on, nor while it is parked."""
    project = make("control_table: downstage-control")
    entered(project)
    far = EnvironmentLease(control_table(project._lease_place("test")), "test", clock=clock, who="far-away")
    for state in ("is going on", "is parked"):
        if state == "is going on":
            far.acquire("run-2")
        else:
            far.park()
        slept: list[float] = []

        def slept_on(seconds: float, slept: list[float] = slept) -> None:
            slept.append(seconds)
            clock.time += 100.0

        with pytest.raises(HeldByAnother, match=f"belongs to run run-2, which {state} .far-away") as caught:
            ending.cancel(project, "run-1", Recorder(), monotonic=clock.monotonic, sleep=slept_on)
        assert slept == []
        assert "'downstage cancel run-2'" in str(caught.value)
    assert now(project).state == "parked"
    far.acquire("run-2")
    far.release()
    cancel(project)
    assert now(project).state == "cancelled"


def test_why_it_waits_is_told_before_it_does(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = entered(project, "running")
    killing(monkeypatch, lambda: None)
    events, told = Recorder(), list[int]()
    with carried(project) as let_go:

        def sleep(_seconds: float) -> None:
            told.append(sum(isinstance(event, Note) for event in events.events))
            if len(told) == 2:
                let_go()

        exclusive = Project.exclusive
        monkeypatch.setattr(Project, "exclusive", lambda *named, **more: exclusive(*named, **{**more, "patience": 0.0}))
        ending.cancel(project, run.run_id, events, sleep=sleep)
    assert told[0] == told[1] == 1


@pytest.mark.parametrize(("state", "waits"), [("parked", True), ("interrupted", True), ("queued", False)])
def test_what_a_parked_run_had_under_way_is_over_before_anything_is_put_back(
    make: Callable[[str], Project], clock: Clock, state: str, waits: bool
) -> None:
    """The next refresh finds the environment free at once: what is on its way must not meet it."""
    project = make("control_table: downstage-control")
    entered(project, state)
    with project.exclusive("test", "run-1") as turn:
        turn.keeps = True
    began, events = clock.time, Recorder()
    ending.cancel(project, "run-1", events, sleep=lambda _seconds: None)
    assert clock.time - began == (LONGEST_REQUEST if waits else 0.0)
    assert any("was parked by" in event.text for event in events.events if isinstance(event, Note)) is waits
    with project.exclusive("test", "run-2"):
        assert clock.time - began == (LONGEST_REQUEST if waits else 0.0)


def test_nothing_is_put_back_over_what_another_machine_has_loaded_since(both: Callable[..., Project]) -> None:
    here = loaded("failed")
    project = both(here)
    with project.exclusive("test", "far") as turn:
        turn.loading()
    done = cancel(project)
    assert "run far, whose journal is not here, has loaded the environment since" in done.consumers
    assert not here.consumers.enabled


def test_the_lock_tells_a_process_of_this_machine_only(project: Project) -> None:
    with project.exclusive("test", "run-1"):
        assert project.lock("test").process("run-1") == os.getpid()
        assert project.lock("test").process("run-2") is None
    assert project.lock("test").process("run-1") is None
    with carried(project, "another-container"):
        assert project.lock("test").process("run-1") is None
        assert project.lock("test").holder("run-1") == ELSEWHERE
