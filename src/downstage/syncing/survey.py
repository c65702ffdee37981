"""The plan pass: the whole merge, and nothing done. It gives the numbers that decide whether the sync may begin.

It counts what would be copied, deleted and left out, and the keys that hold an address, and says how much there is, so
that progress can tell the time left. It is checkpointed as the sync is: a plan pass of a very large bucket goes on
where it was cut off.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from downstage.ports import Checkpoint, ObjectTransfer, Sealer
from downstage.syncing.keys import KeyFilter
from downstage.syncing.left import LEFT, MODULUS, mark, unmarked
from downstage.syncing.listing import stretches
from downstage.syncing.merge import Action, Operation, Stretch, comparing
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, unpacked

_COUNTERS = ("objects", "held", "copy", "bytes_to_copy", "delete", "unchanged", "extra", "skip", "personal")
_SAVE_SECONDS = 1.0


async def survey_range(
    task: RangeTask,
    checkpoint: Checkpoint,
    *,
    transfer: ObjectTransfer,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
    chosen: KeyFilter,
    planned: Callable[[Operation], None] = lambda operation: None,
    stop_at: float | None = None,
    clock: Callable[[], float] = time.time,
) -> Checkpoint:
    """Looks at what is left of the range; gives the last checkpoint, which is `done` unless the time was up.

    Counters: objects of the source that take part, objects held by the target, and of the operations copy,
    bytes_to_copy, delete, skip (and `skip: REASON`), unchanged, extra, personal. Where personal keys are masked,
    `chosen` must know the names that they get. The digest is of what is unchanged (see `left`).
    """
    if checkpoint.done:
        return checkpoint
    state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
    counters = dict.fromkeys(_COUNTERS, 0) | dict(checkpoint.counters) | {LEFT: checkpoint.digest}
    ahead: list[str] = []
    cursor = state.get("after", task.keys.after)

    def settle(until: str | None) -> None:
        """Counts the personal keys up to `until`: pages are read ahead of what is decided."""
        reached = [key for key in ahead if until is None or key <= until]
        counters["personal"] += len(reached)
        del ahead[: len(reached)]

    def saved(*, done: bool) -> Checkpoint:
        made = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=None if done else sealer.seal(packed(after=cursor), task.context),
            done=done,
            digest=counters[LEFT] % MODULUS,
            counters={name: number for name, number in counters.items() if name != LEFT},
        )
        save(made)
        return made

    merged = stretches(
        task.pair,
        task.rest(cursor),
        transfer,
        chosen,
        comparing(task.compare),
        personal=ahead.extend,
        listed=task.listed,
        mark=mark if task.marked else unmarked,
    )
    saved_at = clock()
    try:
        async for stretch in merged:
            _add(counters, stretch)
            for operation in stretch.operations:
                planned(operation)
            settle(stretch.last)
            cursor = stretch.last or cursor
            if stop_at is not None and clock() >= stop_at:
                return saved(done=False)
            if clock() - saved_at >= _SAVE_SECONDS:
                saved_at = clock()
                saved(done=False)
    finally:
        await merged.aclose()  # type: ignore[attr-defined]
    settle(None)
    return saved(done=True)


def _add(counters: dict[str, int], stretch: Stretch) -> None:
    unchanged, extra, left = stretch.unchanged, stretch.extra, stretch.left
    objects = held = 0
    for operation in stretch.operations:
        unchanged += operation.unchanged
        extra += operation.extra
        left += operation.left
        counters[operation.action.value] += 1
        objects += operation.source is not None
        held += operation.target is not None
        if operation.action is Action.COPY and operation.source is not None:
            counters["bytes_to_copy"] += operation.source.size
        elif operation.action is Action.SKIP:
            name = f"skip: {operation.reason}"
            counters[name] = counters.get(name, 0) + 1
    counters["unchanged"] += unchanged
    counters["extra"] += extra
    counters[LEFT] += left
    counters["objects"] += objects + unchanged
    counters["held"] += held + unchanged + extra
