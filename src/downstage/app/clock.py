"""Time, as the machine has it."""

from __future__ import annotations

import time


class SystemClock:
    """Implements `ports.Clock` with the machine's clocks."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)
