"""Pacing on consumed capacity: what DynamoDB says a call cost is taken from a bucket that fills at the rate allowed.

The cost is known only afterwards, so the bucket may go below zero; the next call then waits until it is full again to
zero. A fixed rate is obeyed to the unit over any longer time. `auto` starts without a limit and measures; at the first
throttle it goes down to a share of what really got through, then climbs again step by step (additive increase,
multiplicative decrease), so that lanes that share a table settle at equal parts of it. Clock and sleep are injected.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

BURST = 1.0
"""Seconds' worth of units that may be spent at once."""

_DECREASE = 0.7
_INCREASE = 2.0
"""Times the square root of the rate, each second: small lanes catch up with large ones, and large ones do not crawl."""

_LEAST = 1.0
_CALM = 1.0
_MEASURED = 5.0
_SHORTEST = 0.001
_SOONEST = 0.1

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """One lane's share of one table's read or write capacity. `rate` is in capacity units a second; None is `auto`."""

    def __init__(
        self, rate: float | None = None, *, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._fixed = rate is not None
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._filled_at = clock()
        self._level = (rate or 0.0) * BURST
        self._throttled_at = -_CALM
        self._window_from = self._window_to = self._filled_at
        self._window = 0.0

    @property
    def rate(self) -> float | None:
        """Units a second that are allowed now; None while nothing limits."""
        return self._rate

    async def ready(self) -> None:
        """Waits until the next call may be made."""
        while self._rate is not None:
            self._fill()
            if self._level >= 0.0:
                return
            await self._sleep(max(-self._level / self._rate, _SHORTEST))

    def spent(self, units: float) -> None:
        """A call was answered, and cost `units`."""
        now = self._clock()
        if self._rate is None:
            if now - self._window_from > _MEASURED:
                self._window_from, self._window = now, 0.0
            self._window += units
            self._window_to = now
            return
        self._fill()
        self._level -= units

    def throttled(self) -> None:
        """A call was refused, wholly or in part, because it was too much."""
        now = self._clock()
        if self._fixed or now - self._throttled_at < _CALM:
            return
        self._throttled_at = now
        if self._rate is None:
            self._rate = self._window / max(self._window_to - self._window_from, _SOONEST)
            self._filled_at, self._level = now, 0.0
        self._rate = max(self._rate * _DECREASE, _LEAST)
        self._level = min(self._level, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        passed = now - self._filled_at
        self._filled_at = now
        assert self._rate is not None
        self._level = min(self._level + passed * self._rate, self._rate * BURST)
        if not self._fixed and now - self._throttled_at >= _CALM:
            self._rate += (
                _INCREASE * math.sqrt(self._rate) * min(passed, _CALM)
            )  # a pause says nothing of what it takes
