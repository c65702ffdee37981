"""A whole sync of one pair in this process, on one event loop: ranges, plan pass, gate, sync. For whoever has no
journal: the state is an object that is kept (and may be pickled) between calls.

The workflow's steps do the same with a journal and an engine; both use the same functions for every part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from downstage.domain.plan import BucketPair
from downstage.domain.together import together
from downstage.ports import Checkpoint, ObjectTransfer, Sealer
from downstage.syncing.bucket import COPIES_AT_ONCE, sync_range
from downstage.syncing.gate import allowances, check_plan
from downstage.syncing.keys import PERSONAL, KeyFilter, KeyMasker, masked_keys, unmasked
from downstage.syncing.listing import KeyRange, SourcePages
from downstage.syncing.merge import Action
from downstage.syncing.personal import find_personal, personal_keys
from downstage.syncing.ranges import SMALLEST, split
from downstage.syncing.renamed import sync_renamed
from downstage.syncing.results import Told, nobody
from downstage.syncing.survey import survey_range
from downstage.syncing.task import RangeTask


@dataclass
class SyncState:
    """How far a sync is. A new one begins anew."""

    ranges: list[KeyRange] = field(default_factory=list)
    personal: dict[int, Checkpoint] = field(default_factory=dict)
    surveys: dict[int, Checkpoint] = field(default_factory=dict)
    syncs: dict[int, Checkpoint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync came to. `complete`: nothing is left to do; else it was stopped in time. `failed` are the keys of the
    target that could not be settled, with the reason."""

    counters: dict[str, int]
    planned: dict[str, int]
    complete: bool
    failed: list[tuple[str, str]]


class OpenSealer:
    """Implements `ports.Sealer` without sealing: for a state that never leaves the process."""

    def seal(self, plain: bytes, context: str) -> str:
        """The text as it is."""
        return plain.decode()

    def open(self, sealed: str, context: str) -> bytes:
        """The text as it is."""
        return sealed.encode()


async def sync_whole(
    pair: BucketPair,
    transfer: ObjectTransfer,
    *,
    personal: KeyMasker | None = None,
    sealer: Sealer | None = None,
    ranges: int = 1,
    smallest: int = SMALLEST,
    yes: bool = False,
    finished: Told = nobody,
    stop_at: float | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    copies_at_once: int = COPIES_AT_ONCE,
    state: SyncState | None = None,
    listed: SourcePages | None = None,
) -> SyncResult:
    """Syncs the pair, or goes on with it; `listed` stands in for the source's listing. Raises GuardRefused before
    anything is written if the plan would hurt."""
    state = state if state is not None else SyncState()
    sealer = sealer or OpenSealer()
    masker = personal or unmasked
    if not state.ranges:
        state.ranges = await split(transfer, pair.source, pair.options.source_prefix, ranges, smallest=smallest)
    count = len(state.ranges) + 1
    failed: list[tuple[str, str]] = []

    def told(action: Action, key: str, reason: str) -> None:
        if action is Action.FAIL:
            failed.append((key, reason))
        finished(action, key, reason)

    def task(place: int, deletes: int = 0) -> RangeTask:
        keys = state.ranges[place] if place < len(state.ranges) else KeyRange()
        return RangeTask(f"whole/{pair.target.name}/{place}", pair, keys, pair.options.compare, deletes, listed)

    def keeping(checkpoints: dict[int, Checkpoint]) -> Callable[[Checkpoint], None]:
        return lambda checkpoint: checkpoints.__setitem__(checkpoint.segment, checkpoint)

    def result(*, complete: bool) -> SyncResult:
        return SyncResult(_summed(state.syncs), _summed(state.surveys), complete, failed)

    renamed: dict[str, str] = {}
    if pair.options.on_personal_key == "mask":
        personal_found = await together(
            find_personal(
                task(place),
                state.personal.get(place, Checkpoint(place, count)),
                transfer=transfer,
                sealer=sealer,
                save=keeping(state.personal),
                chosen=KeyFilter(pair.options, masker),
                stop_at=stop_at,
                clock=clock,
            )
            for place in range(len(state.ranges))
        )
        if not all(found.done for found in personal_found):
            return result(complete=False)
        keys = [
            key
            for place, found in enumerate(personal_found)
            for key in personal_keys(task(place).context, found, sealer)
        ]
        renamed = masked_keys(keys, masker, pair)
    surveys = await together(
        survey_range(
            task(place),
            state.surveys.get(place, Checkpoint(place, count)),
            transfer=transfer,
            sealer=sealer,
            save=keeping(state.surveys),
            chosen=KeyFilter(pair.options, masker, renamed),
            stop_at=stop_at,
            clock=clock,
        )
        for place in range(len(state.ranges))
    )
    if not all(survey.done for survey in surveys):
        return result(complete=False)
    check_plan(pair, [survey.counters for survey in surveys], yes=yes)
    allowed = allowances(pair, [survey.counters for survey in surveys])
    beside = state.syncs.get(count - 1, Checkpoint(count - 1, count))
    if pair.options.on_personal_key == "skip" and (skipped := sum(each.counters["personal"] for each in surveys)):
        counters = {"skipped": skipped, f"skipped: {PERSONAL}": skipped}
        beside = state.syncs[count - 1] = Checkpoint(count - 1, count, done=True, counters=counters)
    for place, survey in enumerate(surveys):
        settled = settled_by(survey)
        if settled is not None and place not in state.syncs:
            state.syncs[place] = Checkpoint(place, count, done=True, counters=settled)
    syncs = await together(
        [
            *(
                sync_range(
                    task(place, allowed[place]),
                    state.syncs.get(place, Checkpoint(place, count)),
                    transfer=transfer,
                    sealer=sealer,
                    save=keeping(state.syncs),
                    chosen=KeyFilter(pair.options, masker, renamed),
                    told=told,
                    stop_at=stop_at,
                    clock=clock,
                    sleep=sleep,
                    copies_at_once=copies_at_once,
                )
                for place in range(len(state.ranges))
            ),
            sync_renamed(
                task(count - 1),
                renamed,
                beside,
                transfer=transfer,
                sealer=sealer,
                save=keeping(state.syncs),
                told=told,
                stop_at=stop_at,
                clock=clock,
            ),
        ]
    )
    return result(complete=all(sync.done for sync in syncs))


def settled_by(survey: Checkpoint) -> dict[str, int] | None:
    """The counters of a range's sync that has nothing to do, if the plan pass that was made just now says so."""
    counters = survey.counters
    if counters["copy"] or counters["delete"] or counters["skip"]:
        return None
    return {"unchanged": counters["unchanged"], "extra": counters["extra"]}


def _summed(checkpoints: dict[int, Checkpoint]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for checkpoint in checkpoints.values():
        for name, number in checkpoint.counters.items():
            totals[name] = totals.get(name, 0) + number
    return totals
