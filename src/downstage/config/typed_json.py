"""Is this one attribute value of DynamoDB? `{S: text}`, `{N: "12"}`, `{L: [{BOOL: true}]}`.

Flags are written to a real table as they stand in the file, so a wrong type must show here, with its line, and not
in the middle of a run. Messages name types and positions, never values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

ATTRIBUTE_TYPES = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def attribute_value(value: dict[str, Any]) -> dict[str, Any]:
    """The value itself, if it is one attribute value; else `ValueError`."""
    _check_attribute(value, "")
    return value


def key_value(value: dict[str, Any]) -> dict[str, Any]:
    """The value itself, if it can be a key attribute (S, N or B, not empty); else `ValueError`."""
    _check_attribute(value, "")
    kind, held = next(iter(value.items()))
    if kind not in ("S", "N", "B"):
        raise ValueError("is a key attribute: its type must be S, N or B")
    if not held:
        raise ValueError("is a key attribute: it must not be empty")
    return value


def _check_attribute(value: Any, at: str) -> None:
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ATTRIBUTE_TYPES:
        kinds = ", ".join(ATTRIBUTE_TYPES)
        raise ValueError(f"must be typed DynamoDB JSON{at}: one of {kinds}, such as {{S: text}}")
    kind, held = next(iter(value.items()))
    if kind == "L" and isinstance(held, list | tuple):
        for index, element in enumerate(held):
            _check_attribute(element, f" (in L, element {index})")
        return
    if kind == "M" and isinstance(held, dict):
        for element in held.values():
            _check_attribute(element, " (in M)")
        return
    wanted, fits = _HELD[kind]
    if not fits(held):
        raise ValueError(f"must be typed DynamoDB JSON{at}: {kind} holds {wanted}")


def _is_text(held: Any) -> bool:
    return isinstance(held, str)


def _is_number(held: Any) -> bool:
    return isinstance(held, str) and _NUMBER.fullmatch(held) is not None


def _is_binary(held: Any) -> bool:
    try:
        return isinstance(held, str) and base64.b64decode(held, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _set_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(held: Any) -> bool:
        return isinstance(held, list | tuple) and bool(held) and all(map(fits, held)) and len(set(held)) == len(held)

    return check


_HELD: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "S": ("text in quotes", _is_text),
    "N": ('a number in quotes, such as "12"', _is_number),
    "B": ("base64 text", _is_binary),
    "BOOL": ("true or false", lambda held: isinstance(held, bool)),
    "NULL": ("true", lambda held: held is True),
    "SS": ("a list of different texts in quotes", _set_of(_is_text)),
    "NS": ("a list of different numbers in quotes", _set_of(_is_number)),
    "BS": ("a list of different base64 texts", _set_of(_is_binary)),
    "L": ("a list of typed values", lambda held: False),
    "M": ("a mapping of names to typed values", lambda held: False),
}
