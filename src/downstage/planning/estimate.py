"""What a refresh takes: capacity units, requests, hours and dollars, and what holds it up. Pure; nothing is asked.

Every step has limits, each with the seconds that it alone would need; the longest is the step's, for what shares a step
goes on at once. Tables are copied and verified side by side, as their lanes stand in the queue; tables and buckets are,
too. What is assumed stands in `assumptions`, and what the model leaves out in docs/planning.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from downstage.planning import assumptions as given
from downstage.planning.limits import Limit, copies, copying, delivery, lanes_at_once, listing, slowest, verifying
from downstage.planning.schedule import Cut, lanes_in, segments_of
from downstage.planning.units import TableUnits, requests_of, units_of
from downstage.planning.workload import Means, Workload


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """A step, how long it takes, and what holds it up ("" if nothing does)."""

    step: str
    seconds: float
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something costs, in dollars, beside what runs anyway."""

    what: str
    dollars: float


@dataclass(frozen=True, slots=True)
class Lanes:
    """How the copy of the tables is shared out: segments of all tables, in so many lanes, of which `at_once` are under
    way; `items` a second get through, all tables together, and `limit` holds them up ("" if there is nothing)."""

    at_once: int
    lanes: int
    segments: int
    items: float
    limit: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole refresh. `bottleneck` is what holds up the longest step; `until_consumers` are the seconds from the
    first write until the streams are read again."""

    tables: tuple[TableUnits, ...]
    listed: int
    copied: int
    steps: tuple[StepEstimate, ...]
    costs: tuple[Cost, ...]
    dpu_hours: float
    bottleneck: str
    until_consumers: float
    lanes: Lanes

    @property
    def seconds(self) -> float:
        """All steps, one after the other but for those that go side by side."""
        return sum(step.seconds for step in self.steps)

    @property
    def dollars(self) -> float:
        """All costs."""
        return sum(cost.dollars for cost in self.costs)

    @property
    def outlives_streams(self) -> bool:
        """Whether the streams would lose records before their consumers are on again."""
        return self.until_consumers > given.RETENTION


def estimate(load: Workload) -> Estimate:
    """Reckons."""
    units = tuple(units_of(table) for table in load.tables)
    pairs = list(zip(load.tables, units, strict=True))
    listings = [listing(bucket, load.means) for bucket in load.buckets]
    syncs = zip(load.buckets, listings, strict=True)
    copied = slowest(copying(pairs, load))
    copy = _in_turn("copy", [copied])
    sync = _in_turn("sync", [slowest([listed, *copies(bucket, load.means)]) for bucket, listed in syncs])
    both = _side_by_side(copy, sync)
    verify = _in_turn("verify-tables", [slowest(verifying(pairs, load))])
    verify_buckets = _in_turn("verify-buckets", listings)
    delivered = delivery(load)
    exports = [Limit("the export itself (assumed)", given.EXPORT_SECONDS)]
    steps = (
        _in_turn("preflight", listings),
        _in_turn("export", exports if any(table.exported == "ours" for table in load.tables) else []),
        both,
        verify,
        verify_buckets,
        StepEstimate("index", delivered.seconds, delivered.what),
    )
    listed, objects = requests_of(load.buckets)
    dpu_hours = _dpu_hours(load.means, [copy.seconds, sync.seconds, verify.seconds])
    longest = max(steps, key=lambda step: step.seconds)
    return Estimate(
        tables=units,
        listed=listed,
        copied=objects,
        steps=tuple(step for step in steps if step.seconds > 0),
        costs=tuple(_costs(load, units, listed + objects, dpu_hours)),
        dpu_hours=dpu_hours,
        bottleneck=longest.limit if longest.seconds > 0 else "",
        until_consumers=both.seconds + verify.seconds + verify_buckets.seconds,
        lanes=_shared_out(load, copied),
    )


def _shared_out(load: Workload, copied: Limit) -> Lanes:
    """The copy's lanes, as the schedule makes them of tables of this size."""
    means, items = load.means, sum(table.items for table in load.tables)
    cuts = [
        Cut(table.target, table.source, segments_of(table.size, means.workers, means.segments)) for table in load.tables
    ]
    return Lanes(
        at_once=lanes_at_once(means),
        lanes=sum(lanes_in(cut, means.workers) for cut in cuts),
        segments=sum(cut.segments for cut in cuts),
        items=items / copied.seconds if copied.seconds else 0.0,
        limit=copied.what,
    )


def _side_by_side(copy: StepEstimate, sync: StepEstimate) -> StepEstimate:
    """Two branches that share nothing but the machine: the longer one counts."""
    longer = max(copy, sync, key=lambda branch: branch.seconds)
    if copy.seconds and sync.seconds:
        return StepEstimate("copy and sync", longer.seconds, longer.limit)
    return longer


def _in_turn(step: str, parts: Sequence[Limit]) -> StepEstimate:
    """What is done one after the other; what holds up the longest part holds up the step."""
    return StepEstimate(step, sum(part.seconds for part in parts), slowest(parts).what)


# -- money


def _dpu_hours(means: Means, runs: Sequence[float]) -> float:
    """DPU-hours of Glue runs of so many seconds each, from the start on: tables and buckets are copied by runs of their
    own, side by side."""
    return means.dpus * sum(seconds + given.GLUE_START for seconds in runs if seconds) / 3600


def _costs(load: Workload, units: Sequence[TableUnits], requests: int, dpu_hours: float) -> Iterable[Cost]:
    """What is charged beside what runs anyway: provisioned capacity is paid by the hour, used or not."""
    prices = load.prices
    reads = writes = verified = exported = 0.0
    for table, its in zip(load.tables, units, strict=True):
        source, target = (
            prices.infrequent_access if rare else 1.0 for rare in (table.source_infrequent, table.target_infrequent)
        )
        reads += its.read * source * table.read.on_demand
        writes += its.write * target * table.write.on_demand
        verified += its.verify * target * table.write.on_demand
        exported += table.size / given.GB * (table.exported == "ours")
    yield Cost("reading the source, on demand", reads / 1e6 * prices.read)
    yield Cost("writing the target with its indexes, on demand", writes / 1e6 * prices.write)
    yield Cost("reading the target again, on demand", verified / 1e6 * prices.read)
    yield Cost("exports to S3", exported * prices.export)
    yield Cost("S3 requests, if every object is copied", requests / 1e3 * prices.requests)
    yield Cost("AWS Glue", dpu_hours * prices.dpu_hour)
