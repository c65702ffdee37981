"""The objects whose keys hold an address, copied to the keys in which it is pseudonymised.

Their new names are out of the listing's order, so they are looked up one by one, beside the ranges. There are few of
them (`keys.MOST_PERSONAL`); the cursor is the last new name, in order, below which all is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

from downstage.domain.together import few_at_a_time
from downstage.ports import Checkpoint, ObjectTransfer, Sealer
from downstage.syncing.left import LEFT
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import UNLISTED_ARCHIVE, Action, comparing
from downstage.syncing.pausing import pausing
from downstage.syncing.results import ARCHIVED_CODES, Results, Told, nobody
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, unpacked

_CHUNK = 200
_AT_ONCE = 32
_ROUNDS = 3


async def sync_renamed(
    task: RangeTask,
    renamed: Mapping[str, str],
    checkpoint: Checkpoint,
    *,
    transfer: ObjectTransfer,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
    told: Told = nobody,
    stop_at: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Checkpoint:
    """Copies what is left of `renamed` (new names, relative, by them the old ones); gives the last checkpoint.

    An object that has gone from the source meanwhile is left where it is: its name is not known to be anybody else's.
    """
    if checkpoint.done:
        return checkpoint
    counters = dict(checkpoint.counters)
    state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
    done, settled = state.get("after"), set(state.get("settled", ()))
    uploads: dict[str, str] = state.get("uploads", {})
    left = sorted(name for name in renamed if (done is None or name > done) and name not in settled)
    pair = task.pair
    lookup = Lookup(pair, transfer, comparing(task.compare))
    results = Results(pair, told)

    async def one(name: str) -> dict[str, int] | None:
        """What the object came to; None if the time was up while it was copied."""
        code = "PreconditionFailed"
        to = pair.options.target_prefix + name
        for _ in range(_ROUNDS):
            operation = await lookup.operation(renamed[name], name)
            if operation is None or operation.action is Action.DELETE:
                return {"unchanged": 1}
            if operation.action is Action.SKIP:
                return results.skipped(name, operation.reason)
            assert operation.source is not None
            upload = uploads.pop(name, "")
            copy = partial(transfer.go_on, upload=upload) if upload else transfer.copy
            result = await copy(pair.source, pair.target, operation.source, to)
            if result.refusal == "unfinished":
                uploads[name] = result.code
                return None
            if not result.refusal:
                return results.copied(operation.source, name, result) | {"masked_keys": 1}
            if result.code in ARCHIVED_CODES:
                return results.skipped(name, UNLISTED_ARCHIVE)
            code = result.code
        return results.failed(name, code)

    for first in range(0, len(left), _CHUNK):
        if stop_at is not None and clock() >= stop_at:
            return checkpoint
        chunk = left[first : first + _CHUNK]
        async with pausing(transfer, stop_at, clock):
            found = await few_at_a_time([one(name) for name in chunk], _AT_ONCE)
        for counts in found:
            for counter, number in (counts or {}).items():
                if counter != LEFT:  # the proof looks each of these up
                    counters[counter] = counters.get(counter, 0) + number
        ended = [name for name, counts in zip(chunk, found, strict=True) if counts is not None]
        if len(ended) < len(chunk):
            state = {"after": done, "settled": sorted(settled | set(ended)), "uploads": uploads}
        else:
            done, settled = chunk[-1], {name for name in settled if name > chunk[-1]}
            state = {"after": done, "settled": sorted(settled)}
        checkpoint = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=sealer.seal(packed(**state), task.context),
            counters=dict(counters),
        )
        save(checkpoint)
        if len(ended) < len(chunk):
            return checkpoint
    checkpoint = Checkpoint(checkpoint.segment, checkpoint.total_segments, done=True, counters=counters)
    save(checkpoint)
    return checkpoint
