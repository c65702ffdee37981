"""How fast one part of a step goes and how long it has to go, from what was reported lately.

Pure: times are passed in. The rate is taken over the last `WINDOW` seconds up to now, so it falls when nothing
comes any more. When the count goes back (a segment is tried again) measuring starts anew: what a retry does twice
is not speed.
"""

from __future__ import annotations

from collections import deque

WINDOW = 30.0
_SPACING = 0.5
_SHORTEST = 1.0


class Meter:
    """One progress bar's numbers. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None
        self.estimated = False
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, done: int, total: int | None, estimated: bool, now: float) -> None:
        """Takes in one report."""
        if done < self.done:
            self._samples.clear()
        self.done, self.total, self.estimated = done, total, estimated
        samples = self._samples
        if len(samples) > 1 and now - samples[-2][0] < _SPACING:
            samples.pop()
        samples.append((now, done))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW:
            samples.popleft()

    def rate(self, now: float) -> float | None:
        """Units a second, or None while there is too little to tell."""
        if not self._samples:
            return None
        start, first = self._samples[0]
        return (self.done - first) / (now - start) if now - start >= _SHORTEST else None

    def left(self, now: float) -> float | None:
        """Seconds to go at this rate, or None if that cannot be told."""
        rate = self.rate(now)
        if not rate or self.total is None or self.done >= self.total:
            return None
        return (self.total - self.done) / rate

    @property
    def complete(self) -> bool:
        """All of a total that is known and no estimate."""
        return self.done == self.total and not self.estimated

    @property
    def fraction(self) -> float | None:
        """Done of total, 0 to 1; None if the total is not known or was estimated too low."""
        if self.total is None or (self.estimated and self.done > self.total):
            return None
        return min(self.done / self.total, 1.0) if self.total else 1.0
