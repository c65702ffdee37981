"""Where a sync stands: operations begin in key order and end in any; below the cursor all is done.

What an operation came to is counted when the cursor passes it, so that counters and cursor always agree, whenever a
checkpoint is made. One that is slow or failed is parked: its key goes into a side list that travels in the checkpoint,
so that it cannot hold up the cursor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import orjson


class Place:
    """One operation in the window, or the end of a stretch that is decided. `before` are what the keys between it and
    the one before it came to, `counts` what it came to itself; None while it goes on."""

    __slots__ = ("before", "counts", "key", "parked")

    def __init__(self, key: str, before: dict[str, int], counts: dict[str, int] | None) -> None:
        self.key = key
        self.before = before
        self.counts = counts
        self.parked = False


class Window:
    """The operations under way. `parked` are keys to look at again, in the order in which they were parked."""

    def __init__(self, cursor: str | None, parked: list[str], count: Callable[[dict[str, int]], None]) -> None:
        self.cursor = cursor
        self.parked = dict.fromkeys(parked)
        self._count = count
        self._places: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def begin(self, key: str, before: dict[str, int]) -> Place:
        """An operation on `key` begins; keys only ever rise."""
        place = Place(key, before, None)
        self._places.append(place)
        return place

    def end(self, place: Place, counts: dict[str, int]) -> None:
        """The operation has ended, and is to be counted so."""
        if place.parked:
            self.parked.pop(place.key, None)
            self._count(counts)
            return
        place.counts = counts
        self._advance()

    def passed(self, key: str, counts: dict[str, int]) -> None:
        """Everything up to `key` is decided, and what needed no operation is to be counted so."""
        self._places.append(Place(key, counts, {}))
        self._advance()

    def park(self, place: Place) -> None:
        """The operation will be looked at later: the cursor may pass it."""
        if not place.parked:
            place.parked = True
            self.parked[place.key] = None
            place.counts = {}
            self._advance()

    def park_first(self) -> None:
        """Parks the operation that the cursor waits for."""
        if self._places:
            self.park(self._places[0])

    def beyond(self, name: str) -> int:
        """What the operations that have ended above the cursor came to. Nobody comes back to a key that was deleted, so
        a checkpoint must count it; all others are looked at, and counted, again."""
        return sum(place.counts.get(name, 0) for place in self._places if place.counts)

    def _advance(self) -> None:
        places = self._places
        while places and places[0].counts is not None:
            place = places.popleft()
            self.cursor = place.key
            self._count(place.before)
            if place.counts:
                self._count(place.counts)


def weight(key: str) -> int:
    """Bytes that the key adds to a packed state. A control table's item holds some 380,000 of one that is sealed."""
    return len(orjson.dumps(key)) + 1


def packed(**state: Any) -> bytes:
    """The state of a range, to be sealed."""
    return orjson.dumps(state)


def unpacked(raw: bytes) -> dict[str, Any]:
    """What was packed."""
    state = orjson.loads(raw)
    assert isinstance(state, dict)
    return state
