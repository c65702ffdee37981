"""The schedule of lanes: nothing is left out or done twice, tables stand side by side, and on a simulated clock no
worker of a refresh of a terabyte is idle for long, whatever its keys and its tables are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.table_schema import Units
from downstage.planning import assumptions
from downstage.planning.estimate import estimate
from downstage.planning.schedule import Cut, in_order, lanes_in, segments_of, weights_of
from downstage.planning.workload import Means, TableLoad, Workload
from downstage.ports import Capacity, Checkpoint, Lane
from downstage.testing.schedule import Simulated, simulate, spread

BILLION = 1_000_000_000
KB = 1_000
"""An item's bytes: a billion are a terabyte."""

Table = tuple[float, float]
"""Items, and how many a second the table takes."""


PURE = assumptions.COPY_SECONDS * assumptions.PURE_FACTOR
"""Seconds of a core for an item without the compiled loops, as the bundle of a Glue job is."""


def run(
    tables: Sequence[Table],
    workers: int,
    dense: tuple[float, float] | None = None,
    *,
    known: bool = False,
    engine: str = "spark",
) -> Simulated:
    """A refresh of these tables, the first with the dense range, of which the last refresh told if it is `known`."""
    cuts, items = [], {}
    for number, (count, _) in enumerate(tables):
        task, segments = f"copy/{number}", segments_of(int(count * KB), workers)
        items[task] = spread(segments, count, dense if number == 0 else None)
        weights = {each: int(found) for each, found in enumerate(items[task])} if known else {}
        cuts.append(Cut(task, task, segments, weights=weights))
    takes = {f"copy/{number}": capacity for number, (_, capacity) in enumerate(tables)}
    core = PURE if engine == "glue" else assumptions.COPY_SECONDS
    return simulate(in_order(cuts, workers), workers, items, takes, core=core)


def planned(tables: Sequence[Table], workers: int, engine: str = "spark") -> float:
    """Seconds of the copy, as `plan` says."""
    fast = Capacity(warm=Units(10**9, 10**9))
    loads = tuple(
        TableLoad(
            f"{number}",
            f"copy/{number}",
            round(count),
            round(count * KB),
            read=fast,
            write=Capacity(on_demand=False, provisioned=Units(round(capacity), round(capacity))),
        )
        for number, (count, capacity) in enumerate(tables)
    )
    found = estimate(Workload(loads, means=Means(engine, workers, compiled=engine != "glue")))
    return next(step.seconds for step in found.steps if step.step == "copy")


# -- nothing left out, nothing twice


@given(
    st.lists(
        st.tuples(
            st.integers(1, 60), st.sets(st.integers(0, 59)), st.dictionaries(st.integers(0, 59), st.integers(0, 99))
        ),
        max_size=4,
    ),
    st.integers(1, 9),
)
def test_every_segment_that_is_left_is_in_one_lane(
    tables: list[tuple[int, set[int], dict[int, int]]], workers: int
) -> None:
    cuts = [
        Cut(f"copy/{number}", f"{number}", segments, frozenset(done), weights)
        for number, (segments, done, weights) in enumerate(tables)
    ]
    handed = Counter((lane.task, segment) for lane in in_order(cuts, workers) for segment in lane.segments)
    left = {(cut.task, segment) for cut in cuts for segment in range(cut.segments) if segment not in cut.done}
    assert handed == Counter(left)


def test_the_order_is_the_same_each_time_and_neighbours_are_apart() -> None:
    cut = Cut("copy/a", "a", 1000)
    lanes = in_order([cut], 4)
    assert lanes == in_order([cut], 4)
    assert len(lanes) == lanes_in(cut, 4) == 250
    apart = [abs(one - other) for lane in lanes for one, other in zip(lane.segments, lane.segments[1:], strict=False)]
    assert sum(distance == 1 for distance in apart) < 10


