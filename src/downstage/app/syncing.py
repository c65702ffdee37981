"""`downstage sync`: buckets alone. A sync that was stopped in time is gone on with by the next call; a dry run shows
what a sync would do, from the same plan pass, and writes nothing, not even to the journal.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from downstage.app.carrying import Finished
from downstage.app.runs import Project
from downstage.app.wiring import RunPlaces, Sides, parts_for
from downstage.domain.events import Note, ObjectSynced
from downstage.domain.plan import BucketPair
from downstage.domain.together import few_at_a_time
from downstage.errors import RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.ports import EventSink, RunRecord
from downstage.syncing.keys import shown
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import Action, Operation, comparing
from downstage.workflow.bucket_plans import BucketPlan, plans_of, renamed_of, survey
from downstage.workflow.inventories import discard
from downstage.workflow.parts import Parts, Step

KIND = "sync"
STEPS = ("sync", "verify-buckets")
_FRESH_SECONDS = 24 * 3600.0
"""A sync that was stopped longer ago begins anew: below its cursor much may have changed."""

_GOES_ON = ("parked", "interrupted", "cut off")


def sync(
    project: Project, environment: str, events: EventSink, *, time_box: float | None = None, yes: bool = False
) -> Finished:
    """Goes on with the sync that was stopped last, or begins one. `yes` waives `max_delete`."""
    stopped = _stopped(project, environment, time.time())
    if stopped is not None and (not yes or stopped.settings.get("yes")):
        try:
            return project.resume(stopped.run_id, events, time_box=time_box)
        except RunConflict as conflict:
            events.emit(Note(f"sync {stopped.run_id} is not gone on with, a new one begins: {conflict}"))
    return project.start(environment, KIND, STEPS, events, time_box=time_box, settings={"yes": True} if yes else {})


def dry_run(project: Project, environment: str, events: EventSink, *, yes: bool = False) -> None:
    """Tells every operation that a sync would make now. Raises GuardRefused where it would be refused."""
    sides = Sides.of(project.plan(environment))
    journal = MemoryJournal()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run = RunRecord("dry-run", environment, KIND, "running", 1, now, "", {"yes": yes, "steps": list(STEPS)})
    journal.create_run(run)
    places = RunPlaces(project.place(environment), None, project.state)
    parts = parts_for(sides, project.environments(), run, journal, places, events, lambda: None)
    parts.guard()
    try:
        show(parts)
    finally:
        for pair in parts.plan.buckets:
            discard(parts, pair)


def show(parts: Parts) -> None:
    """The plan pass, with a line for each operation."""
    plans = plans_of(parts, Step(parts, KIND, parts.clock.monotonic()))
    survey(parts, plans, KIND, planned=lambda pair, operation: _tell(parts, pair, operation))
    for plan in plans:
        for found in asyncio.run(_renamed(parts, plan)):
            _tell(parts, plan.pair, found)


async def _renamed(parts: Parts, plan: BucketPlan) -> list[Operation]:
    """What the objects need whose keys hold an address and are masked."""
    renamed = renamed_of(parts, plan)
    transfer = parts.objects.transfer(plan.pair)
    lookup = Lookup(plan.pair, transfer, comparing(plan.compare))
    try:
        found = await few_at_a_time([lookup.operation(key, name) for name, key in sorted(renamed.items())], 32)
    finally:
        transfer.close()
    return [operation for operation in found if operation is not None and operation.action is not Action.DELETE]


def _tell(parts: Parts, pair: BucketPair, operation: Operation) -> None:
    key = shown(pair.options.target_prefix + operation.key, parts.objects.masker, parts.redact)
    action = operation.action if operation.action is Action.SKIP else f"(dry run) {operation.action}"
    parts.emit(ObjectSynced(pair.target.name, action, key, operation.reason))


def _stopped(project: Project, environment: str, now: float) -> RunRecord | None:
    """The newest run that touches the environment's buckets, if it is a sync that was stopped and not long ago."""
    runs = [(run, state) for run, state in project.runs() if run.environment == environment]
    for run, state in reversed(runs):
        if run.kind not in (KIND, "refresh"):
            continue
        if run.kind != KIND or state not in _GOES_ON:
            return None
        when = run.ended or run.started
        return run if now - datetime.fromisoformat(when).timestamp() < _FRESH_SECONDS else None
    return None
