"""The step that syncs buckets: lanes over key ranges, after a plan pass that was found harmless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from downstage.domain.events import Note, Progress
from downstage.domain.outcome import StepState
from downstage.errors import TimeBoxReached
from downstage.ports import Checkpoint, Lane
from downstage.syncing.gate import allowances
from downstage.syncing.keys import PERSONAL
from downstage.syncing.whole import settled_by
from downstage.workflow.bucket_plans import BUCKET_PLANS, BucketPlan, plans_of, renamed_of, survey, surveyed
from downstage.workflow.bucket_proof import scan_buckets, verify_buckets
from downstage.workflow.inventories import sorted_file
from downstage.workflow.parts import ObjectWork, Parts, Step
from downstage.workflow.sums import summed, whole
from downstage.workflow.watching import telling

__all__ = ["scan_buckets", "sync", "verify_buckets"]

TOGETHER = 4
"""Ranges of one bucket that one worker syncs at a time."""

_MEGABYTE = 1_000_000


def sync(parts: Parts, step: Step) -> str:
    """Makes every target bucket hold what its source holds. Raises TimeBoxReached if the time was up before."""
    parts.guard()
    plans = plans_of(parts, step)
    fresh = survey(parts, plans, "sync")
    step.result(started=parts.clock.now())  # what was refused up to here has loaded nothing
    step.save(StepState.RUNNING, "")
    works: list[ObjectWork] = []
    totals: dict[str, Mapping[str, int]] = {}
    for plan in plans:
        works.append(_work(parts, plan, fresh=fresh))
        totals[plan.pair.target.name] = summed(surveyed(parts, plan))

    def tell() -> None:
        for name, planned in totals.items():
            counters = summed(parts.journal.checkpoints(parts.run.run_id, f"sync/{name}"))
            done = sum(counters.get(each, 0) for each in ("copied", "unchanged", "skipped", "failed"))
            total = planned["objects"] + planned["personal"]
            parts.emit(Progress("sync", name, done, max(done, total), "objects"))
            if planned["bytes_to_copy"] >= _MEGABYTE:
                copied = counters.get("bytes_copied", 0)
                whole_size = max(copied, planned["bytes_to_copy"]) // _MEGABYTE
                parts.emit(Progress("sync", f"{name} (data)", copied // _MEGABYTE, whole_size, "MB"))

    with telling(tell, "sync"):
        _run(parts, works)
    late = [work.pair.target.name for work in works if not whole(_checkpoints(parts, work))]
    if late:
        raise TimeBoxReached(f"the time was up before bucket {', '.join(late)} was synced; call again to go on")
    _note_leftovers(parts, step)
    return "; ".join([_said(parts, works), *(_listed(plan) for plan in plans if plan.listed is not None)])


def _run(parts: Parts, works: Sequence[ObjectWork]) -> None:
    """Runs the lanes where they can be: those of a pair that an inventory lists read its sorted file, which is here."""
    objects, here = parts.objects, parts.here
    listed = [work for work in works if here is not None and work.inventory is not None]
    others = [work for work in works if work not in listed]
    run_by = [(objects.lanes, objects.engine, others)] if others else []
    if here is not None and listed:
        names = ", ".join(work.pair.target.name for work in listed)
        parts.emit(
            Note(
                f"bucket {names}: listed by an inventory, whose sorted file is on this machine: synced from here "
                f"({here.workers} at a time), not on {parts.plan.engine.name}"
            )
        )
        run_by.append((here.objects, here.engine, listed))
    for lanes, engine, some in run_by:
        with lanes.sync(parts.run, some, parts.emit, objects.stop_at) as work:
            for _ in engine.run(work, [lane for one in some for lane in _lanes(parts, one)]):
                pass


def _work(parts: Parts, plan: BucketPlan, *, fresh: bool) -> ObjectWork:
    """The lanes' work of one pair. What the plan pass of just now has found to be settled is entered as done."""
    surveys = surveyed(parts, plan)
    counters = [each.counters for each in surveys]
    run, name = parts.run, plan.pair.target.name
    task = f"sync/{name}"
    known = {checkpoint.segment for checkpoint in parts.journal.checkpoints(run.run_id, task)}

    def enter(place: int, counted: Mapping[str, int], digest: int = 0) -> None:
        if place not in known:
            entered = Checkpoint(place, plan.segments, done=True, digest=digest, counters=counted)
            parts.journal.save_checkpoint(run.run_id, run.epoch, task, entered)

    if fresh:
        for place, each in enumerate(surveys):
            settled = settled_by(each)
            if settled is not None:
                enter(place, settled, each.digest)
    if not renamed_of(parts, plan):
        skipped = sum(each.get("personal", 0) for each in counters)
        enter(len(plan.ranges), {"skipped": skipped, f"skipped: {PERSONAL}": skipped} if skipped else {})
    return ObjectWork(
        plan.pair,
        plan.compare,
        plan.sealed,
        plan.context,
        plan.segments,
        allowances(plan.pair, counters),
        sorted_file(parts, plan.pair, plan.listed),
    )


def _lanes(parts: Parts, work: ObjectWork) -> Iterator[Lane]:
    """The segments that are left, a few in each lane, neighbours in different ones."""
    ended = {checkpoint.segment for checkpoint in _checkpoints(parts, work) if checkpoint.done}
    left = [segment for segment in range(work.segments) if segment not in ended]
    count = -(-len(left) // TOGETHER) if len(left) > parts.plan.engine.workers else len(left)
    for place in range(count):
        yield Lane(f"sync/{work.pair.target.name}", tuple(left[place::count]))


def _checkpoints(parts: Parts, work: ObjectWork) -> list[Checkpoint]:
    return list(parts.journal.checkpoints(parts.run.run_id, f"sync/{work.pair.target.name}"))


def _note_leftovers(parts: Parts, step: Step) -> None:
    """Says what deletes leave behind in versioned targets, where markers slow listings down as they pile up, and what
    large copies may leave behind in any: parts of an upload that nobody ended are billed for ever."""
    for entry in step.intent(dict)[BUCKET_PLANS]:
        counters = summed(parts.journal.checkpoints(parts.run.run_id, f"sync/{entry['target']}"))
        deleted = counters.get("deleted", 0)
        if entry["versioned"] and deleted and not entry["expires_versions"]:
            parts.emit(
                Note(
                    f"bucket {entry['target']} keeps versions: {deleted:,} deletes left markers, and no lifecycle rule "
                    "that we can see removes them; add one with NoncurrentVersionExpiration and "
                    "ExpiredObjectDeleteMarker"
                )
            )
        if counters.get("large") and entry.get("aborts_uploads") is False:
            parts.emit(
                Note(
                    f"bucket {entry['target']} has no lifecycle rule that removes the parts of uploads that were never "
                    "ended, as a copy above 5 GB leaves them when it is killed; add one with "
                    "AbortIncompleteMultipartUpload"
                )
            )


def _listed(plan: BucketPlan) -> str:
    return f"bucket {plan.pair.source.name} listed by {plan.listed}"


def _said(parts: Parts, works: list[ObjectWork]) -> str:
    totals: dict[str, int] = {}
    for work in works:
        for name, number in summed(_checkpoints(parts, work)).items():
            totals[name] = totals.get(name, 0) + number
    said = [f"{totals.get(name, 0):,} {words}" for name, words in _WORDS]
    said += [f"{totals[name]:,} {name}" for name in ("skipped", "failed") if totals.get(name)]
    return ", ".join(said)


_WORDS = (("copied", "objects copied"), ("deleted", "deleted"), ("unchanged", "unchanged"))
