"""The order of a refresh, and the life of one step in it.

    preflight → flags → wipe → deploy → consumers-off → copy ∥ sync → verify-tables → verify-buckets
      → expiry → consumers-on → index → verify-index

Nothing downstream of the tables sees data before it is proven clean: the consumers stay off until both verify steps
have passed, and stay off if one has not. A finished step is never run again; one that was cut off is, from its intent.
The leak scan alone (`scan`) stands apart: it is run by its own command and is no part of a refresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from downstage.domain.events import StepFinished, StepStarted
from downstage.domain.outcome import StepState
from downstage.errors import DownstageError
from downstage.ports import Durable
from downstage.workflow import buckets, leaks, prepare, search, tables
from downstage.workflow.parts import Parts, Step

Action = Callable[[Parts, Step], str]

LEAK_SCAN = "scan"

ACTIONS: dict[str, Action] = {
    "preflight": prepare.preflight,
    "flags": prepare.flags,
    "wipe": prepare.wipe,
    "deploy": prepare.deploy,
    "consumers-off": prepare.consumers_off,
    "copy": tables.copy,
    "sync": buckets.sync,
    "verify-tables": tables.verify_tables,
    "verify-buckets": buckets.verify_buckets,
    "expiry": tables.expiry,
    "consumers-on": search.consumers_on,
    "index": search.index,
    "verify-index": search.verify_index,
    LEAK_SCAN: leaks.scan,
}
ORDER: tuple[tuple[str, ...], ...] = (
    ("preflight",),
    ("flags",),
    ("wipe",),
    ("deploy",),
    ("consumers-off",),
    ("copy", "sync"),
    ("verify-tables",),
    ("verify-buckets",),
    ("expiry",),
    ("consumers-on",),
    ("index",),
    ("verify-index",),
)
STEPS: tuple[str, ...] = tuple(name for group in ORDER for name in group)


def run_steps(parts: Parts, durable: Durable, chosen: Sequence[str]) -> None:
    """Runs the chosen steps in order; steps of one group run together. Raises the first error of a step.

    In a refresh, steps that were not chosen are entered as skipped: its report cannot claim what was not done.
    """
    if LEAK_SCAN in chosen:
        _run(parts, LEAK_SCAN)
    for group in ORDER:
        wanted = [name for name in group if name in chosen]
        for name in group:
            if name not in chosen and parts.run.kind == "refresh":
                _skip(parts, name)
        if len(wanted) == 1:
            _run(parts, wanted[0])
        elif wanted:
            durable.together(*(_branch(parts, name) for name in wanted))


def _branch(parts: Parts, name: str) -> Callable[[], None]:
    return lambda: _run(parts, name)


def _run(parts: Parts, name: str) -> None:
    """One step, once: not at all if the journal says that it is done."""
    record = parts.journal.step(parts.run.run_id, name)
    if record is not None and record.state == StepState.DONE:
        parts.emit(StepFinished(name, StepState.DONE.value, record.seconds, f"{record.detail} (already done)"))
        return
    parts.emit(StepStarted(name))
    started = parts.clock.monotonic() - (record.seconds if record is not None else 0.0)
    step = Step(parts, name, started, *((record.intent, record.result) if record is not None else ({}, {})))
    step.save(StepState.RUNNING, "")
    try:
        detail = ACTIONS[name](parts, step)
    except Exception as error:
        said = _said(error)
        step.save(StepState.FAILED, said.partition("\n")[0])
        parts.emit(StepFinished(name, StepState.FAILED.value, parts.clock.monotonic() - started, said))
        raise
    step.save(StepState.DONE, detail)
    parts.emit(StepFinished(name, StepState.DONE.value, parts.clock.monotonic() - started, detail))


def _said(error: Exception) -> str:
    """What may be told of an error. One that is not ours may quote an item: only its name is told."""
    name = type(error).__name__
    return (str(error) or name) if isinstance(error, DownstageError) else f"unexpected {name}"


def _skip(parts: Parts, name: str) -> None:
    record = parts.journal.step(parts.run.run_id, name)
    if record is None:
        Step(parts, name, parts.clock.monotonic()).save(StepState.SKIPPED, "not asked for")
