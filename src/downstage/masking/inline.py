"""Encodings that stand inside a text, character by character: backslash escapes, percent, HTML entities, MIME `=40`.

Each is a codec that decodes a text *and remembers which raw characters each decoded one came from*. Addresses are
looked for in the decoded view; only the raw characters under a find are replaced, by the pseudonym encoded the same
way. All else, numbers, spacing, odd escapes, key order, stays byte for byte, because it is never re-encoded.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

STRUCTURE = "\x00"
"""What a quote that is JSON's own decodes to: a character that no address can hold."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded view. Character `i` of `text` came from `raw[starts[i]:starts[i + 1]]`."""

    text: str
    starts: list[int]


@dataclass(frozen=True, slots=True)
class Codec:
    """One inline encoding.

    `trigger` is a string without which a text cannot hold it (the gate is made of these). `unit` matches one encoded
    piece; `decode` gives its characters, each with the length of its raw text, or None if the piece means itself.
    `encode` writes replacement text the way the raw text it replaces was written. `dotted` asks for a host with an
    alphabetic top-level domain, where the encoding is too ambiguous to believe in less.
    """

    name: str
    trigger: str
    unit: re.Pattern[str]
    decode: Callable[[str], list[tuple[str, int]] | None]
    encode: Callable[[str, str], str]
    dotted: bool = False

    def view(self, text: str) -> Decoded | None:
        """The decoded view of `text`, or None if nothing in it is encoded this way."""
        characters: list[str] = []
        starts: list[int] = []
        at = 0
        changed = False
        for match in self.unit.finditer(text):
            pieces = self.decode(match.group())
            if pieces is None:
                continue
            start = match.start()
            characters.append(text[at:start])
            starts.extend(range(at, start))
            for character, length in pieces:
                characters.append(character)
                starts.append(start)
                start += length
            at = match.end()
            changed = True
        if not changed:
            return None
        characters.append(text[at:])
        starts.extend(range(at, len(text) + 1))
        return Decoded("".join(characters), starts)


_SIMPLE_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _decode_json(unit: str) -> list[tuple[str, int]] | None:
    if unit == '"':
        return [(STRUCTURE, 1)]
    if len(unit) == 2:
        simple = _SIMPLE_ESCAPES.get(unit[1])
        return [(simple, 2)] if simple is not None else None
    return _decode_code_point(unit)


def _decode_code_point(unit: str) -> list[tuple[str, int]] | None:
    if len(unit) == 12:
        pair = bytes.fromhex(unit[2:6] + unit[8:12])
        return [(pair.decode("utf-16-be"), 12)]
    code = int(unit[2:], 16)
    if 0xD800 <= code < 0xE000:
        return None
    return [(chr(code), len(unit))]


def _encode_backslash(text: str, raw: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if "\\" in raw and "@" not in raw:
        text = text.replace("@", "\\u0040")
    return text


def _decode_percent(unit: str) -> list[tuple[str, int]] | None:
    raw = bytes.fromhex(unit.replace("%", ""))
    pieces: list[tuple[str, int]] = []
    at = 0
    while at < len(raw):
        width = _utf8_width(raw[at])
        try:
            pieces.append((raw[at : at + width].decode(), 3 * width))
            at += width
        except UnicodeDecodeError:
            pieces.append((raw[at : at + 1].decode("latin-1"), 3))
            at += 1
    return pieces


def _utf8_width(first: int) -> int:
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def _encode_percent(text: str, raw: str) -> str:
    return quote(text, safe="-._~" if "%" in raw else "-._~@+/=:")


def _decode_entity(unit: str) -> list[tuple[str, int]] | None:
    decoded = html.unescape(unit)
    return [(decoded, len(unit))] if len(decoded) == 1 else None


def _encode_entity(text: str, raw: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text if "@" in raw else text.replace("@", "&#64;")


def _decode_quoted_printable(unit: str) -> list[tuple[str, int]] | None:
    if unit.endswith("\n"):
        return []
    return [(chr(int(unit[1:], 16)), 3)]


def _encode_quoted_printable(text: str, raw: str) -> str:
    text = text.replace("=", "=3D")
    return text if "@" in raw else text.replace("@", "=40")


_CODE_POINT = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"

JSON = Codec("json", '"', re.compile(rf'{_CODE_POINT}|\\.|"', re.DOTALL), _decode_json, _encode_backslash)
BACKSLASH = Codec(
    "backslash",
    "\\",
    re.compile(rf"{_CODE_POINT}|\\x[0-9a-fA-F]{{2}}"),
    _decode_code_point,
    _encode_backslash,
)
PERCENT = Codec("percent", "%", re.compile(r"(?:%[0-9a-fA-F]{2})+"), _decode_percent, _encode_percent)
HTML = Codec(
    "html",
    "&",
    re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});"),
    _decode_entity,
    _encode_entity,
)
QUOTED_PRINTABLE = Codec(
    "mime",
    "=40",
    re.compile(r"=(?:[0-7][0-9A-F]|\r?\n)"),
    _decode_quoted_printable,
    _encode_quoted_printable,
    dotted=True,
)

CODECS = (BACKSLASH, PERCENT, HTML, QUOTED_PRINTABLE)
