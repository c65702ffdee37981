"""What two tables can carry, compared: provisioned units, on-demand limits, warmth and autoscaling, of the table and of
each index that both have."""

from __future__ import annotations

from collections.abc import Iterator

from downstage.domain.table_schema import Difference, ParityTerms, TableSchema, Units, Unknown
from downstage.planning.parity_words import differing, named, place_of, scaling_text, units_text


def throughput(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    """Provisioned units; where both sides scale by themselves, what they have at the moment says nothing."""
    if ours.on_demand or theirs.on_demand:
        return
    scaled = _scaled(ours) & _scaled(theirs)
    for index, mine, other in _capacities(ours, theirs, "throughput"):
        for way in ("read", "write"):
            if (index, way) not in scaled:
                yield from differing("throughput", place_of(index, way), units_text(mine, way), units_text(other, way))


def maxima(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    """The limits of an on-demand table and of its indexes."""
    if not ours.on_demand:
        return
    for index, mine, other in _capacities(ours, theirs, "maximum"):
        for way in ("read", "write"):
            yield from differing(
                "on_demand_maximum", place_of(index, way), units_text(mine, way), units_text(other, way)
            )


def warmth(ours: TableSchema, theirs: TableSchema, terms: ParityTerms) -> Iterator[Difference]:
    """Warm throughput costs money and never goes down, so production's is asked for only in the configuration."""
    for index, mine, other in _capacities(ours, theirs, "warm"):
        for way in ("read", "write"):
            at, have = place_of(index, way), getattr(other, way) or 0
            asked = getattr(terms.warm, way) if terms.warm is not None else None
            if asked is not None and have < asked:
                yield Difference("warm_throughput", at, str(asked), units_text(other, way))
            elif terms.warm is None and have < (getattr(mine, way) or 0):
                yield Difference(
                    "warm_throughput", at, units_text(mine, way), units_text(other, way), "accepted", "none",
                    "colder than the source: it costs money, so set 'warm_throughput' of the table if you want it",
                )  # fmt: skip


def autoscaling(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    """Ranges and policies; an on-demand table has no use for them."""
    if ours.on_demand:
        return
    sides = [
        side.autoscaling
        if isinstance(side.autoscaling, Unknown)
        else {place_of(one.index, one.dimension): scaling_text(one) for one in side.autoscaling}
        for side in (ours, theirs)
    ]
    yield from named("autoscaling", sides[0], sides[1])


def _capacities(ours: TableSchema, theirs: TableSchema, which: str) -> Iterator[tuple[str | None, Units, Units]]:
    """The table's units of both sides, then those of each index that both have."""
    yield None, getattr(ours, which), getattr(theirs, which)
    other = {index.name: index for index in theirs.global_indexes}
    for index in ours.global_indexes:
        if index.name in other:
            yield index.name, getattr(index, which), getattr(other[index.name], which)


def _scaled(side: TableSchema) -> set[tuple[str | None, str]]:
    return set() if isinstance(side.autoscaling, Unknown) else {(one.index, one.dimension) for one in side.autoscaling}
