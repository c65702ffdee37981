"""The estimate: figures worked out by hand, what holds a refresh up, and that more work is never said to be less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.app.estimating import means_of
from downstage.console.estimate import sentences
from downstage.domain.glue import GluePlan
from downstage.domain.plan import EnginePlan
from downstage.domain.prices import Prices
from downstage.domain.table_schema import Units
from downstage.planning import assumptions
from downstage.planning.estimate import Estimate, estimate
from downstage.planning.limits import lanes_of, shards_of
from downstage.planning.units import requests_of, units_of, written
from downstage.planning.workload import BucketLoad, Means, TableLoad, Workload
from downstage.ports import Capacity, IndexFacts
from downstage.testing.world import plan_of

BILLION = 1_000_000_000
KB = 1024
LARGE = TableLoad("app-prod", "app-test", BILLION, int(1.7 * KB * BILLION))
"""A billion items of 1.7 KB."""


def load(*tables: TableLoad, **changes: Any) -> Workload:
    return Workload(tables=tables, **changes)


def step(found: Estimate, name: str) -> float:
    return next(step.seconds for step in found.steps if step.step == name)


def cost(found: Estimate, word: str) -> float:
    return next(cost.dollars for cost in found.costs if cost.what.startswith(word))


# -- units and money, by hand


def test_a_billion_items_of_1_7_kb() -> None:
    units = units_of(LARGE)
    assert units.read == pytest.approx(1.7e9 / 4 / 2)  # 212.5 M: half a unit for 4 KB
    assert units.verify == pytest.approx(1.7e9 / 4)  # consistent: a whole unit
    assert units.write == 2e9  # 1.7 KB is rounded up to 2
    assert units.least == pytest.approx(1.7e9)
    assert units.most == pytest.approx(2.7e9)
    found = estimate(load(LARGE))
    assert cost(found, "reading the source") == pytest.approx(212.5 * 0.125)  # 26.56
    assert cost(found, "writing") == pytest.approx(2000 * 0.625)  # 1,250
    assert cost(found, "reading the target") == pytest.approx(425 * 0.125)  # 53.13
    assert found.dollars == pytest.approx(1329.69, abs=0.01)


def test_a_new_on_demand_table_takes_seven_hours_for_a_hundred_million_small_items() -> None:
    """The fact sheet's figure: 100 M items of 1 KB at 4,000 writes a second."""
    small = TableLoad("a", "b", 100_000_000, 100_000_000 * KB)
    found = estimate(load(small, means=Means(workers=16, cores=16)))
    assert step(found, "copy") == pytest.approx(25_000)
    assert step(found, "copy") / 3600 == pytest.approx(6.94, abs=0.01)
    copying = next(one for one in found.steps if one.step == "copy")
    assert copying.limit == "table b: what a new on-demand table takes for writes (4,000 a second)"


@pytest.mark.parametrize(
    ("items", "size", "units"),
    [(0, 0, 0), (10, 10, 10), (10, 10 * KB, 10), (10, 10 * KB + 1, 20), (3, 10 * KB, 12)],
)
def test_a_write_is_rounded_up_to_a_kilobyte(items: int, size: int, units: float) -> None:
    assert written(items, size) == units


def test_indexes_are_written_by_their_own_entries_and_replicas_once_more() -> None:
    table = TableLoad("a", "b", 1000, 1000 * KB, indexes=(IndexFacts("sparse", 10, 30 * KB),), replicas=1)
    assert units_of(table).write == 2 * (1000 + 10 * 3)


def test_an_export_takes_no_reads_and_is_paid_by_the_gigabyte() -> None:
    exported = replace(LARGE, size=50 * 2**30, exported="ours")
    found = estimate(load(exported))
    assert found.tables[0].read == 0
    assert cost(found, "exports") == pytest.approx(5.0)
    assert step(found, "export") == assumptions.EXPORT_SECONDS
    given_one = estimate(load(replace(exported, exported="given")))
    assert cost(given_one, "exports") == 0
    assert "export" not in [one.step for one in given_one.steps]


