"""The plan pass of the buckets: what a sync would do, looked at in full and checked before anything is done.

In a refresh it is made by the preflight, so that whatever stops a sync stops the run before the wipe; a sync that is
called alone makes it itself. What it fixes (ranges, how objects are compared, when it began) stands in the intent of
the step that made it; what it counted is in the journal under `survey/BUCKET`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from downstage.domain.events import Note, Progress
from downstage.domain.plan import BucketPair, Compare
from downstage.domain.together import together
from downstage.errors import JournalError, RunConflict, TimeBoxReached
from downstage.planning import guards
from downstage.planning.preflight import check_source
from downstage.ports import Checkpoint, Journal, ObjectTransfer, Sealer
from downstage.syncing.gate import check_plan
from downstage.syncing.keys import KeyFilter, KeyMasker, masked_keys
from downstage.syncing.listing import KeyRange, SourcePages
from downstage.syncing.merge import Operation
from downstage.syncing.personal import find_personal, personal_keys
from downstage.syncing.ranges import split
from downstage.syncing.survey import survey_range
from downstage.syncing.task import RangeTask
from downstage.workflow.bucket_compare import why_unlike
from downstage.workflow.inventories import ListedBy, choose, listed_by, opened, sorted_file
from downstage.workflow.parts import Parts, Step
from downstage.workflow.sums import summed

PLAN_STEPS = ("preflight", "sync")
RANGES_A_WORKER = 4
BUCKET_PLANS = "bucket_plans"
"""Where the plans stand in the intent of the step that made them."""

Planned = Callable[[BucketPair, Operation], None]


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """One pair as its sync was planned. `ranges` are sealed for the journal as `sealed`; `started` is when the plan
    pass began. `unlike` is why ETags are not compared, where the configuration asks for it and it cannot be. `listed`
    is the inventory that lists the source, if there is one."""

    pair: BucketPair
    compare: Compare
    ranges: tuple[KeyRange, ...]
    sealed: str
    context: str
    started: float
    unlike: str = ""
    listed: ListedBy | None = None

    @property
    def segments(self) -> int:
        """The ranges, and the keys beside them."""
        return len(self.ranges) + 1

    def has_ended(self, checkpoints: Sequence[Checkpoint]) -> bool:
        """Whether these, of one task over the ranges, are all of them and done."""
        return len(checkpoints) == len(self.ranges) and all(checkpoint.done for checkpoint in checkpoints)

    def task(self, place: int, what: str, listed: SourcePages | None = None) -> RangeTask:
        """One range (or what is beside them) of one task: `personal`, `survey` or `sync`."""
        keys = self.ranges[place] if place < len(self.ranges) else KeyRange()
        return RangeTask(task_context(self.context, what, place), self.pair, keys, self.compare, 0, listed, True)


def plans_of(parts: Parts, step: Step | None = None) -> list[BucketPlan]:
    """The plans of this run: of the step that made them, or made now and recorded as the intent of `step`."""
    made = recorded(parts)
    if made is None and step is not None:
        made = step.intent(lambda: {BUCKET_PLANS: [_look(parts, pair) for pair in parts.plan.buckets]})[BUCKET_PLANS]
    elif made is not None and step is not None:
        step.intent(lambda: {BUCKET_PLANS: made})
    return [_read(parts, pair, entry) for pair, entry in zip(parts.plan.buckets, made or (), strict=made is not None)]


def recorded(parts: Parts, run_id: str | None = None) -> Sequence[Mapping[str, Any]] | None:
    """The plans that a step of the run has recorded; None if none has."""
    for name in PLAN_STEPS:
        record = parts.journal.step(run_id or parts.run.run_id, name)
        if record is not None and BUCKET_PLANS in record.intent:
            return list(record.intent[BUCKET_PLANS])
    return None


def survey(parts: Parts, plans: Sequence[BucketPlan], step: str, planned: Planned | None = None) -> bool:
    """Makes the plan pass of every pair, or goes on with it, and checks it. Whether it was made just now, as a whole.

    Raises GuardRefused where a sync would hurt, TimeBoxReached if the time was up before all was seen.
    """
    fresh = True
    known = set()
    for plan in plans:
        earlier = parts.journal.checkpoints(parts.run.run_id, _task(plan))
        fresh = not earlier and fresh
        if plan.has_ended(earlier):
            known.add(plan.pair.target.name)
            continue
        asyncio.run(_survey(parts, plan, step, planned))
        if not plan.has_ended(parts.journal.checkpoints(parts.run.run_id, _task(plan))):
            raise TimeBoxReached(
                f"the time was up while bucket {plan.pair.source.name} was being looked at; call again to go on "
                "(nothing was written to it)"
            )
    for plan in plans:
        surveys = surveyed(parts, plan)
        if plan.pair.target.name not in known:
            _note(parts, plan, summed(surveys))
        check_plan(plan.pair, [each.counters for each in surveys], yes=bool(parts.run.settings.get("yes")))
    return fresh


def surveyed(parts: Parts, plan: BucketPlan) -> list[Checkpoint]:
    """What the plan pass of a pair counted, range by range."""
    return list(parts.journal.checkpoints(parts.run.run_id, _task(plan)))


def renamed_keys(
    journal: Journal, run_id: str, pair: BucketPair, context: str, ranges: int, sealer: Sealer, masker: KeyMasker
) -> dict[str, str]:
    """The keys of a pair that are renamed, as they were found before its plan pass: new names, by them the old.
    `context` and the number of ranges are the plan's."""
    if pair.options.on_personal_key != "mask":
        return {}
    found = journal.checkpoints(run_id, personal_task(pair))
    if len(found) != ranges or not all(checkpoint.done for checkpoint in found):
        raise JournalError(f"bucket {pair.target.name}: the journal does not hold the keys that are to be masked")
    keys = [
        key
        for place, each in enumerate(found)
        for key in personal_keys(task_context(context, "personal", place), each, sealer)
    ]
    return masked_keys(keys, masker, pair)


