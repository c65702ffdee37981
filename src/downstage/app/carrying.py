"""One run carried through by this process: from its first step, or its last checkpoint, to its report.

Rules: the journal is told how the run ended before the environment is let go of; a run that can be resumed keeps the
environment; nothing here decides what is done, only who does it and for how long. However a run ends, kill -9 apart, it
leaves a report, and whoever is to know is told: by a signal too, as far as the grace allows, by a bug, and when the
journal cannot be reached any more. What ended the run is never hidden by what goes wrong after it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from downstage.app.halting import Brake, BrakedClock, BrakedEngine, Halted
from downstage.app.last_record import keep_unsent, last_outcome, waiting_step, write_down
from downstage.app.notifying import PATIENCE, Herald, begun, ended
from downstage.app.successors import watching
from downstage.app.turns import Turn
from downstage.app.wiring import RunPlaces, Sides, parts_for
from downstage.aws.heart import Heart
from downstage.aws.lease import EnvironmentLease
from downstage.domain.environment import Environment
from downstage.domain.events import Note, RunFinished, RunStarted
from downstage.domain.outcome import RefreshOutcome
from downstage.durable.inline import InlineDurable
from downstage.errors import (
    ApprovalWanted,
    DownstageError,
    Interrupted,
    JournalError,
    LeaseLost,
    TimeBoxReached,
)
from downstage.ports import EventSink, Journal, Recorded, RunRecord
from downstage.report.as_json import render_json
from downstage.report.markdown import render_markdown
from downstage.workflow.parts import Parts, Shared
from downstage.workflow.refresh import run_steps
from downstage.workflow.stopped import mark_told

REPORTS = "reports"

_DRAIN_SECONDS = 20.0

_BY_CTRL_C = 130
_TOLD = "the run has failed by this; its report is written, and whoever is to know was told"

_LAST_WORDS = 1.0
"""Seconds that messages may take in a process that a signal ends: it is cut off half a second later."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: what it achieved, where its report is, and the error that ended it, if one did."""

    kind: str
    outcome: RefreshOutcome
    report: Path
    error: DownstageError | None

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return self.outcome.exit_code if self.error is None else self.error.exit_code


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is carried through with. `known` gives what can be read of all runs of the environment, where that is
    more than the journal."""

    sides: Sides
    environments: tuple[Environment, ...]
    journal: Journal
    places: RunPlaces
    events: EventSink
    turn: Turn
    time_box: float | None = None
    herald: Herald | None = None
    known: Callable[[], Recorded] | None = None


def carry(setting: Setting, run: RunRecord, *, resumed: bool) -> Finished:
    """Carries the run through as far as it goes. Raises an interrupt of the user's, and an error that is not ours (a
    bug: the run has failed), after the journal and whoever is to know were told."""
    setting.events.emit(RunStarted(run.run_id, run.environment, resumed))
    if setting.herald is not None and not resumed:
        setting.herald.tell(begun(run))
    told: Exception | None = None
    raised: BaseException | None = None
    state = "interrupted"
    parts: Parts | None = None
    brake = Brake(lambda: _stop(parts))
    over = TimeBoxReached(
        f"the time-box ended: run {run.run_id} is parked and keeps {run.environment}; go on with "
        f"'downstage resume {run.run_id}'"
    )
    try:
        with _beating(setting, run, brake), brake.ready(setting.time_box, over):
            try:
                parts = parts_for(
                    setting.sides,
                    setting.environments,
                    run,
                    setting.journal,
                    setting.places,
                    setting.events,
                    _checks(setting.turn, brake),
                    stop_at=_stop_at(setting.time_box),
                    clock=BrakedClock(brake),
                )
                parts = replace(_braked(parts, brake), shared=_shared(setting))
                run_steps(parts, InlineDurable(), run.settings["steps"])
                state = "finished"
            except DownstageError as problem:
                state = _state_after(problem)
                told = over if state == "parked" and run.kind == "refresh" else problem
            except Halted as halted:
                state = _state_after(halted.reason)
                told = halted.reason
                _stop(parts)
            except KeyboardInterrupt as signalled:
                told, raised = _interrupted(run, signalled), signalled
                _stop(parts)
            except Exception as bug:  # noqa: BLE001  raised again when all is told
                told = raised = bug
                state = "failed"
            finally:
                brake.release()
                run = replace(run, ended=_now(), state=state)
                unwritten = write_down(setting.journal, setting.events, run, told)
                if unwritten is not None and state == "finished":
                    run, told = replace(run, state="cut off"), unwritten
                settled = unwritten is None and state in ("finished", "failed")
                setting.turn.keeps = run.kind == "refresh" and not settled
    finally:
        setting.turn.end()
    if isinstance(raised, KeyboardInterrupt):
        with suppress(Exception):  # nobody waits for it: the process has a second
            _last_words(setting, run, told)
        raise raised
    try:
        finished = _finish(setting, run, told)
    except Exception:
        if raised is None:
            raise
    else:
        if raised is None:
            return finished
        raised.add_note(_TOLD)
    raise raised


def was_told(error: BaseException) -> bool:
    """Whether `carry` has told of the error that it raised: nobody need be told again."""
    return _TOLD in getattr(error, "__notes__", ())


def _finish(setting: Setting, run: RunRecord, told: Exception | None) -> Finished:
    """The report and the messages of a run that has ended here."""
    outcome = last_outcome(setting.journal, run, told)
    report = write_report(setting.places.state, outcome)
    finished = Finished(run.kind, outcome, report, told if isinstance(told, DownstageError) else None)
    setting.events.emit(RunFinished(run.run_id, outcome.result.value, finished.exit_code))
    if setting.herald is not None:
        waiting = waiting_step(setting.journal, run) if isinstance(told, ApprovalWanted) else ""
        setting.herald.tell(ended(outcome, told, finished.exit_code, report, waiting))
        _settle(setting.herald, setting.journal, run, PATIENCE)
    return finished


def _last_words(setting: Setting, run: RunRecord, told: Exception | None) -> None:
    """What can still be said in a process that a signal ends: the message is on its way while the report is written."""
    outcome = last_outcome(setting.journal, run, told)
    if setting.herald is not None:
        setting.herald.tell(ended(outcome, told, outcome.exit_code, _report(setting.places.state, outcome), ""))
    write_report(setting.places.state, outcome)
    if setting.herald is not None and _settle(setting.herald, setting.journal, run, _LAST_WORDS):
        mark_told(setting.journal, run)


def _settle(herald: Herald, journal: Journal, run: RunRecord, patience: float) -> bool:
    """Waits until whoever is to know was told, and keeps in the journal whom that did not reach. Whether it reached
    all."""
    unsent = herald.settle(patience)
    keep_unsent(journal, run, unsent)
    return not unsent


def write_report(state: Path, outcome: RefreshOutcome) -> Path:
    """The three forms of the report; gives the HTML's path."""
    from downstage.report.html import render_html  # a template engine: a tenth of a second that every start would pay

    folder = state / REPORTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, render in (("json", render_json), ("md", render_markdown), ("html", render_html)):
            path = folder / f"{outcome.run_id}.{suffix}"
            unfinished = path.with_suffix(f".{suffix}.new")
            unfinished.write_text(render(outcome), encoding="utf-8")
            unfinished.replace(path)
    except OSError as error:
        raise JournalError(
            f"run {outcome.run_id} has ended, but its report cannot be written to {folder} ({error.strerror}): "
            f"make that possible, then see 'downstage report {outcome.run_id}'"
        ) from None
    return _report(state, outcome)