def test_provisioned_capacity_costs_nothing_more_and_holds_up() -> None:
    slow = Capacity(on_demand=False, provisioned=Units(500, 100))
    found = estimate(load(replace(LARGE, read=slow, write=slow), means=Means(workers=64, cores=64)))
    assert found.dollars == 0
    assert found.bottleneck == "table app-test: its provisioned writes (100 a second)"
    assert step(found, "copy") == pytest.approx(2e9 / 100)


def test_a_table_of_infrequent_access_costs_a_quarter_more() -> None:
    rare = estimate(load(replace(LARGE, target_infrequent=True)))
    assert cost(rare, "writing") == pytest.approx(1250 * 1.25)
    assert cost(rare, "reading the source") == pytest.approx(212.5 * 0.125)


def test_prices_of_ones_own() -> None:
    assert cost(estimate(load(LARGE, prices=Prices(write=1.0))), "writing") == pytest.approx(2000)


def test_a_bucket_is_listed_three_times_and_copied_once() -> None:
    listed, copied = requests_of([BucketLoad("a", "b", 10_000, held=2_500)])
    assert listed == 3 * 10 + 2 * 3 + 10  # the source three times, the target twice before and once after
    assert copied == 10_000
    found = estimate(Workload(buckets=(BucketLoad("a", "b", 10_000, held=2_500),)))
    assert cost(found, "S3 requests") == pytest.approx((46 + 10_000) * 0.005 / 1000)


def test_glue_is_paid_for_all_its_dpus_from_the_start_on() -> None:
    found = estimate(load(LARGE, means=Means("glue", 36, dpus=10)))
    worked = step(found, "copy") + step(found, "verify-tables") + 2 * assumptions.GLUE_START
    assert found.dpu_hours == pytest.approx(10 * worked / 3600)
    assert cost(found, "AWS Glue") == pytest.approx(found.dpu_hours * 0.44)
    assert estimate(load(LARGE)).dpu_hours == 0
    synced = BucketLoad("a", "docs", BILLION)
    both = estimate(load(LARGE, buckets=(synced,), means=Means("glue", 36, dpus=10)))
    alone = step(estimate(Workload(buckets=(synced,), means=Means("glue", 36))), "sync")
    assert both.dpu_hours == pytest.approx(found.dpu_hours + 10 * (alone + assumptions.GLUE_START) / 3600)


# -- what holds it up

WARM = Capacity(warm=Units(10**9, 10**9))
FAST = replace(LARGE, read=WARM, write=WARM)
MANY = Means(workers=10**6, cores=10**6)


def test_the_configured_rates_hold_up_where_they_are_lower() -> None:
    found = estimate(load(FAST, means=MANY, write_rate=500.0))
    assert found.bottleneck == "rates.write of the configuration (500 a second)"
    assert step(found, "copy") == pytest.approx(2e9 / 500)
    assert "rates.read" in estimate(load(FAST, means=MANY, read_rate=5.0)).bottleneck
    assert "rates.verify" in estimate(load(FAST, means=MANY, verify_rate=5.0)).bottleneck


def test_a_rate_counts_the_indexes_too() -> None:
    indexed = replace(FAST, indexes=(IndexFacts("all", BILLION, BILLION * KB, WARM),))
    assert step(estimate(load(indexed, means=MANY, write_rate=1000.0)), "copy") == pytest.approx(3e9 / 1000)


def test_an_index_can_hold_up_its_table() -> None:
    slow = Capacity(on_demand=False, provisioned=Units(10, 10))
    indexed = replace(FAST, indexes=(IndexFacts("by-date", BILLION, BILLION * KB, slow),))
    found = estimate(load(indexed, means=MANY))
    assert found.bottleneck == "index by-date of table app-test: its provisioned writes (10 a second)"


def test_an_on_demand_maximum_goes_before_warm_throughput() -> None:
    capped = Capacity(maximum=Units(None, 700), warm=Units(12_000, 4_000))
    found = estimate(load(replace(FAST, write=capped), means=MANY))
    assert found.bottleneck == "table app-test: its on-demand maximum for writes (700 a second)"


