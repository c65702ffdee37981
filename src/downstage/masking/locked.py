"""The lock in memory: which paths and types of a table are known, as a tree that the walk goes down with.

A map whose names are data is one entry `*`. What the tree does not know is drift: the policy says what becomes of it.
"""

from __future__ import annotations

from downstage.domain.paths import ANY_NAME, ELEMENT, Name
from downstage.domain.policy import LockedTable


class Known:
    """What is known of one place: the types that were seen there, and the places below it."""

    __slots__ = ("_any", "_element", "_names", "types")

    def __init__(self) -> None:
        self.types: frozenset[str] = frozenset()
        self._names: dict[str, Known] = {}
        self._any: Known | None = None
        self._element: Known | None = None

    def name(self, name: str) -> Known:
        """The map entry of that name; UNKNOWN if it was never seen."""
        return self._names.get(name) or self._any or UNKNOWN

    def element(self) -> Known:
        """The elements of a list; UNKNOWN if none was ever seen."""
        return self._element or UNKNOWN

    def hides(self, name: str) -> bool:
        """Whether this name of the map is data, and is never shown."""
        return self._any is not None and name not in self._names

    def writes(self, name: str) -> bool:
        """Whether the lock writes this name out."""
        return name in self._names

    def _below(self, step: Name | str) -> Known:
        if isinstance(step, Name):
            return self._names.setdefault(step.name, Known())
        if step == ELEMENT:
            self._element = self._element or Known()
            return self._element
        self._any = self._any or Known()
        return self._any


UNKNOWN = Known()
"""A place that was never seen, as everything below it is."""


def known_places(table: LockedTable) -> Known:
    """The root of the tree of one table."""
    root = Known()
    for steps, types in table.paths:
        place = root
        for step in steps:
            place = place._below(step if isinstance(step, Name) or step == ELEMENT else ANY_NAME)
        place.types = frozenset(types)
    return root
