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
from functools import partial
from typing import Any

import orjson

from downstage.errors import MaskingError
from downstage.masking.clean_runs import BINARIES
from downstage.masking.gate import (
    Literals,
    binaries,
    doubtful_literals,
    literal_of,
    meant,
    with_escapes,
    without_escapes,
)
from downstage.masking.kernel import Spans
from downstage.masking.nested import NestedMasker
from downstage.ports import Item

_STRING, _BINARY = '{"S":"', '{"B":"'
_STRING_BYTES = _STRING.encode()
_NOTHING: tuple[list[tuple[int, int, bool]], Spans] = ([], [])
_NOT_JSON = "an item is not JSON in UTF-8: it is refused"


class RawMasker:
    """`nested` masks one text or binary; `slow` masks a decoded item, and gives the same object if nothing changes.

    An item is one JSON object of typed attributes, as DynamoDB writes it. Whether it is valid JSON is only seen where
    it is decoded; every string in it is looked at whatever it is.
    """

    def __init__(self, nested: NestedMasker, slow: Callable[[Item], Item]) -> None:
        self._nested = nested
        self._slow = slow
        kernel = nested.kernel
        self._look = None if kernel is None else partial(nested.clean_runs.look, kernel)

    def __call__(self, raw: bytes) -> bytes:
        """The masked item; the same object if nothing changes. Raises MaskingError if it cannot be masked."""
        if self._look is not None:
            if not raw.isascii():
                _decoded(raw)
            found = self._look(raw)
            return raw if found == _NOTHING else self._where_found(raw, found)
        written = _decoded(raw)
        text = without_escapes(written)
        if text is None:
            return self._slowly(raw)
        unknown = self._nested.clean_runs.unknown(text)
        literals = doubtful_literals(text, self._nested.clean_runs, unknown)
        if literals is None:
            return self._slowly(raw)
        if BINARIES.isdisjoint(unknown):
            if not literals:
                return raw
            contents: list[str] | None = []
        else:
            contents = binaries(text)
        if contents is None:
            return self._slowly(raw)
        counted = self._nested.counts()
        masked = self._in_place(text, literals)
        if masked is None or not all(map(self._is_clean, contents)):
            self._nested.recount(counted)
            return self._slowly(raw)
        if masked is text:
            return raw
        return (masked if text is written else with_escapes(masked)).encode()

    def _where_found(self, raw: bytes, found: tuple[list[tuple[int, int, bool]], Spans] | None) -> bytes:
        """The same, after the compiled gate has looked: masked in place, or slowly."""
        if found is None:
            return self._slowly(raw)
        literals, contents = found
        counted = self._nested.counts()
        masked = self._in_bytes(raw, literals)
        if masked is None or not all(self._is_clean(raw[start:end]) for start, end in contents):
            self._nested.recount(counted)
            return self._slowly(raw)
        return masked

    def _in_bytes(self, raw: bytes, literals: list[tuple[int, int, bool]]) -> bytes | None:
        """`raw` with the strings in `literals` masked; None if it cannot be told from them alone."""
        pieces: list[bytes] = []
        at = 0
        for start, end, runs_are_clean in literals:
            edits = self._nested.edits_in_literal(raw, start, end) if runs_are_clean else None
            if edits is not None:
                if edits and not _is_string(raw, start, end):
                    return None
                for first, last, pseudonym in edits:
                    pieces += (raw[at:first], pseudonym)
                    at = last
                continue
            literal = raw[start:end]
            value = literal.decode() if b"\\" not in literal else orjson.loads(b'"%b"' % literal)
            masked = self._nested.text(value, runs_are_clean=runs_are_clean)
            if masked is value:
                continue
            if not _is_string(raw, start, end):
                return None
            pieces += (raw[at:start], _written(masked)[1:-1])
            at = end
        if not pieces:
            return raw
        pieces.append(raw[at:])
        return b"".join(pieces)

    def _in_place(self, text: str, literals: Literals) -> str | None:
        """`text` with the strings in `literals` masked; None if it cannot be told from them alone."""
        pieces: list[str] = []
        at = 0
        for start in sorted(literals):
            end, runs_are_clean = literals[start]
            before = text[max(0, start - len(_STRING)) : start]
            if before == _BINARY:
                continue
            value = meant(text[start:end])
            masked = self._nested.text(value, runs_are_clean=runs_are_clean)
            if masked is value:
                continue
            if before != _STRING or text[end + 1 : end + 2] != "}":
                return None
            pieces += (text[at:start], literal_of(masked))
            at = end
        if not pieces:
            return text
        pieces.append(text[at:])
        return "".join(pieces)

    def _is_clean(self, content: str | bytes) -> bool:
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


def _is_string(raw: bytes, start: int, end: int) -> bool:
    """Whether a literal is the whole value of an S."""
    return raw.startswith(_STRING_BYTES, start - len(_STRING_BYTES)) and raw.startswith(b"}", end + 1)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MaskingError(_NOT_JSON) from None


def _written(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise MaskingError("a masked item cannot be written as JSON: it is refused") from None