def test_an_accounts_quota_goes_before_warm_throughput() -> None:
    """A table that is to be made with more than its account may give one is not made faster by that."""
    found = estimate(load(FAST, means=MANY, target_quota=Units(40_000, 40_000)))
    assert found.bottleneck == "table app-test: the account's quota of writes for a table (40,000 a second)"
    assert step(found, "copy") == pytest.approx(2e9 / 40_000)
    assert estimate(load(LARGE, target_quota=Units(40_000, 40_000))) == estimate(load(LARGE))


def test_workers_or_the_machines_cores_hold_up_a_fast_table() -> None:
    found = estimate(load(FAST, means=Means(workers=4, cores=8)))
    assert found.bottleneck == "engine.workers (4)"
    assert step(found, "verify-tables") == pytest.approx(BILLION * 1.7 * KB / 1100 * 183.2e-6 / 4)
    assert estimate(load(FAST, means=Means(workers=4, cores=2))).bottleneck == "this machine's 2 cores, for 4 workers"
    assert estimate(load(FAST, means=Means("serial", 4, 8))).bottleneck == "the serial engine: one worker"


def test_without_the_compiled_loops_the_copy_takes_three_times_the_work_and_the_proof_a_quarter_more() -> None:
    pure, compiled = (estimate(load(FAST, means=Means(compiled=compiled))) for compiled in (False, True))
    assert step(pure, "copy") / step(compiled, "copy") == pytest.approx(88.9 / 28.0)
    assert step(pure, "verify-tables") / step(compiled, "verify-tables") == pytest.approx(220.9 / 179.1)


def test_tables_go_side_by_side_and_buckets_beside_them() -> None:
    two = load(LARGE, replace(LARGE, source="other", target="other-test"))
    assert step(estimate(two), "copy") == pytest.approx(step(estimate(load(LARGE)), "copy"))
    assert step(estimate(replace(two, write_rate=1000.0)), "copy") == pytest.approx(4e9 / 1000)
    alone = estimate(replace(two, means=Means("serial")))
    assert step(alone, "copy") == pytest.approx(2 * step(estimate(load(LARGE)), "copy"))
    assert alone.bottleneck.startswith("one lane at one time for 2 tables, the slowest of which is table app-test: ")
    both = estimate(load(LARGE, buckets=(BucketLoad("a", "b", 1000),)))
    assert step(both, "copy and sync") == step(estimate(load(LARGE)), "copy")
    huge = estimate(load(TableLoad("a", "b", 1, 1), buckets=(BucketLoad("a", "docs", BILLION),), means=MANY))
    assert huge.bottleneck.startswith("bucket docs: the 3,500 copies a second")


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (Means("spark", 64), "64 at one time by the workers of Spark"),
        (Means("glue", 36, dpus=10), "36 at one time by 10 DPUs of AWS Glue"),
        (Means("local", 2), ""),
    ],
)
def test_past_this_machine_the_plan_tells_lanes_workers_rate_and_what_limits_it(means: Means, said: str) -> None:
    work = load(LARGE, means=means)
    lines = [line for line in sentences(estimate(work), work) if line.startswith("copy: ")]
    if not said:
        assert lines == []
        return
    assert lines == [
        f"copy: 51,879 segments in 12,970 lanes, {said}; about 2,000 items a second, limited by table app-test: what a "
        "new on-demand table takes for writes (4,000 a second)"
    ]


def test_a_listing_holds_up_a_bucket_that_has_all_it_needs() -> None:
    found = estimate(Workload(buckets=(BucketLoad("docs", "copies", 0, held=10**9),)))
    assert found.bottleneck == "bucket docs: its listing"


def test_streams_are_waited_for_if_something_reads_them() -> None:
    found = estimate(load(LARGE, delivered=True))
    assert shards_of(LARGE) == 163  # 1.7e9 KB are 1,621.2 GB, in partitions of 10 GB
    assert step(found, "index") == pytest.approx(BILLION / (163 * 500))
    assert "index" not in [one.step for one in estimate(load(LARGE)).steps]


