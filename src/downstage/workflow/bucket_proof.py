"""The proof of the buckets, from fresh listings of both sides and from nothing that the sync has counted.

A merge must find nothing to do. Objects that changed in the source since the sync began contradict nothing: they are
named, and so are those that the sync has named as failed; where an inventory listed the source, what has changed since
the inventory was made. A sample is compared by content. And every key of the target
is scanned for addresses, with metadata and tags of a sample.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from downstage.domain.events import Progress
from downstage.domain.plan import BucketPair, Compare
from downstage.domain.refs import TargetBucket
from downstage.domain.together import few_at_a_time, together
from downstage.errors import LeakFound, VerificationFailed
from downstage.ports import ObjectFacts, ObjectTransfer
from downstage.syncing.keys import KeyFilter, masked_keys, shown
from downstage.syncing.listing import KeyRange, Listing, stretches
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import Action, Operation, comparing
from downstage.syncing.ranges import split
from downstage.verify.sampling import LowestHashes
from downstage.workflow.bucket_plans import RANGES_A_WORKER, recorded
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.findings import LeakLook, leak_look
from downstage.workflow.inventories import discard, kept_file, listed_by, opened
from downstage.workflow.parts import Parts, Step
from downstage.workflow.sums import summed

SAMPLED_OBJECTS = 1000
"""Of so many objects a bucket, metadata and tags are looked at: two requests each."""

SAMPLED_CONTENTS = 20
CONTENT_BYTES = 8 * 1024 * 1024
"""So many objects a bucket are compared by content, and so much of each."""

NAMED = 20
_TELL = 1000
_READERS = 16
_LOOKUPS = 32


def verify_buckets(parts: Parts, step: Step) -> str:
    """Compares fresh listings of both sides and looks for addresses in the target's keys, metadata and tags."""
    step.intent(lambda: {"buckets": [pair.target.name for pair in parts.plan.buckets]})
    results: dict[str, dict[str, Any]] = {}
    look = leak_look(parts)
    for pair in parts.plan.buckets:
        keys = _Keys(parts, pair.target, look)
        proof = asyncio.run(_compared(parts, pair, keys))
        results[pair.target.name] = {**proof.said(), "keys": keys.seen, "sampled": keys.scan_details()}
    looked = _looked(results)
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(buckets=results, **looked, leaks=look.leaks, canaries=look.canaries, looked_for=known)
    if look.leaks:
        raise LeakFound(
            f"{look.leaks:,} addresses stand in the target buckets' keys, metadata or tags; see the report for "
            "the places"
        )
    differing = [name for name, result in results.items() if result["differing"]]
    if differing:
        raise VerificationFailed(
            f"bucket {', '.join(differing)}: objects still differ from the source (did production change meanwhile?); "
            "run 'downstage sync' again, then 'downstage resume' this run"
        )
    altered = [name for name, result in results.items() if result["altered"]]
    if altered:
        raise VerificationFailed(
            f"bucket {', '.join(altered)}: objects that the listings call equal have other contents than the source's; "
            "set 'compare: etag' if it is not, and run 'downstage sync' again"
        )
    for pair in parts.plan.buckets:
        discard(parts, pair)
    changed = sum(result["changed"] for result in results.values())
    since = f", {changed:,} changed in the source since" if changed else ""
    return (
        f"{looked['keys']:,} objects are the source's{since}, no address in their keys, nor in metadata and tags of a "
        f"sample{none_found(known)}"
    )


def scan_buckets(parts: Parts, look: LeakLook) -> dict[str, dict[str, int]]:
    """Looks for addresses in every target bucket, whatever the source holds: `keys` and `sampled` by bucket."""
    results = {}
    for pair in parts.plan.buckets:
        keys = _Keys(parts, pair.target, look)
        for entry in parts.store.list(pair.target, None):
            keys.look([entry])
        results[pair.target.name] = {"keys": keys.seen, "sampled": keys.scan_details()}
    return results


@dataclass
class _Proof:
    """What a fresh merge found. `names` are those of objects that differ or changed, redacted, the first few."""

    differing: int = 0
    changed: int = 0
    compared: int = 0
    altered: int = 0
    by: str = ""
    names: list[str] = field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "differing": self.differing,
            "changed": self.changed,
            "contents": self.compared,
            "altered": self.altered,
            "compared_by": self.by,
            "names": self.names[:NAMED],
        }