def renamed_of(parts: Parts, plan: BucketPlan) -> dict[str, str]:
    """The keys of a planned pair that are renamed: new names, by them the old."""
    run_id, masker = parts.run.run_id, parts.objects.masker
    return renamed_keys(parts.journal, run_id, plan.pair, plan.context, len(plan.ranges), parts.sealer, masker)


def task_context(context: str, what: str, place: int) -> str:
    """What the cursor of one range of one task is sealed for; `context` is the plan's."""
    return f"{context}/{what}/{place}"


def personal_task(pair: BucketPair) -> str:
    """What the personal keys of a pair are called in the journal."""
    return f"personal/{pair.target.name}"


def archived_task(pair: BucketPair) -> str:
    """What the objects that the sync found archived at the copy are called in the journal: forgotten with the sync."""
    return f"sync/{pair.target.name}/archived"


def sealed_ranges(ranges: Sequence[KeyRange], sealer: Sealer, context: str) -> str:
    """The ranges, for a journal."""
    return sealer.seal(orjson.dumps([[keys.after, keys.until] for keys in ranges]), f"{context}/ranges")


def open_ranges(sealed: str, sealer: Sealer, context: str) -> tuple[KeyRange, ...]:
    """What was sealed. Raises JournalError."""
    return tuple(KeyRange(after, until) for after, until in orjson.loads(sealer.open(sealed, f"{context}/ranges")))


def _task(plan: BucketPlan) -> str:
    return f"survey/{plan.pair.target.name}"


def _look(parts: Parts, pair: BucketPair) -> dict[str, Any]:
    """What is fixed for a pair's sync: the ranges, and how objects are compared."""
    started = parts.clock.now()
    guards.check_sync(pair, source_is_empty=False, delete=pair.delete)
    guards.check_prefix(pair, parts.objects.masker)
    check_source(parts.store, pair)
    engine = parts.plan.engine
    wanted = engine.segments or RANGES_A_WORKER * engine.workers

    async def looked(transfer: ObjectTransfer) -> tuple[list[KeyRange], str]:
        try:
            ranges = await split(transfer, pair.source, pair.options.source_prefix, wanted)
            return ranges, await why_unlike(parts, pair, transfer)
        finally:
            transfer.close()

    ranges, unlike = asyncio.run(looked(parts.objects.transfer(pair)))
    facts = parts.store.facts(pair.target)
    inventory = choose(parts, pair)
    context = f"{parts.run.run_id}/{pair.source.account}/{pair.source.name}/{pair.target.account}/{pair.terms}"
    return {
        "target": pair.target.name,
        "terms": pair.terms,
        "compare": "aws" if unlike else pair.options.compare,
        "unlike": unlike,
        "ranges": sealed_ranges(ranges, parts.sealer, context),
        "context": context,
        "started": started,
        "versioned": facts.versioned,
        "expires_versions": facts.expires_versions,
        "aborts_uploads": facts.aborts_uploads,
        **({"inventory": inventory} if inventory is not None else {}),
    }


