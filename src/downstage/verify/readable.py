"""What text some bytes are, and whether it is more than chance: UTF-8, UTF-16, an old Western code page, or none.

Random bytes are everywhere (identifiers, digests, images), and a find by accident stops a release, so a text so short
that chance makes it (`is_chance`) is not believed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from downstage.verify.domains import GENERIC, TWO_LETTERS

BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
MIN_LATIN = 32
_NOT_LATIN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]")

_SHORT = 20
_ENOUGH = 4096
_HALF_OF_UNICODE = {"CJK", "HANGUL"}  # of its first 65,536 places; no language mixes them freely
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC", "HALFWIDTH", "BOPOMOFO"))
_DOTTED = re.compile(
    rf"[\w.+'\-]@(?:[\w\-]+\.)+(?:[a-z]{{3,24}}|[A-Z]{{3,24}}|[A-Z][a-z]{{2,23}}|xn--[a-z0-9\-]+|(?i:{GENERIC})"
    rf"|(?![a-z][A-Z])(?i:{TWO_LETTERS}))(?![\w\-])|@\[[0-9A-Fa-fIPv:.]+\]|[＠﹫]"
)
_LOWER = re.compile(r"[a-z@.\-_]{9,}")
_PLAIN = re.compile(r'[A-Za-z0-9@.\-_+" ]{14,}')
_WORD = r"(?:[A-Z]?[a-z]+|[A-Z]+)"
_WORDS = re.compile(
    rf"(?=.{{8}})(?=..+@...){_WORD}@{_WORD}[0-9]{{0,2}}"
    rf"|(?=.{{10}}){_WORD}[0-9]{{0,2}}(?:[.\-_+]{_WORD}[0-9]{{0,2}}){{0,3}}@{_WORD}[0-9]{{0,2}}(?:[.\-]{_WORD}[0-9]{{0,2}}){{0,3}}"
)


def is_chance(text: str) -> bool:
    """Whether an address in a text this short, decoded from base64, may be an accident.

    Twenty random bytes that are all printable are one in 10^8; a shorter text must be more orderly than that:
    an address with a dotted host, from 8 characters on words in one case (`Ann@Corp1`), from 9 on lower-case
    letters only, or letters and digits from 14 on.
    """
    if len(text) >= _SHORT:
        return False
    return not (_DOTTED.search(text) or any(orderly.fullmatch(text) for orderly in (_LOWER, _WORDS, _PLAIN)))


def is_dotted(address: str) -> bool:
    """Whether an address has a host of at least two labels, the last in ASCII or its full-width twin."""
    return _DOTTED.search(unicodedata.normalize("NFKC", address)) is not None


def is_orderly(text: str) -> bool:
    """Whether the letters of a text are of one or two scripts, as those of any language are.

    Two bytes in noise make a byte order mark, two more a full-width `@`, and most of what stands round it is a letter
    of some script or other.
    """
    letters = [symbol for symbol in text[:_ENOUGH] if symbol > "\x7f" and symbol not in "＠﹫\ufeff\ufffd"]
    scripts = Counter(map(_script, letters)).most_common(2)
    if {script for script, _ in scripts} == _HALF_OF_UNICODE:
        scripts = scripts[:1]
    return len(letters) < 2 or sum(count for _, count in scripts) * 20 >= len(letters) * 19


def _script(symbol: str) -> str:
    """The script of a character, roughly; each that is assigned to none is one of its own."""
    words = unicodedata.name(symbol, "").partition(" ")[0]
    return "CJK" if words in _EAST_ASIAN else words or symbol


def readable(data: bytes) -> tuple[str, str] | None:
    """The text that `data` is, as (layer, text) with layer "" or "utf-16"; None if it is no text."""
    return unicode(data) or latin(data)


def unicode(data: bytes) -> tuple[str, str] | None:
    if b"\x00" in data or data[:2] in BYTE_ORDER_MARKS:
        wide = _utf16(data)
        if wide is not None:
            return wide
        data = data.strip(b"\x00")  # fixed-width fields are padded with NUL
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not text or len(CONTROL.findall(text)) * 10 > len(text):
        return None
    return "", text


def _utf16(data: bytes) -> tuple[str, str] | None:
    if data[:2] in BYTE_ORDER_MARKS:
        encoding = "utf-16"
    elif data[1::2].count(0) * 5 >= len(data) * 2:
        encoding = "utf-16-le"
    elif data[::2].count(0) * 5 >= len(data) * 2:
        encoding = "utf-16-be"
    else:
        return None
    text = data[: len(data) & ~1].decode(encoding, "replace")
    strange = len(CONTROL.findall(text)) + text.count("\ufffd")
    return ("utf-16", text) if strange * 10 <= len(text) else None


def latin(data: bytes) -> tuple[str, str] | None:
    """Text in an old Western code page: nearly all of it ASCII, no controls, too long to be chance."""
    if len(data) < MIN_LATIN or len(_HIGH.findall(data)) * 10 > len(data) or _NOT_LATIN_TEXT.search(data):
        return None
    return "", data.decode("latin-1")
