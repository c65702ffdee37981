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
from downstage.ports import Checkpoint, ObjectStore, ObjectTransfer, Sealer
from downstage.syncing.bucket import RangeTask
from downstage.syncing.gate import check_plan
from downstage.syncing.keys import KeyFilter, masked_keys
from downstage.syncing.listing import KeyRange, SourcePages, stretches
from downstage.syncing.merge import Action, Operation, comparing, could_be_encrypted
from downstage.syncing.ranges import split
from downstage.syncing.survey import noted_keys, reckoned, survey_range
from downstage.workflow.inventories import ListedBy, choose, listed_by, opened, sorted_file
from downstage.workflow.parts import Parts, Step
from downstage.workflow.sums import summed

PLAN_STEPS = ("preflight", "sync")
RANGES_A_WORKER = 4
_LOOKED_AT = 5
_ASKED = 8

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

    def task(self, place: int, what: str, listed: SourcePages | None = None) -> RangeTask:
        """One range (or what is beside them) of one task: `survey` or `sync`."""
        keys = self.ranges[place] if place < len(self.ranges) else KeyRange()
        return RangeTask(f"{self.context}/{what}/{place}", self.pair, keys, self.compare, 0, listed)


def plans_of(parts: Parts, step: Step | None = None) -> list[BucketPlan]:
    """The plans of this run: of the step that made them, or made now and recorded as the intent of `step`."""
    made = recorded(parts)
    if made is None and step is not None:
        made = step.intent(lambda: {"bucket_plans": [_look(parts, pair) for pair in parts.plan.buckets]})[
            "bucket_plans"
        ]
    elif made is not None and step is not None:
        step.intent(lambda: {"bucket_plans": made})
    return [_read(parts, pair, entry) for pair, entry in zip(parts.plan.buckets, made or (), strict=made is not None)]


def recorded(parts: Parts, run_id: str | None = None) -> Sequence[Mapping[str, Any]] | None:
    """The plans that a step of the run has recorded; None if none has."""
    for name in PLAN_STEPS:
        record = parts.journal.step(run_id or parts.run.run_id, name)
        if record is not None and "bucket_plans" in record.intent:
            return list(record.intent["bucket_plans"])
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
        if len(earlier) == len(plan.ranges) and all(checkpoint.done for checkpoint in earlier):
            known.add(plan.pair.target.name)
            continue
        asyncio.run(_survey(parts, plan, step, planned))
        surveys = parts.journal.checkpoints(parts.run.run_id, _task(plan))
        if not all(checkpoint.done for checkpoint in surveys):
            raise TimeBoxReached(
                f"the time was up while bucket {plan.pair.source.name} was being looked at; call again to go on "
                "(nothing was written to it)"
            )
    for plan in plans:
        surveys, _ = surveyed(parts, plan)
        if plan.pair.target.name not in known:
            _note(parts, plan, summed(surveys))
        check_plan(plan.pair, [each.counters for each in surveys], yes=bool(parts.run.settings.get("yes")))
    return fresh


def surveyed(parts: Parts, plan: BucketPlan) -> tuple[list[Checkpoint], dict[str, str]]:
    """What the plan pass of a pair counted, range by range, and the keys to be renamed: new names, by them the old."""
    checkpoints = list(parts.journal.checkpoints(parts.run.run_id, _task(plan)))
    renamed, doubtful = renamed_keys(
        [plan.task(place, "survey") for place in range(len(plan.ranges))],
        checkpoints,
        parts.sealer,
        parts.objects.masker,
    )
    return [
        reckoned(checkpoint, noted, renamed) for checkpoint, noted in zip(checkpoints, doubtful, strict=True)
    ], renamed


def renamed_keys(
    tasks: Sequence[RangeTask], checkpoints: Sequence[Checkpoint], sealer: Sealer, masker: Callable[[str], str]
) -> tuple[dict[str, str], list[list[str]]]:
    """From the plan pass: the personal keys by their new names, and for each range the keys that may be such names."""
    noted = [noted_keys(task, checkpoint, sealer) for task, checkpoint in zip(tasks, checkpoints, strict=True)]
    return masked_keys([key for personal, _ in noted for key in personal], masker), [doubtful for _, doubtful in noted]


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
    check_source(parts.store, pair)
    engine = parts.plan.engine
    wanted = engine.segments or RANGES_A_WORKER * engine.workers

    async def looked(transfer: ObjectTransfer) -> tuple[list[KeyRange], str]:
        try:
            ranges = await split(transfer, pair.source, pair.options.source_prefix, wanted)
            return ranges, await _why_unlike(parts.store, pair, transfer, parts.objects.masker)
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


async def _why_unlike(
    store: ObjectStore, pair: BucketPair, transfer: ObjectTransfer, masker: Callable[[str], str]
) -> str:
    """Why ETags cannot be compared, or nothing. Objects that a key of KMS encrypts have ETags that look like the MD5 of
    the content and are not: compared, they would be copied anew for ever. So a few that differ in nothing else are
    asked about."""
    if pair.options.compare != "etag":
        return ""
    doubtful: list[Operation] = []
    merged = stretches(pair, KeyRange(), transfer, KeyFilter(pair.options, masker), comparing("etag"))
    looked = 0
    try:
        async for stretch in merged:
            doubtful += [
                operation
                for operation in stretch.operations
                if operation.action is Action.COPY
                and operation.source is not None
                and operation.target is not None
                and could_be_encrypted(operation.source, operation.target)
            ]
            looked += 1
            if looked >= _LOOKED_AT or len(doubtful) >= _ASKED:
                break
    finally:
        await merged.aclose()  # type: ignore[attr-defined]
    for operation in doubtful[:_ASKED]:
        for bucket, prefix in ((pair.target, pair.options.target_prefix), (pair.source, pair.options.source_prefix)):
            if await asyncio.to_thread(store.encrypted, bucket, prefix + operation.key):
                return "objects are encrypted with a key of KMS, whose ETags do not tell the content"
    return ""


async def _survey(parts: Parts, plan: BucketPlan, step: str, planned: Planned | None) -> None:
    run, task, pair = parts.run, _task(plan), plan.pair
    found = {checkpoint.segment: checkpoint for checkpoint in parts.journal.checkpoints(run.run_id, task)}
    if found and len(found) > len(plan.ranges):
        raise JournalError(f"bucket {pair.target.name}: the journal holds a plan pass of other ranges")
    counted = {place: checkpoint.counters.get("objects", 0) for place, checkpoint in found.items()}

    def save(checkpoint: Checkpoint) -> None:
        parts.journal.save_checkpoint(run.run_id, run.epoch, task, checkpoint)
        counted[checkpoint.segment] = checkpoint.counters["objects"]
        parts.emit(Progress(step, f"{pair.source.name} (looked at)", sum(counted.values()), None, "objects"))

    inventory = sorted_file(parts, pair, plan.listed)
    transfer = parts.objects.transfer(pair)
    try:
        with opened(inventory) as listed:
            await together(
                [
                    survey_range(
                        plan.task(place, "survey", listed),
                        found.get(place, Checkpoint(place, len(plan.ranges))),
                        transfer=transfer,
                        sealer=parts.sealer,
                        save=save,
                        chosen=KeyFilter(pair.options, parts.objects.masker),
                        planned=partial(planned, pair) if planned is not None else lambda operation: None,
                        stop_at=parts.objects.stop_at,
                        clock=parts.clock.now,
                    )
                    for place in range(len(plan.ranges))
                ]
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