class _Keys:
    """The leak scan of one bucket: every key, and what hangs on the objects of a sample; and the sample whose contents
    are compared."""

    def __init__(self, parts: Parts, bucket: TargetBucket, look: LeakLook) -> None:
        self.seen = 0
        self.contents: dict[str, ObjectFacts] = {}
        self._parts = parts
        self._bucket = bucket
        self._look = look
        self._sample = LowestHashes(SAMPLED_OBJECTS)
        self._few = LowestHashes(SAMPLED_CONTENTS)

    def look(self, entries: Sequence[ObjectFacts]) -> None:
        """Looks at some keys."""
        for entry in entries:
            self.seen += 1
            if self.seen % _TELL == 0:
                self._parts.emit(Progress("verify-buckets", self._bucket.name, self.seen, None, "objects"))
            self._look.text(self._bucket.name, entry.key, "key")
            digest = hashlib.blake2b(entry.key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if self._sample.offer(digest, entry.key) and self._few.offer(digest, entry.key):
                self.contents[entry.key] = entry
                if len(self.contents) > 2 * SAMPLED_CONTENTS:
                    self.contents = {key: self.contents[key] for key in self._few.values}

    def chosen_contents(self) -> list[ObjectFacts]:
        """The objects whose contents are compared."""
        return [self.contents[key] for key in self._few.values]

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


async def _compared(parts: Parts, pair: BucketPair, keys: _Keys) -> _Proof:
    """A fresh merge of both listings, range by range, and a sample's contents."""
    compare, started, failed = _known_of(parts, pair)
    proof = _Proof(by=compare)
    same = comparing(compare)
    inventory = kept_file(parts, pair)
    prefix = pair.options.target_prefix
    masker = parts.objects.masker

    def gone_since(operation: Operation) -> bool:
        """Whether the inventory names an object that the source has no more."""
        if operation.action is not Action.DELETE or inventory is None:
            return False
        with opened(inventory) as pages:
            return pages is not None and pages.names(pair.options.source_prefix + operation.key)

    def note(operation: Operation) -> None:
        if operation.action is Action.SKIP:
            return
        name = shown(prefix + operation.key, masker, parts.redact)
        if name in failed:
            return
        later = operation.source if operation.source is not None else operation.target
        if gone_since(operation) or (started is not None and later is not None and later.modified >= started):
            proof.changed += 1
        else:
            proof.differing += 1
        if len(proof.names) < NAMED:
            proof.names.append(name)

    def left_out(personal: list[str]) -> None:
        """The plan found none: these came since, and were not copied."""
        if pair.options.on_personal_key == "fail":
            proof.changed += len(personal)
            proof.names += [shown(prefix + key, masker, parts.redact) for key in personal[:NAMED]]

    async def compare_range(transfer: ObjectTransfer, bounds: KeyRange, chosen: KeyFilter) -> None:
        merged = stretches(pair, bounds, transfer, chosen, same, personal=left_out, target_seen=keys.look)
        async for stretch in merged:
            for operation in stretch.operations:
                note(operation)

    async def compare_renamed(lookup: Lookup, name: str, key: str) -> None:
        operation = await lookup.operation(key, name)
        if operation is not None:
            note(operation)

    transfer = parts.objects.transfer(pair)
    try:
        wanted = RANGES_A_WORKER * parts.plan.engine.workers
        ranges = await split(transfer, pair.source, pair.options.source_prefix, wanted)
        renamed: dict[str, str] = {}
        if pair.options.on_personal_key == "mask":
            found = await together(
                [_personal(transfer, pair, bounds, KeyFilter(pair.options, masker)) for bounds in ranges]
            )
            renamed = masked_keys([key for each in found for key in each], masker)
        await together([compare_range(transfer, bounds, KeyFilter(pair.options, masker, renamed)) for bounds in ranges])
        lookup = Lookup(pair, transfer, same)
        await few_at_a_time([compare_renamed(lookup, name, key) for name, key in renamed.items()], _LOOKUPS)
        await _compare_contents(parts, pair, transfer, keys.chosen_contents(), renamed, proof)
    finally:
        transfer.close()
    return proof


async def _personal(transfer: ObjectTransfer, pair: BucketPair, bounds: KeyRange, chosen: KeyFilter) -> list[str]:
    """The keys of one range of the source that hold an address."""
    found: list[str] = []
    listing = Listing(transfer, pair.source, pair.options.source_prefix, bounds)
    ended = False
    try:
        while not ended:
            names, _, ended = await listing.page()
            found += chosen.source(names)[1]
    finally:
        await listing.close()
    return found


async def _compare_contents(
    parts: Parts,
    pair: BucketPair,
    transfer: ObjectTransfer,
    sample: Sequence[ObjectFacts],
    renamed: Mapping[str, str],
    proof: _Proof,
) -> None:
    """Reads the sample on both sides; an object that is not, or no more, the source's is passed over."""
    options = pair.options
    lookup = Lookup(pair, transfer, comparing(_known_of(parts, pair)[0]))
    for target in sample:
        name = target.key[len(options.target_prefix) :]
        source = await lookup.source(renamed.get(name, name))
        if source is None or not lookup.same(source, target):
            continue
        read = partial(parts.store.content, limit=CONTENT_BYTES)
        ours, theirs = await asyncio.gather(
            asyncio.to_thread(read, pair.source, source), asyncio.to_thread(read, pair.target, target)
        )
        if ours is None or theirs is None:
            continue
        proof.compared += 1
        if ours != theirs:
            proof.altered += 1
            proof.names.insert(0, shown(target.key, parts.objects.masker, parts.redact))


def _known_of(parts: Parts, pair: BucketPair) -> tuple[Compare, float | None, Collection[str]]:
    """From the sync of this run: how objects are compared, when the source was listed, and what it named as failed. A
    sync whose copies had other ETags than their sources cannot be judged by them."""
    compare, started = pair.options.compare, None
    for entry in recorded(parts) or ():
        if entry["target"] == pair.target.name:
            compare, started = entry["compare"], float(entry["started"])
            listed = listed_by(entry.get("inventory"))
            if listed is not None:
                started = min(started, math.floor(listed.created))  # listings tell whole seconds
    task = f"sync/{pair.target.name}"
    counters = summed(parts.journal.checkpoints(parts.run.run_id, task))
    if compare == "etag" and counters.get("other_etags"):
        compare = "aws"
    return compare, started, {name for name, _ in parts.journal.quarantined(parts.run.run_id, task)}


def _looked(results: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(result[name] for result in results.values()) for name in ("keys", "sampled")}