def _report(state: Path, outcome: RefreshOutcome) -> Path:
    return state / REPORTS / f"{outcome.run_id}.html"


def _interrupted(run: RunRecord, signalled: KeyboardInterrupt) -> Interrupted:
    """What is told of a run that was stopped by Ctrl-C, or by a signal that says which exit code it makes."""
    code = getattr(signalled, "exit_code", _BY_CTRL_C)
    what = "interrupted (Ctrl-C)" if code == _BY_CTRL_C else "terminated (SIGTERM)"
    way = f"go on with 'downstage resume {run.run_id}'" if run.kind == "refresh" else "call it again"
    return Interrupted(f"it was {what}: {way}", code)


def _state_after(error: DownstageError) -> str:
    """The run's state after the error that ended it."""
    if isinstance(error, ApprovalWanted):
        return "waiting"
    if isinstance(error, TimeBoxReached):
        return "parked"
    return "interrupted" if isinstance(error, LeaseLost) else "failed"


def _stop(parts: Parts | None) -> None:
    if parts is not None:
        for engine in parts.engines:
            engine.stop()


def _braked(parts: Parts, brake: Brake) -> Parts:
    """The parts with engines whose lanes the brake may end."""
    return parts.with_engines(lambda engine: BrakedEngine(engine, brake))


def _stop_at(time_box: float | None) -> float | None:
    """When whatever can stop softly begins nothing new (seconds since the epoch): what is under way may still end."""
    return None if time_box is None else time.time() + time_box - min(_DRAIN_SECONDS, time_box / 4)


def _checks(turn: Turn, brake: Brake) -> Callable[[], None]:
    def check() -> None:
        brake.check()
        turn.check()

    return check


def _shared(setting: Setting) -> Shared:
    """What other runs have done to the environment, and how they are told that this one loads it."""
    known = setting.known or (lambda: setting.journal)
    return Shared(known, setting.turn.loading, lambda: setting.turn.last_load.run_id)


@contextmanager
def _beating(setting: Setting, run: RunRecord, brake: Brake) -> Iterator[None]:
    """Keeps the lease while the block runs; stops the run in good time if that fails, and the process if it must. A run
    without a lease is stopped when somebody else takes it over."""
    lease = setting.turn.lease
    if not isinstance(lease, EnvironmentLease):
        gone = LeaseLost(
            f"run {run.run_id} stops, for somebody has given it up or goes on with it ('downstage cancel' or 'resume')"
        )
        with watching(setting.journal, run, lambda: brake.pull(gone)):
            yield
        return

    def losing() -> None:
        if lease.stop_wanted:
            brake.pull(LeaseLost(f"run {run.run_id} stops, for somebody has asked it to ('downstage cancel')"))
        else:
            brake.pull(
                LeaseLost(
                    f"the lease of {run.environment} cannot be renewed: the run stops before another may take it; see "
                    f"that DynamoDB can be reached, then 'downstage resume {run.run_id}'"
                )
            )

    def lost() -> None:
        sys.stderr.write(f"downstage: the lease of {run.environment} is running out: the process ends at once\n")
        sys.stderr.flush()
        os._exit(1)

    with Heart(lease, losing=losing, lost=lost):
        yield


def note_weak_lock(events: EventSink, environment: str) -> None:
    """Says that only this state directory knows of the run."""
    events.emit(
        Note(
            f"only this state directory knows of this run: another machine could refresh {environment} at the same "
            "time; set 'control_table: downstage-control', or leave 'journal' out, to rule that out"
        )
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def given_up(journal: Journal, runs: Sequence[RunRecord], now: str) -> None:
    """Ends runs that a newer one takes the place of; whatever is alive of them can write nothing more."""
    for run in runs:
        taken = journal.take_over(run.run_id)
        journal.end_run(taken.run_id, taken.epoch, "superseded", run.ended or now)
