"""A few tries with a growing pause: for messages, which are worth repeating and not worth waiting for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from downstage.errors import NotifyError
from downstage.ports import Clock

TRIES = 3
LONGEST_WAIT = 10.0
"""Seconds that a place may ask for before the next try."""

_FIRST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that came to nothing: why, whether another one may help, and the pause that was asked for, if any."""

    why: str
    again: bool = True
    pause: float | None = None


def attempt(once: Callable[[], Failed | None], clock: Clock) -> None:
    """Calls `once` until it gives None, three times at most. Raises NotifyError with the last reason."""
    for number in range(1, TRIES + 1):
        failed = once()
        if failed is None:
            return
        if number == TRIES or not failed.again:
            tries = "" if number == 1 else f" ({number} tries)"
            raise NotifyError(f"{failed.why}{tries}")
        clock.sleep(min(failed.pause or _FIRST_WAIT**number, LONGEST_WAIT))
