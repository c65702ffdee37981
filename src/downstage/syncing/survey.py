"""The plan pass: the whole merge, and nothing done. It gives the numbers that decide whether the sync may begin.

It counts what would be copied, deleted and left out, finds the keys that hold an address, and says how much there is,
so that progress can tell the time left. It is checkpointed as the sync is: a plan pass of a very large bucket goes on
where it was cut off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from downstage.errors import GuardRefused
from downstage.ports import Checkpoint, ObjectTransfer, Sealer
from downstage.syncing.bucket import RangeTask
from downstage.syncing.keys import MOST_PERSONAL, KeyFilter
from downstage.syncing.listing import stretches
from downstage.syncing.merge import Action, Operation, Stretch, comparing
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
    bytes_to_copy, delete, skip (and `skip: REASON`), unchanged, extra, personal. Where personal keys are masked, they
    are sealed in the cursor, also of a range that is done: `personal_keys` reads them.
    """
    if checkpoint.done:
        return checkpoint
    state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
    counters = dict.fromkeys(_COUNTERS, 0) | dict(checkpoint.counters)
    found: list[str] = list(state.get("personal", []))
    doubtful: list[str] = list(state.get("doubtful", []))
    wanted = task.pair.options.on_personal_key == "mask"
    ahead: list[str] = []
    cursor = state.get("after", task.keys.after)

    def settle(until: str | None) -> None:
        """Counts the personal keys up to `until`: pages are read ahead of what is decided."""
        reached = [key for key in ahead if until is None or key <= until]
        counters["personal"] += len(reached)
        del ahead[: len(reached)]
        if wanted:
            found.extend(reached)
        if wanted and len(found) > MOST_PERSONAL:
            raise GuardRefused(
                f"refused: more than {MOST_PERSONAL:,} object keys of bucket '{task.pair.source.name}' hold e-mail "
                "addresses, more than can be masked; set 'on_personal_key: skip', or leave them out with 'exclude' "
                "(nothing was written)"
            )

    def saved(*, done: bool) -> Checkpoint:
        state = packed(after=cursor, personal=found, doubtful=doubtful)
        made = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=sealer.seal(state, task.context),
            done=done,
            counters=dict(counters),
        )
        save(made)
        return made

    merged = stretches(
        task.pair,
        replace(task.keys, after=cursor),
        transfer,
        chosen,
        comparing(task.compare),
        personal=ahead.extend,
        listed=task.listed,
    )
    saved_at = clock()
    try:
        async for stretch in merged:
            _add(counters, stretch)
            for operation in stretch.operations:
                planned(operation)
                if wanted and operation.action is Action.DELETE and may_be_renamed(operation.key):
                    doubtful.append(operation.key)
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
    unchanged, extra = stretch.unchanged, stretch.extra
    objects = held = 0
    for operation in stretch.operations:
        unchanged += operation.unchanged
        extra += operation.extra
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
    counters["objects"] += objects + unchanged
    counters["held"] += held + unchanged + extra


def may_be_renamed(key: str) -> bool:
    """Whether a key that only the target has may be what a personal key was copied to: it would hold an address."""
    return "@" in key or "%" in key


def noted_keys(task: RangeTask, checkpoint: Checkpoint, sealer: Sealer) -> tuple[list[str], list[str]]:
    """What the plan pass of a range has noted for a pair that masks keys: the personal keys of the source, and those
    keys to be deleted that may be what a personal one was copied to. All relative."""
    if checkpoint.cursor is None:
        return [], []
    state = unpacked(sealer.open(checkpoint.cursor, task.context))
    return list(state.get("personal", [])), list(state.get("doubtful", []))


def reckoned(checkpoint: Checkpoint, doubtful: Sequence[str], renamed: Container[str]) -> Checkpoint:
    """The plan pass of a range, without the deletes of what personal keys were copied to: these will not be deleted."""
    kept = sum(key in renamed for key in doubtful)
    if not kept:
        return checkpoint
    counters = dict(checkpoint.counters)
    counters["delete"] -= kept
    counters["held"] -= kept
    return replace(checkpoint, counters=counters)
