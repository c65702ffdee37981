"""The escapes that can stand in a text: percent, HTML, MIME, backslash, and JSON inside a string.

Each decoder takes the whole text and undoes its own escapes once; whoever calls it compares and looks at the
result as a text of its own, so that compositions need no code here. A decoder never fails: what it cannot
read stays. All are linear, and none expands its input by more than a constant.

`escapes_of(text)` matches a single escape of any of them. The address matcher leaves a candidate next to one
to the decoder; so whatever it matches, one of `DECODERS` must rewrite.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from collections.abc import Callable
from typing import Any, Final

from downstage.verify.domains import COMMON_TOP_LEVEL

_PERCENT = r"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"
_QUOTED_PRINTABLE = r"=(?:[0-9A-F]{2}|[0-9a-f]{2}|[ \t]{0,4}\r?\n)"
_ENTITY = r"&(?:#0{0,16}[0-9]{1,7};?|#[xX]0{0,16}[0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)"
_BACKSLASH = (
    r"\\(?:u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}"
    r"|[0abefnrtv]|[!-/:-@\[-`{-~]|\r?\n)"
)

_ESCAPE = re.compile(f"{_PERCENT}|{_ENTITY}|{_BACKSLASH}")
_ESCAPE_IN_MAIL = re.compile(f"{_QUOTED_PRINTABLE}|{_ESCAPE.pattern}")

_PERCENT_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+|%u[0-9A-Fa-f]{4}")
_QP_RUN = re.compile(r"(?:=(?:[0-9A-F]{2}|[0-9a-f]{2}))+|=[ \t]{0,4}\r?\n")
_ENTITY_ONE = re.compile(_ENTITY)
_BACKSLASH_RUN = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+|" + _BACKSLASH)
_ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_.:\-]{2,40})(?:\*[A-Za-z\-]{1,20})?\?([BbQq])\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"\?=[ \t\r\n]{1,8}(?==\?)")
_CHARSET = re.compile(
    r"utf-?8|us-ascii|iso-?8859-\d+|windows-\d+|cp\d+|koi8-[ru]|gb\w+|big5|shift_?jis|euc-\w+|iso-2022-\w+",
    re.IGNORECASE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROLS: Final = dict(zip("0abefnrtv", "\0\a\b\x1b\f\n\r\t\v", strict=True))

_QP_EVIDENCE = re.compile(r"=\r?\n|=(?:3[Dd]|2[BDEFbdef]|5[Ff]|0[ADad9])|=[C-Fc-f][0-9A-Fa-f]=[89ABab][0-9A-Fa-f]")
_QP_ADDRESS = re.compile(rf"=40(?=(?:[A-Za-z0-9\-]{{1,63}}\.){{1,8}}(?:{COMMON_TOP_LEVEL})(?![A-Za-z0-9]))", re.I)


def escapes_of(text: str) -> re.Pattern[str]:
    """The pattern of one escape in `text`; `=3C` is one only where other signs of quoted-printable are."""
    return _ESCAPE_IN_MAIL if "=" in text and _QP_EVIDENCE.search(text) else _ESCAPE


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its (name, value) pairs, so that a name that occurs twice hides nothing."""


def _bytes_as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def joined_surrogates(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates replaced by U+FFFD: it can be encoded."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def percent(text: str) -> str:
    """Undo percent-encoding once, `%uXXXX` too; `+` stays a plus."""

    def one(found: re.Match[str]) -> str:
        escape = found.group()
        if escape[1] == "u":
            return chr(int(escape[2:], 16))
        return _bytes_as_text(bytes.fromhex(escape.replace("%", "")))

    return joined_surrogates(_PERCENT_RUN.sub(one, text))


def quoted_printable(text: str) -> str:
    """Undo MIME quoted-printable: `=40`, and soft line breaks.

    `width=400` and `root=40mainframe` look alike. So in a text with nothing else that only quoted-printable
    holds, `=40` is an `@` before a host with a well-known top-level domain, and a blank otherwise.
    """
    if "=40" in text and not _QP_EVIDENCE.search(text):
        text = _QP_ADDRESS.sub("@", text).replace("=40", " ")

    def one(found: re.Match[str]) -> str:
        escape = found.group()
        return "" if escape.endswith("\n") else _bytes_as_text(bytes.fromhex(escape.replace("=", "")))

    return _QP_RUN.sub(one, text)


def entities(text: str) -> str:
    """Undo HTML entities: named, decimal, hexadecimal."""

    def one(found: re.Match[str]) -> str:
        character = html.unescape(found.group())
        return " " if character == found.group() else character  # an unknown name separates

    return joined_surrogates(_ENTITY_ONE.sub(one, text))


def backslashes(text: str) -> str:
    """Undo the backslash escapes of JSON, JavaScript, Python and regular expressions, once."""

    def one(found: re.Match[str]) -> str:
        escape = found.group()
        kind = escape[1]
        if kind == "x":
            return _bytes_as_text(bytes.fromhex(escape.replace("\\x", "")))
        if kind in "uU" and len(escape) > 2:
            code = int(escape[2:].strip("{}"), 16)
            return chr(code) if code <= 0x10FFFF else "\ufffd"
        return _CONTROLS.get(kind, kind.strip())

    return joined_surrogates(_BACKSLASH_RUN.sub(one, text))


def encoded_words(text: str) -> str:
    """Undo the encoded words of RFC 2047 (`=?utf-8?B?…?=`); words that follow each other are joined."""

    def one(found: re.Match[str]) -> str:
        charset, encoding, content = found.groups()
        try:
            if encoding in "bB":
                data = binascii.a2b_base64(content + "==")
            else:
                data = binascii.a2b_qp(content.encode(), header=True)
        except ValueError:
            return found.group()
        if _CHARSET.fullmatch(charset):
            try:
                return data.decode(charset, "replace")
            except LookupError:
                pass
        return _bytes_as_text(data)

    return _ENCODED_WORD.sub(one, _BETWEEN_WORDS.sub("?=", text))


DECODERS: Final[tuple[tuple[str, Callable[[str], str], str], ...]] = (
    ("encoded-word", encoded_words, "=?"),
    ("percent", percent, "%"),
    ("html", entities, "&"),
    ("backslash", backslashes, "\\"),
    ("quoted-printable", quoted_printable, "="),
)
"""(layer, decoder, what a text must hold for it to be worth a try)."""


_PEELINGS: Final = 4


def peeled(text: str) -> str:
    """`text` with the escapes upon escapes undone, a few times over."""
    for _ in range(_PEELINGS):
        before = text
        for _layer, decode, sign in DECODERS:
            if sign in text:
                text = decode(text)
        if text == before:
            break
    return text


def json_tree(text: str) -> Any | None:
    """The value of a text that is JSON, else None. Objects are `Pairs`; numbers are None.

    Only an object, an array, or a string with escapes in it: a quoted word is a text like any other.
    """
    stripped = text.strip()
    if len(stripped) < 2 or stripped[0] + stripped[-1] not in ("{}", "[]", '""'):
        return None
    if stripped[0] == '"' and "\\" not in stripped:
        return None
    try:
        return json.loads(
            stripped,
            strict=False,
            object_pairs_hook=Pairs,
            parse_int=_nothing,
            parse_float=_nothing,
            parse_constant=_nothing,
        )
    except (ValueError, RecursionError):
        return None


def _nothing(_number: str) -> None:
    """Numbers hold no address, and a number of a million digits costs nothing this way."""
