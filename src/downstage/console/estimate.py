"""The estimate on the terminal: what the tables take, how long each step, what it costs, what holds it up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from rich.filesize import decimal

from downstage.console.grid import Column, print_grid
from downstage.console.lines import printable
from downstage.domain.plan import SPREAD
from downstage.domain.prices import AS_OF
from downstage.planning.estimate import Estimate
from downstage.planning.workload import Workload

_TABLES = (
    Column("Table"),
    Column("Items", figure=True),
    Column("Size", figure=True),
    Column("Read units", figure=True),
    Column("Write units", figure=True),
    Column("Verify units", figure=True),
)
_STEPS = (Column("Step"), Column("About", figure=True), Column("What holds it up"))
_COSTS = (Column("Cost"), Column("Dollars", figure=True))


def print_estimate(found: Estimate, load: Workload, stream: TextIO) -> None:
    """Writes it to `stream`."""
    print_grid(
        stream,
        _TABLES,
        [
            (
                table.target,
                f"{table.items:,}",
                decimal(table.size),
                amount(table.read),
                amount(table.write),
                amount(table.verify),
            )
            for table in found.tables
        ],
    )
    print_grid(stream, _STEPS, [(step.step, duration(step.seconds), step.limit) for step in found.steps])
    paid = [cost for cost in found.costs if cost.dollars > 0]
    total = [("together", dollars(found.dollars))] if len(paid) > 1 else []
    print_grid(stream, _COSTS, [*((cost.what, dollars(cost.dollars)) for cost in paid), *total])
    for line in sentences(found, load):
        stream.write(printable(line) + "\n")


def sentences(found: Estimate, load: Workload) -> Iterable[str]:
    """What the figures mean, and what they do not."""
    held = f"held up by {found.bottleneck}" if found.bottleneck else "nothing to move"
    yield f"about {duration(found.seconds)} and {dollars(found.dollars)} dollars; {held}"
    if load.means.engine in SPREAD and load.tables:
        yield _lanes(found, load)
    if found.dpu_hours:
        yield f"AWS Glue: {found.dpu_hours:,.1f} DPU-hours"
    if found.outlives_streams and load.delivered:
        yield (
            f"the consumers are off for about {duration(found.until_consumers)}, and a stream keeps a record for 24 "
            "hours: they would lose some; fill the index from the table, or make the copy faster"
        )
    least, most = (sum(getattr(table, bound) for table in found.tables) for bound in ("least", "most"))
    if found.tables:
        yield (
            f"writes are rounded up item by item: between {amount(least)} and {amount(most)} units, by how the sizes "
            "spread; items and sizes are AWS's, up to 6 hours old"
        )
    if any(not bucket.counted for bucket in load.buckets):
        yield "a bucket holds more objects than were counted, and CloudWatch does not tell: it takes longer"
    if not load.prices.own:
        yield f"an estimate from the list prices of us-east-1 of {AS_OF}, and from assumptions: see docs/planning.md"
    else:
        yield f"an estimate from the prices of the configuration (else list, us-east-1, {AS_OF}): see docs/planning.md"


def _lanes(found: Estimate, load: Workload) -> str:
    """How the copy is shared out to machines, and what limits it."""
    its = found.lanes
    glue = load.means.engine == "glue"
    where = f"by {load.means.dpus:,} DPUs of AWS Glue" if glue else "by the workers of Spark"
    held = f", limited by {its.limit}" if its.limit else ""
    return (
        f"copy: {its.segments:,} segments in {its.lanes:,} lanes, {its.at_once:,} at one time {where}; about "
        f"{amount(its.items)} items a second{held}"
    )


def amount(number: float) -> str:
    """A number of units, short: 950, 12.3 k, 2.20 M, 2.20 B."""
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if number >= size:
            return f"{number / size:,.2f} {letter}"
    return f"{number / 1e3:,.1f} k" if number >= 1e4 else f"{number:,.0f}"


def dollars(sum_: float) -> str:
    """A sum of money; a little is not nothing."""
    return "< 0.01" if 0 < sum_ < 0.005 else f"{sum_:,.2f}"


def duration(seconds: float) -> str:
    """A length of time, short: 40 s, 12 min, 5.3 h, 6.3 days."""
    if 0 < seconds < 0.95:
        return "< 1 s"
    if seconds < 90:
        return f"{seconds:,.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:,.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 86400:,.1f} days"
