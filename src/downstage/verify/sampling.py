"""A bounded sample that does not depend on the order in which things come: those with the lowest hashes.

Whoever looks at the first thousand objects of a listing looks at one folder. A hash of the name has no such bias, and
it needs no second pass, no random number and no list of everything: what is offered twice, or by a resumed run, is
chosen again or left out again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable


class LowestHashes:
    """The `limit` values with the lowest hashes of all that were offered. All hashes must have one length."""

    def __init__(self, limit: int, chosen: Iterable[tuple[bytes, str]] = ()) -> None:
        if limit < 1:
            raise ValueError("a sample holds at least one value")
        self._limit = limit
        self._chosen = sorted(chosen)[:limit]

    @property
    def values(self) -> list[str]:
        """The chosen values, in the order of their hashes."""
        return [value for _, value in self._chosen]

    def wants(self, fingerprint: bytes) -> bool:
        """Whether a value with this hash would be chosen now, and is not chosen yet."""
        if len(self._chosen) == self._limit and fingerprint > self._chosen[-1][0]:
            return False
        place = bisect_left(self._chosen, (fingerprint, ""))
        return place == len(self._chosen) or self._chosen[place][0] != fingerprint

    def offer(self, fingerprint: bytes, value: str) -> bool:
        """Chooses `value` if its hash is low enough; whether it did."""
        if not self.wants(fingerprint):
            return False
        insort(self._chosen, (fingerprint, value))
        del self._chosen[self._limit :]
        return True
