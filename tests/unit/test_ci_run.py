"""`downstage ci run`: what the CI is told for each way in which a run may end, and the exit code of the job."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from downstage.app import automation, runs
from downstage.app.runs import Finished, Project
from downstage.app.unattended import began, tell
from downstage.cli.main import app
from downstage.errors import (
    ApprovalWanted,
    AwsError,
    CiError,
    DownstageError,
    GuardRefused,
    HeldByAnother,
    LeakFound,
    RunConflict,
    TimeBoxReached,
    Unreachable,
    UsageError,
)
from tests.unit.test_ci_cli import FIRST, STANZA
from tests.unit.test_outcome import PROVEN

RUN = "test-20260101-050000-1a2b"
STARTED = 1767243600.0
OUTCOME = replace(PROVEN, run_id=RUN, environment="test", started="2026-01-01T05:00:00Z")


class Ci:
    """Implements `ports.Unattended`: keeps what it is told, or says that it cannot be reached."""

    def __init__(self, failure: CiError | None = None, *, early: bool = False) -> None:
        self.told: list[tuple[str, Any]] = []
        self.marks = 0
        self._failure = failure
        self._early = early

    def mark(self) -> Mapping[str, Any]:
        self.marks += 1
        if self._failure is not None and self._early:
            raise self._failure
        return {"newest": 7}

    def go_on(self, run_id: str, mark: Mapping[str, Any]) -> str:
        return self._tell("goes on", (run_id, mark["newest"]))

    def ended(self, *, well: bool, since: float) -> Sequence[str]:
        return [self._tell("approved" if well else "cancelled", since)]

    def _tell(self, what: str, detail: Any) -> str:
        if self._failure is not None:
            raise self._failure
        self.told.append((what, detail))
        return what


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNSTAGE_CONFIG", raising=False)
    (tmp_path / "downstage.yaml").write_text(FIRST, encoding="utf-8")
    return tmp_path


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> Ci:
    monkeypatch.setattr(time, "time", lambda: STARTED + 3600.0)
    return with_ci(monkeypatch, Ci())


def with_ci(monkeypatch: pytest.MonkeyPatch, ci: Ci) -> Ci:
    monkeypatch.setattr(automation, "unattended_for", lambda _project, _environment: ci)
    return ci


def ends(monkeypatch: pytest.MonkeyPatch, error: Exception | None, *, within: bool = True) -> list[dict[str, Any]]:
    """Has every run end so: within the run, or before it begins. Gives the calls."""
    calls: list[dict[str, Any]] = []

    def end(**call: Any) -> Finished:
        calls.append(call)
        if error is not None and not (within and isinstance(error, DownstageError)):
            raise error
        assert error is None or isinstance(error, DownstageError)
        return Finished("refresh", OUTCOME, Path("report.html"), error)

    def start(_project: Project, environment: str, kind: str, _steps: Any, _events: Any, **more: Any) -> Finished:
        return end(what="start", environment=environment, kind=kind, **more)

    def resume(_project: Project, run_id: str, _events: Any, **more: Any) -> Finished:
        return end(what="resume", run=run_id, **more)

    monkeypatch.setattr(runs.Project, "start", start)
    monkeypatch.setattr(runs.Project, "resume", resume)
    monkeypatch.setattr(runs.Project, "find", lambda _project, run_id: _found(run_id))
    return calls


def _found(run_id: str) -> Any:
    if not run_id.startswith("test-"):
        raise UsageError(f"there is no run {run_id} here: see 'downstage runs'")
    return type("Run", (), {"environment": "test", "run_id": run_id, "started": OUTCOME.started})()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ci", "run", "test", *arguments])


def test_a_new_refresh_that_ends_well_approves_who_waits(monkeypatch: pytest.MonkeyPatch, ci: Ci) -> None:
    calls = ends(monkeypatch, None)
    done = call("--run", "", "--time-box", "50m")
    assert done.exit_code == 0
    assert calls == [{"what": "start", "environment": "test", "kind": "refresh", "time_box": 3000.0}]
    assert ci.told == [("approved", STARTED)]


@pytest.mark.parametrize(
    "error", [AwsError("no"), LeakFound("a leak"), GuardRefused("no"), RunConflict("table made anew")]
)
def test_a_run_that_ends_badly_cancels_who_waits(
    monkeypatch: pytest.MonkeyPatch, ci: Ci, error: DownstageError
) -> None:
    ends(monkeypatch, error)
    done = call("--run", RUN)
    assert done.exception is error
    assert ci.told == [("cancelled", STARTED)]


def test_a_run_that_never_ends_starts_no_pipeline_for_ever(ci: Ci) -> None:
    finished = Finished("refresh", OUTCOME, Path("report.html"), TimeBoxReached("the time-box ended"))
    day = 86400.0
    assert tell(ci, finished, STARTED + 13.9 * day).goes_on
    told = tell(ci, finished, STARTED + 14 * day)
    assert not told.goes_on
    assert told.words == ["cancelled"]
    assert "has gone on for 14 days: no further pipeline is started" in str(told.failure)
    assert [what for what, _ in ci.told] == ["goes on", "cancelled"]


def test_a_time_box_has_the_next_pipeline_go_on_and_the_job_end_well(monkeypatch: pytest.MonkeyPatch, ci: Ci) -> None:
    calls = ends(monkeypatch, TimeBoxReached("the time-box ended"))
    done = call("--run", RUN)
    assert done.exit_code == 0
    assert done.stdout == "goes on\n"
    assert calls == [{"what": "resume", "run": RUN, "time_box": None}]
    assert ci.told == [("goes on", (RUN, 7))]


@pytest.mark.parametrize("error", [ApprovalWanted("approve it"), HeldByAnother("held by another")])
def test_who_waits_waits_on_for_a_person_or_another_process(
    monkeypatch: pytest.MonkeyPatch, ci: Ci, error: DownstageError
) -> None:
    ends(monkeypatch, error)
    assert call().exception is error
    assert ci.told == []


@pytest.mark.parametrize("error", [AwsError("no"), TypeError("a bug of ours"), RunConflict("another configuration")])
@pytest.mark.parametrize("run", ["", RUN])
def test_a_run_that_cannot_begin_or_go_on_cancels_who_waits(
    monkeypatch: pytest.MonkeyPatch, ci: Ci, run: str, error: Exception
) -> None:
    """Who waits has waited since the run began, not since the piece that could not."""
    ends(monkeypatch, error, within=False)
    assert call("--run", run).exception is error
    assert ci.told == [("cancelled", STARTED if run else STARTED + 3600.0)]


def test_a_bug_after_hours_cancels_who_has_waited_since_the_call(monkeypatch: pytest.MonkeyPatch, ci: Ci) -> None:
    ends(monkeypatch, bug := TypeError("a bug of ours"))
    start = runs.Project.start

    def hours_later(*given: Any, **more: Any) -> Finished:
        monkeypatch.setattr(time, "time", lambda: STARTED + 5 * 3600.0)
        return start(*given, **more)

    monkeypatch.setattr(runs.Project, "start", hours_later)
    assert call().exception is bug
    assert ci.told == [("cancelled", STARTED + 3600.0)]


def test_a_run_whose_journal_cannot_be_reached_is_placed_by_its_id(monkeypatch: pytest.MonkeyPatch, ci: Ci) -> None:
    error = Unreachable("DynamoDB does not answer")

    def unreachable(_project: Project, _run_id: str) -> Any:
        raise error

    calls = ends(monkeypatch, None)
    monkeypatch.setattr(runs.Project, "find", unreachable)
    assert call("--run", RUN).exception is error
    assert (calls, ci.told) == ([], [("cancelled", STARTED)])


@pytest.mark.parametrize(
    ("run", "at"),
    [
        (RUN, STARTED),
        ("test-20260101-050000-due", STARTED),
        ("", 7.0),
        ("nosuch", 7.0),
        ("mig-20260101-050000-1a2b", 7.0),
        ("test-20269901-050000-1a2b", 7.0),
    ],
)
def test_when_a_run_was_begun_stands_in_its_id(run: str, at: float) -> None:
    assert began("test", run, 7.0) == at


@pytest.mark.parametrize("run", ["", RUN])
def test_an_environment_that_another_run_holds_cancels_nobody(
    monkeypatch: pytest.MonkeyPatch, ci: Ci, run: str
) -> None:
    ends(monkeypatch, HeldByAnother("held by another"), within=False)
    assert isinstance(call("--run", run).exception, HeldByAnother)
    assert ci.told == []


@pytest.mark.parametrize(("run", "said"), [("nosuch", "there is no run nosuch"), ("test-x", None)])
def test_a_run_that_is_not_there_or_of_another_environment(
    monkeypatch: pytest.MonkeyPatch, ci: Ci, run: str, said: str | None
) -> None:
    calls = ends(monkeypatch, None)
    done = call("--run", run)
    assert (said is None) == (done.exit_code == 0)
    assert said is None or said in str(done.exception)
    assert len(calls) == (1 if said is None else 0)
    other = CliRunner().invoke(app, ["ci", "run", "prod", "--run", RUN])
    assert "is not one of 'prod'" in str(other.exception)


def test_a_ci_that_cannot_be_told_fails_a_job_that_went_well_and_hides_no_other_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure = CiError("CircleCI answered 401")
    with_ci(monkeypatch, Ci(failure))
    ends(monkeypatch, None)
    assert call().exception is failure
    error = TimeBoxReached("the time-box ended")
    ends(monkeypatch, error)
    done = call()
    assert done.exception is error
    assert "the CI could not be told: CircleCI answered 401" in done.stderr
    assert f"go on with: downstage resume {RUN}" in done.stderr


def test_a_token_that_does_not_work_is_said_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = CiError("CircleCI answered 401")
    with_ci(monkeypatch, Ci(failure, early=True))
    calls = ends(monkeypatch, None)
    assert call().exception is failure
    assert calls == []


def test_a_schedule_that_is_no_cis_is_said_before_anything_begins(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = FIRST.replace(STANZA, "      schedule: {via: runner, day: 1, hour: 5}\n")
    (place / "downstage.yaml").write_text(text, encoding="utf-8")
    calls = ends(monkeypatch, None)
    done = call()
    assert calls == []
    assert "is via runner: that is no CI that could go on with a run" in str(done.exception)
