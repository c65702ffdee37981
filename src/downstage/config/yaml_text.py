"""Names as YAML scalars, for the files that Downstage writes to be read by people: plain where that is safe.

Names come from production: any character may stand in them, and none may end the scalar or start a comment.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_*\[\].|-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_LONGEST_KEY = 1000
"""YAML reads a key of up to 1024 characters without a sign that one follows."""


def scalar(text: str) -> str:
    """The text on one line, in quotes if it needs them."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return f'"{"".join(map(_escaped, text))}"'


def entry(indent: int, key: str, value: str = "", comment: str = "") -> str:
    """A line `key: value  # comment`; `value` is YAML already. A very long key takes two lines."""
    margin, shown = " " * indent, scalar(key)
    rest = f":{' ' * bool(value)}{value}{remark(comment)}\n"
    return f"{margin}? {shown}\n{margin}{rest}" if len(shown) > _LONGEST_KEY else f"{margin}{shown}{rest}"


def remark(comment: str) -> str:
    """A comment for the end of a line: what cannot be printed is left out, and it is kept short."""
    words = "".join(character if character.isprintable() else " " for character in comment).split()
    return f"  # {' '.join(words)[:100]}" if words else ""


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
