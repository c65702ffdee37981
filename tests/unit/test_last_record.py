"""A journal that cannot be reached when a run ends hides nothing: there is a report and a message of what is known, the
error that ended the run is the one that is told, and a run whose end nobody has recorded claims no proof."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from downstage.app import carrying
from downstage.app.turns import Turn
from downstage.domain.events import Note
from downstage.domain.notice import Occasion
from downstage.domain.outcome import Result
from downstage.errors import AwsError, ConfigError, CredentialsError, DownstageError, JournalError
from downstage.ports import Journal
from downstage.testing.world import World
from downstage.workflow import refresh
from downstage.workflow.stopped import STOPPED
from tests.unit.test_carrying import Place as Carrier
from tests.unit.test_carrying import Watcher
from tests.unit.test_carrying import make as make
from tests.unit.test_carrying_ends import SECRET, run_of, signalled, written_report
from tests.unit.test_carrying_ends import listener as listener
from tests.unit.test_notifying import Listener

GONE = "the control table downstage-control does not answer"


class Severed:
    """A journal that answers until `error` is set, and then raises that; with `only`, in these methods."""

    def __init__(self, journal: Journal, *only: str) -> None:
        self.journal = journal
        self.error: Exception | None = None
        self._only = only

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.journal, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self.error is not None and name in (self._only or (name,)):
                raise self.error
            return method(*arguments, **named)

        return call


def severed(carrier: Carrier, *only: str) -> Severed:
    """The carrier's journal, which can be cut off from now on."""
    journal = Severed(carrier.world.journal, *only)
    carrier.world.journal = cast("Any", journal)
    return journal


def severing(monkeypatch: pytest.MonkeyPatch, step: str, journal: Severed, error: Exception) -> None:
    """From `step` on the journal raises `error`."""
    action = refresh.ACTIONS[step]

    def act(*arguments: Any) -> str:
        journal.error = error
        return action(*arguments)

    monkeypatch.setitem(refresh.ACTIONS, step, act)


def check_unread(carrier: Carrier, listener: Listener, code: int, result: str) -> None:
    """The report and the message say how the run was stopped, and of what it has done nothing."""
    report = written_report(carrier)
    assert (report["exit_code"], report["result"], report["stop"]["exit_code"]) == (code, result, code)
    assert "The journal could not be read when this was written" in report["standing"]
    assert (report["steps"], report["tables"]) == ([], [])
    for suffix in ("md", "html"):
        text = (carrier.folder / "reports" / f"run-1.{suffix}").read_text()
        assert "The journal could not be read" in text
        assert SECRET not in text
    last = listener.notices[-1]
    assert (last.occasion, last.exit_code, last.result) == (Occasion.FAILURE, code, result)
    assert SECRET not in json.dumps(report) + repr(listener.notices) + repr(carrier.world.events.events)


def state_of(journal: Severed) -> str:
    run = journal.journal.run("run-1")
    assert run is not None
    return run.state


def noted(carrier: Carrier, words: str) -> bool:
    return any(words in one.text for one in carrier.world.events.events if isinstance(one, Note))


@pytest.mark.parametrize("error", [JournalError(GONE), CredentialsError(GONE)])
def test_a_journal_that_goes_away_under_a_run_ends_it_with_a_report_and_a_message(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener, error: DownstageError
) -> None:
    carrier = make()
    journal = severed(carrier)
    severing(monkeypatch, "flags", journal, error)
    turn = Turn(None)
    finished = carrier.carry(carrier.begin(), turn)
    assert finished.error is error
    assert finished.exit_code == error.exit_code
    check_unread(carrier, listener, error.exit_code, "failed")
    assert turn.keeps
    assert noted(carrier, f"the journal does not know how run run-1 has ended ({GONE}): 'downstage resume run-1'")
    assert state_of(journal) == "running"

    journal.error = None
    monkeypatch.undo()
    monkeypatch.setattr(carrying, "parts_for", carrier._parts)
    again = carrier.carry(journal.journal.take_over("run-1"))
    assert (again.exit_code, again.outcome.result) == (0, Result.PROVEN)


