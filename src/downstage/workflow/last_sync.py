"""The run's own sync of a pair, as the journal has it: what the proof measures the target by."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from downstage.domain.plan import BucketPair, Compare
from downstage.syncing.listing import KeyRange
from downstage.workflow.bucket_plans import archived_task, open_ranges, recorded, renamed_keys
from downstage.workflow.inventories import listed_by
from downstage.workflow.parts import Parts
from downstage.workflow.sums import summed, total_digest, whole


@dataclass(frozen=True, slots=True)
class LastSync:
    """How it compared objects, when it listed the source, what it named as failed, and what it has left out as archived
    though no listing shows it (as `known_as` has it). `left` is the digest of what it left
    in the target, None where that cannot be known: objects of the target alone may come and go (`delete: false`), it
    has not ended, or something has failed. `ranges` is empty if no sync is known; `renamed` are new names by old."""

    compare: Compare
    started: float | None = None
    failed: Collection[str] = ()
    archived: Collection[str] = ()
    left: str | None = None
    ranges: tuple[KeyRange, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


def last_sync(parts: Parts, pair: BucketPair) -> LastSync:
    """The sync of the pair that this run has made; one without ranges if it has made none."""
    for entry in recorded(parts) or ():
        if entry["target"] == pair.target.name:
            return _read(parts, pair, entry)
    return LastSync(pair.options.compare)


def _read(parts: Parts, pair: BucketPair, entry: Mapping[str, Any]) -> LastSync:
    task, context, run_id = f"sync/{pair.target.name}", entry["context"], parts.run.run_id
    checkpoints = parts.journal.checkpoints(run_id, task)
    counters = summed(checkpoints)
    compare: Compare = entry["compare"]
    if compare == "etag" and counters.get("other_etags"):
        compare = "aws"  # its copies had other ETags than their sources: they cannot be judged by them
    started = float(entry["started"])
    listed = listed_by(entry.get("inventory"))
    if listed is not None:
        started = min(started, math.floor(listed.created))  # listings tell whole seconds
    ranges = open_ranges(entry["ranges"], parts.sealer, context)
    known = pair.delete and whole(checkpoints) and not counters.get("failed")
    return LastSync(
        compare,
        started,
        {name for name, _ in parts.journal.quarantined(run_id, task)},
        {name for name, _ in parts.journal.quarantined(run_id, archived_task(pair))},
        total_digest(checkpoints) if known else None,
        ranges,
        renamed_keys(parts.journal, run_id, pair, context, len(ranges), parts.sealer, parts.objects.masker),
    )