def test_a_copy_of_more_than_a_day_outlives_the_streams() -> None:
    assert estimate(load(LARGE, delivered=True)).outlives_streams
    assert not estimate(load(TableLoad("a", "b", 1000, 1000 * KB), delivered=True)).outlives_streams


def test_nothing_to_do_is_nothing() -> None:
    found = estimate(Workload())
    assert (found.seconds, found.dollars, found.bottleneck, found.steps) == (0, 0, "", ())


# -- more is never less

sizes = st.integers(min_value=0, max_value=10**9)
means = st.builds(Means, st.sampled_from(["local", "serial", "spark", "glue"]), st.integers(1, 64), st.integers(1, 64))
capacities = st.builds(
    Capacity,
    st.booleans(),
    st.builds(Units, st.integers(1, 10**5), st.integers(1, 10**5)),
    st.just(Units()),
    st.builds(Units, st.none() | st.integers(12_000, 10**6), st.none() | st.integers(4_000, 10**6)),
)
tables = st.builds(
    TableLoad,
    st.just("a"),
    st.just("b"),
    sizes,
    sizes,
    read=capacities,
    write=capacities,
    replicas=st.integers(0, 3),
    exported=st.sampled_from(["", "ours", "given"]),
)
buckets = st.builds(BucketLoad, st.just("a"), st.just("b"), sizes, sizes)
loads = st.builds(
    Workload,
    st.lists(tables, max_size=3).map(tuple),
    st.lists(buckets, max_size=3).map(tuple),
    means,
    st.none() | st.floats(1, 10**5),
    st.none() | st.floats(1, 10**5),
    st.none() | st.floats(1, 10**5),
    st.booleans(),
)


def no_less(more: Estimate, than: Estimate) -> None:
    slack = 1 + 1e-9
    assert more.seconds * slack >= than.seconds
    assert more.dollars * slack >= than.dollars
    assert more.until_consumers * slack >= than.until_consumers


@given(loads, tables, buckets)
def test_another_table_or_bucket_takes_no_less(work: Workload, table: TableLoad, bucket: BucketLoad) -> None:
    no_less(estimate(replace(work, tables=(*work.tables, table))), estimate(work))
    no_less(estimate(replace(work, buckets=(*work.buckets, bucket))), estimate(work))


@given(tables, st.integers(2, 100), means)
def test_more_items_of_the_same_size_take_no_less(table: TableLoad, times: int, by: Means) -> None:
    more = replace(table, items=table.items * times, size=table.size * times)
    no_less(estimate(load(more, means=by)), estimate(load(table, means=by)))


@given(tables, st.integers(0, 10**9), means)
def test_larger_items_take_no_less(table: TableLoad, extra: int, by: Means) -> None:
    no_less(estimate(load(replace(table, size=table.size + extra), means=by)), estimate(load(table, means=by)))


@given(loads)
def test_more_workers_and_cores_take_no_longer(work: Workload) -> None:
    more = replace(work.means, workers=work.means.workers + 1, cores=work.means.cores + 1)
    assert estimate(replace(work, means=more)).seconds <= estimate(work).seconds * (1 + 1e-9)


@given(tables)
def test_the_writes_lie_between_their_bounds(table: TableLoad) -> None:
    units = units_of(table)
    if table.items or not table.size:
        assert units.least <= units.write <= units.most * (1 + 1e-9)


@pytest.mark.parametrize(
    ("kind", "workers", "lanes", "dpus"), [("G.1X", 500, 36, 10), ("G.4X", 500, 144, 40), ("G.4X", 8, 8, 40)]
)
def test_on_glue_lanes_and_dpus_follow_the_kind_of_worker(kind: str, workers: int, lanes: int, dpus: int) -> None:
    glue = GluePlan("copy", "arn:aws:iam::111111111111:role/g", "b", "us-east-1", worker_type=kind, workers=10)
    means = means_of(plan_of(engine=EnginePlan("glue", workers, glue=glue)))
    assert (lanes_of(means), means.dpus) == (lanes, dpus)
