"""The common shape of a strategy: one function for each type that it treats, and a refusal for every other.

NULL, the empty string and the empty binary say nothing about anybody: they stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from downstage.errors import MaskingError
from downstage.masking.strategies.base import Attribute, Place

Change = Callable[[str, Place], str]
"""The new content of a value from its content in typed JSON: a text, a number's exact text, or base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """A strategy that treats S by `text`, N by `number` and B by `binary`; what has no function is refused."""

    name: str
    text: Change | None = None
    number: Change | None = None
    binary: Change | None = None
    injective: bool = False
    idempotent: bool = False
    whole: bool = False

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        ((kind, content),) = value.items()
        if kind == "NULL" or content == "":
            return value
        change = self.text if kind == "S" else self.number if kind == "N" else self.binary if kind == "B" else None
        if change is None:
            raise refusal(self.name, kind)
        changed = change(content, place)
        return value if changed == content else {kind: changed}


def refusal(strategy: str, kind: str) -> MaskingError:
    """The error for a value of a type that a strategy cannot treat."""
    return MaskingError(f"the strategy '{strategy}' cannot treat a value of type {kind}: give its path another one")
