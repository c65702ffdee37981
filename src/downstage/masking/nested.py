"""One text or binary value, with every encoding it may be wrapped in, at most four layers deep.

A text is looked at as it is, through each inline codec, and through each base64 token in it; a binary as gzip, zlib,
or text. What is found inside is replaced and wrapped again the same way. Two rules keep it honest:

* the result is looked at again until nothing changes; if it will not settle, the item is refused (MaskingError);
* what cannot be looked into (a bomb, an opaque binary in which an address stands) is refused, never passed on.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from downstage.errors import MaskingError
from downstage.masking import address
from downstage.masking.inline import CODECS, JSON, Codec

MAXIMUM_LAYERS = 4
MAXIMUM_INFLATED = 4 * 1024 * 1024
_ROUNDS = 4
_SHORTEST_BASE64 = 12
_CERTAIN_BASE64 = 24

_BASE64 = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST_BASE64},}}={{0,2}}")
_GATE = re.compile(
    "|".join([f"[{address.AT_SIGNS}]", *(re.escape(codec.trigger) for codec in CODECS), _BASE64.pattern])
)
_JSON_START = re.compile(r'\s*[\[{"]')
_DOTTED = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\Z")
_ASCII_ADDRESS = re.compile(rb"[A-Za-z0-9._%+'-]@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![A-Za-z0-9])")
_GZIP = b"\x1f\x8b"
_ZLIB_SECOND = (b"\x01", b"\x5e", b"\x9c", b"\xda")


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


class NestedMasker:
    """Replaces every address in texts and binaries. `replace` maps one address to its pseudonym, purely.

    `replaced` counts the replacements made so far; it is only a statistic.
    """

    def __init__(self, replace: Callable[[str], str]) -> None:
        self._replace = replace
        self.replaced = 0

    def text(self, text: str) -> str:
        """`text` with every address replaced; the same object if there is none. May raise MaskingError."""
        if _GATE.search(text) is None:
            return text
        for _ in range(_ROUNDS):
            edits = self._edits(text, 0)
            if not edits:
                return text
            text = _apply(text, edits)
        raise MaskingError("a text does not settle under masking: it is refused")

    def binary(self, raw: bytes) -> bytes:
        """`raw` with every address replaced; the same object if there is none. May raise MaskingError."""
        return self._binary(raw, 0, certain=True)

    def _edits(self, text: str, layer: int) -> list[_Edit]:
        """The replacements that `text` needs, in order, without overlap."""
        edits: list[_Edit] = []
        if layer < MAXIMUM_LAYERS:
            if _JSON_START.match(text):
                edits = self._inline_edits(JSON, text, layer)
            for codec in CODECS:
                if codec.trigger in text:
                    edits = _merge(edits, self._inline_edits(codec, text, layer))
            edits = _merge(edits, self._base64_edits(text, layer))
        return _merge(edits, self._plain_edits(text))

    def _plain_edits(self, text: str) -> list[_Edit]:
        edits = []
        for start, end in address.find(text):
            found = text[start:end]
            pseudonym = self._replace(found)
            if pseudonym != found:
                self.replaced += 1
                edits.append(_Edit(start, end, pseudonym))
        return edits

    def _inline_edits(self, codec: Codec, text: str, layer: int) -> list[_Edit]:
        view = codec.view(text)
        if view is None or _GATE.search(view.text) is None:
            return []
        edits = []
        for inner in self._edits(view.text, layer + 1):
            start, end = view.starts[inner.start], view.starts[inner.end]
            raw = text[start:end]
            if codec.dotted and "@" not in raw and not _DOTTED.search(view.text[inner.start : inner.end]):
                continue
            edits.append(_Edit(start, end, codec.encode(inner.text, raw)))
        return edits

    def _base64_edits(self, text: str, layer: int) -> list[_Edit]:
        edits = []
        for match in _BASE64.finditer(text):
            for start in _token_starts(match):
                token = text[start : match.end()]
                masked = self._base64_token(token, layer)
                if masked != token:
                    edits.append(_Edit(start, match.end(), masked))
                    break
        return edits

    def _base64_token(self, token: str, layer: int) -> str:
        body = token.rstrip("=")
        url_safe = "-" in body or "_" in body
        if len(body) % 4 == 1 or (url_safe and ("+" in body or "/" in body)):
            return token
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), b"-_" if url_safe else None, validate=True)
        except (binascii.Error, ValueError):
            return token
        if len(body) < _CERTAIN_BASE64 and not _ASCII_ADDRESS.search(raw):
            return token
        masked = self._binary(raw, layer + 1, certain=False)
        if masked is raw:
            return token
        encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(masked).decode()
        return encoded if "=" in token or len(body) % 4 == 0 else encoded.rstrip("=")

    def _binary(self, raw: bytes, layer: int, *, certain: bool) -> bytes:
        """`certain`: the bytes are a value of their own, so what is opaque must be judged; else they may be nothing."""
        if layer > MAXIMUM_LAYERS:
            return raw
        if raw.startswith(_GZIP):
            return self._compressed(raw, layer, 31, lambda inner: gzip.compress(inner, mtime=0))
        if raw[:1] == b"\x78" and raw[1:2] in _ZLIB_SECOND:
            return self._compressed(raw, layer, 15, zlib.compress)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            if certain and _ASCII_ADDRESS.search(raw):
                raise MaskingError(
                    "an opaque binary holds an address: it cannot be rewritten safely"
                ) from None
            return raw
        if not certain and not _printable(text):
            return raw
        if _GATE.search(text) is None:
            return raw
        edits = self._edits(text, layer)
        return _apply(text, edits).encode() if edits else raw

    def _compressed(self, raw: bytes, layer: int, window: int, compress: Callable[[bytes], bytes]) -> bytes:
        inflater = zlib.decompressobj(window)
        try:
            inner = inflater.decompress(raw, MAXIMUM_INFLATED)
        except zlib.error:
            return raw
        if inflater.unconsumed_tail:
            raise MaskingError("a compressed value inflates past 4 MiB: it cannot be looked into")
        if not inflater.eof:
            return raw
        if inflater.unused_data:
            raise MaskingError("a compressed value has bytes after its end: it cannot be rewritten safely")
        masked = self._binary(inner, layer + 1, certain=True)
        return raw if masked is inner else compress(masked)


def _token_starts(match: re.Match[str]) -> list[int]:
    """Where a base64 token may start: at the run's start, or after a separator that is also in the alphabet."""
    starts = [match.start()]
    run = match.group()
    for separator in re.finditer(r"[/_-]", run):
        if len(run) - separator.end() < _SHORTEST_BASE64 or len(starts) > 8:
            break
        starts.append(match.start() + separator.end())
    return starts


def _printable(text: str) -> bool:
    return all(character.isprintable() or character in "\r\n\t" for character in text)


def _merge(first: list[_Edit], second: list[_Edit]) -> list[_Edit]:
    """Both lists in order; where two overlap, the one from `first` (the deeper look) stands."""
    if not first:
        return second
    if not second:
        return first
    kept = list(first)
    place = 0
    for edit in second:
        while place < len(first) and first[place].end <= edit.start:
            place += 1
        if place == len(first) or edit.end <= first[place].start:
            kept.append(edit)
    kept.sort(key=lambda edit: edit.start)
    return kept


def _apply(text: str, edits: list[_Edit]) -> str:
    pieces = []
    at = 0
    for edit in edits:
        pieces.append(text[at : edit.start])
        pieces.append(edit.text)
        at = edit.end
    pieces.append(text[at:])
    return "".join(pieces)
