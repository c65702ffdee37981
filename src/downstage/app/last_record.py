"""What the journal is told, and asked, when a run has ended here: also when it cannot be reached any more.

Rules: nothing of this hides what has ended the run; what the journal could not be told is said; of a run whose journal
cannot be read nothing is claimed but who it was and what stopped it, and such a run is never proven.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from downstage.domain.events import Note
from downstage.domain.outcome import RefreshOutcome
from downstage.errors import DownstageError, JournalError, RunConflict
from downstage.ports import EventSink, Journal, RunRecord
from downstage.workflow import gates
from downstage.workflow.outcome import bare_outcome, outcome_of
from downstage.workflow.refresh import STEPS
from downstage.workflow.stopped import remember, stop_by
from downstage.workflow.unsent import remember_unsent


def write_down(journal: Journal, events: EventSink, run: RunRecord, told: Exception | None) -> JournalError | None:
    """Records how the run has ended here: its state and end, and what stopped it (`told`), if something did. Gives why
    the journal does not know the end, which is said as well: to everybody else the run is one that was cut off then.
    """
    try:
        if told is not None:
            _remember(journal, events, run, told)
        journal.end_run(run.run_id, run.epoch, run.state, run.ended)
    except RunConflict:  # whoever took the run over says how it ends
        return None
    except Exception as error:  # noqa: BLE001  what has ended the run is told, not this
        way = f"'downstage resume {run.run_id}' goes on with it" if run.kind == "refresh" else "call it again"
        why = f"the journal does not know how run {run.run_id} has ended ({_said(error)}): {way}"
        events.emit(Note(why))
        return JournalError(why)
    return None


def _remember(journal: Journal, events: EventSink, run: RunRecord, told: Exception) -> None:
    """Records what stopped the run; the end may be recorded even if that is not. Raises RunConflict."""
    try:
        remember(journal, run, told)
    except RunConflict:
        raise
    except Exception as error:  # noqa: BLE001  as above
        events.emit(Note(f"the journal does not know what stopped run {run.run_id} ({_said(error)})"))


def last_outcome(journal: Journal, run: RunRecord, told: Exception | None) -> RefreshOutcome:
    """What the run has achieved, and what has ended it here, even if another has taken it over."""
    try:
        outcome = outcome_of(journal, run, STEPS)
    except DownstageError as unreadable:
        outcome, told = _unread(run), told or unreadable
    return replace(outcome, stop=None if told is None else stop_by(told))


def _unread(run: RunRecord) -> RefreshOutcome:
    """The outcome of a run whose journal cannot be read."""
    return replace(
        bare_outcome(run),
        standing=(
            "The journal could not be read when this was written, so nothing is said here of what the run has done: "
            f"'downstage report {run.run_id}' tells it once that can be read."
        ),
    )


def waiting_step(journal: Journal, run: RunRecord) -> str:
    """The step that waits for an approval; nothing if the journal cannot be asked."""
    with suppress(DownstageError):
        return next(iter(gates.waiting(journal, run)), "")
    return ""


def keep_unsent(journal: Journal, run: RunRecord, unsent: Sequence[str]) -> None:
    """Keeps whom a message did not reach, as far as the journal takes it: it was said already. Raises nothing."""
    if unsent:
        with suppress(Exception):
            remember_unsent(journal, run, unsent)


def _said(error: Exception) -> str:
    """One that is not ours may quote an item: only its name is told."""
    return str(error) if isinstance(error, DownstageError) else f"internal error: {type(error).__name__}"
