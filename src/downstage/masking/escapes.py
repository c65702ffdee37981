"""The inline encodings: backslash escapes and JSON, percent, HTML entities, MIME quoted-printable, stray NULs.

Some are certain where they stand, some are guesses: `=40` is an `@` in quoted-printable and a number in a query. What a
sure codec finds goes before what stands in plain sight, what a guess finds only where nothing does.
"""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from downstage.masking.address import AT_SIGNS
from downstage.masking.inline import Codec, Pieces

STRUCTURE = "\udfff"
"""What a quote that is JSON's own decodes to: a character that no text and no address can hold."""

_CODE_POINT = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_ESCAPED_AT = re.compile(r"\\(?:x40|u0040|u\{0*40\}|U00000040|@)")


def _decode_json(unit: str) -> Pieces | None:
    if unit == '"':
        return [(STRUCTURE, 1)]
    if len(unit) == 2:
        simple = _ESCAPED.get(unit[1])
        return [(simple, 2)] if simple is not None else None
    return _decode_code_point(unit)


def _decode_backslash(unit: str) -> Pieces | None:
    if unit[1] == "x":
        return _decode_bytes(bytes.fromhex(unit.replace("\\x", "")), 4)
    return [(_ESCAPED.get(unit[1], unit[1]), 2)] if len(unit) == 2 else _decode_code_point(unit)


