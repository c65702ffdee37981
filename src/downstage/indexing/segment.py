"""One segment of a target table, read → mapped → made as documents → checkpoint, until the segment ends.

The same shape as the copy loop, and as restartable: a page's checkpoint is saved only when each of its documents has an
answer. It reads the target alone, so whatever it sends has been masked and verified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from downstage.errors import ConfigError, VerificationFailed
from downstage.indexing.bulk import Bulk
from downstage.indexing.mapping import ItemMapping, MappingFailed
from downstage.ports import Checkpoint, ItemReader, NewDocument, Sealer

MOST_REFUSED = 100
"""Refused documents and failed items of one segment, beyond which going on is of no use."""


@dataclass(frozen=True, slots=True)
class IndexTask:
    """What one segment's backfill needs besides its parts. `context` names run, task and table for sealing; `domain` is
    for messages; documents may be put under the names of `writable`; `only` are those asked for (None: any).
    """

    context: str
    domain: str
    writable: Collection[str]
    only: Collection[str] | None = None


async def index_segment(
    task: IndexTask,
    checkpoint: Checkpoint,
    *,
    reader: ItemReader,
    mapping: ItemMapping,
    bulk: Bulk | None,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
) -> Checkpoint:
    """Makes the documents of what is left of the segment; returns its last checkpoint, which is `done`.

    Counters: `items`, `bytes` (of documents), `made:INDEX`, `there:INDEX` (those that were there already) and
    `refused: REASON`. Without a `bulk` nothing is sent: `would:INDEX` counts what would be. Raises ConfigError for an
    index that the domain does not have, VerificationFailed if too much is refused.
    """
    if checkpoint.done:
        return checkpoint
    where = f"{task.context}/{checkpoint.segment}/{checkpoint.total_segments}"
    counters = Counter({"items": 0, "bytes": 0} | dict(checkpoint.counters))
    cursor = orjson.loads(sealer.open(checkpoint.cursor, where)) if checkpoint.cursor else None
    async with aclosing(reader.pages(checkpoint.segment, checkpoint.total_segments, cursor)) as pages:
        async for page in pages:
            documents: list[NewDocument] = []
            for raw in page.items:
                try:
                    found = mapping(orjson.loads(raw))
                except MappingFailed as error:
                    counters[f"refused: {error}"] += 1
                    continue
                documents += [one for one in found if task.only is None or one.index in task.only]
            _refuse_unknown(task, documents)
            if bulk is not None:
                counters.update(await bulk.write(documents))
            else:
                counters.update(f"would:{document.index}" for document in documents)
            counters["items"] += len(page.items)
            counters["bytes"] += sum(len(document.source) for document in documents)
            checkpoint = Checkpoint(
                segment=checkpoint.segment,
                total_segments=checkpoint.total_segments,
                cursor=sealer.seal(orjson.dumps(page.cursor), where) if page.cursor is not None else None,
                done=page.cursor is None,
                counters=dict(counters),
            )
            refused = refusals(counters)
            if sum(refused.values()) > MOST_REFUSED:
                raise VerificationFailed(f"too many documents are refused: {told(refused)}; {WHAT_TO_DO}")
            save(checkpoint)
    return checkpoint


WHAT_TO_DO = "correct the mapping function or the index's mapping, then resume the run, or start over"


def refusals(counters: dict[str, int]) -> dict[str, int]:
    """How many documents or items were refused, by reason."""
    return {name.removeprefix("refused: "): count for name, count in counters.items() if name.startswith("refused: ")}


def told(refused: dict[str, int]) -> str:
    """Refusals in words, the commonest first."""
    return ", ".join(f"{count:,} × {reason}" for reason, count in sorted(refused.items(), key=lambda entry: -entry[1]))


def _refuse_unknown(task: IndexTask, documents: list[NewDocument]) -> None:
    """An index that is not there would be made by its first document, with types that OpenSearch guesses. No name is
    told: whoever made it may have made it of anything."""
    if any(document.index not in task.writable for document in documents):
        raise ConfigError(
            f"search.backfill: the mapping names an index that the search domain {task.domain} does not have, of "
            f"{len(task.writable)} that it has; create that index, or correct the mapping"
        )
