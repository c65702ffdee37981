"""Which run may begin, or go on, beside those that the journal knows of the same environment.

One that can be resumed keeps its environment; one that finished ends those before it for good; one that has changed the
environment makes the recorded intents of an older one stale: its wipe would hit new data.
"""

from __future__ import annotations

from typing import NoReturn

from downstage.domain.outcome import StepState
from downstage.errors import HeldByAnother, RunConflict
from downstage.ports import Journal, LastLoad, Recorded, RunRecord
from downstage.workflow.loaders import loaders_since

ENDED = ("finished", "cancelled", "superseded")
"""States of a run that has ended for good."""

KEEPING = ("queued", "running", "interrupted", "parked", "waiting")
"""States in which a refresh keeps its environment, though no process may be behind it."""

GOING_ON = ("queued", "parked", "waiting")
"""Those in which somebody carries it on without being told to: the runner, CI's next pipeline, whoever approves it."""

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


def refuse_kept(known: Recorded, run: RunRecord, last: LastLoad) -> NoReturn:
    """Says why the environment is not to be had, and what may be done about it. Raises HeldByAnother if the run goes on
    without anybody asking for it, or once it is approved, and else RunConflict: who waits would wait for ever."""
    over = outdated(known, run, last)
    state = "was cut off" if run.state == "running" else f"is {run.state}"
    way = f" and cannot go on, for {over}:" if over else f": go on with 'downstage resume {run.run_id}',"
    said = (
        f"{run.environment} belongs to run {run.run_id}, which {state}{way} end it with 'downstage cancel "
        f"{run.run_id}', or start over with --take-over (nothing was written)"
    )
    raise (HeldByAnother if run.state in GOING_ON and not over else RunConflict)(said)


def outlived(journal: Journal, finished: RunRecord) -> list[RunRecord]:
    """Runs of before that nobody can resume any more, now that a newer one has finished."""
    return [
        run
        for run in journal.runs()
        if run.environment == finished.environment
        and run.state not in ENDED
        and (run.started, run.run_id) < (finished.started, finished.run_id)
    ]


def refuse_outdated(known: Recorded, record: RunRecord, last: LastLoad) -> None:
    """A run's recorded intents are stale once another one has changed the environment: its wipe would hit new data.

    `known` is what can be read of the environment's runs, `last` the load that the lease tells of.
    """
    over = outdated(known, record, last)
    if over:
        raise RunConflict(
            f"run {record.run_id} cannot be resumed: {over}; give it up with 'downstage cancel {record.run_id}', or "
            f"start over with 'downstage refresh {record.environment} --take-over' (nothing was written)"
        )


def outdated(known: Recorded, record: RunRecord, last: LastLoad) -> str:
    """Why the run cannot go on any more, if it cannot."""
    other = loaded_since(known, record, last)
    if other:
        return f"{other}, whose journal is not here, has loaded {record.environment} since"
    for run in known.runs():
        newer = (run.started, run.run_id) > (record.started, record.run_id) and run.environment == record.environment
        if newer and run.kind in LOADING and _has_changed(known, run):
            return f"{run.run_id} has changed {record.environment} since"
    older = next(loaders_since(known, record, last), None)  # gone on with where nobody knew of this one
    return f"{older.load.run_id} has loaded {record.environment} since" if older is not None else ""


def loaded_since(known: Recorded, record: RunRecord, last: LastLoad) -> str:
    """The run that has loaded the environment since this one was entered, if no journal here can tell what it did."""
    return next((each.load.run_id for each in loaders_since(known, record, last) if each.run is None), "")


def refuse_loaded_since(known: Recorded, copied: RunRecord, last: LastLoad) -> None:
    """What was verified is that run's copy. Raises RunConflict if one that no journal here knows has loaded since."""
    other = loaded_since(known, copied, last)
    if other:
        raise RunConflict(
            f"run {other}, whose journal is not here, has loaded {copied.environment} after {copied.run_id}, whose "
            "tables were verified: make their documents where that run was begun, or refresh again (nothing was "
            "written)"
        )


def _has_changed(journal: Recorded, run: RunRecord) -> bool:
    """Whether the run has begun a step that writes to the target."""
    return any(
        step.name not in _LOOKS_ONLY and step.state not in (StepState.SKIPPED, StepState.PENDING)
        for step in journal.steps(run.run_id)
    )
