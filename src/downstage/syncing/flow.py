"""How many requests are under way at one time: more while S3 answers, half as many when it says SlowDown.

S3 raises what a bucket bears only gradually, and says 503 until it has. Additive increase, multiplicative decrease:
lanes and processes that share a bucket, and know nothing of each other, settle at equal parts. No clock but the one
that is handed in, no wait but for a place.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

_CALM = 0.5
"""Seconds in which one halving is enough: what was under way at that time is refused too."""


class Flow:
    """Places for requests: `first` at the start, `most` at most, never less than one."""

    def __init__(self, first: int = 64, most: int = 256, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = float(min(first, most))
        self._most = float(most)
        self._clock = clock
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._slowed_at = clock() - _CALM

    @property
    def limit(self) -> int:
        """So many requests may be under way now."""
        return int(self._limit)

    async def enter(self) -> None:
        """Takes a place; waits for one in the order of coming."""
        if self._taken < self._limit and not self._waiting:
            self._taken += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Gives the place back."""
        self._taken -= 1
        while self._waiting and self._taken + 1 <= self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def answered(self) -> None:
        """A request got through."""
        if self._limit < self._most:
            self._limit = min(self._limit + 1.0 / self._limit, self._most)

    def slowed(self) -> None:
        """A request was refused because there were too many."""
        now = self._clock()
        if now - self._slowed_at >= _CALM:
            self._slowed_at = now
            self._limit = max(self._limit / 2.0, 1.0)
