"""What base64 in a text hides. A token counts only if its bytes are text, or a compressed stream that inflates: most
words and identifiers are base64 of noise."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from downstage.verify.cut import Cuts
from downstage.verify.inflating import inflate, may_inflate
from downstage.verify.readable import BYTE_ORDER_MARKS, MIN_LATIN, latin, unicode

Payload = bytes | tuple[str, str]
"""What a base64 token holds: (layer, text) as `readable` gives it, or bytes that may inflate."""
_MIN_TOKEN = 8
TOKEN = re.compile(rf"[A-Za-z0-9+/_\-]{{{_MIN_TOKEN},}}={{0,2}}")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}+(?:\r?\n[ \t]?[A-Za-z0-9+/]++)+(?:\r?\n)?={0,2}")
_SEPARATORS = (re.compile(r"[\-_]"), re.compile(r"[+/]"), re.compile(r"[+/_\-]"))
_URL_SAFE = str.maketrans("-_", "+/")
_MAX_TOKEN_SUFFIXES = 4
_GLANCE = 64  # bytes that show that a stream inflates
_TEXT_START = re.compile(
    rb"(?:[\t\n\r\x1b-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb"(?:[\x00\t\n\r\x1b-\x7e]|[\xc2-\xf4][\x80-\xbf])|\x00[\t\n\r\x20-\x7e]|\x1f\x8b"
)


def base64_payloads(text: str, settled: Sequence[tuple[int, int]] | None = None) -> Iterator[Payload]:
    """What the base64 tokens in `text` hold, in both alphabets, padded or not.

    A token wrapped over lines is read as one, and line by line only if that gives nothing. As `-`, `_` and
    `/` also separate, a token that is no text as a whole is tried in parts too. If `settled` is given, the caller
    undoes the escapes of `text` but for those spans: a token that an escape cuts in two is then left to that.
    """
    if "\n" in text:
        lines: list[str] = []
        position = 0
        for wrapped in _WRAPPED.finditer(text):
            payload = _payload("".join(wrapped.group().split()).rstrip("="))
            if payload is not None:
                yield payload
                lines.append(text[position : wrapped.start()])
                position = wrapped.end()
        if lines:
            text, settled = "\n".join([*lines, text[position:]]), None
    cuts = None if settled is None else Cuts(text, settled, lambda token: _payload(token) is not None)
    seen: set[str] = set()
    for found in TOKEN.finditer(text):
        token = found.group().rstrip("=")
        if token in seen or token.lower() == token:
            continue  # no address survives base64 without a capital letter: `@` alone makes one
        payload = _payload(token)
        payloads: Iterable[Payload] = () if payload is None else (payload,)
        if payload is None and (not token.isalnum() or len(token) >= MIN_LATIN):
            payloads = _partial_payloads(token)
        piece: bool | None = None if cuts else False
        for part in payloads:
            if piece is None and cuts:
                piece = cuts.is_piece(found.start(), token)
            if not piece:
                yield part
        if not piece:
            seen.add(token)


def _partial_payloads(token: str) -> Iterator[Payload]:
    """What the parts of a token hold that is nothing as a whole, or else the text in an old code page that it
    is.

    First what follows one of its first separators, then the pieces before that: a piece of a longer text or
    stream would show an address cut short.
    """
    rest = token
    heard = False
    for start in _suffixes(token):
        payload = _payload(token[start:])
        if payload is not None:
            heard = True
            yield payload
            rest = token[:start]
            break
    for piece in {piece for separator in _SEPARATORS for piece in separator.split(rest)}:
        payload = _payload(piece) if piece != token else None
        if payload is not None:
            heard = True
            yield payload
    old = latin(unbase64(token) or b"") if not heard and len(token) >= MIN_LATIN else None
    if old is not None:
        yield old


def _suffixes(token: str) -> list[int]:
    """Where the parts of `token` begin that follow one of its first separators, longest part first."""
    return [found.end() for found in islice(_SEPARATORS[2].finditer(token), _MAX_TOKEN_SUFFIXES)]


def _payload(token: str) -> Payload | None:
    """What one token holds, or None if it is noise. Old code pages are no reading here: noise passes for
    one."""
    if len(token) < _MIN_TOKEN or token.lower() == token:
        return None
    data = unbase64(token)
    if data is None:
        return None
    if may_inflate(data):
        return data if inflate(data, _GLANCE) is not None else unicode(data)
    if not (_TEXT_START.match(data) or data[:2] in BYTE_ORDER_MARKS):
        return None  # so end most words and identifiers, at little cost
    return unicode(data)


def unbase64(token: str) -> bytes | None:
    """The bytes of one base64 token of either alphabet, padded or not; a single left-over character is
    dropped."""
    token = token.rstrip("=")
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        return binascii.a2b_base64(token.translate(_URL_SAFE) + "==")
    except ValueError:
        return None
