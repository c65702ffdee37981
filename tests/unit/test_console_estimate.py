"""The estimate on the terminal and for machines: every figure with its unit, and what it does not say."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import orjson
import pytest

from downstage.app.estimating import COUNTED, Sizes, record_of, workload_of
from downstage.console.estimate import amount, dollars, duration, print_estimate
from downstage.domain.plan import RefreshPlan, Wipe
from downstage.domain.prices import Prices
from downstage.domain.table_schema import ParityTerms, Units
from downstage.errors import NotFound
from downstage.planning.estimate import estimate
from downstage.planning.workload import BucketLoad, TableLoad, Workload
from downstage.ports import Capacity, IndexFacts, TableFacts
from downstage.testing.world import DOCUMENTS, SOURCE, TARGET, World, bucket_pair, plan_of

LARGE = TableLoad("app-prod", "app-test", 10**9, int(1.7 * 1024 * 10**9))
NEVER = (lambda _bucket: None, lambda _bucket: None)


def printed(load: Workload) -> str:
    stream = io.StringIO()
    print_estimate(estimate(load), load, stream)
    return stream.getvalue()


def test_the_whole_of_it() -> None:
    text = printed(Workload((LARGE,), (BucketLoad("docs", "copies", COUNTED, counted=False),), delivered=True))
    for words in (
        "app-test  1,000,000,000",
        "212.50 M",
        "2.00 B",
        "425.00 M",
        "1,250.00",
        "held up by table app-test: what a new on-demand table takes for writes (4,000 a second)",
        "between 1.70 B and 2.70 B units",
        "a stream keeps a record for 24 hours",
        "holds more objects than were counted",
        "list prices of us-east-1 of ",
    ):
        assert words in text, words


def test_ones_own_prices_are_named_as_such() -> None:
    text = printed(Workload((LARGE,), prices=Prices(write=0.5)))
    assert "prices of the configuration" in text
    assert "1,000.00" in text


def test_nothing_to_move() -> None:
    assert "nothing to move" in printed(Workload())


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (9_999, "9,999"), (12_345, "12.3 k"), (2.2e9, "2.20 B"), (5e6, "5.00 M")],
)
def test_amounts(number: float, text: str) -> None:
    assert amount(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "< 1 s"), (40, "40 s"), (700, "12 min"), (25_000, "6.9 h"), (500_000, "5.8 days")],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_sums_are_not_nothing() -> None:
    assert dollars(0.0001) == "< 0.01"
    assert dollars(1250.5) == "1,250.50"


def test_for_machines() -> None:
    load = Workload((LARGE,))
    record = orjson.loads(orjson.dumps(record_of(load, estimate(load))))
    assert record["totals"]["write_units"] == 2e9
    assert record["totals"]["bytes"] == LARGE.size
    assert record["dollars"] == pytest.approx(1329.69, abs=0.01)
    assert record["hours"] == pytest.approx(record["seconds"] / 3600)
    assert record["prices"]["own"] is False


# -- where the figures come from


def sizes(world: World, told: dict[str, int] | None = None) -> Sizes:
    known = told or {}
    return Sizes(world.source_tables, world.target_tables, world.store, known.get, known.get)


def load_of(plan: RefreshPlan, **told: int) -> Workload:
    world = World(plan=plan)
    before = list(world.writes)
    found = workload_of(plan, Prices(), sizes(world, told))
    assert world.writes == before
    return found


class Described:
    """Tables as DescribeTable would show them."""

    def __init__(self, *facts: TableFacts) -> None:
        self._facts = {one.name: one for one in facts}

    def names(self) -> list[str]:
        return list(self._facts)

    def facts(self, name: str) -> TableFacts:
        if name not in self._facts:
            raise NotFound("gone", "ResourceNotFoundException")
        return self._facts[name]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"an estimate has no use for {name}")


def described(name: str, **more: Any) -> TableFacts:
    return TableFacts(name, "arn", "id", "ACTIVE", ("pk",), 1000, 5000, **more)


def table_load(plan: RefreshPlan, source: TableFacts, *targets: TableFacts) -> TableLoad:
    world = World()
    given = Sizes(Described(source), Described(*targets), world.store, *NEVER)
    return workload_of(replace(plan, buckets=()), Prices(), given).tables[0]


WARM = Capacity(warm=Units(50_000, 50_000))


def test_a_table_that_is_wiped_comes_back_cold() -> None:
    load = table_load(plan_of(wipe=Wipe((TARGET,))), described(SOURCE), described(TARGET, capacity=WARM))
    assert load.write == Capacity()
    kept = table_load(plan_of(wipe=None), described(SOURCE), described(TARGET, capacity=WARM))
    assert kept.write == WARM


def test_a_table_that_is_made_anew_is_as_warm_as_the_configuration_says() -> None:
    plan = plan_of()
    pair = replace(plan.tables[0], terms=ParityTerms(warm=Units(None, 20_000)))
    load = table_load(replace(plan, tables=(pair,)), described(SOURCE, capacity=WARM))
    assert load.write == Capacity(warm=Units(None, 20_000))
    assert load.read == WARM


def test_indexes_have_the_sources_entries_and_the_targets_capacity() -> None:
    slow = Capacity(on_demand=False, provisioned=Units(5, 5))
    source = described(SOURCE, indexes=(IndexFacts("a", 7, 700, WARM), IndexFacts("only-there", 1, 1)))
    target = described(TARGET, indexes=(IndexFacts("a", 0, 0, slow),))
    assert table_load(plan_of(wipe=None), source, target).indexes == (IndexFacts("a", 7, 700, slow),)


def test_a_small_bucket_is_counted_and_a_large_one_asked_of_cloudwatch() -> None:
    small = load_of(plan_of()).buckets[0]
    assert (small.objects, small.held, small.counted) == (3, 2, True)
    world = World()
    for number in range(COUNTED):
        world.store.put(DOCUMENTS, f"more/{number:05}", b"")
    given = sizes(world, {DOCUMENTS: 5_000_000})
    large = workload_of(world.plan, Prices(), given).buckets[0]
    assert (large.objects, large.counted) == (5_000_000, True)
    unknown = workload_of(world.plan, Prices(), sizes(world)).buckets[0]
    assert (unknown.objects, unknown.counted) == (COUNTED, False)
    below = replace(world.plan, buckets=(bucket_pair(source_prefix="more/"),))
    assert not workload_of(below, Prices(), given).buckets[0].counted  # CloudWatch knows nothing of prefixes


def test_the_plans_rates_and_means_go_in() -> None:
    plan = plan_of()
    found = load_of(replace(plan, rates=replace(plan.rates, write=500.0)))
    assert (found.write_rate, found.read_rate, found.delivered) == (500.0, None, True)
    assert (found.means.engine, found.means.workers) == (plan.engine.name, plan.engine.workers)
