"""Base64 inside a text: where it may stand, what it decodes to, and how it is written again.

Both alphabets, padded or not, in one piece or wrapped over lines. `- _ / +` are in the alphabets and separate things
in keys and paths too, so a run may be one token, or end in one, or be made of several: `readings` gives the spans
that are worth a try, a bounded number of times the run's length. Most words and identifiers fall through early: no
address survives base64 without a capital letter, and what begins as neither text nor a compressed stream is nothing.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

SHORTEST = 8
CERTAIN = 24
_MAXIMUM_STARTS = 8
_LONG = 32

RUN = re.compile(
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}+(?:\r?\n[ \t]?[A-Za-z0-9+/]++)+(?:\r?\n)?={0,2}(?![A-Za-z0-9+/_-])"
    rf"|[A-Za-z0-9+/_-]{{{SHORTEST},}}={{0,2}}"
)
SHORTEST_LINE = 40
_LONG_LINE = re.compile(rf"[A-Za-z0-9+/]{{{SHORTEST_LINE}}}\r?\Z")
_LONGEST_LOOK_BACK = SHORTEST_LINE + 1
_LINE = re.compile(rf"[A-Za-z0-9+/]{{{SHORTEST},}}={{0,2}}")
_FOLD = re.compile(r"\r?\n[ \t]?")
_WORD = re.compile(rf"[A-Za-z0-9+/_-]{{{SHORTEST},}}")
_SEPARATOR = re.compile(r"[+/_-]")
_PIECES = (re.compile(r"[^-_]+"), re.compile(r"[^+/]+"), re.compile(r"[^+/_-]+"))
_URL_SAFE = str.maketrans("-_", "+/")
_FROM_URL_SAFE = str.maketrans("+/", "-_")
_START = re.compile(
    rb"(?:[\t\n\r\x1b-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb"(?:[\x00\t\n\r\x1b-\x7e]|[\xc2-\xf4][\x80-\xbf])"
    rb"|\x00[\t\n\r\x1b-\x7e]|\xff\xfe|\xfe\xff|\x1f\x8b|[\x08\x18\x28\x38\x48\x58\x68\x78]"
)
_ORDERLY = re.compile(r"[a-z@._+-]{6,}|[A-Za-z0-9@._+\"' -]{8,}")
_DOTTED = re.compile(r"[\w.+'\"-][@\uff20\ufe6b](?:[\w-]+\.)+(?:[A-Za-z]{2,24}|xn--[a-z0-9-]+)(?![\w-])|@\[")

_REST_OF_DATE = r"(?<= [12][0-9]{3}-)[01][0-9]-[0-3][0-9]T[0-2][0-9] "
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ALWAYS = b"\x08\x18\x1f\x28\x38\x48\x58\x68\x78"

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_AFTER_SKIPPED = b"\x2a\x4d\x18"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Token:
    """Base64 text and the bytes in it. `whole`: it is all of its run, and not a reading of a part."""

    text: str
    raw: bytes
    whole: bool

    @property
    def short(self) -> bool:
        """Whether it may be text by chance."""
        return len(self.text) < CERTAIN

    def encoded(self, raw: bytes) -> str | None:
        """`raw` written as this token was: alphabet, padding, lines. None if it had a character too many."""
        body = self.text.rstrip("=")
        length = len("".join(body.split()))
        if length % 4 == 1:
            return None
        written = binascii.b2a_base64(raw, newline=False).decode()
        if "-" in body or "_" in body:
            written = written.translate(_FROM_URL_SAFE)
        if length % 4 and not self.text.endswith("="):
            written = written.rstrip("=")
        fold = _FOLD.search(body)
        if fold is None:
            return written
        width = fold.start()
        return fold.group().join(written[at : at + width] for at in range(0, len(written), width))


def may_stand_in(text: str) -> bool:
    """Whether `text` may hold base64 of anything; cheap, and wrong only in saying yes."""
    if text.islower():
        return False
    return any(
        token != token.lower() and (len(token) >= _LONG or _begins(token) or _SEPARATOR.search(token))
        for token in _WORD.findall(text)
    )


def may_be(run: str) -> bool:
    """Whether `run`, without its padding, has a reading that `decode` takes; the long ones always do."""
    if len(run) < SHORTEST or run == run.lower():
        return False
    if len(run) >= _LONG:
        return True
    return any(decode(run[start:end], whole=end - start == len(run)) is not None for start, end in readings(run))


def is_text_with_at_sign(run: str) -> bool:
    """Whether all of `run` is ASCII text with an `@` in it: then a look finds something, as a rule."""
    token = decode(run, whole=True)
    return token is not None and b"@" in token.raw and token.raw.isascii()


def likely(runs: list[bytes]) -> list[bytes]:
    """Those of `runs` of which `may_be` may be true: a cheap look at their first characters."""
    joined = b" " + b" ".join(runs) + b" "
    found = []
    match = _MAY_BEGIN.search(joined)
    while match:
        end = joined.index(b" ", match.start())
        found.append(joined[joined.rindex(b" ", 0, match.start()) + 1 : end])
        match = _MAY_BEGIN.search(joined, end)
    return found


def folded(text: str) -> list[str]:
    """The line ends in `text` after which a run may go on, each with what stands before it."""
    found = []
    end = text.find("\n")
    while end >= 0:
        line = _LONG_LINE.search(text, max(0, end - _LONGEST_LOOK_BACK), end)
        if line:
            found.append(text[line.start() : end])
        end = text.find("\n", end + 1)
    return found


def decode(token: str, *, whole: bool) -> Token | None:
    """The bytes in `token` if they may be anything, else None. A long one that is all of its run may be: an opaque
    binary can hold an address too."""
    body = token.rstrip("=")
    if body == body.lower() or not (_begins(body) or (whole and len(body) >= _LONG)):
        return None
    joined = "".join(body.split()).translate(_URL_SAFE)
    if len(joined) % 4 == 1:
        joined = joined[:-1]
    try:
        raw = binascii.a2b_base64(joined + "==")
    except binascii.Error:
        return None
    return Token(token, raw, whole) if len(token) >= CERTAIN or _may_mean(raw) else None


def readings(run: str) -> Iterator[Span]:
    """The spans of `run` (a match of RUN) that may be tokens: the likeliest first."""
    yield 0, len(run)
    if "\n" in run:
        for line in _LINE.finditer(run):
            for start, end in readings(line.group()):
                yield line.start() + start, line.start() + end
        return
    body = len(run.rstrip("="))
    for separator in islice(_SEPARATOR.finditer(run), _MAXIMUM_STARTS):
        yield separator.end(), len(run)
    for pattern in _PIECES:
        for piece in pattern.finditer(run, 0, body):
            start, end = piece.span()
            if end - start >= SHORTEST and end - start < body:
                yield start, end if end < body else len(run)


def is_believable(text: str) -> bool:
    """Whether an address in `text` is more than chance, however few bytes it came from: it is long, or all of it is
    orderly, or the host has a dot."""
    return len(text) >= CERTAIN or _ORDERLY.fullmatch(text) is not None or _DOTTED.search(text) is not None


def _begins(token: str) -> bool:
    """Whether the first bytes may begin a text or a compressed stream."""
    return len(token) >= SHORTEST and _heads(token[:SHORTEST], len(token) >= _LONG)


def _may_mean(raw: bytes) -> bool:
    """Whether the few bytes of a short token may be text or a stream: no other reading of them counts."""
    return (
        "\ufffd" not in raw.decode("utf-8", "replace")
        or raw[0] in _ALWAYS
        or b"\x00" in raw
        or raw[:2] in _BYTE_ORDER_MARKS
        or raw[1:4] == _AFTER_SKIPPED
    )


@lru_cache(maxsize=16384)
def _heads(head: str, long: bool) -> bool:
    raw = binascii.a2b_base64(head.translate(_URL_SAFE))
    return _START.match(raw) is not None or (long and raw[0] & 7 in (2, 3, 4, 5))


def _may_begin() -> re.Pattern[bytes]:
    """A run, after a space, that is long, or in which a start, its own or after a separator, may be the first two
    characters of what `_START` matches. They give the first byte, and half of the second. In a date with its time, the
    month would do, but what follows never does."""
    seconds: dict[str, str] = {}
    for place, first in enumerate(_ALPHABET):
        allowed = "".join(second for at, second in enumerate(_ALPHABET) if _may_start(place << 2 | at >> 4, at & 15))
        seconds[allowed] = seconds.get(allowed, "") + first
    heads = "|".join(f"[{_class(firsts)}][{_class(allowed)}]" for allowed, firsts in seconds.items() if allowed)
    start = rf"(?<=[ +/_-])(?!{_REST_OF_DATE})(?:{heads})(?=[^ ]{{{SHORTEST - 2}}})"
    with_capital = rf"(?:(?=[^ ]{{0,{_LONG}}}[A-Z])|(?<=[A-Z])|(?<=[A-Z].))"
    return re.compile(rf"(?<= )[^ ]{{{_LONG}}}|{start}{with_capital}".encode())


def heads() -> bytes:
    """For each pair of characters, 64 times 64 in the order of the alphabet, 1 if a run that `likely` names may begin
    so, else 0."""
    pairs = ((place << 2 | at >> 4, at & 15) for place in range(64) for at in range(64))
    return bytes(_may_start(first, nibble) for first, nibble in pairs)


def _may_start(first: int, nibble: int) -> bool:
    """Whether `_START` may match what starts with the byte `first` and the upper half `nibble` of another."""
    if first in _ALWAYS:
        return True
    if 0xC2 <= first <= 0xF4:
        return 8 <= nibble <= 11
    if first >= 0xFE:
        return nibble == 15
    return first < 0x80 and not 8 <= nibble <= 11


def _class(characters: str) -> str:
    return re.escape(characters + characters.translate(_FROM_URL_SAFE))


_MAY_BEGIN = _may_begin()