def test_tables_stand_side_by_side() -> None:
    large, small = Cut("copy/large", "large", 400), Cut("copy/small", "small", 40)
    lanes = in_order([large, small], 2)
    half = Counter(lane.task for lane in lanes[: len(lanes) // 2])
    assert half == {"copy/large": 50, "copy/small": 5}


def test_what_was_heavy_begins_early_and_alone() -> None:
    weights = dict.fromkeys(range(100), 10) | {17: 900, 42: 500}
    lanes = in_order([Cut("copy/a", "a", 100, weights=weights)], 2)
    assert lanes[0] == Lane("copy/a", (17,))
    assert Lane("copy/a", (42,)) in lanes[: len(lanes) // 2]


def test_beside_what_was_heavy_the_others_are_thinner() -> None:
    """Every part of the queue holds its part of the table's items: else whoever begins stands at one table."""
    weights = dict.fromkeys(range(1000), 10) | dict.fromkeys(range(500, 510), 250)
    lanes = in_order([Cut("copy/a", "a", 1000, weights=weights), Cut("copy/b", "b", 1000)], 4)
    first = lanes[: len(lanes) // 4]
    of_a = sum(weights[segment] for lane in first for segment in lane.segments if lane.task == "copy/a")
    of_b = sum(len(lane.segments) for lane in first if lane.task == "copy/b")
    assert of_a / sum(weights.values()) == pytest.approx(of_b / 1000, rel=0.1)


def test_what_was_found_under_another_cut_is_no_hint() -> None:
    found = [Checkpoint(0, 2, done=True, counters={"read": 5}), Checkpoint(1, 2, done=True, counters={"read": 7})]
    assert weights_of(found, "read", 2) == {0: 5, 1: 7}
    assert weights_of(found, "read", 4) == {}
    assert weights_of([], "read", 4) == {}


def test_a_large_table_has_more_segments_and_a_set_number_stands() -> None:
    assert segments_of(0, 2) == segments_of(1024**2, 2) == 32
    assert segments_of(10**12, 36) == 29_802
    assert segments_of(10**15, 36) == 100_000
    assert segments_of(10**15, 36, wanted=7) == 7


# -- on a simulated clock


def test_the_simulation_keeps_time() -> None:
    one = [Lane("copy/0", (segment,)) for segment in range(4)]
    slow = simulate(one, 2, {"copy/0": [100.0] * 4}, {"copy/0": 10.0})
    assert slow.seconds == pytest.approx(40)
    uneven = simulate(one[:3], 2, {"copy/0": [100.0] * 3}, {"copy/0": 1e9})
    each = 100 / 16_000
    assert uneven.seconds == pytest.approx(2 * each)
    assert uneven.idle_most == pytest.approx(0.5)
    fast = simulate([Lane("copy/0", (0, 1, 2, 3))], 1, {"copy/0": [1000.0] * 4}, {"copy/0": 1e9})
    assert fast.seconds == pytest.approx(4000 * assumptions.COPY_SECONDS)


@pytest.mark.parametrize("workers", [36, 144])
@pytest.mark.parametrize("tables", [[(BILLION, 4_000.0)], [(BILLION, 40_000.0)]], ids=["cold", "warm"])
@pytest.mark.parametrize(("engine", "width"), [("spark", None), ("spark", 0.1), ("spark", 0.01), ("glue", 0.01)])
def test_of_a_terabyte_no_worker_is_idle_for_a_twentieth(
    tables: Sequence[Table], workers: int, width: float | None, engine: str
) -> None:
    """A range of the keys holds a fifth of all items, and nobody knows of it."""
    found = run(tables, workers, None if width is None else (width, 0.2), engine=engine)
    assert found.idle_most < 0.05
    assert found.seconds == pytest.approx(planned(tables, workers, engine), rel=0.01)


@pytest.mark.parametrize("workers", [36, 144])
def test_a_narrow_range_that_the_last_refresh_knew_leaves_nobody_idle(workers: int) -> None:
    tables = [(BILLION, 40_000.0)]
    unknown, known = (run(tables, workers, (0.001, 0.2), known=known) for known in (False, True))
    assert known.idle_most < 0.05
    assert known.idle_most < unknown.idle_most
    assert known.seconds == pytest.approx(planned(tables, workers), rel=0.01)


@pytest.mark.parametrize(("engine", "longer"), [("spark", 1.25), ("glue", 1.05)])
def test_as_fast_as_workers_can_go(engine: str, longer: float) -> None:
    """One segment of the dense range alone does not fill a core; without the compiled loops it does."""
    tables = [(BILLION, 1e9)]
    found = run(tables, 36, (0.01, 0.2), engine=engine)
    assert found.idle_most < 0.05
    assert planned(tables, 36, engine) <= found.seconds < longer * planned(tables, 36, engine)


MIXED: list[Table] = [
    (0.5 * BILLION, 40_000.0), (0.2 * BILLION, 8_000.0), (0.2 * BILLION, 40_000.0), (0.1 * BILLION, 40_000.0)
]  # fmt: skip


@pytest.mark.parametrize("dense", [None, (0.01, 0.2)])
def test_a_table_that_throttles_holds_no_other_up(dense: tuple[float, float] | None) -> None:
    found = run(MIXED, 36, dense)
    assert found.idle_most < 0.05
    assert found.seconds == pytest.approx(planned(MIXED, 36), rel=0.01)
    assert planned(MIXED, 36) == pytest.approx(0.2 * BILLION / 8_000)


def test_many_tables_each_take_what_they_can_at_one_time() -> None:
    thirty = [(BILLION / 300, 4_000.0)] * 30
    found = run(thirty, 36)
    assert found.seconds < 1.1 * BILLION / 300 / 4_000
    assert found.seconds == pytest.approx(planned(thirty, 36), rel=0.1)


@pytest.mark.parametrize("known", [False, True])
def test_what_is_known_of_one_of_many_tables_does_not_hold_the_others_up(known: bool) -> None:
    thirty = [(BILLION / 30, 4_000.0)] * 30
    found = run(thirty, 36, (0.01, 0.2), known=known)
    assert found.seconds < 1.05 * planned(thirty, 36)
    assert found.idle_most < 0.05


def test_few_lanes_cannot_wait_for_many_tables_and_the_plan_says_so() -> None:
    tables = [(1e6, 100.0)] * 10
    found = run(tables, 2)
    assert found.seconds == pytest.approx(planned(tables, 2), rel=0.02)
    assert planned(tables, 2) == pytest.approx(1e6 / 100 * 10 / 2)
