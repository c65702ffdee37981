"""Waiting between tries: full jitter, growing to a ceiling, with the clock and the dice injected.

Full jitter (a wait drawn evenly from zero to the step's ceiling) spreads lanes that were throttled together.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits in seconds: the n-th is drawn from 0 to min(`ceiling`, `first` · 2^n), `tries` times."""

    first: float = 0.05
    ceiling: float = 10.0
    tries: int = 40

    def waits(self, dice: random.Random) -> Iterator[float]:
        """The waits, one for each further try."""
        for step in range(self.tries):
            yield dice.uniform(0.0, min(self.ceiling, self.first * 2**step))