@pytest.mark.parametrize(("error", "said"), [(JournalError(GONE), GONE), (OSError(SECRET), "internal error: OSError")])
def test_a_run_whose_good_end_nobody_has_recorded_is_not_proven(
    make: Callable[..., Carrier], listener: Listener, error: Exception, said: str
) -> None:
    carrier = make()
    journal = severed(carrier, "end_run")
    journal.error = error
    turn = Turn(None)
    finished = carrier.carry(carrier.begin(), turn)
    assert isinstance(finished.error, JournalError)
    assert said in str(finished.error)
    assert (finished.exit_code, finished.outcome.result) == (1, Result.FAILED)
    assert turn.keeps
    report = written_report(carrier)
    assert {step["state"] for step in report["steps"]} <= {"done", "skipped"}  # these the journal does know
    assert (listener.notices[-1].occasion, listener.notices[-1].exit_code) == (Occasion.FAILURE, 1)
    assert state_of(journal) == "running"
    assert SECRET not in str(finished.error) + repr(listener.notices) + repr(carrier.world.events.events)


def test_the_end_is_recorded_even_if_what_stopped_the_run_is_not(make: Callable[..., Carrier]) -> None:
    carrier = make()
    journal = severed(carrier, "save_step")
    carrier.broken = ConfigError("the configuration is wrong")
    journal.error = JournalError(GONE)
    finished = carrier.carry(carrier.begin())
    assert finished.error is carrier.broken
    assert state_of(journal) == "failed"
    assert journal.journal.step("run-1", STOPPED) is None
    assert noted(carrier, f"the journal does not know what stopped run run-1 ({GONE})")


def test_a_journal_that_goes_away_with_a_bug_does_not_hide_it(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    def broken(*_parts: Any) -> None:
        journal.error = JournalError(GONE)
        raise TypeError(SECRET)

    carrier = make()
    journal = severed(carrier)
    monkeypatch.setattr(carrying, "run_steps", broken)
    turn = Turn(None)
    with pytest.raises((TypeError, JournalError)) as caught:
        carrier.carry(carrier.begin(), turn)
    assert isinstance(caught.value, TypeError)
    assert carrying.was_told(caught.value)
    assert turn.keeps
    check_unread(carrier, listener, 1, "failed")
    assert "TypeError" in written_report(carrier)["why"]


@pytest.mark.parametrize("error", [JournalError("there is no room for the report"), ValueError("another")])
def test_a_bug_is_raised_even_if_it_cannot_be_reported(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_report: Any) -> Path:
        raise error

    def broken(*_parts: Any) -> None:
        raise TypeError(SECRET)

    carrier = make()
    monkeypatch.setattr(carrying, "run_steps", broken)
    monkeypatch.setattr(carrying, "write_report", full)
    with pytest.raises(TypeError) as caught:
        carrier.carry(carrier.begin())
    assert not carrying.was_told(caught.value)
    assert run_of(carrier).state == "failed"


def test_a_signal_is_told_though_the_journal_is_gone(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    carrier = make()
    journal = severed(carrier, "steps", "end_run")
    carrier.events = Watcher("deploy", lambda: setattr(journal, "error", JournalError(GONE)))
    signalled(carrier, monkeypatch, signal.SIGTERM, "deploy")
    check_unread(carrier, listener, 143, "incomplete")


def test_nothing_is_claimed_of_a_run_that_ended_well_and_cannot_be_read_any_more(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_steps(*arguments: Any) -> None:
        refresh.run_steps(*arguments)
        journal.error = JournalError(GONE)

    carrier = make()
    journal = severed(carrier, "steps")
    monkeypatch.setattr(carrying, "run_steps", run_steps)
    finished = carrier.carry(carrier.begin())
    assert (finished.exit_code, finished.outcome.result) == (1, Result.FAILED)
    assert finished.outcome.steps == ()
    assert state_of(journal) == "finished"


@pytest.mark.parametrize("error", [JournalError(GONE), CredentialsError(GONE)])
def test_a_lease_that_cannot_be_let_go_of_hides_nothing(error: Exception) -> None:
    class Stuck:
        def release(self) -> None:
            raise error

    Turn(cast("Any", Stuck())).end()


@pytest.mark.parametrize("error", [TypeError(SECRET), AwsError("the table is denied", code="AccessDeniedException")])
def test_what_ends_a_step_is_raised_though_the_journal_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = World()
    journal = Severed(world.journal, "save_step")
    world.journal = cast("Any", journal)
    run = world.begin()

    def breaks(*_arguments: Any) -> str:
        journal.error = JournalError(GONE)
        raise error

    monkeypatch.setitem(refresh.ACTIONS, "flags", breaks)
    with pytest.raises(type(error)) as caught:
        world.refresh(run, chosen=("preflight", "flags"))
    assert caught.value is error
