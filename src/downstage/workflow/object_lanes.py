"""What one lane of a bucket sync does, wherever it runs: its ranges from their checkpoints, on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from downstage.domain.events import Event, ObjectSynced
from downstage.domain.together import together
from downstage.ports import Checkpoint, Journal, Lane, ObjectTransfer, RunRecord, Sealer
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter, known_as, shown
from downstage.syncing.listing import KeyRange, SourcePages
from downstage.syncing.merge import UNLISTED_ARCHIVE, Action
from downstage.syncing.renamed import sync_renamed
from downstage.syncing.task import RangeTask
from downstage.workflow.bucket_plans import archived_task, open_ranges, renamed_keys, task_context
from downstage.workflow.inventories import opened
from downstage.workflow.parts import ObjectWork


@dataclass(frozen=True, slots=True)
class ObjectTools:
    """What a lane works with."""

    run: RunRecord
    journal: Journal
    transfer: ObjectTransfer
    sealer: Sealer
    masker: Callable[[str], str]
    redact: Callable[[str], str]
    emit: Callable[[Event], None]
    clock: Callable[[], float] = time.time


def object_lane(tools: ObjectTools, work: ObjectWork, stop_at: float | None, lane: Lane) -> None:
    """Syncs what is left of the lane's segments."""
    asyncio.run(_synced(tools, work, stop_at, lane))


async def _synced(tools: ObjectTools, work: ObjectWork, stop_at: float | None, lane: Lane) -> None:
    run, journal, pair = tools.run, tools.journal, work.pair
    ranges = open_ranges(work.ranges, tools.sealer, work.context)
    renamed = renamed_keys(journal, run.run_id, pair, work.context, len(ranges), tools.sealer, tools.masker)
    found = {checkpoint.segment: checkpoint for checkpoint in journal.checkpoints(run.run_id, lane.task)}
    save = partial(journal.save_checkpoint, run.run_id, run.epoch, lane.task)

    def told(action: Action, key: str, reason: str) -> None:
        name = shown(key, tools.masker, tools.redact)
        known = known_as(key, tools.masker) if reason == UNLISTED_ARCHIVE else None
        if known is not None:  # the proof, which sees listings alone, must know
            journal.quarantine(run.run_id, run.epoch, archived_task(pair), known, reason)
        if action is Action.FAIL:
            journal.quarantine(run.run_id, run.epoch, lane.task, name, reason)
        tools.emit(ObjectSynced(pair.target.name, action.value, name, reason))

    def segment(place: int, listed: SourcePages | None) -> Coroutine[Any, Any, Checkpoint]:
        start = found.get(place, Checkpoint(place, work.segments))
        keys = ranges[place] if place < len(ranges) else KeyRange()
        task = RangeTask(
            task_context(work.context, "sync", place), pair, keys, work.compare, work.deletes[place], listed, True
        )
        if place >= len(ranges):
            return sync_renamed(
                task,
                renamed,
                start,
                transfer=tools.transfer,
                sealer=tools.sealer,
                save=save,
                told=told,
                stop_at=stop_at,
                clock=tools.clock,
            )
        return sync_range(
            task,
            start,
            transfer=tools.transfer,
            sealer=tools.sealer,
            save=save,
            chosen=KeyFilter(pair.options, tools.masker, renamed),
            told=told,
            stop_at=stop_at,
            clock=tools.clock,
        )

    try:
        with opened(work.inventory) as listed:
            await together([segment(place, listed) for place in lane.segments])
    finally:
        tools.transfer.close()
