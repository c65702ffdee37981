"""From a plan and what AWS says of its tables and buckets to the workload that is estimated. Only looks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

from downstage.aws.bucket_size import objects_in
from downstage.aws.quotas import table_quota
from downstage.aws.session import Session
from downstage.domain.plan import BucketPair, RefreshPlan, TablePair
from downstage.domain.prices import AS_OF, Prices
from downstage.domain.table_schema import Units
from downstage.errors import NotFound
from downstage.masking.kernel import KERNEL
from downstage.planning import guards
from downstage.planning.estimate import Estimate
from downstage.planning.workload import BucketLoad, Means, TableLoad, Workload
from downstage.ports import Capacity, ObjectFacts, ObjectStore, TableAdmin, TableFacts

COUNTED = 10_000
"""So many objects of a bucket are counted by listing, no more."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Where the figures come from. `objects` gives the number of a bucket's objects as CloudWatch has it, `quota` what
    the account lets one table take: of the source's, or of the target's."""

    source_tables: TableAdmin
    target_tables: TableAdmin
    store: ObjectStore
    source_objects: Callable[[str], int | None]
    target_objects: Callable[[str], int | None]
    source_quota: Callable[[], Units] = Units
    target_quota: Callable[[], Units] = Units


def sizes_of(
    source_tables: TableAdmin, target_tables: TableAdmin, store: ObjectStore, sides: tuple[Session, Session]
) -> Sizes:
    """The figures as AWS gives them; `sides` are the source's and the target's sessions."""
    source, target = sides
    return Sizes(
        source_tables,
        target_tables,
        store,
        partial(objects_in, source),
        partial(objects_in, target),
        partial(table_quota, source),
        partial(table_quota, target),
    )


def workload_of(plan: RefreshPlan, prices: Prices, sizes: Sizes) -> Workload:
    """What the plan will have to move. Raises NotFound for a source that is not there, and AwsError."""
    wiped = guards.resolve_patterns(plan.wipe.tables, sizes.target_tables.names()) if plan.wipe is not None else ()
    return Workload(
        tables=tuple(_table(pair, sizes, wiped) for pair in plan.tables),
        buckets=tuple(_bucket(pair, sizes) for pair in plan.buckets),
        means=means_of(plan),
        read_rate=plan.rates.read,
        write_rate=plan.rates.write,
        verify_rate=plan.rates.verify,
        delivered=plan.streams is not None or plan.search is not None,
        prices=prices,
        source_quota=sizes.source_quota() if plan.tables else Units(),
        target_quota=sizes.target_quota() if plan.tables else Units(),
    )


def means_of(plan: RefreshPlan) -> Means:
    """What would carry the work, if it were begun here."""
    name, workers = plan.engine.name, plan.engine.workers
    cores, compiled = os.cpu_count() or 1, KERNEL is not None
    glue = plan.engine.glue
    if name != "glue" or glue is None:
        return Means(name, workers, cores, compiled, segments=plan.engine.segments)
    return Means(name, min(workers, glue.slots), cores, False, glue.dpus, plan.engine.segments)  # its bundle has none


def _table(pair: TablePair, sizes: Sizes, wiped: Collection[str]) -> TableLoad:
    source = sizes.source_tables.facts(pair.source.name)
    target = _as_it_will_be(pair, source, _facts(sizes.target_tables, pair.target.name), wiped)
    capacities = {index.name: index.capacity for index in target.indexes}
    exported: Literal["", "ours", "given"] = "" if pair.export is None else "ours" if pair.export.ours else "given"
    return TableLoad(
        source=source.name,
        target=pair.target.name,
        items=source.items,
        size=source.size,
        read=source.capacity,
        write=target.capacity,
        indexes=tuple(
            replace(index, capacity=capacities[index.name]) for index in source.indexes if index.name in capacities
        ),
        replicas=target.replicas,
        exported=exported,
        source_infrequent=source.infrequent,
        target_infrequent=target.infrequent,
    )


def _as_it_will_be(
    pair: TablePair, source: TableFacts, target: TableFacts | None, wiped: Collection[str]
) -> TableFacts:
    """The target's table when the copy begins: the one that is there, or one made after it or after the source, as cold
    as a new one is, but for what the configuration warms."""
    if target is not None and pair.target.name not in wiped:
        return target
    known = target or replace(source, replicas=0)
    warm = pair.terms.warm or Units()
    return replace(
        known,
        capacity=_new(known.capacity, warm),
        indexes=tuple(replace(index, capacity=_new(index.capacity, warm)) for index in known.indexes),
    )


def _new(capacity: Capacity, warm: Units) -> Capacity:
    return replace(capacity, warm=warm)


def _facts(tables: TableAdmin, name: str) -> TableFacts | None:
    try:
        return tables.facts(name)
    except NotFound:
        return None


def _bucket(pair: BucketPair, sizes: Sizes) -> BucketLoad:
    options = pair.options
    objects, counted = _objects(
        sizes.store.list(pair.source, None, options.source_prefix),
        lambda: None if options.source_prefix else sizes.source_objects(pair.source.name),
    )
    try:
        held, _ = _objects(
            sizes.store.list(pair.target, None, options.target_prefix),
            lambda: None if options.target_prefix else sizes.target_objects(pair.target.name),
        )
    except NotFound:
        held = 0
    return BucketLoad(pair.source.name, pair.target.name, objects, held, counted)


def _objects(listing: Iterator[ObjectFacts], told: Callable[[], int | None]) -> tuple[int, bool]:
    """How many there are, and whether that is all: a short listing says so, and beyond it CloudWatch."""
    found = sum(1 for _ in islice(listing, COUNTED))
    if found < COUNTED:
        return found, True
    number = told()
    return (found, False) if number is None or number < found else (number, True)


def record_of(load: Workload, found: Estimate) -> dict[str, Any]:
    """The estimate as it is written for machines."""
    tables = {
        name: sum(getattr(table, name) for table in found.tables)
        for name in ("items", "size", "read", "write", "verify", "least", "most")
    }
    return {
        **asdict(found),
        "totals": {
            "items": tables["items"],
            "bytes": tables["size"],
            "read_units": tables["read"],
            "write_units": tables["write"],
            "write_units_least": tables["least"],
            "write_units_most": tables["most"],
            "verify_units": tables["verify"],
        },
        "seconds": found.seconds,
        "hours": found.seconds / 3600,
        "dollars": found.dollars,
        "outlives_streams": found.outlives_streams and load.delivered,
        "buckets_counted": all(bucket.counted for bucket in load.buckets),
        "prices": {**asdict(load.prices), "as_of": AS_OF, "region": "us-east-1", "own": load.prices.own},
    }
