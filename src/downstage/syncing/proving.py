"""The proof of one key range: a fresh merge of both listings, every key of the target looked at, nothing done.

It is checkpointed as the sync is, so that a proof of a very large bucket goes on where it was cut off. What differs is
sorted into kinds by `judge`; whether an object that only the target has was put there by somebody, or was left there by
the sync and has gone from the source since, shows only when all ranges are through: by the digest (see `left`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from downstage.ports import Checkpoint, ObjectFacts, ObjectTransfer, Sealer
from downstage.syncing.keys import KeyFilter
from downstage.syncing.left import MODULUS, mark
from downstage.syncing.listing import stretches
from downstage.syncing.merge import Operation, comparing
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, unpacked

Kind = Literal["differing", "changed", "alone"]
"""Of an object that is not the source's: it ought to be; it changed in the source since; only the target has it."""

Judge = Callable[[Operation], tuple[Kind, str] | None]
"""What kind of difference an operation is, and the name to show; None for none."""

NAMED = 20


async def prove_range(
    task: RangeTask,
    checkpoint: Checkpoint,
    *,
    transfer: ObjectTransfer,
    sealer: Sealer,
    note: Callable[[Checkpoint], None],
    chosen: KeyFilter,
    judge: Judge,
    looked: Callable[[Sequence[ObjectFacts]], Mapping[str, int]],
    personal: Callable[[Sequence[str]], Awaitable[Sequence[Operation]]],
) -> Checkpoint:
    """Looks at what is left of the range; gives the last checkpoint, which is done. `note` is told of each.

    Counters: one for each kind, and what `looked` counts in the entries of the target. `personal` gives what keys of
    the source that hold an address need. The digest is of all that takes part in the target; `named` reads the cursor.
    """
    if checkpoint.done:
        return checkpoint
    state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
    counters = {"differing": 0, "changed": 0, "alone": 0} | dict(checkpoint.counters)
    names: list[tuple[Kind, str]] = [(kind, name) for kind, name in state.get("names", ())]
    digest, cursor = checkpoint.digest, state.get("after")
    entries_ahead: list[ObjectFacts] = []
    personal_ahead: list[str] = []
    cut = len(task.pair.options.target_prefix)

    def decide(operation: Operation) -> None:
        found = judge(operation)
        if found is not None:
            counters[found[0]] += 1
            if sum(kind == found[0] for kind, _ in names) < NAMED:
                names.append(found)

    async def settle(until: str | None) -> None:
        """What was read up to there: pages are read ahead of what is decided."""
        reached = [entry for entry in entries_ahead if until is None or entry.key[cut:] <= until]
        del entries_ahead[: len(reached)]
        for name, number in looked(reached).items():
            counters[name] = counters.get(name, 0) + number
        keys = [key for key in personal_ahead if until is None or key <= until]
        del personal_ahead[: len(keys)]
        for operation in await personal(keys) if keys else ():
            decide(operation)

    def noted(*, done: bool) -> Checkpoint:
        made = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=sealer.seal(packed(after=cursor, names=names), task.context),
            done=done,
            digest=digest,
            counters=dict(counters),
        )
        note(made)
        return made

    merged = stretches(
        task.pair,
        task.rest(cursor),
        transfer,
        chosen,
        comparing(task.compare),
        personal=personal_ahead.extend,
        target_seen=entries_ahead.extend,
        mark=mark,
    )
    try:
        async for stretch in merged:
            total = digest + stretch.left
            for operation in stretch.operations:
                total += operation.left
                if operation.target is not None:
                    total += mark(operation.key, operation.target.etag)
                decide(operation)
            digest = total % MODULUS
            cursor = stretch.last or cursor
            await settle(stretch.last)
            noted(done=False)
    finally:
        await merged.aclose()  # type: ignore[attr-defined]
    await settle(None)
    return noted(done=True)


def named(task: RangeTask, checkpoint: Checkpoint, sealer: Sealer) -> list[tuple[Kind, str]]:
    """The names that were noted in a range, the first few of each kind."""
    if checkpoint.cursor is None:
        return []
    return [(kind, name) for kind, name in unpacked(sealer.open(checkpoint.cursor, task.context))["names"]]
