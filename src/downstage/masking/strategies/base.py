"""What a strategy is: the contract that every one of them keeps, and what it is told.

A strategy is a pure function of (key, environment, pseudonym domain, value) made once and called for each value.
The walk (`masking.walk`) hands it leaves: maps, lists and sets are opened first, so that a rule on a container is a
rule on every value in it, member by member. Only a strategy that is `whole` is given the container itself. What it
returns is looked through for addresses again, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from downstage.ports import Item

Attribute = dict[str, Any]
"""One value in typed JSON, `{"S": "…"}`; B is base64 text."""

DROPPED: Final[Attribute] = {}
"""What a strategy returns (this very object) for a value that is not to be written."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. `path` is written without data (dynamic names are `*`); `item` is the whole item as it
    was read, for strategies that go by another of its attributes. Its repr shows the path alone."""

    path: str
    item: Item = field(repr=False)


class Strategy(Protocol):
    """Makes one value's replacement.

    `injective`: distinct values stay distinct (but for a chance below 1 in 10^12), so it may stand on keys.
    `idempotent`: its output, masked again, stays as it is. `whole`: it is handed maps, lists and sets unopened.
    """

    @property
    def injective(self) -> bool: ...
    @property
    def idempotent(self) -> bool: ...
    @property
    def whole(self) -> bool: ...

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """The new value, `value` itself if nothing changes, or DROPPED. NULL and the empty string stay what they are.

        Raises MaskingError, without any data in the message, if `value` is of a type or form that it cannot treat;
        the item is then quarantined.
        """
        ...