def _read(parts: Parts, pair: BucketPair, entry: Mapping[str, Any]) -> BucketPlan:
    if entry["target"] != pair.target.name or entry["terms"] != pair.terms:
        raise RunConflict(
            f"bucket {pair.target.name}: the sync was begun with other buckets, prefixes or options; restore them, or "
            "start a new sync"
        )
    ranges = open_ranges(entry["ranges"], parts.sealer, entry["context"])
    return BucketPlan(
        pair,
        entry["compare"],
        ranges,
        entry["ranges"],
        entry["context"],
        entry["started"],
        entry["unlike"],
        listed_by(entry.get("inventory")),
    )


async def _survey(parts: Parts, plan: BucketPlan, step: str, planned: Planned | None) -> None:
    run, pair = parts.run, plan.pair
    places = range(len(plan.ranges))

    def start(task: str) -> tuple[list[Checkpoint], Callable[[Checkpoint], None]]:
        """Where each range of the task stands, and what saves it and tells of it."""
        found = {checkpoint.segment: checkpoint for checkpoint in parts.journal.checkpoints(run.run_id, task)}
        if len(found) > len(plan.ranges):
            raise JournalError(f"bucket {pair.target.name}: the journal holds a plan pass of other ranges")
        counted = {place: checkpoint.counters.get("objects", 0) for place, checkpoint in found.items()}

        def save(checkpoint: Checkpoint) -> None:
            parts.journal.save_checkpoint(run.run_id, run.epoch, task, checkpoint)
            counted[checkpoint.segment] = checkpoint.counters["objects"]
            parts.emit(Progress(step, f"{pair.source.name} (looked at)", sum(counted.values()), None, "objects"))

        return [found.get(place, Checkpoint(place, len(plan.ranges))) for place in places], save

    inventory = sorted_file(parts, pair, plan.listed)
    transfer = parts.objects.transfer(pair)
    try:
        with opened(inventory) as listed:
            if pair.options.on_personal_key == "mask":
                starts, save = start(personal_task(pair))
                found = await together(
                    find_personal(
                        plan.task(place, "personal", listed),
                        starts[place],
                        transfer=transfer,
                        sealer=parts.sealer,
                        save=save,
                        chosen=KeyFilter(pair.options, parts.objects.masker),
                        stop_at=parts.objects.stop_at,
                        clock=parts.clock.now,
                    )
                    for place in places
                )
                if not plan.has_ended(found):
                    return
            renamed = renamed_of(parts, plan)
            starts, save = start(_task(plan))
            await together(
                survey_range(
                    plan.task(place, "survey", listed),
                    starts[place],
                    transfer=transfer,
                    sealer=parts.sealer,
                    save=save,
                    chosen=KeyFilter(pair.options, parts.objects.masker, renamed),
                    planned=partial(planned, pair) if planned is not None else lambda operation: None,
                    stop_at=parts.objects.stop_at,
                    clock=parts.clock.now,
                )
                for place in places
            )
    finally:
        transfer.close()


def _note(parts: Parts, plan: BucketPlan, counters: Mapping[str, int]) -> None:
    pair = plan.pair
    said = [
        f"{counters['copy']:,} to copy ({counters['bytes_to_copy'] / 1e6:,.1f} MB)",
        f"{counters['unchanged']:,} unchanged",
    ]
    for name, words in (("delete", "to delete"), ("extra", "only in the target"), ("skip", "to skip")):
        if counters[name]:
            said.append(f"{counters[name]:,} {words}")
    if counters["personal"]:
        what = {"mask": "to be renamed", "skip": "to skip for their keys", "fail": "with an address in the key"}
        said.append(f"{counters['personal']:,} {what[pair.options.on_personal_key]}")
    parts.emit(Note(f"bucket {pair.source.name} → {pair.target.name}: {', '.join(said)}"))
    if plan.listed is not None:
        parts.emit(Note(f"bucket {pair.source.name}: listed by {plan.listed}"))
    if plan.unlike:
        parts.emit(Note(f"bucket {pair.target.name}: compared by size and time, not by ETag: {plan.unlike}"))