def _decode_code_point(unit: str) -> Pieces | None:
    if len(unit) == 12 and unit[6] == "\\":
        pair = bytes.fromhex(unit[2:6] + unit[8:12])
        return [(pair.decode("utf-16-be"), 12)]
    code = int(unit[2:].strip("{}"), 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return None
    return [(chr(code), len(unit))]


def _decode_bytes(raw: bytes, width: int) -> Pieces:
    """UTF-8 written out byte by byte, `width` characters for each; Latin-1 where it is no UTF-8."""
    pieces: Pieces = []
    at = 0
    while at < len(raw):
        first = raw[at]
        size = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        try:
            pieces.append((raw[at : at + size].decode(), width * size))
            at += size
        except UnicodeDecodeError:
            pieces.append((raw[at : at + 1].decode("latin-1"), width))
            at += 1
    return pieces


def _encode_backslash(text: str, raw: str) -> str:
    text = text.translate(_ESCAPES)
    at_sign = _ESCAPED_AT.search(raw)
    return text.replace("@", at_sign.group()) if at_sign else text


def _decode_percent(unit: str) -> Pieces | None:
    if unit[1] == "u":
        return _decode_code_point(unit)
    return _decode_bytes(bytes.fromhex(unit.replace("%", "")), 3)


def _encode_percent(text: str, raw: str) -> str:
    if "%" not in raw:
        return quote(text, safe="-._~@+/=:")
    return quote(text, safe="-._~@" if "@" in raw else "-._~")


def _decode_entity(unit: str) -> Pieces | None:
    decoded = html.unescape(unit)
    return [(decoded, len(unit))] if len(decoded) == 1 else None


def _encode_entity(text: str, raw: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text if "@" in raw else text.replace("@", "&#64;")


def _decode_quoted_printable(unit: str) -> Pieces | None:
    return [] if unit.endswith("\n") else _decode_bytes(bytes.fromhex(unit.replace("=", "")), 3)


def _encode_quoted_printable(text: str, raw: str) -> str:
    text = text.replace("=", "=3D")
    return text if "@" in raw else text.replace("@", "=40")


_DOTTED = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\Z")


JSON = Codec("json", "\\", re.compile(rf'{_CODE_POINT}|\\.|"', re.DOTALL), _decode_json, _encode_backslash)
"""For a text that begins as JSON does. Without a backslash in it, JSON says what it seems to say."""

BACKSLASH = Codec(
    "backslash",
    "\\",
    re.compile(
        rf"{_CODE_POINT}|\\u\{{[0-9a-fA-F]{{1,6}}\}}|\\U[0-9a-fA-F]{{8}}|(?:\\x[0-9a-fA-F]{{2}})+"
        r"|\\[0nrt!-/:-@\[-`{-~]"
    ),
    _decode_backslash,
    _encode_backslash,
)
"""Escapes outside JSON. `\\b` and `\\f` are none here: in `CORP\\bob@…` they begin a name."""

PERCENT = Codec("percent", "%", re.compile(r"(?:%[0-9a-fA-F]{2})+|%u[0-9a-fA-F]{4}"), _decode_percent, _encode_percent)
HTML = Codec(
    "html",
    "&",
    re.compile(r"&(?:#0{0,16}[0-9]{1,7};?|#[xX]0{0,16}[0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)"),
    _decode_entity,
    _encode_entity,
)
_MIME_UNIT = re.compile(r"(?:=[0-9a-fA-F]{2})+|(?<!=)=[ \t]{0,4}\r?\n")
_MIME_SIGN = r"=\r?\n|=\?|=3[Dd]|=[C-Fc-f][0-9A-Fa-f]=[89ABab][0-9A-Fa-f]"

QUOTED_PRINTABLE = Codec(
    "mime",
    "=",
    _MIME_UNIT,
    _decode_quoted_printable,
    _encode_quoted_printable,
    evidence=re.compile(_MIME_SIGN),
)
"""The whole encoding, in a text that is surely written in it."""

_PERHAPS_QUOTED_PRINTABLE = Codec(
    "mime",
    "=40",
    _MIME_UNIT,
    _decode_quoted_printable,
    _encode_quoted_printable,
    evidence=re.compile(_MIME_SIGN + "|=(?:2[BDEFbdef]|5[Ff]|0[ADad9])"),
)
_MIME_AT_SIGN = Codec(
    "mime",
    "=40",
    re.compile("=40"),
    _decode_quoted_printable,
    _encode_quoted_printable,
    believes=lambda _raw, found: _DOTTED.search(found) is not None,
)
_MIME_WITHOUT_AT_SIGN = Codec(
    "mime",
    "=",
    _MIME_UNIT,
    lambda unit: _decode_quoted_printable(unit.replace("=40", "=20")),
    _encode_quoted_printable,
)
_WIDE = Codec("utf-16", "\x00", re.compile("\x00+"), lambda _unit: [], lambda text, _raw: text)

SURE_CODECS = (BACKSLASH, PERCENT, HTML, QUOTED_PRINTABLE)
"""What these find goes before what stands in plain sight: `\\u0062ob@…` is bob's, not u0062ob's."""

GUESSED_CODECS = (_PERHAPS_QUOTED_PRINTABLE, _MIME_AT_SIGN, _MIME_WITHOUT_AT_SIGN, _WIDE)
"""What these find counts only where nothing stands in plain sight. `=40` is an `@` before a dotted host or among other
signs of quoted-printable, in `width=40px` it is not; NULs are UTF-16 that was taken for something else."""

JSON_START = re.compile(r'\s*[\[{"]')
"""For which texts the codec JSON is."""

HIDING = re.compile(r"%[0-9a-fA-Fu]|&[#A-Za-z]|\\[uUx0]|=[0-9a-fA-F]{2}")
"""An escape that makes a character that was not there; a backslash before a sign only guards it."""

_CODECS = (JSON, *SURE_CODECS, *GUESSED_CODECS)
_TRIGGERS = tuple({codec.trigger: None for codec in _CODECS if not codec.trigger.startswith("=")})
_UNITS = tuple({(codec.trigger, codec.unit): None for codec in _CODECS})


def shows_signs(text: str) -> bool:
    """The gate, all triggers together: False if `text` holds no address in plain sight or under an inline codec. An `=`
    alone is everywhere, so it must begin something."""
    for sign in AT_SIGNS:
        if sign in text:
            return True
    for trigger in _TRIGGERS:
        if trigger in text:
            return True
    return "=" in text and _holds_unit(text, "=", _MIME_UNIT)


def holds_codecs(text: str) -> bool:
    """The same of the inline codecs alone, and closer: whether one of them would read anything in `text` otherwise."""
    for trigger in _TRIGGERS:
        if trigger in text:
            break
    else:
        if "=" not in text:
            return False
    if "\\" in text:
        return True
    return any(_holds_unit(text, trigger, unit) for trigger, unit in _UNITS if trigger in text)


def sure_codecs(text: str) -> list[Codec]:
    """The sure codecs that `text` has the trigger of, in the order in which they go."""
    codecs = [codec for codec in SURE_CODECS if codec.trigger in text]
    return [JSON, *codecs] if "\\" in text and JSON_START.match(text) else codecs


def guesses(text: str) -> bool:
    """Whether a guessed codec would read anything in `text`."""
    return any(_holds_unit(text, codec.trigger, codec.unit) for codec in GUESSED_CODECS if codec.trigger in text)


def _holds_unit(text: str, trigger: str, unit: re.Pattern[str]) -> bool:
    """As a search for `unit`, only faster: each begins with its trigger."""
    at = text.find(trigger)
    while at >= 0:
        if unit.match(text, at) is not None:
            return True
        at = text.find(trigger, at + 1)
    return False
