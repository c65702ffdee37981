"""Steps that somebody must approve first. The run does not wait for people: it stops, and is resumed afterwards.

That is kept in the journal as a step of its own (`approve wipe`), so it survives whatever the run survives.
"""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.outcome import StepState
from downstage.errors import ApprovalWanted, UsageError
from downstage.ports import Journal, RunRecord, StepRecord
from downstage.workflow.parts import Parts

_PREFIX = "approve "


def gate_of(step: str) -> str:
    """The name under which the journal keeps the approval of a step."""
    return _PREFIX + step


def pass_or_wait(parts: Parts, step: str) -> None:
    """Returns if the step needs no approval, has one, or has begun. Raises ApprovalWanted if somebody must say yes."""
    if step not in parts.plan.approve or parts.run.kind != "refresh":
        return
    run, journal = parts.run, parts.journal
    gate, begun = journal.step(run.run_id, gate_of(step)), journal.step(run.run_id, step)
    if begun is not None or (gate is not None and gate.state == StepState.DONE):
        return
    journal.save_step(run.run_id, run.epoch, StepRecord(gate_of(step), StepState.PENDING.value, 0.0, ""))
    raise ApprovalWanted(
        f"run {run.run_id} waits before the step '{step}' until somebody approves it: "
        f"'downstage approve {run.run_id}', then 'downstage resume {run.run_id}'"
    )


def waiting(journal: Journal, run: RunRecord) -> Sequence[str]:
    """The steps of the run that wait for an approval."""
    return [
        step.name.removeprefix(_PREFIX)
        for step in journal.steps(run.run_id)
        if step.name.startswith(_PREFIX) and step.state == StepState.PENDING
    ]


def approve(journal: Journal, run: RunRecord, now: str) -> Sequence[str]:
    """Approves what the run waits for, and says what that is. Raises UsageError if it waits for nothing."""
    steps = waiting(journal, run)
    if not steps:
        raise UsageError(f"run {run.run_id} waits for no approval: see 'downstage status {run.run_id}'")
    for step in steps:
        record = StepRecord(gate_of(step), StepState.DONE.value, 0.0, f"approved at {now}")
        journal.save_step(run.run_id, run.epoch, record)
    return steps
