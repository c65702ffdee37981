"""What a refresh asks of DynamoDB and S3: capacity units and requests, from sizes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from downstage.planning import assumptions as given
from downstage.planning.workload import BucketLoad, TableLoad


@dataclass(frozen=True, slots=True)
class TableUnits:
    """Capacity units of one table: to read it, to write it (its indexes and replicas with it), to verify it. An item is
    rounded up by its own size, which is not known: `least` and `most` are the bounds of the writes."""

    source: str
    target: str
    items: int
    size: int
    read: float
    write: float
    verify: float
    least: float
    most: float


def units_of(table: TableLoad) -> TableUnits:
    """The capacity units that a table's copy and its proof take.

    A scan is charged by the bytes it reads; a write by the item, whose size is taken for the mean of all.
    """
    times = 1 + table.replicas
    indexed = sum(written(index.items, index.size) for index in table.indexes)
    parts = [(table.items, table.size), *((index.items, index.size) for index in table.indexes)]
    return TableUnits(
        source=table.source,
        target=table.target,
        items=table.items,
        size=table.size,
        read=0.0 if table.exported else table.size / given.READ_UNIT / 2,
        write=times * (written(table.items, table.size) + indexed),
        verify=table.size / given.READ_UNIT,
        least=times * sum(max(items, size / given.WRITE_UNIT) for items, size in parts),
        most=times * sum(items + size / given.WRITE_UNIT for items, size in parts),
    )


def written(items: int, size: int) -> float:
    """Units that writing so many items of so many bytes together takes."""
    return float(items * max(1, math.ceil(size / items / given.WRITE_UNIT))) if items else 0.0


def requests_of(buckets: Sequence[BucketLoad]) -> tuple[int, int]:
    """LIST requests, and COPY requests if every object is copied, as at the first sync."""
    pages = sum(math.ceil(max(bucket.objects, 1) / given.PAGE) for bucket in buckets)
    held = sum(math.ceil(max(bucket.held, 1) / given.PAGE) for bucket in buckets)
    after = sum(math.ceil(max(bucket.objects, bucket.held, 1) / given.PAGE) for bucket in buckets)
    return given.LISTINGS * pages + (given.LISTINGS - 1) * held + after, sum(bucket.objects for bucket in buckets)
