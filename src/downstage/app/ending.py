"""Giving a run up, and letting one through that waits for somebody's approval."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from downstage.app.background import runner_is_up
from downstage.app.carrying import write_report
from downstage.app.precedence import CHANGING, ENDED, loaded_since
from downstage.app.runs import Project
from downstage.app.turns import Turn
from downstage.app.wiring import Sides
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.domain.events import Note
from downstage.domain.outcome import RefreshOutcome
from downstage.errors import HeldByAnother, RunConflict, UsageError
from downstage.planning import guards
from downstage.planning.consumers import alive
from downstage.ports import EventSink, RunRecord
from downstage.workflow import gates
from downstage.workflow.outcome import outcome_of
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import STEPS

_PATIENCE = 180.0
"""How long a process that was asked to stop may take: a lease that nobody renews is silent after a minute."""

_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A run that was given up: how its consumers stand, in what state the environment is, and where its report is."""

    run: RunRecord
    consumers: str
    outcome: RefreshOutcome
    report: Path


def cancel(
    project: Project,
    run_id: str,
    events: EventSink,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Cancelled:
    """Stops the run wherever it is going on, puts the consumers back, ends it for good and frees the environment. The
    runner that carries it goes on with its other runs.

    May be repeated if it fails on the way: the run is not ended before the consumers are as they should be.
    """
    run = project.find(run_id)
    if run.state in ENDED:
        raise UsageError(f"run {run_id} has ended already ({run.state}): there is nothing to cancel")
    deadline, told = monotonic() + _PATIENCE, False
    _ask_to_stop(project, run)
    with ExitStack() as stack:
        while True:
            try:
                turn = stack.enter_context(
                    project.exclusive(
                        run.environment,
                        run_id,
                        events=events,
                        leased=run.kind in CHANGING,
                        patience=10.0,
                        settle=run.state != "queued",  # nobody has carried that one yet
                    )
                )
                break
            except RunConflict as held:
                if run.kind in CHANGING:
                    _refuse_anothers(project, run)
                if monotonic() > deadline:
                    raise
                if not told:
                    told = True
                    events.emit(
                        Note(f"run {run_id} cannot be given up yet; this waits up to {_PATIENCE:.0f} s for it: {held}")
                    )
            sleep(_PAUSE)
            _ask_to_stop(project, run)  # it may have gone on since, in the runner's next piece
        return _give_up(project, run, turn)


def approve(project: Project, run_id: str) -> tuple[RunRecord, Sequence[str]]:
    """Lets the run pass the steps before which it waits. Raises UsageError if it waits for nothing."""
    run = project.find(run_id)
    if run.state in ENDED:
        raise UsageError(f"run {run_id} has ended already ({run.state}): there is nothing to approve")
    return run, gates.approve(project.journal(run.environment), run, _now())


def _ask_to_stop(project: Project, run: RunRecord) -> None:
    """A process on this machine that carries nothing else by a signal; any other through the lease, or, where there is
    none, by taking the run from it: it looks into the journal every few seconds."""
    lock = project.lock(run.environment)
    process = lock.process(run.run_id)
    going_on = project.state_of(project.find(run.run_id)) == "running"
    if process and process != os.getpid() and going_on and not runner_is_up(project.state):
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's: asked, then
            os.kill(process, signal.SIGTERM)
            return
    asked = run.kind in CHANGING and project.ask_to_stop(run)
    if not asked and going_on and lock.holder(run.run_id) is not None:
        project.journal(run.environment).take_over(run.run_id)


def _refuse_anothers(project: Project, run: RunRecord) -> None:
    """Raises HeldByAnother if the environment is another run's by its lease: no patience helps, and what is put back
    would be put back under that one."""
    holder = project.holder(run.environment)
    if holder is None or holder.state == "free" or holder.run_id == run.run_id:
        return
    state = "is parked" if holder.state == "parked" else "is silent" if holder.silent else "is going on"
    raise HeldByAnother(
        f"run {run.run_id} cannot be cancelled yet: {run.environment} belongs to run {holder.run_id}, which {state} "
        f"({holder.who}, last heard of at {holder.renewed}); cancel run {run.run_id} again once that one has ended, or "
        f"was given up with 'downstage cancel {holder.run_id}' where it was begun (nothing was written)"
    )


def _give_up(project: Project, run: RunRecord, turn: Turn) -> Cancelled:
    journal = project.journal(run.environment)
    now = journal.run(run.run_id) or run
    if now.state in ENDED:  # it came to its end before it heard that it should stop
        turn.keeps = False
        raise UsageError(f"run {run.run_id} has ended meanwhile ({now.state}): there is nothing to cancel")
    taken = journal.take_over(run.run_id)
    turn.keeps = run.kind == "refresh"
    said = _consumers(project, taken, turn) if run.kind == "refresh" else ""
    ended = _now()
    journal.end_run(taken.run_id, taken.epoch, "cancelled", ended)
    turn.keeps = False
    outcome = outcome_of(journal, replace(taken, state="cancelled", ended=ended), STEPS)
    return Cancelled(taken, said, outcome, write_report(project.state, outcome))


def _consumers(project: Project, run: RunRecord, turn: Turn) -> str:
    """Puts the consumers back as they were before the run, and says how they stand."""
    sides = Sides.of(project.plan(run.environment))
    plan = sides.plan

    def guard() -> None:
        turn.check()
        guards.check_accounts(plan, project.environments())
        guards.check_identity(plan.target, sides.target.caller(), project.environments())

    control = MappingControl(sides.target, plan.streams) if plan.streams else None
    admin = TableControl(sides.target)
    known = project.known(run.environment)
    return put_back(
        project.journal(run.environment),
        run,
        control,
        plan,
        guard,
        lambda one: alive(plan, one, admin),
        known,
        loaded_since(known, run, turn.last_load),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
