"""The proof of the buckets, from fresh listings of both sides.

A merge must find nothing to do. Objects that changed in the source since the sync began contradict nothing: they are
named, and so are those that the sync has named as failed; what it has left out as archived stays left out, though the
listings do not show that it is; where an inventory listed the source, what has changed since
the inventory was made. What the target alone has is the source's doing only if the target still is, object by object,
what the sync left there (one digest of all keys and ETags); otherwise somebody else has written to it, and it is an
extra. A sample is compared by content. And every key of the target is scanned for addresses, with metadata and tags of
a sample. Progress is in the journal: who is killed goes on, unless that was long ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from downstage.domain.counted import counted
from downstage.domain.plan import BucketPair
from downstage.domain.together import few_at_a_time, together
from downstage.errors import LeakFound, VerificationFailed
from downstage.ports import Checkpoint, ObjectFacts, ObjectTransfer
from downstage.syncing.keys import KeyFilter, known_as, shown
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import Action, Operation, comparing
from downstage.syncing.proving import NAMED, Kind, named, prove_range
from downstage.syncing.task import RangeTask
from downstage.workflow.bucket_progress import Progressing
from downstage.workflow.bucket_sample import BucketLook
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.findings import LeakLook, leak_look
from downstage.workflow.inventories import discard, kept_file, opened
from downstage.workflow.last_sync import last_sync
from downstage.workflow.parts import Parts, Step
from downstage.workflow.sums import summed, total_digest

CONTENT_BYTES = 8 * 1024 * 1024
"""So much of each object of the sample is compared."""

_LOOKUPS = 32


def verify_buckets(parts: Parts, step: Step) -> str:
    """Compares fresh listings of both sides and looks for addresses in the target's keys, metadata and tags."""
    step.intent(lambda: {"buckets": [pair.target.name for pair in parts.plan.buckets]})
    results: dict[str, dict[str, Any]] = {}
    leaks = canaries = 0
    proofs = [_Proof(parts, pair) for pair in parts.plan.buckets]
    for proof in proofs:
        found = asyncio.run(proof.made())
        details = proof.look.details()
        results[proof.pair.target.name] = {**found.said(), "keys": found.keys, "sampled": details["sampled"]}
        leaks += found.leaks + details["leaks"]
        canaries += found.canaries + details["canaries"]
    for proof in proofs:
        proof.progress.forget()
    looked = {name: sum(result[name] for result in results.values()) for name in ("keys", "sampled")}
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(buckets=results, **looked, leaks=leaks, canaries=canaries, looked_for=known)
    _check(results, leaks, _remedy(parts))
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
        keys = BucketLook(parts, pair.target, look)
        for entry in parts.store.list(pair.target, None):
            keys.keys([entry])
        results[pair.target.name] = {"keys": keys.seen, "sampled": keys.details()["sampled"]}
    return results


def _remedy(parts: Parts) -> str:
    """What to do about objects that are not the source's. A refresh cannot go on after another run's sync."""
    if parts.run.kind == "refresh":
        return f"run 'downstage resume {parts.run.run_id} --from sync'"
    return f"run 'downstage sync {parts.run.environment}' again"


def _check(results: Mapping[str, Mapping[str, Any]], leaks: int, remedy: str) -> None:
    """Raises LeakFound or VerificationFailed if something contradicts the proof."""
    if leaks:
        raise LeakFound(
            f"{leaks:,} addresses stand in the target buckets' keys, metadata or tags; see the report for the places"
        )
    written = [
        f"bucket {name}: something else than the sync has written to it: "
        + (f"{counted(result['extra'], 'object')} that the source does not have" if result["extra"] else _REPLACED)
        for name, result in results.items()
        if result["foreign"]
    ]
    if written:
        raise VerificationFailed(f"{'; '.join(written)}; keep others from writing there, and {remedy}")
    differing = [name for name, result in results.items() if result["differing"]]
    if differing:
        raise VerificationFailed(
            f"bucket {', '.join(differing)}: objects still differ from the source (did production change meanwhile?); "
            f"{remedy}"
        )
    altered = [name for name, result in results.items() if result["altered"]]
    if altered:
        raise VerificationFailed(
            f"bucket {', '.join(altered)}: objects that the listings call equal have other contents than the source's; "
            "set 'compare: etag' if it is not, and run 'downstage sync' again"
        )


_REPLACED = "objects were put, replaced or deleted"


@dataclass
class _Found:
    """What a fresh merge found. `names` are those of objects that differ or changed, redacted, the first few."""

    differing: int = 0
    changed: int = 0
    extra: int = 0
    foreign: bool = False
    compared: int = 0
    altered: int = 0
    keys: int = 0
    leaks: int = 0
    canaries: int = 0
    by: str = ""
    names: list[str] = field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "differing": self.differing,
            "changed": self.changed,
            "extra": self.extra,
            "foreign": self.foreign,
            "contents": self.compared,
            "altered": self.altered,
            "compared_by": self.by,
            "names": self.names[:NAMED],
        }


