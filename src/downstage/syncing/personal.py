"""The keys of the source that hold an address, found before the plan pass where they are to be masked.

The names that they are copied to are out of the listing's order, and may be written in any encoding: whether an object
of the target is one of them, no look at its key can tell. So they are all known before anything is planned; then the
plan pass, the dry run, the sync and the proof are the same merge. The list travels sealed, beside the merge, and is
bounded, in number and in bytes: more end the sync before it has begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from downstage.ports import Checkpoint, ObjectTransfer, Sealer
from downstage.syncing.keys import KeyFilter, check_bearable
from downstage.syncing.listing import Listing
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, unpacked, weight

_SAVE_SECONDS = 1.0


async def find_personal(
    task: RangeTask,
    checkpoint: Checkpoint,
    *,
    transfer: ObjectTransfer,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
    chosen: KeyFilter,
    stop_at: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Checkpoint:
    """Lists what is left of the range in the source; gives the last checkpoint, which is `done` unless the time was up.

    What was found is sealed in its cursor, also when it is done: `personal_keys` reads it. Raises GuardRefused if there
    are more than can be carried.
    """
    if checkpoint.done:
        return checkpoint
    state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
    found: list[str] = list(state.get("personal", []))
    carried = sum(map(weight, found))
    objects = checkpoint.counters.get("objects", 0)
    cursor = state.get("after", task.keys.after)

    def saved(*, done: bool) -> Checkpoint:
        made = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=sealer.seal(packed(after=cursor, personal=found), task.context),
            done=done,
            counters={"objects": objects},
        )
        save(made)
        return made

    listing = Listing(transfer, task.pair.source, task.pair.options.source_prefix, task.rest(cursor), task.listed)
    saved_at, ended = clock(), False
    try:
        while not ended:
            names, _, ended = await listing.page()
            personal = chosen.source(names)[1]
            found += personal
            carried += sum(map(weight, personal))
            check_bearable(task.pair, len(found), carried)
            objects += len(names)
            cursor = names[-1] if names else cursor
            if not ended and stop_at is not None and clock() >= stop_at:
                return saved(done=False)
            if clock() - saved_at >= _SAVE_SECONDS:
                saved_at = clock()
                saved(done=False)
    finally:
        await listing.close()
    return saved(done=True)


def personal_keys(context: str, checkpoint: Checkpoint, sealer: Sealer) -> list[str]:
    """What was found in a range, by the context of its task: relative keys."""
    if checkpoint.cursor is None:
        return []
    return list(unpacked(sealer.open(checkpoint.cursor, context)).get("personal", []))
