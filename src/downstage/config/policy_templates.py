"""The templates of composite keys as they are written: `user|{email}#{id:keep}`.

Between braces stands a strategy's name, with a label for the reader before it if one likes. Two parts with nothing
between them could not be told apart again, so a literal text must part them. There is no way to write a literal brace.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from downstage.config.policy_strategies import check_bare_name


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a key that a strategy replaces."""

    strategy: str


def parse_template(text: str, own: Collection[str]) -> tuple[str | Part, ...]:
    """The literals and parts of a template, in turn. `own` are the names of strategies beside the built-in ones.

    Raises ValueError, for use after the template's place.
    """
    if not text:
        raise ValueError("is empty; write the key with its parts in braces, such as user|{email}")
    parts: list[str | Part] = []
    rest = text
    while rest:
        literal, brace, after = rest.partition("{")
        at = len(text) - len(rest) + len(literal) + 1
        if "}" in literal:
            raise ValueError(
                f"has a '}}' without a '{{' before it, at character {at - len(literal) + literal.find('}')}"
            )
        if literal:
            parts.append(literal)
        if not brace:
            break
        if parts and isinstance(parts[-1], Part):
            raise ValueError(
                f"has two parts with nothing between them at character {at}: where one ends could not be told; "
                "put a literal text between them, or make one part of them"
            )
        inside, closed, rest = after.partition("}")
        if not closed or "{" in inside:
            raise ValueError(f"has a '{{' that is not closed, at character {at}")
        parts.append(_part(inside.rpartition(":")[2].strip(), at, own))
    return tuple(parts)


def _part(strategy: str, at: int, own: Collection[str]) -> Part:
    if not strategy:
        raise ValueError(
            f"has no strategy in the braces at character {at}; write one, such as {{email}} or {{id:keep}}"
        )
    check_bare_name(strategy, own, where=f" at character {at}")
    return Part(strategy)
