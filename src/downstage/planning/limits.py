"""What holds a part of a refresh up, and for how long: capacity, set rates, workers, listings, streams.

Each limit says how many seconds it alone would need; the longest counts, for what they limit goes on at one time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from downstage.domain.table_schema import Units
from downstage.planning import assumptions as given
from downstage.planning.units import TableUnits, written
from downstage.planning.workload import BucketLoad, Means, TableLoad, Workload
from downstage.ports import Capacity


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that holds a step up, in words, and for how long it would alone."""

    what: str
    seconds: float


def copying(tables: Sequence[tuple[TableLoad, TableUnits]], load: Workload) -> Iterable[Limit]:
    """Of all tables together, which stand side by side."""
    waits = [list(_copied(table, units, load)) for table, units in tables]
    yield from (limit for its in waits for limit in its)
    yield from _in_turn(waits, load.means)
    yield from _rate("rates.read of the configuration", load.read_rate, [u.read for t, u in tables if not t.exported])
    yield from _rate(
        "rates.write of the configuration", load.write_rate, [u.write / (1 + t.replicas) for t, u in tables]
    )
    slower = 1.0 if load.means.compiled else given.PURE_FACTOR
    yield _lanes(load.means, sum(_weighed(table) for table, _ in tables) * given.COPY_SECONDS * slower)


def verifying(tables: Sequence[tuple[TableLoad, TableUnits]], load: Workload) -> Iterable[Limit]:
    """Of all tables together."""
    quota = load.target_quota
    waits = [[_capacity(f"table {table.target}", "reads", table.write, units.verify, quota)] for table, units in tables]
    yield from (limit for its in waits for limit in its)
    yield from _in_turn(waits, load.means)
    yield from _rate("rates.verify of the configuration", load.verify_rate, [units.verify for _, units in tables])
    slower = 1.0 if load.means.compiled else given.PURE_VERIFY_FACTOR
    yield _lanes(load.means, sum(_weighed(table) for table, _ in tables) * given.VERIFY_SECONDS * slower)


def _copied(table: TableLoad, units: TableUnits, load: Workload) -> Iterable[Limit]:
    """What one table's own capacity makes of its copy."""
    if not table.exported:
        yield _capacity(f"table {table.source}", "reads", table.read, units.read, load.source_quota)
    quota = load.target_quota
    yield _capacity(f"table {table.target}", "writes", table.write, written(table.items, table.size), quota)
    for index in table.indexes:
        name = f"index {index.name} of table {table.target}"
        yield _capacity(name, "writes", index.capacity, written(index.items, index.size), quota)


def _in_turn(waits: Sequence[Sequence[Limit]], means: Means) -> Iterable[Limit]:
    """A lane waits for one table at a time: few lanes cannot use the capacity of many tables at once."""
    lanes, tables = lanes_at_once(means), [slowest(its) for its in waits if its]
    if len(tables) > lanes:
        longest = slowest(tables)
        seconds = sum(table.seconds for table in tables) / lanes
        if seconds > longest.seconds:
            at_once = "one lane" if lanes == 1 else f"{lanes} lanes"
            yield Limit(
                f"{at_once} at one time for {len(tables)} tables, the slowest of which is {longest.what}", seconds
            )


def _weighed(table: TableLoad) -> float:
    """How many items of the measured size the table's are worth."""
    return max(float(table.items), table.size / given.MEASURED_BYTES)


def _capacity(name: str, way: str, capacity: Capacity, units: float, quota: Units) -> Limit:
    """How long a table needs for so many units, by what limits it first."""
    reads = way == "reads"

    def of(units: Units) -> int | None:
        return units.read if reads else units.write

    if not capacity.on_demand:
        rate = of(capacity.provisioned) or 1
        return Limit(f"{name}: its provisioned {way} ({rate:,} a second)", units / rate)
    warm, most = of(capacity.warm), of(capacity.maximum)
    takes = warm or (given.COLD_READ if reads else given.COLD_WRITE)
    if most is not None and most <= takes:
        return Limit(f"{name}: its on-demand maximum for {way} ({most:,} a second)", units / max(most, 1))
    allowed = of(quota)
    if allowed is not None and allowed < takes:
        return Limit(
            f"{name}: the account's quota of {way} for a table ({allowed:,} a second)", units / max(allowed, 1)
        )
    what = "its warm throughput" if warm else "what a new on-demand table takes"
    return Limit(f"{name}: {what} for {way} ({takes:,.0f} a second)", units / takes)


def _rate(name: str, rate: float | None, units: Sequence[float]) -> Iterable[Limit]:
    """A set rate is shared out to the lanes, whatever tables they are of."""
    if rate is not None:
        yield Limit(f"{name} ({rate:,.0f} a second)", sum(units) / rate)


def _lanes(means: Means, work: float) -> Limit:
    """How long the workers need for so many seconds of one core's work."""
    lanes = lanes_of(means)
    if means.engine == "serial":
        return Limit("the serial engine: one worker", work)
    if means.engine == "local" and means.cores < means.workers:
        cores = "core" if lanes == 1 else "cores"
        return Limit(f"this machine's {lanes} {cores}, for {means.workers} workers", work / lanes)
    what = "lanes on Glue, of engine.glue.workers" if means.engine == "glue" else "engine.workers"
    return Limit(f"{what} ({means.workers})", work / lanes)


def lanes_at_once(means: Means) -> int:
    """How many lanes are under way at one time: also those that wait, and take no core."""
    return 1 if means.engine == "serial" else means.workers


def lanes_of(means: Means) -> int:
    """How many cores work at one time."""
    if means.engine == "serial":
        return 1
    if means.engine == "local":
        return max(1, min(means.workers, means.cores))
    return means.workers


def listing(bucket: BucketLoad, means: Means) -> Limit:
    """Both buckets of a pair, listed side by side, each in ranges if it is large."""
    keys = max(bucket.objects, bucket.held)
    ranges = max(1, min(keys // given.RANGE_OBJECTS, given.RANGES_A_WORKER * means.workers))
    return Limit(f"bucket {bucket.source}: its listing", keys / (given.KEYS_A_SECOND * ranges))


def copies(bucket: BucketLoad, means: Means) -> Iterable[Limit]:
    yield Limit(
        f"bucket {bucket.target}: the {given.COPIES_A_PREFIX:,.0f} copies a second that S3 documents for a prefix",
        bucket.objects / given.COPIES_A_PREFIX,
    )
    wait = given.COPY_LATENCY / given.COPIES_AT_ONCE
    yield Limit(_lanes(means, 0.0).what, bucket.objects * max(given.OBJECT_SECONDS, wait) / lanes_of(means))


def delivery(load: Workload) -> Limit:
    """How long the streams' consumers need for everything that was written: each table's stream by itself."""
    each = f"its stream ({given.RECORDS_A_SHARD:,.0f} records a second a shard, assumed)"
    return slowest(
        Limit(f"table {table.target}: {each}", table.items / (shards_of(table) * given.RECORDS_A_SHARD))
        for table in (load.tables if load.delivered else ())
    )


def shards_of(table: TableLoad) -> int:
    """About how many shards the target's stream has: one a partition."""
    capacity = table.write
    rate = capacity.warm.write or given.COLD_WRITE if capacity.on_demand else capacity.provisioned.write or 1
    return max(1, math.ceil(table.size / given.PARTITION_BYTES), math.ceil(rate / given.PARTITION_WRITES))


def slowest(limits: Iterable[Limit]) -> Limit:
    return max(limits, key=lambda limit: limit.seconds, default=Limit("", 0.0))
