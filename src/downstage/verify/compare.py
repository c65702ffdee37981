"""Reading the target again, alone: digest, leaks and what the indexes must hold, one segment at a time.

The same shape as the copy loop, with no write in it: it knows the target table and nothing of the source, so
what it counts is what is there. Its digest must equal the one that was added up while writing.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import jmespath
import orjson

from downstage.domain.leak_outcome import LeakPlace
from downstage.domain.plan import IndexExpectation
from downstage.errors import ConfigError
from downstage.ports import Checkpoint, Item, ItemReader, Sealer
from downstage.proof import digest
from downstage.verify.canaries import CanaryProbe, is_canary, together
from downstage.verify.leaks import LeakScanner

ID_MODULUS = 1 << 62
"""Sums of document ids are kept below this, so that they fit the journal's counters."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the items of one table say that an index must hold."""

    count: int
    ids: int


class IndexExpectations:
    """Which documents an item calls for. `document_id` is a template such as `{pk}_{sk}`."""

    def __init__(self, document_id: str, expectations: Sequence[IndexExpectation]) -> None:
        self._parts = [(before, name) for before, name, _, _ in string.Formatter().parse(document_id)]
        self._conditions = [(e.index, jmespath.compile(e.condition)) for e in expectations]

    def of(self, item: Item) -> list[tuple[str, str]]:
        """(index, document id) for each index that must hold this item."""
        indexes = [index for index, condition in self._conditions if condition.search(item)]
        return [(index, self._identify(item)) for index in indexes]

    def _identify(self, item: Mapping[str, Any]) -> str:
        pieces = []
        for before, name in self._parts:
            pieces.append(before)
            if name is not None:
                value = item.get(name, {})
                text = value.get("S", value.get("N"))
                if text is None:
                    raise ConfigError(f"search.id: an item has no string or number attribute '{name}'")
                pieces.append(text)
        return "".join(pieces)


def id_digest(document_id: str) -> int:
    """The digest of one document id, below `ID_MODULUS`."""
    return digest.text_digest(document_id) % ID_MODULUS


async def verify_segment(
    table: str,
    context: str,
    checkpoint: Checkpoint,
    *,
    reader: ItemReader,
    scanner: LeakScanner,
    expectations: IndexExpectations | None,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
    leak: Callable[[LeakPlace], None],
    probe: CanaryProbe | None = None,
) -> Checkpoint:
    """Reads what is left of the segment; returns its last checkpoint, which is `done`.

    Counters: `items`, `leaks`, `canaries` (the leaks that `probe` found), and for each index `expected:INDEX` and
    `ids:INDEX` (a sum mod `ID_MODULUS`).
    """
    if checkpoint.done:
        return checkpoint
    where = f"{context}/{checkpoint.segment}/{checkpoint.total_segments}"
    probe = probe or CanaryProbe()
    counters = {"items": 0, "leaks": 0, "canaries": 0} | dict(checkpoint.counters)
    total = checkpoint.digest
    cursor = orjson.loads(sealer.open(checkpoint.cursor, where)) if checkpoint.cursor else None
    async with aclosing(reader.pages(checkpoint.segment, checkpoint.total_segments, cursor)) as pages:
        async for page in pages:
            for raw in page.items:
                total = digest.add(total, digest.raw_digest(raw))
                item = orjson.loads(raw)
                for finding in together(scanner.scan_item(item), probe.scan_item(item)):
                    counters["leaks"] += 1
                    counters["canaries"] += is_canary(finding)
                    leak(LeakPlace(table, finding.path, finding.layers, finding.fingerprint))
                if expectations is not None:
                    for index, document_id in expectations.of(item):
                        _count(counters, index, document_id)
            counters["items"] += len(page.items)
            checkpoint = Checkpoint(
                segment=checkpoint.segment,
                total_segments=checkpoint.total_segments,
                cursor=sealer.seal(orjson.dumps(page.cursor), where) if page.cursor is not None else None,
                done=page.cursor is None,
                digest=total,
                counters=dict(counters),
            )
            save(checkpoint)
    return checkpoint


def expected_documents(checkpoints: Sequence[Checkpoint], index: str) -> Expected:
    """What all verified segments together say that `index` must hold."""
    count = sum(checkpoint.counters.get(f"expected:{index}", 0) for checkpoint in checkpoints)
    ids = sum(checkpoint.counters.get(f"ids:{index}", 0) for checkpoint in checkpoints) % ID_MODULUS
    return Expected(count, ids)


def _count(counters: dict[str, int], index: str, document_id: str) -> None:
    counters[f"expected:{index}"] = counters.get(f"expected:{index}", 0) + 1
    ids = counters.get(f"ids:{index}", 0)
    counters[f"ids:{index}"] = (ids + id_digest(document_id)) % ID_MODULUS
