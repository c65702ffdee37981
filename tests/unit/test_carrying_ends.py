"""However a run ends it is honest about it: a bug fails the run and is told by its name, and a run that its time-box,
Ctrl-C or SIGTERM stopped is incomplete in every form of the report, not failed, and whoever is to know is told."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from downstage.app import carrying
from downstage.app.carrying import Finished
from downstage.app.halting import Brake, BrakedEngine, Halted
from downstage.app.turns import Turn
from downstage.cli import interrupts
from downstage.console.tables import print_outcome
from downstage.domain.notice import Notice, Occasion
from downstage.domain.outcome import RefreshOutcome, Result, StepState
from downstage.errors import DownstageError, TimeBoxReached
from downstage.notify.documents import text_of, title_of
from downstage.ports import Lane, RunRecord
from downstage.report.html import render_html
from downstage.report.markdown import render_markdown
from downstage.workflow import refresh
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS
from downstage.workflow.stopped import is_told
from tests.unit.test_carrying import FakeTimer, Watcher, in_a_thread
from tests.unit.test_carrying import Place as Carrier
from tests.unit.test_carrying import make as make
from tests.unit.test_notifying import Listener, herald_of

SECRET = "jane.roe@mail.example.org"


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """Who is told of the runs that are carried in the test."""
    heard = Listener()
    real = carrying.Setting
    monkeypatch.setattr(
        "tests.unit.test_carrying.Setting",
        lambda *args, **named: replace(real(*args, **named), herald=herald_of(heard)),
    )
    return heard


def run_of(carrier: Carrier) -> RunRecord:
    run = carrier.world.journal.run("run-1")
    assert run is not None
    return run


def outcome_in(carrier: Carrier) -> RefreshOutcome:
    """The outcome as it is read later."""
    return outcome_of(carrier.world.journal, run_of(carrier), STEPS)


def written_report(carrier: Carrier) -> dict[str, Any]:
    """The JSON report that the process left."""
    document: dict[str, Any] = json.loads((carrier.folder / "reports" / "run-1.json").read_text())
    return document


def state_of_step(outcome: RefreshOutcome, name: str) -> str:
    return next(step.state.value for step in outcome.steps if step.name == name)


# ---- a bug


@pytest.mark.parametrize("where", ["flags", "copy", "before any step"])
def test_a_bug_fails_the_run_and_is_told_by_its_name_alone(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener, where: str
) -> None:
    def broken(*_parts: Any) -> str:
        raise TypeError(SECRET)

    carrier = make()
    if where in STEPS:
        monkeypatch.setitem(refresh.ACTIONS, where, broken)
    else:
        monkeypatch.setattr(carrying, "run_steps", broken)
    turn = Turn(None)
    with pytest.raises(TypeError) as caught:
        carrier.carry(carrier.begin(), turn)
    assert carrying.was_told(caught.value)
    assert not carrying.was_told(TypeError())
    assert run_of(carrier).state == "failed"
    assert not turn.keeps
    report, outcome = written_report(carrier), outcome_in(carrier)
    assert (report["exit_code"], outcome.exit_code, outcome.result) == (1, 1, Result.FAILED)
    assert "TypeError" in report["why"]
    last = listener.notices[-1]
    assert (last.occasion, last.exit_code, last.result) == (Occasion.FAILURE, 1, "failed")
    assert SECRET not in json.dumps(report) + repr(listener.notices) + repr(carrier.world.journal.steps("run-1"))


@pytest.mark.parametrize("ending", [SystemExit, GeneratorExit])
def test_a_process_that_is_left_is_interrupted_as_before(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    def leave(*_parts: Any) -> str:
        raise ending

    monkeypatch.setitem(refresh.ACTIONS, "flags", leave)
    carrier = make()
    with pytest.raises(ending):
        carrier.carry(carrier.begin())
    assert run_of(carrier).state == "interrupted"


# ---- the time-box


def check_incomplete(carrier: Carrier, code: int, words: str, step: str) -> None:
    """Every form of the report says what stopped the run, that it goes on, and that no step has failed: `step` was cut
    off, and the sync, if it was still going on beside it."""
    outcome, report = outcome_in(carrier), written_report(carrier)
    assert (report["result"], report["exit_code"], report["stop"]["exit_code"]) == ("incomplete", code, code)
    assert (outcome.result, outcome.exit_code) == (Result.INCOMPLETE, code)
    assert words in report["why"]
    assert "downstage resume run-1" in report["why"]
    cut_off = [one.name for one in outcome.steps if one.state is StepState.RUNNING]
    assert step in cut_off
    assert set(cut_off) <= {step, "sync"}
    assert {one["state"] for one in report["steps"]} <= {"done", "skipped", "running", "pending"}
    markdown, page, terminal = render_markdown(outcome), render_html(outcome), StringIO()
    print_outcome(outcome, terminal)
    for text in (markdown, page.partition("</style>")[2], terminal.getvalue()):
        assert words in text
        assert "failed" not in text.lower()
    assert terminal.getvalue().lstrip().startswith("INCOMPLETE")
    assert markdown.count("| cut off |") == len(cut_off)
    assert page.count(">cut off</span>") == len(cut_off)


@pytest.mark.parametrize("kept", ["sync", "preflight"])
def test_a_step_that_ends_itself_in_time_is_cut_off_and_not_failed(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener, kept: str
) -> None:
    real = refresh.ACTIONS[kept]

    def late(*_parts: Any) -> str:
        raise TimeBoxReached("the time was up before bucket docs-test was synced; call again to go on")

    carrier = make()
    monkeypatch.setitem(refresh.ACTIONS, kept, late)
    finished = carrier.carry(carrier.begin())
    assert isinstance(finished.error, TimeBoxReached)
    assert run_of(carrier).state == "parked"
    check_incomplete(carrier, 75, "the time-box ended: run run-1 is parked", kept)
    (step,) = (one for one in finished.outcome.steps if one.name == kept)
    assert step.detail == "the time was up before bucket docs-test was synced; call again to go on"
    last = listener.notices[-1]
    assert (last.occasion, last.exit_code, last.result, last.step) == (Occasion.PARKED, 75, "incomplete", kept)

    monkeypatch.setitem(refresh.ACTIONS, kept, real)
    again = carrier.carry(carrier.world.journal.take_over("run-1"))
    assert (again.exit_code, again.outcome.result) == (0, Result.PROVEN)


# ---- a signal


class Held:
    """Implements `ports.Engine`: lanes that last until they are stopped."""

    def __init__(self, began: Callable[[], None] = lambda: None) -> None:
        self._began = began
        self._stopped = threading.Event()

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        self._began()
        assert self._stopped.wait(60), "nobody has stopped the lanes"
        raise DownstageError("the lanes were stopped: resume the run")

    def stop(self) -> None:
        self._stopped.set()


def signalled(carrier: Carrier, monkeypatch: pytest.MonkeyPatch, number: int, step: str) -> None:
    """Carries the run until its `step` has lanes under way; then the process gets the signal."""

    def send() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    def send_and_go_on(*parts: Any) -> str:
        send()
        return action(*parts)

    if step == "copy":
        held, parts = Held(send), carrier._parts
        monkeypatch.setattr(carrying, "parts_for", lambda *args, **named: replace(parts(*args, **named), engine=held))
    else:
        action = refresh.ACTIONS[step]
        monkeypatch.setitem(refresh.ACTIONS, step, send_and_go_on)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interrupts.bounded(lambda _code: None, grace=300.0), pytest.raises(KeyboardInterrupt):
            carrier.carry(carrier.begin())
    finally:
        signal.signal(signal.SIGINT, before)
    for thread in threading.enumerate():
        if thread.name == "branch":
            thread.join(60)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGTERM, 143, "it was terminated (SIGTERM)"), (signal.SIGINT, 130, "it was interrupted (Ctrl-C)")],
)
@pytest.mark.parametrize("step", ["copy", "deploy"])
def test_a_signal_leaves_a_report_and_a_message_and_a_step_that_is_cut_off(
    make: Callable[..., Carrier],
    monkeypatch: pytest.MonkeyPatch,
    listener: Listener,
    number: int,
    code: int,
    words: str,
    step: str,
) -> None:
    carrier = make()
    signalled(carrier, monkeypatch, number, step)
    assert run_of(carrier).state == "interrupted"
    check_incomplete(carrier, code, words, step)
    assert "The run was interrupted." in written_report(carrier)["standing"]
    assert is_told(carrier.world.journal, run_of(carrier))
    last = listener.notices[-1]
    assert (last.occasion, last.exit_code, last.result, last.step) == (Occasion.FAILURE, code, "incomplete", step)
    assert title_of(last) == "Downstage test: stopped"
    assert f"was stopped in step {step}: {words}; 'downstage status run-1' tells how it goes on." in text_of(last)

    monkeypatch.undo()
    again = make_again(carrier, monkeypatch)
    assert (again.exit_code, again.outcome.result) == (0, Result.PROVEN)


def make_again(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> Finished:
    """The run gone on with."""
    carrier.events = carrier.world.events
    monkeypatch.setattr(carrying, "parts_for", carrier._parts)
    return carrier.carry(carrier.world.journal.take_over("run-1"))


def test_whoever_cannot_be_told_and_a_report_that_cannot_be_written_keep_no_signal_up(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    def full(*_report: Any) -> Path:
        raise OSError("no space left on device")

    monkeypatch.setattr(carrying, "write_report", full)
    carrier = make()
    signalled(carrier, monkeypatch, signal.SIGTERM, "deploy")
    assert run_of(carrier).state == "interrupted"
    assert not is_told(carrier.world.journal, run_of(carrier))


def test_lanes_that_were_stopped_are_no_failure_of_their_step() -> None:
    engine = BrakedEngine(Held(lambda: engine.stop()), Brake())
    with pytest.raises(Halted, match="the lanes were stopped"):
        list(engine.run(lambda _lane: None, []))


def test_a_time_box_in_a_runner_says_the_same(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    """Both branches are under way: neither has failed."""
    monkeypatch.setattr(threading, "Timer", FakeTimer)
    carrier = make()
    carrier.events = Watcher("sync", lambda: FakeTimer.last.goes_off())
    in_a_thread(lambda: carrier.carry(carrier.begin(), time_box=3000.0))
    assert listener.notices[-1].occasion is Occasion.PARKED
    assert listener.notices[-1].result == "incomplete"
    assert state_of_step(outcome_in(carrier), "sync") in ("running", "done")
    assert [one for one in outcome_in(carrier).steps if one.state is StepState.FAILED] == []


def test_a_notice_of_a_signal_needs_no_step() -> None:
    notice = Notice(Occasion.FAILURE, "test", "", "run-1", exit_code=143)
    assert notice.summary == (
        "The refresh of test was stopped: it was terminated (SIGTERM); 'downstage status run-1' tells how it goes on."
    )
