"""Draws: the keyed, stateless dice of the strategies. The same value in the same pseudonym domain draws the same
number in every process and run; without the key nothing is learnt from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from downstage.masking.keys import KeyedHash, MaskKey

_REMEMBERED = 16384
_LONGEST_REMEMBERED = 320

T = TypeVar("T")


class Draw:
    """The draws of one environment and one pseudonym domain, such as `phone/v1`."""

    def __init__(self, key: MaskKey, environment: str, domain: str) -> None:
        self._domain = domain.encode() + b"\0"
        self._hash = KeyedHash(key.derive(f"draw/{environment}/{domain}"))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._number)

    def number(self, canonical: str) -> int:
        """An integer of 256 bits that belongs to `canonical` (domain ‖ 0x00 ‖ canonical value, HMAC-SHA-256)."""
        return self._number(canonical) if len(canonical) > _LONGEST_REMEMBERED else self._remembered(canonical)

    def choose(self, canonical: str, values: Sequence[T]) -> T:
        """The one of `values` that belongs to `canonical`; lossy, as every choice from a list is."""
        return values[self.number(canonical) % len(values)]

    def _number(self, canonical: str) -> int:
        return int.from_bytes(self._hash.digest(self._domain + canonical.encode("utf-8", "surrogatepass")), "big")


Draws = Callable[[str], Draw]
"""Gives the draws of a pseudonym domain."""
