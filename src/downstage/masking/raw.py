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
from downstage.masking.gate import Doubt, Gate, binaries, marked
from downstage.masking.nested import NestedMasker
from downstage.ports import Item

_STRING, _BINARY = '{"S":"', '{"B":"'
_NOT_JSON = "an item is not JSON in UTF-8: it is refused"


class RawMasker:
    """`nested` masks one text or binary; `slow` masks a decoded item, and gives the same object if nothing changes.

    An item is one JSON object of typed attributes, as DynamoDB writes it. Whether it is valid JSON is only seen where
    it is decoded; every string in it is looked at whatever it is.
    """

    def __init__(self, nested: NestedMasker, slow: Callable[[Item], Item]) -> None:
        self._nested = nested
        self._slow = slow
        self._gate = Gate(nested.clean_runs)

    def __call__(self, raw: bytes) -> bytes:
        """The masked item; the same object if nothing changes. Raises MaskingError if it cannot be masked."""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise MaskingError(_NOT_JSON) from None
        cut = marked(text)
        doubts = None if cut is None else self._gate.doubts(cut)
        if cut is None or doubts is None:
            return self._slowly(raw)
        holds_binaries = '"B' in cut
        if not doubts and not holds_binaries:
            return raw
        counted = self._nested.counts()
        masked = self._in_place(text, cut, doubts)
        if masked is None or (holds_binaries and not self._are_clean(binaries(cut))):
            self._nested.recount(counted)
            return self._slowly(raw)
        return raw if masked is text else masked.encode()

    def _in_place(self, text: str, cut: str, doubts: list[Doubt]) -> str | None:
        """`text`, or `cut` at the same places, with the strings that are doubtful masked; None if it cannot be told from
        them alone."""
        pieces: list[str] = []
        at = written = 0
        for doubt in doubts:
            start = cut.find(f'"{doubt.written}"', at) + 1
            if start == 0:
                return None
            at = start + len(doubt.written)
            before = cut[max(0, start - len(_STRING)) : start]
            if before == _BINARY:
                continue
            masked = self._nested.text(doubt.value, runs_are_clean=doubt.runs_are_clean)
            if masked is doubt.value:
                continue
            if before != _STRING or cut[at + 1 : at + 2] != "}":
                return None
            pieces += (text[written : start - 1], _literal(masked))
            written = at + 1
        if not pieces:
            return text
        pieces.append(text[written:])
        return "".join(pieces)

    def _are_clean(self, contents: list[str] | None) -> bool:
        return contents is not None and all(map(self._is_clean, contents))

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


def _literal(value: str) -> str:
    return _written(value).decode()


def _written(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise MaskingError("a masked item cannot be written as JSON: it is refused") from None
