"""The digest of a set of items: the sum, mod 2^128, of a hash of each canonical item.

Sums do not depend on order, so lanes add up apart and a page that is redone after a crash counts once (its sum is
saved only with its checkpoint). Canonical means: attribute names sorted, sets sorted, numbers by value, and every
piece with its type and length, so that no two different items have the same bytes.
"""

from __future__ import annotations

import re
from decimal import Decimal
from hashlib import blake2b
from typing import Any

MODULUS = 1 << 128
_PLAIN_INTEGER = re.compile(r"-?[1-9][0-9]*[1-9]|-?[1-9]|0")


def item_digest(item: dict[str, Any]) -> int:
    """The digest of one item in typed JSON, below 2^128."""
    pieces: list[bytes] = []
    _add_map(item, pieces)
    return int.from_bytes(blake2b(b"".join(pieces), digest_size=16).digest(), "big")


def text_digest(text: str) -> int:
    """The digest of one document id, for comparing sets of ids."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")


def add(total: int, digest: int) -> int:
    """`total` with one more digest (or another total) added."""
    return (total + digest) % MODULUS


def as_hex(total: int) -> str:
    """32 hex digits."""
    return f"{total:032x}"


def canonical_number(text: str) -> str:
    """One text for each value: `1.10`, `1.1` and `11E-1` are the same number, to 38 digits and beyond."""
    if _PLAIN_INTEGER.fullmatch(text):
        return text
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except ArithmeticError:
        raise ValueError("an N attribute is not a number") from None
    if not isinstance(exponent, int):
        raise ValueError("DynamoDB has no infinities")
    significant = "".join(map(str, digits)).lstrip("0")
    stripped = significant.rstrip("0")
    if not stripped:
        return "0"
    power = exponent + len(significant) - len(stripped)
    return f"{'-' if sign else ''}{stripped}" + (f"e{power}" if power else "")


def _add_map(attributes: dict[str, Any], pieces: list[bytes]) -> None:
    pieces.append(b"M%d:" % len(attributes))
    for name in sorted(attributes):
        _add_text(b"k", name, pieces)
        _add_value(attributes[name], pieces)


def _add_text(tag: bytes, text: str, pieces: list[bytes]) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    pieces.append(b"%b%d:" % (tag, len(raw)))
    pieces.append(raw)


def _add_value(value: dict[str, Any], pieces: list[bytes]) -> None:
    ((kind, content),) = value.items()
    if kind == "S":
        _add_text(b"S", content, pieces)
    elif kind == "N":
        _add_text(b"N", canonical_number(content), pieces)
    elif kind == "M":
        _add_map(content, pieces)
    elif kind == "L":
        pieces.append(b"L%d:" % len(content))
        for member in content:
            _add_value(member, pieces)
    elif kind == "B":
        _add_text(b"B", content, pieces)
    elif kind == "BOOL":
        pieces.append(b"T" if content else b"F")
    elif kind == "NULL":
        pieces.append(b"0")
    elif kind in ("SS", "NS", "BS"):
        members = sorted(map(canonical_number, content) if kind == "NS" else content)
        pieces.append(b"%b%d:" % (kind.encode(), len(members)))
        for member in members:
            _add_text(b"s", member, pieces)
    else:
        raise ValueError(f"{kind} is not a type of DynamoDB")