class _Proof:
    """The proof of one pair."""

    def __init__(self, parts: Parts, pair: BucketPair) -> None:
        self.pair = pair
        self.progress = Progressing(parts, pair)
        self._parts = parts
        self._masker = parts.objects.masker
        self._last = last_sync(parts, pair)
        self._inventory = kept_file(parts, pair)

    async def made(self) -> _Found:
        """A fresh merge of both listings, range by range, the keys that were renamed, and a sample's contents."""
        parts, pair, last = self._parts, self.pair, self._last
        transfer = parts.objects.transfer(pair)
        lookup = Lookup(pair, transfer, comparing(last.compare))
        try:
            renamed = await self.progress.begin(transfer, last)
            old_names = set(renamed.values())

            async def personal(keys: Sequence[str]) -> list[Operation]:
                """Those that were not there when the sync was planned."""
                if pair.options.on_personal_key == "skip":
                    return []
                new = [key for key in keys if key not in old_names]
                found = await few_at_a_time([lookup.operation(key) for key in new], _LOOKUPS)
                return [operation for operation in found if operation is not None]

            look = self.look = BucketLook(
                parts, pair.target, leak_look(parts), self.progress.seen, self.progress.carried
            )
            self.progress.carry = look.carry
            checkpoints = await together(
                prove_range(
                    task,
                    checkpoint,
                    transfer=transfer,
                    sealer=parts.sealer,
                    note=self.progress.note,
                    chosen=KeyFilter(pair.options, self._masker, renamed),
                    judge=self._judged,
                    looked=look.keys,
                    personal=personal,
                )
                for task, checkpoint in self.progress.ranges()
            )
            found = self._found(checkpoints, [task for task, _ in self.progress.ranges()])
            operations = await few_at_a_time([lookup.operation(key, name) for name, key in renamed.items()], _LOOKUPS)
            for operation in operations:
                judged = self._judged(operation) if operation is not None else None
                if judged is not None:
                    kind, name = judged
                    found.differing += kind == "differing"
                    found.changed += kind != "differing"  # that it was in the source when the sync was planned is known
                    found.names.append(name)
            await self._compare_contents(transfer, lookup, look.contents, renamed, found)
        finally:
            transfer.close()
        return found

    def _judged(self, operation: Operation) -> tuple[Kind, str] | None:
        if operation.action is Action.SKIP:
            return None
        started = self._last.started
        name = self._shown(operation.key)
        if name in self._last.failed:
            return None
        if operation.action is Action.DELETE:
            return "changed" if self._was_named(operation.key) else "alone", name
        later = operation.source
        is_later = started is not None and later is not None and later.modified >= started
        if not is_later and self._was_archived(operation.key):
            return None
        return "changed" if is_later else "differing", name

    def _was_archived(self, key: str) -> bool:
        """Whether the sync has left the object out, as one that must be restored first."""
        archived = self._last.archived
        return bool(archived) and known_as(self.pair.options.target_prefix + key, self._masker) in archived

    def _was_named(self, key: str) -> bool:
        """Whether the inventory names an object, which the source has no more."""
        if self._inventory is None:
            return False
        with opened(self._inventory) as pages:
            return pages is not None and pages.names(self.pair.options.source_prefix + key)

    def _shown(self, key: str) -> str:
        return shown(self.pair.options.target_prefix + key, self._masker, self._parts.redact)

    def _found(self, checkpoints: Sequence[Checkpoint], tasks: Sequence[RangeTask]) -> _Found:
        """What the ranges found, together."""
        counters = summed(checkpoints)
        found = _Found(
            differing=counters["differing"],
            changed=counters["changed"],
            keys=counters.get("keys", 0),
            leaks=counters.get("leaks", 0),
            canaries=counters.get("canaries", 0),
            by=self._last.compare,
        )
        left, alone = self._last.left, counters["alone"]
        if left is not None and left == total_digest(checkpoints):
            found.changed += alone
        else:
            found.extra = alone
            found.differing += alone
            found.foreign = left is not None
            if found.foreign and not found.differing:
                found.differing = 1  # the listings do not show which
        kinds: tuple[Kind, ...] = ("alone", "differing", "changed")
        names = [
            each for task, one in zip(tasks, checkpoints, strict=True) for each in named(task, one, self._parts.sealer)
        ]
        found.names = [name for kind in kinds for each, name in names if each == kind][:NAMED]
        return found

    async def _compare_contents(
        self,
        transfer: ObjectTransfer,
        lookup: Lookup,
        sample: Sequence[ObjectFacts],
        renamed: Mapping[str, str],
        found: _Found,
    ) -> None:
        """Reads the sample on both sides; an object that is not, or no more, the source's is passed over."""
        pair, store = self.pair, self._parts.store
        for target in sample:
            name = target.key[len(pair.options.target_prefix) :]
            source = await lookup.source(renamed.get(name, name))
            if source is None or not lookup.same(source, target):
                continue
            read = partial(store.content, limit=CONTENT_BYTES)
            ours, theirs = await asyncio.gather(
                asyncio.to_thread(read, pair.source, source), asyncio.to_thread(read, pair.target, target)
            )
            if ours is None or theirs is None:
                continue
            found.compared += 1
            if ours != theirs:
                found.altered += 1
                found.names.insert(0, self._shown(name))
