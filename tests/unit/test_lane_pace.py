"""The pace of lanes that one process does one after the other: what one has spent, the next has not."""

from __future__ import annotations

import asyncio

import pytest

from downstage.app.orders import pace_of


def test_a_set_rate_holds_over_many_short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each lane makes one call and ends: were its pace new, it would never wait."""
    time = [1000.0]

    async def sleep(seconds: float) -> None:
        time[0] += seconds

    pace = pace_of("run-of-short-lanes", "write", 100.0)
    monkeypatch.setattr(pace, "_clock", lambda: time[0])
    monkeypatch.setattr(pace, "_sleep", sleep)
    pace._filled_at = time[0]
    for _ in range(50):
        asyncio.run(_one_lane())
    assert time[0] - 1000.0 == pytest.approx(50 * 25 / 100.0, abs=1.5)


async def _one_lane() -> None:
    pace = pace_of("run-of-short-lanes", "write", 100.0)
    await pace.ready()
    pace.spent(25.0)


def test_what_one_table_takes_says_nothing_of_another() -> None:
    assert pace_of("run", "write/copy/a", None) is pace_of("run", "write/copy/a", None)
    assert pace_of("run", "write/copy/a", None) is not pace_of("run", "write/copy/b", None)
    assert pace_of("run", "write", 5.0) is not pace_of("other-run", "write", 5.0)
