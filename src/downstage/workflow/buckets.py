"""Steps that sync and verify buckets."""

from __future__ import annotations

from downstage.domain.events import ObjectSynced, Progress
from downstage.domain.outcome import LeakPlace
from downstage.domain.plan import BucketPair
from downstage.errors import GuardRefused, LeakFound, VerificationFailed
from downstage.planning import guards
from downstage.planning.preflight import source_objects
from downstage.ports import Checkpoint, ObjectFacts
from downstage.syncing.bucket import compare_bucket, sync_bucket
from downstage.syncing.merge import Action
from downstage.workflow.findings import record_leak
from downstage.workflow.parts import Parts, Step

_TELL = 1000


def sync(parts: Parts, step: Step) -> str:
    """Makes every target bucket hold what its source holds."""
    parts.guard()
    totals: dict[str, int] = {}
    for pair in parts.plan.buckets:
        totals[pair.target.name] = _survey(parts, pair)
    step.intent(lambda: {"buckets": [pair.target.name for pair in parts.plan.buckets]})
    copied = deleted = unchanged = skipped = 0
    for pair in parts.plan.buckets:
        counters = _sync_one(parts, pair, totals[pair.target.name]).counters
        copied += counters.get("copied", 0)
        deleted += counters.get("deleted", 0)
        unchanged += counters.get("unchanged", 0)
        skipped += counters.get("skipped", 0)
    left_out = f", {skipped:,} skipped" if skipped else ""
    return f"{copied:,} objects copied, {deleted:,} deleted, {unchanged:,} unchanged{left_out}"


def verify_buckets(parts: Parts, step: Step) -> str:
    """Compares fresh listings of both sides and looks for addresses in the target's keys."""
    step.intent(lambda: {"buckets": [pair.target.name for pair in parts.plan.buckets]})
    differing = []
    leaks = keys = 0
    results = {}
    for pair in parts.plan.buckets:
        seen = 0

        def look(entry: ObjectFacts, pair: BucketPair = pair) -> None:
            nonlocal leaks, seen
            seen += 1
            if seen % _TELL == 0:
                parts.emit(Progress("verify-buckets", pair.target.name, seen, None, "objects"))
            for finding in parts.scanner.scan_text(entry.key, "key"):
                leaks += 1
                place = LeakPlace(pair.target.name, finding.path, finding.layers, finding.fingerprint)
                record_leak(parts.journal, parts.run.run_id, parts.run.epoch, f"verify/{pair.target.name}", place)

        _, left = compare_bucket(pair, parts.store, look)
        keys += seen
        results[pair.target.name] = {"differing": left, "keys": seen}
        if left:
            differing.append(pair.target.name)
    step.result(buckets=results, leaks=leaks, keys=keys)
    if leaks:
        raise LeakFound(f"{leaks:,} object keys of the target buckets hold addresses; see the report for the places")
    if differing:
        raise VerificationFailed(
            f"bucket {', '.join(differing)}: objects still differ from the source (did production change meanwhile?); "
            "run 'downstage sync' again, then 'downstage resume' this run"
        )
    return f"{keys:,} objects are the source's, no address in their keys"


def _sync_one(parts: Parts, pair: BucketPair, total: int) -> Checkpoint:
    run = parts.run
    task = f"sync/{pair.target.name}"
    context = f"{run.run_id}/{task}/{pair.source.account}/{pair.source.name}/{pair.target.account}/{pair.delete}"
    found = parts.journal.checkpoints(run.run_id, task)
    start = found[0] if found else Checkpoint(0, 1)

    def save(checkpoint: Checkpoint) -> None:
        parts.journal.save_checkpoint(run.run_id, run.epoch, task, checkpoint)
        counters = checkpoint.counters
        done = sum(counters.get(name, 0) for name in ("copied", "unchanged", "skipped"))
        parts.emit(Progress("sync", pair.target.name, done, total, "objects"))

    def finished(action: Action, key: str) -> None:
        parts.emit(ObjectSynced(pair.target.name, action.value, parts.redact(key)))

    return sync_bucket(
        pair, start, store=parts.store, sealer=parts.sealer, context=context, save=save, finished=finished
    )


def _survey(parts: Parts, pair: BucketPair) -> int:
    """One look through the source's listing before the first object is touched; gives the number of objects.

    Refuses an empty source if objects would be deleted, and keys with addresses: they would arrive as they are.
    """
    objects = personal = 0
    for entry in source_objects(parts.store, pair):
        objects += 1
        personal += bool(parts.scanner.scan_text(entry.key, "key"))
    guards.check_sync(pair, source_is_empty=objects == 0, delete=pair.delete)
    if personal:
        raise GuardRefused(
            f"{personal:,} object keys of bucket {pair.source.name} hold e-mail addresses, which would reach "
            f"{pair.target.name} as they are: nothing was copied; rename those objects, or leave the bucket out"
        )
    return objects
