"""Batches: how a page's items become BatchWriteItem calls of at most 25 items and well under 16 MB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from downstage.ports import Item
from downstage.wire.dynamodb import BATCH_ITEMS

BATCH_BYTES = 12 * 1024 * 1024


def batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    """`items` in order, cut into batches that one call can carry. An item alone may be over the size."""
    batch: list[Item] = []
    size = 0
    for item in items:
        weight = len(orjson.dumps(item)) if len(items) > 1 else 0
        if batch and (len(batch) == BATCH_ITEMS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch
