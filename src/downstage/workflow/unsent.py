"""Notifications that did not arrive, kept in the journal: they fail no run, but whoever reads the report should know
that nobody was told.

One record a run, `pending`, for nothing has been done by it; the newest lines are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstage.domain.outcome import StepState
from downstage.ports import Journal, RunRecord, StepRecord

UNSENT = "unsent"
"""The name of the record. No step has it."""

_KEPT = 20


def remember_unsent(journal: Journal, run: RunRecord, lines: Sequence[str]) -> None:
    """Adds what was not sent. Raises RunConflict if another has taken the run over."""
    before = journal.step(run.run_id, UNSENT)
    kept = [*(before.result["lines"] if before is not None else ()), *lines][-_KEPT:]
    journal.save_step(run.run_id, run.epoch, StepRecord(UNSENT, StepState.PENDING.value, 0.0, "", {}, {"lines": kept}))


def unsent_of(records: Mapping[str, StepRecord]) -> tuple[str, ...]:
    """What was not sent, in order."""
    return tuple(records[UNSENT].result["lines"]) if UNSENT in records else ()
