"""Composite keys: `USER#{email}#{id:keep}` is taken apart, masked part by part, and put together again.

A key is rewritten only if the template reproduces it exactly, and in one way: a key that fits no template, or that
could be taken apart in two ways, is refused. A part is never empty. The work is linear in the key's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from downstage.errors import MaskingError
from downstage.masking.strategies.base import Place, Strategy


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template. `literals` are one more than `strategies`: what stands before, between and after them."""

    text: str
    literals: tuple[str, ...]
    strategies: tuple[Strategy, ...]
    place: str = ""

    def parts(self, key: str) -> list[str] | None:
        """The parts of `key` under the strategies, or None if it does not fit. Raises MaskingError if it fits twice."""
        first = _split(key, self.literals)
        if first is None:
            return None
        mirrored = _split(key[::-1], tuple(literal[::-1] for literal in reversed(self.literals)))
        if mirrored is None or [part[::-1] for part in reversed(mirrored)] != first:
            raise MaskingError(f"a key fits the template {self.text} in more than one way ({self.place})")
        return first

    def masked(self, parts: Sequence[str], place: Place) -> str:
        """The key with its parts replaced."""
        pieces = [self.literals[0]]
        for part, strategy, literal in zip(parts, self.strategies, self.literals[1:], strict=True):
            content = strategy.replace({"S": part}, place).get("S")
            if not isinstance(content, str) or not content:
                raise MaskingError(f"a part of a key of the template {self.text} has no replacement ({self.place})")
            pieces += (content, literal)
        return "".join(pieces)


def _split(key: str, literals: Sequence[str]) -> list[str] | None:
    """The parts between the literals, each as short as can be but the last."""
    if not key.startswith(literals[0]):
        return None
    if len(literals) == 1:
        return [] if key == literals[0] else None
    end = len(key) - len(literals[-1])
    at = len(literals[0])
    if end <= at or not key.endswith(literals[-1]):
        return None
    parts = []
    for literal in literals[1:-1]:
        found = key.find(literal, at + 1, end)
        if found < 0:
            return None
        parts.append(key[at:found])
        at = found + len(literal)
    if at >= end:
        return None
    return [*parts, key[at:end]]
