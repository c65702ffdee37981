"""What stopped a run, kept in the journal: so a report that is made later says the same as the process did.

A step that fails keeps its own error. But a time-box, a signal, an approval that is waited for, a lease that is lost
and whatever goes wrong before or between the steps belong to no step. One record a run; it counts for the attempt that
wrote it, and is `pending`, for nothing has been done by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.outcome import StepState, Stop
from downstage.errors import DownstageError
from downstage.ports import Journal, RunRecord, StepRecord

STOPPED = "stopped"
"""The name of the record. No step has it."""

TOLD = "told"
"""The name of the record that a signal's end was told of."""


def stop_by(error: Exception) -> Stop:
    """What the report says of the error that ended a run. One that is not ours may quote an item: only its name is
    told."""
    if isinstance(error, DownstageError):
        return Stop(error.exit_code, str(error).partition("\n")[0])
    return Stop(1, f"an internal error ({type(error).__name__}): this is a bug, please report it")


def remember(journal: Journal, run: RunRecord, error: Exception) -> None:
    """Records what stopped this attempt. Raises RunConflict if another has taken the run over."""
    stop = stop_by(error)
    result = {"exit_code": stop.exit_code, "attempt": run.epoch}
    journal.save_step(run.run_id, run.epoch, StepRecord(STOPPED, StepState.PENDING.value, 0.0, stop.text, {}, result))


def mark_told(journal: Journal, run: RunRecord) -> None:
    """Records that whoever is to know was told how this attempt was cut off. Raises RunConflict if another has taken
    the run over."""
    said = StepRecord(TOLD, StepState.PENDING.value, 0.0, "", {}, {"attempt": run.epoch})
    journal.save_step(run.run_id, run.epoch, said)


def is_told(journal: Journal, run: RunRecord) -> bool:
    """Whether that was recorded."""
    record = journal.step(run.run_id, TOLD)
    return record is not None and record.result["attempt"] == run.epoch


def stop_of(run: RunRecord, records: Mapping[str, StepRecord]) -> Stop | None:
    """What stopped the run's last attempt, if an error did."""
    record = records.get(STOPPED)
    if record is None or record.result["attempt"] != run.epoch:
        return None
    return Stop(record.result["exit_code"], record.detail)
