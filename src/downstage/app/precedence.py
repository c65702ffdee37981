"""Which run may begin, or go on, beside those that the journal knows of the same environment.

One that can be resumed keeps its environment; one that finished ends those before it for good; one that has changed the
environment makes the recorded intents of an older one stale: its wipe would hit new data.
"""

from __future__ import annotations

from downstage.domain.outcome import StepState
from downstage.errors import RunConflict
from downstage.ports import Journal, Recorded, RunRecord

ENDED = ("finished", "cancelled", "superseded")
"""States of a run that has ended for good."""

KEEPING = ("queued", "running", "interrupted", "parked", "waiting")
"""States in which a refresh keeps its environment, though no process may be behind it."""

CHANGING = ("refresh", "wipe", "deploy", "copy", "sync", "flags", "streams", "repair", "backfill")
"""Kinds of runs that write to the target, and so need their turn on every machine."""

LOADING = ("refresh", "wipe", "deploy", "copy", "sync")
"""Kinds that put other data into the target: what an older run recorded of it holds no more."""

_LOOKS_ONLY = (
    "preflight",
    "export",
    "capture-search",
    "verify-tables",
    "verify-buckets",
    "parity",
    "index",
    "verify-index",
    "scan",
)


def kept(journal: Journal, environment: str) -> list[RunRecord]:
    """The refreshes that keep the environment, oldest first: called when no process is behind any of them."""
    return [
        run
        for run in journal.runs()
        if run.environment == environment and run.kind == "refresh" and run.state in KEEPING
    ]


def kept_by(run: RunRecord) -> str:
    """Why the environment is not to be had, and what may be done about it."""
    state = "was cut off" if run.state == "running" else f"is {run.state}"
    return (
        f"{run.environment} belongs to run {run.run_id}, which {state}: go on with 'downstage resume {run.run_id}', "
        f"end it with 'downstage cancel {run.run_id}', or start over with --take-over (nothing was written)"
    )


def outlived(journal: Journal, finished: RunRecord) -> list[RunRecord]:
    """Runs of before that nobody can resume any more, now that a newer one has finished."""
    return [
        run
        for run in journal.runs()
        if run.environment == finished.environment
        and run.state not in ENDED
        and (run.started, run.run_id) < (finished.started, finished.run_id)
    ]


LOADED_BEFORE = "loaded_before"
"""The setting of a run that names the run which was the last to load the environment when it was entered."""


def refuse_outdated(known: Recorded, record: RunRecord, loaded_by: str = "") -> None:
    """A run's recorded intents are stale once a newer one has changed the environment: its wipe would hit new data.

    `known` is what can be read of the environment's runs, `loaded_by` the run that the lease names as the last to load.
    """
    other = loaded_since(known, record, loaded_by)
    if other:
        raise RunConflict(
            f"run {record.run_id} cannot be resumed: {other}, whose journal is not here, has loaded "
            f"{record.environment} since; start over with "
            f"'downstage refresh {record.environment}' (nothing was written)"
        )
    for run in known.runs():
        newer = (run.started, run.run_id) > (record.started, record.run_id) and run.environment == record.environment
        if newer and run.kind in LOADING and _has_changed(known, run):
            raise RunConflict(
                f"run {record.run_id} cannot be resumed: {run.run_id} has changed {record.environment} since; start "
                f"over with 'downstage refresh {record.environment}' (nothing was written)"
            )


def loaded_since(known: Recorded, record: RunRecord, loaded_by: str) -> str:
    """The run that has loaded the environment since this one was entered, if no journal here can tell what it did."""
    if loaded_by in ("", record.run_id, record.settings.get(LOADED_BEFORE)):
        return ""
    return "" if any(run.run_id == loaded_by for run in known.runs()) else loaded_by


def _has_changed(journal: Recorded, run: RunRecord) -> bool:
    """Whether the run has begun a step that writes to the target."""
    return any(
        step.name not in _LOOKS_ONLY and step.state not in (StepState.SKIPPED, StepState.PENDING)
        for step in journal.steps(run.run_id)
    )
