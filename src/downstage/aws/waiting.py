"""Waiting for what AWS does in its own time: looks again and again, less and less often, and not for ever."""

from __future__ import annotations

from collections.abc import Callable

from downstage.errors import AwsError

_SHORTEST, _LONGEST = 0.05, 5.0


def wait_until(reached: Callable[[], bool], *, sleep: Callable[[float], None], patience: float, otherwise: str) -> None:
    """Returns once `reached()` is true; raises AwsError with the text `otherwise` after `patience` seconds slept."""
    wait, waited = _SHORTEST, 0.0
    while not reached():
        if waited > patience:
            raise AwsError(otherwise)
        sleep(wait)
        waited += wait
        wait = min(wait * 2, _LONGEST)
