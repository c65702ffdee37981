"""Steps that sync and verify buckets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from downstage.domain.events import ObjectSynced, Progress
from downstage.domain.plan import BucketPair
from downstage.domain.refs import TargetBucket
from downstage.errors import GuardRefused, LeakFound, VerificationFailed
from downstage.planning import guards
from downstage.planning.preflight import source_objects
from downstage.ports import Checkpoint, ObjectFacts
from downstage.syncing.bucket import compare_bucket, sync_bucket
from downstage.syncing.merge import Action
from downstage.verify.sampling import LowestHashes
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.findings import LeakLook, leak_look
from downstage.workflow.parts import Parts, Step

SAMPLED_OBJECTS = 1000
"""Of so many objects a bucket, metadata and tags are looked at: two requests each."""

_TELL = 1000
_READERS = 16


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
    """Compares fresh listings of both sides and looks for addresses in the target's keys, metadata and tags."""
    step.intent(lambda: {"buckets": [pair.target.name for pair in parts.plan.buckets]})
    differing = []
    results: dict[str, dict[str, int]] = {}
    look = leak_look(parts)
    for pair in parts.plan.buckets:
        keys = _Keys(parts, pair.target, look)
        _, left = compare_bucket(pair, parts.store, keys.look)
        results[pair.target.name] = {"differing": left, "keys": keys.seen, "sampled": keys.scan_details()}
        if left:
            differing.append(pair.target.name)
    looked = _looked(results)
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(buckets=results, **looked, leaks=look.leaks, canaries=look.canaries, looked_for=known)
    if look.leaks:
        raise LeakFound(
            f"{look.leaks:,} addresses stand in the target buckets' keys, metadata or tags; see the report for "
            "the places"
        )
    if differing:
        raise VerificationFailed(
            f"bucket {', '.join(differing)}: objects still differ from the source (did production change meanwhile?); "
            "run 'downstage sync' again, then 'downstage resume' this run"
        )
    return (
        f"{looked['keys']:,} objects are the source's, no address in their keys, nor in metadata and tags of a sample"
        f"{none_found(known)}"
    )


def scan_buckets(parts: Parts, look: LeakLook) -> dict[str, dict[str, int]]:
    """Looks for addresses in every target bucket, whatever the source holds: `keys` and `sampled` by bucket."""
    results = {}
    for pair in parts.plan.buckets:
        keys = _Keys(parts, pair.target, look)
        for entry in parts.store.list(pair.target, None):
            keys.look(entry)
        results[pair.target.name] = {"keys": keys.seen, "sampled": keys.scan_details()}
    return results


class _Keys:
    """The leak scan of one bucket: every key, and what hangs on the objects of a sample."""

    def __init__(self, parts: Parts, bucket: TargetBucket, look: LeakLook) -> None:
        self.seen = 0
        self._parts = parts
        self._bucket = bucket
        self._look = look
        self._sample = LowestHashes(SAMPLED_OBJECTS)

    def look(self, entry: ObjectFacts) -> None:
        """Looks at one key."""
        self.seen += 1
        if self.seen % _TELL == 0:
            self._parts.emit(Progress("verify-buckets", self._bucket.name, self.seen, None, "objects"))
        self._look.text(self._bucket.name, entry.key, "key")
        key = entry.key.encode("utf-8", "surrogatepass")
        self._sample.offer(hashlib.blake2b(key, digest_size=16).digest(), entry.key)

    def scan_details(self) -> int:
        """Looks at metadata and tags of the sampled objects; gives how many are still there."""
        looked = 0
        with ThreadPoolExecutor(_READERS, thread_name_prefix="details") as pool:
            for details in pool.map(partial(self._parts.store.details, self._bucket), self._sample.values):
                if details is not None:
                    looked += 1
                    self._look.document(self._bucket.name, details.metadata, "metadata")
                    self._look.document(self._bucket.name, details.tags, "tags")
        return looked


def _looked(results: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(result[name] for result in results.values()) for name in ("keys", "sampled")}


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
