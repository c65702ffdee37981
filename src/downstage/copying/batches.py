"""Batches: how a page's items become BatchWriteItem calls of at most 25 items and well under 16 MB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from downstage.ports import RawItem
from downstage.wire.dynamodb import BATCH_ITEMS

BATCH_BYTES = 12 * 1024 * 1024


def batches(items: Sequence[RawItem]) -> Iterator[list[RawItem]]:
    """`items` in order, cut into batches that one call can carry. An item alone may be over the size."""
    batch: list[RawItem] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH_ITEMS or size + len(item) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item)
    if batch:
        yield batch
