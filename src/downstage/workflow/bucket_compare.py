"""Whether the ETags of a pair of buckets tell the content, looked at before a sync is planned.

An ETag that looks like an MD5 and is none (KMS) would have objects copied anew in every run, and the proof fail after
each: so it is asked of a few, and the pair is then compared by size and time.
"""

from __future__ import annotations

import asyncio

from downstage.domain.plan import BucketPair
from downstage.ports import ObjectTransfer
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange, stretches
from downstage.syncing.merge import Action, Operation, comparing, could_be_encrypted
from downstage.workflow.parts import Parts

_LOOKED_AT = 5
_ASKED = 8


async def why_unlike(parts: Parts, pair: BucketPair, transfer: ObjectTransfer) -> str:
    """Why ETags cannot be compared, or nothing. Objects that a key of KMS encrypts have ETags that look like the MD5 of
    the content and are not: compared, they would be copied anew for ever. So a few that differ in nothing else are
    asked about: of the first stretches; wherever they
    stand, if the last sync made other ETags."""
    if pair.options.compare != "etag":
        return ""
    looked_at = None if _made_other_etags(parts, pair) else _LOOKED_AT
    doubtful: list[Operation] = []
    merged = stretches(pair, KeyRange(), transfer, KeyFilter(pair.options, parts.objects.masker), comparing("etag"))
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
            if looked == looked_at or len(doubtful) >= _ASKED:
                break
    finally:
        await merged.aclose()  # type: ignore[attr-defined]
    for operation in doubtful[:_ASKED]:
        for bucket, prefix in ((pair.target, pair.options.target_prefix), (pair.source, pair.options.source_prefix)):
            if await asyncio.to_thread(parts.store.encrypted, bucket, prefix + operation.key):
                return "objects are encrypted with a key of KMS, whose ETags do not tell the content"
    return ""


def _made_other_etags(parts: Parts, pair: BucketPair) -> bool:
    """Whether the copies of the last sync of this target had other ETags than their sources, wherever they stand."""
    for run in reversed(parts.journal.runs()):
        if run.environment == parts.run.environment and run.run_id != parts.run.run_id:
            counted = parts.journal.checkpoints(run.run_id, f"sync/{pair.target.name}")
            if any(checkpoint.counters.get("copied") for checkpoint in counted):
                return any(checkpoint.counters.get("other_etags") for checkpoint in counted)
    return False
