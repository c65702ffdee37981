"""Starting something at a CI exactly once, and following it to its end: what all CIs have in common.

A start has no token that would make it safe to repeat. So the caller records a mark of what was there *before*; whoever
comes later looks for something newer than the mark, and starts only if there is nothing. A start whose answer was lost
is looked for, never sent again. Other people start things meanwhile: of what is newer than the mark only that is ours
which was given what we gave, as far as the CI tells that; where it does not, several cannot be told apart, and whoever
looks is asked instead of one being taken.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from downstage.errors import CiError, CiUnreachable
from downstage.ports import Clock

POLL = 30.0
"""Seconds between two looks; CIs name frequent polling as a cause of being limited."""

LOOKS = 6
_BETWEEN_LOOKS = 10.0
"""How often, and how far apart, a start is looked for: a CI's listings may lag behind it."""

MISSED = 10
"""So many looks in a row may fail before following is given up."""

T = TypeVar("T")


class State(Enum):
    """How far something is."""

    GOING = "going"
    WELL = "well"
    BADLY = "badly"


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: the state, the CI's own word for it, and where a person sees it."""

    state: State
    word: str
    url: str


def start_once(
    find: Callable[[], T | None], start: Callable[[], T | None], clock: Clock, *, what: str, fresh: bool
) -> T:
    """What `find` finds, or what `start` has started (None: the CI did not say what).

    `fresh` says that nobody can have started it yet, so whatever is there is somebody else's and is not looked at;
    otherwise it is looked for with patience first. Raises CiUnreachable if it cannot be told whether it was started.
    """
    found = None if fresh else _look_for(find, clock, LOOKS // 2)
    if found is not None:
        return found
    try:
        started = start()
    except CiUnreachable as error:
        if error.status == 429:
            raise
        started = None
    found = started if started is not None else _look_for(find, clock, LOOKS)
    if found is None:
        raise CiUnreachable(
            f"it cannot be told whether {what} was started: the answer was lost and nothing new is seen; look at the "
            f"CI, "
            "then resume the run, which looks again"
        )
    return found


def given_the_same(given: Mapping[str, Any], told: Mapping[str, Any]) -> bool | None:
    """Whether something was started with all that `given` holds, by what the CI tells of it; None if it tells nothing.

    What it tells may stand one level down, by the kind of who gave it.
    """
    flat: dict[str, Any] = {}
    for name, value in told.items():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    if not given or not any(name in flat for name in given):
        return None
    return all(name in flat and _text(flat[name]) == _text(value) for name, value in given.items())


def the_one(alike: Sequence[T], untold: Sequence[T], *, what: str) -> T | None:
    """Ours: the first of those that were given the same, else the only one of which it is not told.

    Raises CiUnreachable if several could be.
    """
    if alike:
        return alike[0]
    if len(untold) > 1:
        raise CiUnreachable(
            f"it cannot be told which of {len(untold)} newer starts of {what} is ours; look at the CI, and let there "
            "be one, then resume the run"
        )
    return untold[0] if untold else None


def follow(look: Callable[[], Sight], clock: Clock, *, what: str, patience: float, key: str) -> Sight:
    """Looks until it has ended well. Raises CiError if it ended badly, or not within `patience` seconds.

    `key` spreads the looks of several followers a little.
    """
    pause = POLL + zlib.crc32(key.encode()) % 5
    deadline = clock.monotonic() + patience
    missed = 0
    sight = Sight(State.GOING, "unknown", "")
    while True:
        try:
            sight = look()
            missed = 0
        except CiUnreachable:
            missed += 1
            if missed == MISSED:
                raise
        if sight.state is State.WELL:
            return sight
        if sight.state is State.BADLY:
            raise CiError(
                f"{what} ended as '{sight.word}': see {sight.url}; mend it and rerun it there, then resume the run"
            )
        if clock.monotonic() >= deadline:
            held = " (it waits for an approval)" if sight.word == "on_hold" else ""
            raise CiError(
                f"{what} has not ended within {lasting(patience)}, it is '{sight.word}'{held}: see "
                f"{sight.url}; resume the run when it has, or raise 'patience'"
            )
        clock.sleep(min(pause, max(deadline - clock.monotonic(), 1.0)))


def lasting(seconds: float) -> str:
    """A length of time in words."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _look_for(find: Callable[[], T | None], clock: Clock, looks: int) -> T | None:
    for look in range(looks):
        if look:
            clock.sleep(_BETWEEN_LOOKS)
        found = find()
        if found is not None:
            return found
    return None
