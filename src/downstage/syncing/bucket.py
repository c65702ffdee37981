"""The sync of one bucket, in chunks: plan a chunk from the merge, do it, checkpoint its last key.

The cursor is the key below which everything is done. It is saved (sealed) only after the chunk's copies and deletes
have answered, and a resumed sync starts both listings after it. Whatever fails ends the sync: what was done stands,
and the next call goes on from the cursor. Only counts leave this module; keys go out redacted, as operations end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from downstage.domain.plan import BucketPair
from downstage.ports import Checkpoint, ObjectFacts, ObjectStore, Sealer
from downstage.syncing.merge import Action, Difference, merge

_COUNTERS = ("copied", "deleted", "unchanged", "skipped", "bytes_copied")


def sync_bucket(
    pair: BucketPair,
    checkpoint: Checkpoint,
    *,
    store: ObjectStore,
    sealer: Sealer,
    context: str,
    save: Callable[[Checkpoint], None],
    finished: Callable[[Action, str], None],
    workers: int = 16,
    chunk_size: int = 1000,
) -> Checkpoint:
    """Syncs what is left; returns the last checkpoint, which is `done`.

    `finished` is told of each copy, delete and skip as it ends (with the real key: the caller redacts it).
    Counters: copied, deleted, unchanged, skipped, bytes_copied, and one `skipped: REASON` for each reason. What a
    chunk had copied before it broke off is unchanged when it is looked at again. `chunk_size` is 1,000 at most, as
    many keys as one delete may name.
    """
    if checkpoint.done:
        return checkpoint
    counters = {name: checkpoint.counters.get(name, 0) for name in _COUNTERS} | dict(checkpoint.counters)
    cursor = sealer.open(checkpoint.cursor, context).decode() if checkpoint.cursor else None
    differences = merge(store.list(pair.source, cursor), store.list(pair.target, cursor), delete=pair.delete)
    with ThreadPoolExecutor(workers, thread_name_prefix="sync") as pool:
        for chunk in _chunks(differences, chunk_size):
            _perform(pair, chunk, store, pool, finished)
            _count(chunk, counters)
            checkpoint = Checkpoint(
                checkpoint.segment,
                checkpoint.total_segments,
                cursor=sealer.seal(chunk[-1].key.encode(), context),
                counters=dict(counters),
            )
            save(checkpoint)
    checkpoint = Checkpoint(checkpoint.segment, checkpoint.total_segments, done=True, counters=dict(counters))
    save(checkpoint)
    return checkpoint


def compare_bucket(pair: BucketPair, store: ObjectStore, look: Callable[[ObjectFacts], None]) -> tuple[int, int]:
    """A fresh merge of both listings: (keys compared, keys that a sync would still copy or delete).

    `look` is shown every object of the target, for the leak scan of its key.
    """

    def shown() -> Iterator[ObjectFacts]:
        for entry in store.list(pair.target, None):
            look(entry)
            yield entry

    compared = differing = 0
    for difference in merge(store.list(pair.source, None), shown(), delete=pair.delete):
        compared += 1
        if difference.action in (Action.COPY, Action.DELETE):
            differing += 1
    return compared, differing


def _chunks(differences: Iterator[Difference], size: int) -> Iterator[list[Difference]]:
    while chunk := list(islice(differences, size)):
        yield chunk


def _perform(
    pair: BucketPair,
    chunk: list[Difference],
    store: ObjectStore,
    pool: ThreadPoolExecutor,
    finished: Callable[[Action, str], None],
) -> None:
    def copy(difference: Difference) -> None:
        assert difference.source is not None
        store.copy(pair.source, pair.target, difference.source)
        finished(Action.COPY, difference.key)

    doomed = [difference.key for difference in chunk if difference.action is Action.DELETE]
    for _ in pool.map(copy, [difference for difference in chunk if difference.action is Action.COPY]):
        pass
    if doomed:
        store.delete(pair.target, doomed)
    for difference in chunk:
        if difference.action in (Action.DELETE, Action.SKIP):
            finished(difference.action, difference.key)


def _count(chunk: list[Difference], counters: dict[str, int]) -> None:
    names = {Action.COPY: "copied", Action.DELETE: "deleted", Action.EQUAL: "unchanged", Action.SKIP: "skipped"}
    for difference in chunk:
        name = names.get(difference.action)
        if name is not None:
            counters[name] += 1
        if difference.action is Action.COPY and difference.source is not None:
            counters["bytes_copied"] += difference.source.size
        if difference.action is Action.SKIP:
            reason = f"skipped: {difference.reason}"
            counters[reason] = counters.get(reason, 0) + 1
