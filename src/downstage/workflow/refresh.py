"""The order of a refresh, and the life of one step in it.

    preflight → export → flags → capture-search → wipe → deploy → consumers-off → restore-search → copy ∥ sync
      → verify-tables → verify-buckets → expiry → parity → consumers-on → backfill → index → verify-index
      → discard-export

Nothing downstream of the tables sees data before it is proven clean: the consumers stay off until both verify steps
have passed, and stay off if one has not; a run that goes on looks at them again. A finished step is never run again;
one that was cut off is, from its intent. The leak scan alone (`scan`) and `repair-tables`, which goes before
`verify-tables`, stand apart: they are run on demand and are no part of a refresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from downstage.domain.events import StepFinished, StepStarted
from downstage.domain.outcome import StepState
from downstage.errors import DownstageError, JournalError, TimeBoxReached
from downstage.ports import Durable, Journal, RunRecord
from downstage.workflow import buckets, exports, gates, leaks, prepare, repair, search, search_domain, tables
from downstage.workflow.backfill import BACKFILL, backfill
from downstage.workflow.bucket_plans import BUCKET_PLANS
from downstage.workflow.parity import PARITY, parity
from downstage.workflow.parts import Parts, Step
from downstage.workflow.reference import REPAIR
from downstage.workflow.were_on import BY_THE_RUN, SWITCHING
from downstage.workflow.wipe import wipe

Action = Callable[[Parts, Step], str]

LEAK_SCAN = "scan"

ACTIONS: dict[str, Action] = {
    "preflight": prepare.preflight,
    exports.EXPORT: exports.export,
    "flags": prepare.flags,
    search_domain.CAPTURE: search_domain.capture,
    "wipe": wipe,
    "deploy": prepare.deploy,
    "consumers-off": prepare.consumers_off,
    search_domain.RESTORE: search_domain.restore,
    "copy": tables.copy,
    "sync": buckets.sync,
    "verify-tables": tables.verify_tables,
    "verify-buckets": buckets.verify_buckets,
    "expiry": tables.expiry,
    PARITY: parity,
    "consumers-on": search.consumers_on,
    BACKFILL: backfill,
    "index": search.index,
    "verify-index": search.verify_index,
    exports.DISCARD: exports.discard,
    LEAK_SCAN: leaks.scan,
    REPAIR: repair.repair_tables,
}
ORDER: tuple[tuple[str, ...], ...] = (
    ("preflight",),
    (exports.EXPORT,),
    ("flags",),
    (search_domain.CAPTURE,),
    ("wipe",),
    ("deploy",),
    ("consumers-off",),
    (search_domain.RESTORE,),
    ("copy", "sync"),
    ("verify-tables",),
    ("verify-buckets",),
    ("expiry",),
    (PARITY,),
    ("consumers-on",),
    (BACKFILL,),
    ("index",),
    ("verify-index",),
    (exports.DISCARD,),
)
STEPS: tuple[str, ...] = tuple(name for group in ORDER for name in group)

CUT_SHORT = "stopped"
"""What is told of a step that the time-box has cut off; in the journal it is running, for it goes on."""


def run_steps(parts: Parts, durable: Durable, chosen: Sequence[str]) -> None:
    """Runs the chosen steps in order; steps of one group run together. Raises the first error of a step.

    In a refresh, steps that were not chosen are entered as skipped: its report cannot claim what was not done.
    """
    for name in (LEAK_SCAN, REPAIR):
        if name in chosen:
            _run(parts, name)
    if parts.run.kind == "refresh":
        prepare.hold_off(parts)
        search.tell_retention(parts)
    for group in ORDER:
        wanted = [name for name in group if name in chosen]
        for name in wanted:
            gates.pass_or_wait(parts, name)
        for name in group:
            if name not in chosen and parts.run.kind == "refresh":
                _skip(parts, name)
        if len(wanted) == 1:
            _run(parts, wanted[0])
        elif wanted:
            durable.together(*(_branch(parts, name) for name in wanted))


TASKS: dict[str, tuple[str, ...]] = {
    "preflight": ("survey/", "personal/"),
    "copy": ("copy/",),
    "sync": ("sync/", "survey/", "personal/"),
    "verify-tables": ("verify/",),
    "verify-buckets": ("prove/",),
    BACKFILL: (f"{BACKFILL}/",),
}
"""What a step's lanes keep in the journal, by the beginning of their tasks' names."""

FIRST_RECORD = ("preflight", "flags", search_domain.CAPTURE, "consumers-off")
"""Steps whose first record says how things were before the run: a second look must not take its place."""


def forget_from(journal: Journal, run: RunRecord, step: str) -> None:
    """Takes `step` and all after it back, the last one first, so that a call that is cut off can be repeated."""
    if STEPS.index(step) <= STEPS.index("consumers-on"):
        _remember_who_switched_on(journal, run)
    for name in reversed(STEPS[STEPS.index(step) :]):
        record = journal.step(run.run_id, name)
        if record is not None and name in FIRST_RECORD:
            intent = {} if name == "preflight" else record.intent  # that one plans what is done now
            result = {key: value for key, value in record.result.items() if key not in (BY_THE_RUN, SWITCHING)}
            kept = replace(record, state=StepState.PENDING.value, intent=intent, result=result)
            if TASKS.get(name):
                journal.forget_step(run.run_id, run.epoch, None, TASKS[name])
            journal.save_step(run.run_id, run.epoch, kept)
            continue
        journal.forget_step(run.run_id, run.epoch, name, TASKS.get(name, ()))
        if journal.step(run.run_id, gates.gate_of(name)) is not None:
            journal.forget_step(run.run_id, run.epoch, gates.gate_of(name), ())
    if STEPS.index("preflight") < STEPS.index(step) <= STEPS.index("sync"):
        _plan_buckets_anew(journal, run)


def _remember_who_switched_on(journal: Journal, run: RunRecord) -> None:
    """The run has switched its consumers on and is to switch them on again: until it has them off, they are on, and it
    is nobody else's doing."""
    on, off = (journal.step(run.run_id, name) for name in ("consumers-on", "consumers-off"))
    if on is not None and on.intent and off is not None and off.intent:
        functions = list(on.intent.get("consumers", ()))
        journal.save_step(run.run_id, run.epoch, replace(off, result={**off.result, BY_THE_RUN: functions}))


