"""Masking of an item as it travels: JSON bytes in, JSON bytes out, decoded only where something may be found.

    gate says no                                   the very same bytes
    something in the string of an S                that string alone is read, masked and written in its place
    anything else that would change, or any doubt  the slow way: the whole item decoded, walked, and written again

For items to which no rule of a policy applies: a string is masked for what is in it, not for where it stands. Names,
sets and binaries are only looked at here; what may collide, or be re-encoded, is the slow way's alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import orjson

from downstage.errors import MaskingError
from downstage.masking.gate import BINARY, Literals, doubtful_literals
from downstage.masking.nested import NestedMasker
from downstage.ports import Item

_STRING = '{"S":'
_NOT_JSON = "an item is not JSON in UTF-8: it is refused"


class RawMasker:
    """`nested` masks one text or binary; `slow` masks a decoded item, and gives the same object if nothing changes.

    An item is one JSON object of typed attributes, as DynamoDB writes it. Whether it is valid JSON is only seen where
    it is decoded; every string in it is looked at whatever it is.
    """

    def __init__(self, nested: NestedMasker, slow: Callable[[Item], Item]) -> None:
        self._nested = nested
        self._slow = slow

    def __call__(self, raw: bytes) -> bytes:
        """The masked item; the same object if nothing changes. Raises MaskingError if it cannot be masked."""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise MaskingError(_NOT_JSON) from None
        literals = doubtful_literals(raw, text, self._nested.clean_runs)
        if literals is None:
            return self._slowly(raw)
        if not literals:
            return raw
        counted = self._nested.counts()
        masked = self._in_place(text, literals)
        if masked is None:
            self._nested.recount(counted)
            return self._slowly(raw)
        return raw if masked is text else masked.encode()

    def _in_place(self, text: str, literals: Literals) -> str | None:
        """`text` with the strings at `literals` masked; None if it cannot be told from them alone."""
        pieces: list[str] = []
        at = 0
        for start in sorted(literals):
            end = literals[start]
            value = _value(text, start, end)
            if value is None:
                return None
            before = text[start - len(_STRING) : start] if start > len(_STRING) else ""
            if before == BINARY:
                if not self._is_clean(value):
                    return None
                continue
            masked = self._nested.text(value)
            if masked is value:
                continue
            if before != _STRING or text[end : end + 1] != "}":
                return None
            pieces += (text[at:start], _literal(masked))
            at = end
        if not pieces:
            return text
        pieces.append(text[at:])
        return "".join(pieces)

    def _is_clean(self, content: str) -> bool:
        """Whether a binary holds nothing that changes."""
        try:
            raw = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            return False
        return self._nested.binary(raw) is raw

    def _slowly(self, raw: bytes) -> bytes:
        try:
            item: Any = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise MaskingError(_NOT_JSON) from None
        if type(item) is not dict:
            raise MaskingError(_NOT_JSON)
        try:
            masked = self._slow(item)
        except RecursionError:
            raise MaskingError("an item is nested too deep: it is refused") from None
        return raw if masked is item else _written(masked)


def _value(text: str, start: int, end: int) -> str | None:
    """The string that the literal means; None if it is no JSON."""
    if text.find("\\", start, end) < 0:
        return text[start + 1 : end - 1]
    try:
        value: str = orjson.loads(text[start:end])
    except orjson.JSONDecodeError:
        return None
    return value


def _literal(value: str) -> str:
    return _written(value).decode()


def _written(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise MaskingError("a masked item cannot be written as JSON: it is refused") from None
