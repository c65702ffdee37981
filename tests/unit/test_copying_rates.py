"""Pacing with an injected clock: a fixed rate is obeyed, `auto` settles, nothing waits for real."""

from __future__ import annotations

import asyncio
import random

import pytest

from downstage.copying.rates import BURST, Pace


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("rate", [1.0, 25.0, 4000.0])
@pytest.mark.parametrize("cost", [0.5, 25.0, 1000.0])
def test_a_fixed_rate_is_obeyed_over_time(rate: float, cost: float) -> None:
    async def main() -> float:
        time = Time()
        pace = Pace(rate, clock=time, sleep=time.sleep)
        calls = 400
        for _ in range(calls):
            await pace.ready()
            pace.spent(cost)
        elapsed = time.now - 1000.0
        spent = calls * cost
        assert spent <= rate * (elapsed + BURST) + cost
        return spent / max(elapsed, 1e-9)

    assert asyncio.run(main()) > 0


def test_the_wait_is_no_longer_than_the_debt() -> None:
    async def main() -> None:
        time = Time()
        pace = Pace(10.0, clock=time, sleep=time.sleep)
        pace.spent(110.0)  # 10 were saved up, so the debt is 100
        await pace.ready()
        assert time.now == pytest.approx(1010.0)

    asyncio.run(main())


def test_auto_does_not_limit_until_it_is_throttled() -> None:
    async def main() -> None:
        time = Time()
        pace = Pace(clock=time, sleep=time.sleep)
        for _ in range(100):
            await pace.ready()
            pace.spent(10_000.0)
        assert time.now == 1000.0
        assert pace.rate is None

    asyncio.run(main())


def test_auto_goes_below_what_got_through_and_climbs_again() -> None:
    async def main() -> None:
        time = Time()
        pace = Pace(clock=time, sleep=time.sleep)
        for _ in range(20):
            pace.spent(100.0)
            time.now += 0.1
        pace.throttled()
        low = pace.rate
        assert low == pytest.approx(700.0, rel=0.1)
        for _ in range(200):
            await pace.ready()
            pace.spent(50.0)
        assert low is not None
        assert pace.rate is not None
        assert pace.rate > low

    asyncio.run(main())


def test_a_pause_says_nothing_of_what_a_table_takes() -> None:
    """A pace goes on from lane to lane of a table, and others lie between them."""
    for seconds in (0.0, 900.0):
        time = Time()
        pace = Pace(clock=time, sleep=time.sleep)
        for _ in range(20):
            pace.spent(100.0)
            time.now += 0.1
        time.now += seconds
        pace.throttled()
        assert pace.rate == pytest.approx(737.0, rel=0.01), seconds  # 2,000 in 1.9 s, times 0.7
    time.now += 900.0
    pace._fill()
    assert pace.rate is not None
    assert pace.rate < 800.0


def test_a_burst_of_throttles_counts_once() -> None:
    time = Time()
    pace = Pace(clock=time, sleep=time.sleep)
    pace.spent(1000.0)
    time.now += 1.0
    pace.throttled()
    once = pace.rate
    pace.throttled()
    pace.throttled()
    assert pace.rate == once


def test_throttles_never_stop_a_lane_altogether() -> None:
    time = Time()
    pace = Pace(clock=time, sleep=time.sleep)
    for _ in range(100):
        pace.throttled()
        time.now += 2.0
    assert pace.rate == pytest.approx(1.0)


def test_a_fixed_rate_is_not_changed_by_throttles() -> None:
    pace = Pace(100.0)
    pace.throttled()
    assert pace.rate == 100.0


def test_lanes_that_share_a_table_settle_near_its_capacity_and_in_equal_parts() -> None:
    """Four lanes write to a table of 1,000 units a second, which refuses what is above."""
    capacity, lanes = 1000.0, 4

    async def main() -> None:
        time = Time()
        dice = random.Random(7)
        paces = [Pace(clock=time, sleep=time.sleep) for _ in range(lanes)]
        spent = [0.0] * lanes
        tick = 0.05
        for step in range(int(400 / tick)):
            bucket = capacity * tick
            for lane in dice.sample(range(lanes), lanes):
                pace = paces[lane]
                for _ in range(40):
                    pace._fill() if pace.rate is not None else None
                    if pace.rate is not None and pace._level < 0:
                        break
                    if bucket < 5.0:
                        pace.throttled()
                        break
                    bucket -= 5.0
                    pace.spent(5.0)
                    if step * tick > 200:
                        spent[lane] += 5.0
            time.now += tick
        total = sum(spent) / 200
        assert 0.6 * capacity < total <= capacity
        assert max(spent) < 1.6 * min(spent)

    asyncio.run(main())