def _plan_buckets_anew(journal: Journal, run: RunRecord) -> None:
    """A sync that is done again looks again: what the preflight has planned tells what was there then."""
    record = journal.step(run.run_id, "preflight")
    if record is not None and BUCKET_PLANS in record.intent:
        kept = {name: value for name, value in record.intent.items() if name != BUCKET_PLANS}
        journal.save_step(run.run_id, run.epoch, replace(record, intent=kept))


def _branch(parts: Parts, name: str) -> Callable[[], None]:
    return lambda: _run(parts, name)


def _run(parts: Parts, name: str) -> None:
    """One step, once: not at all if the journal says that it is done.

    Its result says when it began, and when it was last heard of (`at`): what comes before what is told by that.

    A step that the time-box, a signal or the end of its lanes has cut off has not failed: it stays running, and is gone
    on with. Whatever but the first cuts it off is no `Exception`, and passes by here.
    """
    record = parts.journal.step(parts.run.run_id, name)
    if record is not None and record.state == StepState.DONE:
        parts.emit(StepFinished(name, StepState.DONE.value, record.seconds, f"{record.detail} (already done)"))
        return
    parts.still_ours()
    if parts.shared is not None and _loads(parts, name):
        parts.shared.loading()
    parts.emit(StepStarted(name))
    started = parts.clock.monotonic() - (record.seconds if record is not None else 0.0)
    step = Step(parts, name, started, *((record.intent, record.result) if record is not None else ({}, {})))
    now = parts.clock.now()
    if record is None or record.state == StepState.PENDING:
        step.result(began=now)
    step.result(at=now)
    step.save(StepState.RUNNING, "")
    try:
        detail = ACTIONS[name](parts, step)
    except TimeBoxReached as stop:
        said = _said(stop)
        step.result(at=parts.clock.now())
        _keep(step, StepState.RUNNING, said)
        parts.emit(StepFinished(name, CUT_SHORT, parts.clock.monotonic() - started, said))
        raise
    except Exception as error:
        said = _said(error)
        step.result(exit_code=error.exit_code if isinstance(error, DownstageError) else 1, at=parts.clock.now())
        _keep(step, StepState.FAILED, said)
        parts.emit(StepFinished(name, StepState.FAILED.value, parts.clock.monotonic() - started, said))
        raise
    step.result(at=parts.clock.now())
    step.save(StepState.DONE, detail)
    parts.emit(StepFinished(name, StepState.DONE.value, parts.clock.monotonic() - started, detail))


def _loads(parts: Parts, name: str) -> bool:
    """Whether the environment may hold other data after the step: whoever does one is the last that has loaded it."""
    plan = parts.plan
    loads = {
        "wipe": plan.wipe is not None,
        "deploy": parts.deployer is not None,
        "copy": bool(plan.tables),
        "sync": bool(plan.buckets),
    }
    return loads.get(name, False)


def _keep(step: Step, state: StepState, said: str) -> None:
    """Enters how the step ended. If the journal cannot be reached, what ended it is still what is raised."""
    with suppress(JournalError):
        step.save(state, said.partition("\n")[0])


def _said(error: Exception) -> str:
    """What may be told of an error. One that is not ours may quote an item: only its name is told."""
    name = type(error).__name__
    return (str(error) or name) if isinstance(error, DownstageError) else f"unexpected {name}"


def _skip(parts: Parts, name: str) -> None:
    record = parts.journal.step(parts.run.run_id, name)
    if record is None:
        Step(parts, name, parts.clock.monotonic()).save(StepState.SKIPPED, "not asked for")
