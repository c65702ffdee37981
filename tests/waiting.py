"""Waiting for what other processes do: a look, and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Looks until it is so; the pause only spares the processor."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
