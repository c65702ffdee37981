"""What a runner tells late is told once, whatever goes wrong on the way, and it never keeps the runner from other runs:
neither an error about one run, nor a place that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from downstage.app import late_words, notifying
from downstage.app.notifying import Herald, Place
from downstage.app.runs import Project
from downstage.domain.notice import Notice, Occasion
from downstage.errors import AwsError, ConfigError, GuardRefused, JournalError
from downstage.ports import RunRecord
from downstage.workflow.stopped import is_told
from downstage.workflow.unsent import UNSENT
from tests.unit.test_notifying import EVERYTHING, Listener
from tests.unit.test_runner_refusals import SECRET, Service, ended
from tests.unit.test_runner_refusals import listener as listener
from tests.unit.test_runner_refusals import project as project


def wait_behind(project: Project) -> None:
    """Enters one more refresh, which the runner is to carry: it stands behind the one that nobody was told of."""
    (first,) = (run for run, _ in project.runs() if run.state == "superseded")
    project.journal("test").create_run(replace(first, run_id="test-later", state="queued"))


def told(project: Project, run: RunRecord) -> bool:
    return is_told(project.journal("test"), run)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TypeError(SECRET), "internal error: TypeError"),
        (JournalError("there is no room for the report"), "there is no room for the report"),
    ],
)
@pytest.mark.parametrize("where", ["write_report", "herald_for", "outcome_of", "mark_told"])
def test_what_goes_wrong_before_it_is_told_is_said_once_and_it_is_told_later(
    project: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, why: str
) -> None:
    def broken(*_about: Any) -> Any:
        tries.append(where)
        raise error

    tries: list[str] = []
    run = ended(project, "running")
    wait_behind(project)
    service = Service(project)
    real = getattr(late_words, where)
    monkeypatch.setattr(late_words, where, broken)
    monkeypatch.setattr(service._runner, "carry", lambda _run_id: "")
    for seconds in (0, 10, 10, 10):
        service.look(seconds)
    assert len(service.carried) == 4
    assert service.said == [f"{run.run_id}: nobody could be told yet how it ended ({why}); it is tried again"]
    assert tries == [where]
    assert not told(project, run)
    assert listener.notices == []

    service.look(600)
    assert (len(tries), len(service.said)) == (2, 1)
    monkeypatch.setattr(late_words, where, real)
    service.look(600)
    service.look(600)
    assert [(one.occasion, one.run_id) for one in listener.notices] == [(Occasion.FAILURE, run.run_id)]
    assert told(project, run)


class Deaf:
    """Implements `ports.Notifier`: does not answer until the test is over, or `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked: list[Notice] = []

    def check(self) -> None:
        """Nothing to check."""

    def send(self, notice: Notice) -> None:
        self.asked.append(notice)
        assert self.answers.wait(60)


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deaf]:
    """The one place that is told."""
    place = Deaf()

    def herald(*_about: Any) -> Herald:
        return Herald([Place("hook", EVERYTHING, place)])

    monkeypatch.setattr(notifying, "herald_for", herald)
    monkeypatch.setattr(late_words, "herald_for", herald)
    monkeypatch.setattr(late_words, "A_LOOK", 0.05)
    monkeypatch.setattr(late_words, "_LAST", 0.05)
    yield place
    place.answers.set()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long each look has waited, at most."""
    waits: list[float] = []
    real = Herald.wait

    def wait(herald: Herald, seconds: float) -> bool:
        waits.append(seconds)
        return real(herald, seconds)

    monkeypatch.setattr(Herald, "wait", wait)
    return waits


def unsent(project: Project, run: RunRecord) -> list[str]:
    record = project.journal("test").step(run.run_id, UNSENT)
    return [] if record is None else list(record.result["lines"])


def test_a_place_that_does_not_answer_keeps_no_look_waiting_for_longer_than_a_moment(
    project: Project, deaf: Deaf, patience: list[float]
) -> None:
    run = ended(project, "running")
    for number in range(5):
        project.journal("test").create_run(replace(run, run_id=f"test-too-{number}"))
    service = Service(project)
    service.look()
    assert sorted(one.run_id for one in deaf.asked) == sorted([run.run_id, *(f"test-too-{n}" for n in range(5))])
    assert len(patience) == 6
    assert max(patience) <= 0.05
    assert service.said == []
    service.look(30)
    assert service.said == []
    assert unsent(project, run) == []
    service.look(45)  # 75 seconds since it was begun
    assert service.said == ["notification not sent to hook: it took too long"] * 6
    assert unsent(project, run) == ["notification not sent to hook: it took too long"]
    service.look(10)
    assert (len(service.said), len(deaf.asked)) == (6, 6)
    assert max(patience) <= 0.05


def test_what_arrives_at_a_later_look_has_arrived(project: Project, deaf: Deaf) -> None:
    run = ended(project, "running")
    service = Service(project)
    service.look()
    deaf.answers.set()
    for thread in threading.enumerate():
        if thread.name == "notification":
            thread.join(60)
    service.look(100)
    assert service.said == []
    assert unsent(project, run) == []


def test_a_runner_that_is_stopped_keeps_whom_its_message_did_not_reach(project: Project, deaf: Deaf) -> None:
    run = ended(project, "running")
    service = Service(project)
    service.look()
    service._runner.leave()
    assert unsent(project, run) == ["notification not sent to hook: it took too long"]


def test_a_due_refresh_that_cannot_begin_keeps_no_look_waiting_either(
    project: Project, deaf: Deaf, patience: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_about: Any, **_more: Any) -> Any:
        raise GuardRefused("nothing may be begun")

    project.state.mkdir()
    service = Service(project)
    service.look()
    monkeypatch.setattr(Project, "enqueue", refuse)
    service.look(86400)  # the first of February, and past five o'clock
    assert "cannot begin: nothing may be begun" in service.said[0]
    assert len(deaf.asked) == 1
    assert patience
    assert max(patience) <= 0.05
    service.look(75)
    assert service.said[1:] == ["notification not sent to hook: it took too long"]


# ---- why a run is not carried


def test_a_reason_whose_text_is_another_each_time_is_one_reason(
    project: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_about: Any, **_more: Any) -> Any:
        raise AwsError(f"AWS answered (request {len(service.carried)})", "InternalServerError")

    project.enqueue("test", ("preflight",))
    monkeypatch.setattr(Project, "resume", refuse)
    service = Service(project)
    for seconds in (0, 10, 10, 10, 40):
        service.look(seconds)
    assert service.tried() == [0, 10, 30, 70]
    _, why = service.said
    assert "AWS answered (request 1)" in why
    assert len(listener.notices) == 1


@pytest.mark.parametrize(
    "other", [AwsError("x", "AccessDeniedException"), ConfigError("x"), GuardRefused("x"), TypeError("x")]
)
def test_another_kind_of_reason_is_said_at_once(
    project: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch, other: Exception
) -> None:
    errors = [AwsError("x", "InternalServerError"), other]

    def refuse(*_about: Any, **_more: Any) -> Any:
        raise errors.pop(0)

    project.enqueue("test", ("preflight",))
    monkeypatch.setattr(Project, "resume", refuse)
    service = Service(project)
    service.look()
    service.look(10)
    assert len([line for line in service.said if "begins" not in line]) == 2
