"""Which kind of item this is: the first entity whose patterns all match its attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from downstage.masking.selectors import State
from downstage.masking.templates import Template
from downstage.ports import Item


@dataclass(frozen=True, slots=True)
class CompiledEntity:
    """One entity of one table: when an item is one, the templates of its composite keys, and its rules."""

    name: str
    when: tuple[tuple[str, re.Pattern[str]], ...]
    keys: Mapping[str, tuple[Template, ...]]
    start: State

    def matches(self, item: Item) -> bool:
        """Whether every pattern matches a string or number attribute of `item`."""
        return all(pattern.fullmatch(_text(item.get(name))) for name, pattern in self.when)


def pattern_of(shell: str) -> re.Pattern[str]:
    """A shell pattern of `*` and `?` as a regular expression; every other character means itself."""
    pieces = re.findall(r"\*+|\?|[^*?]+", shell)
    return re.compile("".join(map(_piece, pieces)), re.DOTALL)


def _piece(piece: str) -> str:
    return ".*" if piece[0] == "*" else "." if piece == "?" else re.escape(piece)


def _text(value: object) -> str:
    """The text of an attribute; a character that no pattern but `*` matches if it has none."""
    if isinstance(value, dict):
        text = value.get("S", value.get("N"))
        if isinstance(text, str):
            return text
    return "\udfff"
