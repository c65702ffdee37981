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
        """Whether every pattern matches a string or number attribute of `item`; one that is absent matches nothing."""
        for name, pattern in self.when:
            text = _text(item.get(name))
            if text is None or pattern.fullmatch(text) is None:
                return False
        return True


def pattern_of(shell: str) -> re.Pattern[str]:
    """A shell pattern of `*` and `?` as a regular expression; every other character means itself.

    What stands between two stars is taken where it stands first, for good, so that the work is linear in the text.
    """
    first, *rest = re.split(r"\*+", shell)
    if not rest:
        return re.compile(_literal(first), re.DOTALL)
    *middle, last = rest
    pieces = [f"(?>.*?{_literal(piece)})" for piece in middle if piece]
    return re.compile(f"{_literal(first)}{''.join(pieces)}.*{_literal(last)}", re.DOTALL)


def _literal(piece: str) -> str:
    return "".join("." if character == "?" else re.escape(character) for character in piece)


def _text(value: object) -> str | None:
    """The text of a string or number attribute."""
    text = value.get("S", value.get("N")) if isinstance(value, dict) else None
    return text if isinstance(text, str) else None
