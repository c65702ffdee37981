"""The digest of a set of items: the sum, mod 2^128, of a hash of each canonical item.

Sums do not depend on order, so lanes add up apart and a page that is redone after a crash counts once (its sum is
saved only with its checkpoint). Canonical is one JSON text for each item: names sorted, sets sorted, numbers by value,
no white space, no needless escape. For an item that is still the bytes it travels in, `raw_digest` takes a short cut
to the same digest.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson


def _not_compiled(raw: bytes) -> bytes | None:
    """Only the compiled loop knows without decoding; see its `canonical`."""
    return None


_canonical = _not_compiled
if not os.environ.get("DOWNSTAGE_PURE_PYTHON"):
    with suppress(ImportError):
        from downstage.proof._kernel import canonical as _canonical

COMPILED = _canonical is not _not_compiled
"""Whether the loop that puts names in order was built; without it the digest is the same, and slower."""

MODULUS = 1 << 128
_LONGEST_PLAIN = 38
_CANONICAL_NUMBER = (
    rf"(?:0|-?(?:[1-9][0-9]{{0,{_LONGEST_PLAIN - 1}}}|0(?=\.))(?:\.[0-9]{{0,{_LONGEST_PLAIN - 2}}}[1-9])?)"
)
_PLAIN = re.compile(_CANONICAL_NUMBER)
_TYPES = frozenset(("S", "N", "B", "M", "L", "BOOL", "NULL", "SS", "NS", "BS"))

_SET = re.compile(rb'S"\s*:\s*\[')
_ODD_NUMBER = re.compile(rb'"N"\s*:\s*"(?!%b")' % _CANONICAL_NUMBER.encode())
_NAMED_ODDLY = b"\\u00"
"""A letter that need not be escaped: the name of a type may be written so."""


def item_digest(item: dict[str, Any]) -> int:
    """The digest of one item in typed JSON, below 2^128. Raises ValueError for what DynamoDB does not know."""
    return _hash(canonical(item))


def canonical(attributes: dict[str, Any]) -> bytes:
    """The one text of an item, or of its key alone. Raises ValueError for what DynamoDB does not know."""
    return _written(_map(attributes))


def raw_digest(raw: bytes) -> int:
    """The digest of one item from the JSON bytes that it travels in. Raises ValueError.

    Without sets, and with every number in its one form, sorting the names is all that is left to do.
    """
    written = _canonical(raw) if raw.isascii() else None
    if written is not None:
        return _hash(written)
    item = orjson.loads(raw)
    if _SET.search(raw) or _ODD_NUMBER.search(raw) or _NAMED_ODDLY in raw:
        return item_digest(item)
    return _hash(orjson.dumps(item, option=orjson.OPT_SORT_KEYS))


def text_digest(text: str) -> int:
    """The digest of one document id, for comparing sets of ids."""
    return _hash(text.encode("utf-8", "surrogatepass"))


def add(total: int, digest: int) -> int:
    """`total` with one more digest (or another total) added."""
    return (total + digest) % MODULUS


def as_hex(total: int) -> str:
    """32 hex digits."""
    return f"{total:032x}"


def canonical_number(text: str) -> str:
    """One text for each value: `1.10`, `1.1` and `11E-1` are the same number, to 38 digits and beyond.

    Plain where that takes at most 38 digits on either side of the point, else digits and a power of ten.
    """
    if _PLAIN.fullmatch(text):
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
    return ("-" if sign else "") + _positional(stripped, exponent + len(significant) - len(stripped))


def _positional(digits: str, power: int) -> str:
    """`digits` times ten to the `power`, plain if it is short enough."""
    if power >= 0 and len(digits) + power <= _LONGEST_PLAIN:
        return digits + "0" * power
    if power < 0 and -power < _LONGEST_PLAIN and len(digits) + power <= _LONGEST_PLAIN:
        padded = digits.rjust(1 - power, "0")
        return f"{padded[:power]}.{padded[power:]}"
    return f"{digits}e{power}"


def _hash(canonical: bytes) -> int:
    return int.from_bytes(blake2b(canonical, digest_size=16).digest(), "big")


def _written(canonical: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # half a surrogate pair, which orjson does not write
        text = json.dumps(canonical, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")


def _map(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: dict[str, Any]) -> dict[str, Any]:
    """The value with its sets sorted and its numbers in one form; the same object if that changes nothing."""
    ((kind, content),) = value.items()
    if kind == "N":
        number = canonical_number(content)
        return value if number == content else {"N": number}
    if kind == "M":
        return {"M": _map(content)}
    if kind == "L":
        return {"L": [_value(member) for member in content]}
    if kind in ("SS", "NS", "BS"):
        return {kind: sorted(map(canonical_number, content) if kind == "NS" else content)}
    if kind not in _TYPES:
        raise ValueError(f"{kind} is not a type of DynamoDB")
    return value
