"""Where an e-mail address stands in a text, and whether it is one that may stand there.

The masker has its own matcher; this one shares no code with it, so that one mistake is not made twice. It
starts from every `@` (also U+FF20 and U+FE6B) and reads outwards:

* to the left a local part: a run of atext, dots and non-ASCII characters, or a quoted string directly before
  the `@`;
* to the right a host: labels with or without a dot, U-labels too, or an IP literal.

A run is often longer than the address, because `|`, `#`, `/`, `=`, `&` … are legal in a local part and yet
separate things in keys. So `allowed` is asked about the whole run first and then about the suffix after each
such delimiter (the last eight of them), with the host cut at its right boundaries. One yes clears the
address, unless only its domain is allowed and the local part spells somebody else (`spelled`); no yes is one
finding, named after the shortest suffix, so that the same address has the same name wherever it stands.

A reading next to an escape (`%3C`, `=3D`, `&lt;`, a backslash) is not final: such a candidate is left to the
decoder of that escape, which is certain to run over it. Everything here is linear in the text: a local part
is read 64 characters back at most, a host 255 forward, and `allowed` is asked a bounded number of times for
each `@`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from downstage.verify.decoders import escapes_of, peeled
from downstage.verify.spelled import NOBODY, spelled_in

MAX_LOCAL = 64
MAX_SUFFIXES = 8  # an address of ours holds few delimiters, so the last few suffixes are enough
MAX_REPORTED = 10_000  # in one text: what holds that many needs no more proof
ESCAPE_REACH = 48  # no escape that a decoder knows is longer

AT = re.compile("[@＠﹫]")

_LOCAL_BACKWARDS = re.compile(r'[^\x00-\x20\x7f-\x9f"(),:;<>\[\]\\@＠﹫\s]+')
_DELIMITER = re.compile(r"[^\w.+\-]|\.{2,}|^\.+")
_MAIL_ESCAPE = re.compile(r"=[0-9A-F]{2}(?=[^@])")
_HOST = re.compile(r"[0-9A-Za-z_\u00a1-\U0010ffff][0-9A-Za-z_.\-\u00a1-\U0010ffff]{0,254}")
_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Za-z\-]{1,16}:[!-Z^-~]{1,64})\]")
_HOST_END = re.compile(r"[_]|[.。．｡\-](?=[.。．｡\-]*$)|[.。．｡]{2}|\.-|-\.")
_JOINING = frozenset("+-_")
_DOTS = "。．｡"
_HOST_EXTRAS = frozenset(_DOTS + "·\u0375\u05f3\u05f4\u30fb\u200c\u200d")
_QUOTE_MAY_FOLLOW = frozenset(" \t\r\n<>(,;:=[{|/#&'*\\")
_STRUCTURE = re.compile(r"[=:,({\[]\s*$")


@dataclass(slots=True)
class Reading:
    """What one text says in plain: `addresses` are the canonical spellings that are not allowed, one for each
    place; `settled` are the (start, end) spans that are decided, allowed or not, and need no second look
    under a decoder."""

    addresses: list[str] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)

    def unsettled(self, text: str) -> str:
        """`text` with a blank in place of every settled span: what is left for the decoders of escapes."""
        if not self.settled:
            return text
        pieces: list[str] = []
        position = 0
        for start, end in self.settled:
            pieces.append(text[position : max(start, position)])
            pieces.append(" ")
            position = max(end, position)
        pieces.append(text[position:])
        return "".join(pieces)


@dataclass(frozen=True, slots=True)
class _Candidate:
    starts: tuple[int, ...]  # of the local part, longest reading first
    ends: tuple[int, ...]  # of the host, longest reading first
    canonical_start: int
    canonical_end: int
    quoted: str = ""  # the content of a quoted local part


def read(text: str, allowed: Callable[[str], bool], *, defer: bool) -> Reading:
    """Find every address in `text` and ask `allowed` about it.

    With `defer`, a candidate that is not allowed and touches an escape is left out: the caller must decode
    the text.
    """
    reading = Reading()
    escape = escapes_of(text) if defer else None
    floor = 0  # characters before it belong to an allowed address and are no part of the next one
    for sign in AT.finditer(text):
        candidate = _candidate(text, sign.start(), floor)
        if candidate is None:
            continue
        span = _allowed_span(text, sign.start(), candidate, allowed)
        if span is not None:
            floor = span[1]
            somebody = _spelled_out(text, sign.start(), candidate, span, allowed)
            if somebody is not None:
                reading.addresses.append(somebody)
            reading.settled.append(span)
        elif escape is None or not _touches(escape, text, sign.start(), candidate):
            reading.addresses.append(_canonical(text, sign.start(), candidate))
            reading.settled.append((candidate.canonical_start, candidate.canonical_end))
            if len(reading.addresses) == MAX_REPORTED:
                break
    return reading


def _candidate(text: str, at: int, floor: int) -> _Candidate | None:
    host_end = _host_end(text, at + 1)
    if host_end is None or at == floor:
        return None
    if text[at - 1] == '"':
        return _quoted_candidate(text, at, floor, host_end)
    window = text[max(floor, at - MAX_LOCAL - 1) : at]
    run = _LOCAL_BACKWARDS.match(window[::-1])
    if run is None:
        return None
    start = at - run.end()
    overlong = run.end() > MAX_LOCAL
    if overlong:
        start += 1
    local = text[start:at]
    ends, canonical_end = _ends(text, at + 1, host_end)
    last = local.rstrip(".")[-1:]
    if "." not in text[at + 1 : canonical_end] and not (last in _JOINING or _in_host(last)):
        return None  # `'@noon'`, `.@someone`, `node_modules/@types`: punctuation before a bare name
    suffixes = [start + offset for offset in _suffix_offsets(local)]
    canonical_start = suffixes[-1] if suffixes else start
    escapes = [start + offset for offset in _cleared_offsets(local)]
    starts = (start, *suffixes[-MAX_SUFFIXES:], *escapes[-MAX_SUFFIXES:])
    if overlong:  # too long to be one local part: any suffix may be the address
        starts = tuple(range(start, at))
    return _Candidate(starts, ends, canonical_start, canonical_end)


def _suffix_offsets(local: str) -> list[int]:
    """The offsets in `local` at which an address may begin although the run began earlier."""
    offsets: list[int] = []
    for delimiter in _DELIMITER.finditer(local):
        if delimiter.end() == len(local):
            continue
        symbol = delimiter.group()[0]
        if symbol > "\x7f" and (unicodedata.category(symbol)[0] == "M" or symbol in _HOST_EXTRAS):
            continue  # a combining mark or a joiner belongs to the letter before it
        offsets.append(delimiter.end())
    return offsets


def _cleared_offsets(local: str) -> list[int]:
    """Offsets at which only an allowed address may begin: after `=3C`, which may be an escape or a value."""
    return [found.end() for found in _MAIL_ESCAPE.finditer(local)] if "=" in local else []


def _quoted_candidate(text: str, at: int, floor: int, host_end: int) -> _Candidate | None:
    """A candidate whose local part is a quoted string that ends directly before `at`."""
    window = text[max(floor, at - 2 * MAX_LOCAL - 8) : at - 1]
    escapes = len(window) - len(window.rstrip("\\"))  # the quotes of a text inside a text are escaped alike
    content = window[: len(window) - escapes]
    mark = '"'
    if not escapes and content.endswith('"'):  # in CSV the quotes of a text inside a text are doubled
        content, mark = content[:-1], '""'
    position = len(content)
    while (position := content.rfind(mark, 0, position)) >= 0:
        before = content[:position]
        if len(before) - len(before.rstrip("\\")) == escapes:
            break
    if position < 0:
        return None
    start = at - 1 - len(window) + position - escapes
    inner = content[position + len(mark) :]
    within = start > 0 and text[start - 1] == '"'  # inside other quotes: then no blank begins it
    opens = start <= 0 or text[start - 1] in _QUOTE_MAY_FOLLOW or (within and not inner[:1].isspace())
    if not opens or not any(map(str.isalnum, inner)) or _STRUCTURE.search(inner) or (mark != '"' and '"' in inner):
        return None  # the gap between two quoted strings, as in `a="x" b="@noon"`
    ends, canonical_end = _ends(text, at + 1, host_end)
    return _Candidate((start,), ends, start, canonical_end, inner)


def _host_end(text: str, start: int) -> int | None:
    """The end of the longest host that begins at `start`, or None."""
    if text.startswith("[", start):
        literal = _LITERAL.match(text, start)
        return literal.end() if literal else None
    found = _HOST.match(text, start)
    if found is None:
        return None
    host = found.group()
    if not host.isascii():
        for index, symbol in enumerate(host):
            if symbol > "\x7f" and not _in_host(symbol):
                host = host[:index]
                break
    host = host.rstrip(".-_" + _DOTS)
    return start + len(host) if any(map(str.isalnum, host)) else None


def _in_host(symbol: str) -> bool:
    """Whether a character is part of a word: a letter, a digit, a mark or a joiner; "" is none."""
    return symbol.isalnum() or symbol in _HOST_EXTRAS or (symbol != "" and unicodedata.category(symbol)[0] == "M")


def _ends(text: str, start: int, end: int) -> tuple[tuple[int, ...], int]:
    """The right boundaries to ask about, and the one that names the address."""
    host = text[start:end]
    if host.startswith("["):
        return (end,), end
    boundary = _HOST_END.search(host, 1)
    canonical = start + boundary.start() if boundary else end
    ends = [end]
    if canonical != end:
        ends.append(canonical)
    if not host.isascii():  # `bob@x.example` directly followed by letters of another script
        ascii_end = next(index for index, symbol in enumerate(host) if symbol > "\x7f")
        if ascii_end:
            ends.append(start + ascii_end)
    return tuple(ends), canonical


def _allowed_span(text: str, at: int, candidate: _Candidate, allowed: Callable[[str], bool]) -> tuple[int, int] | None:
    """The shortest allowed reading: what stands before it may still hide something from whoever undoes escapes."""
    starts = candidate.starts if len(candidate.starts) == 1 else sorted(candidate.starts, reverse=True)
    for end in candidate.ends:
        for start in starts:
            if allowed(text[start:end]):
                return start, end
        if candidate.quoted and allowed(candidate.quoted + text[at:end]):
            return candidate.starts[0], end
    return None


def _spelled_out(
    text: str, at: int, candidate: _Candidate, span: tuple[int, int], allowed: Callable[[str], bool]
) -> str | None:
    """Somebody else whose address stands in the local part of one that only its domain allows, or None."""
    local = candidate.quoted or text[candidate.starts[0] : at]
    somebody = spelled_in(local) or (spelled_in(peeled(local)) if "%" in local or "&#" in local else None)
    if somebody is None or not allowed(f"{NOBODY}@{text[at + 1 : span[1]]}"):
        return None
    return _normal(somebody)


def _touches(escape: re.Pattern[str], text: str, at: int, candidate: _Candidate) -> bool:
    """Whether an escape stands in or directly beside the candidate, so that only its decoder can tell."""
    if candidate.quoted:
        return False  # the backslashes in a quoted string are its own
    start, end = candidate.starts[0], candidate.ends[0]
    if escape.match(text, end):
        return True
    begin = max(0, start - ESCAPE_REACH)
    for found in escape.finditer(text[begin:at]):
        swallows_local = begin + found.end() == at and found.group().startswith("=")  # `mail=ed@x.example`
        if begin + found.end() >= start and not swallows_local:
            return True
    return False


def _canonical(text: str, at: int, candidate: _Candidate) -> str:
    """The spelling that names the address: NFC, lower case, ASCII `@` and dots, no needless quotes."""
    local = text[candidate.canonical_start : at]
    if candidate.quoted:
        plain = _LOCAL_BACKWARDS.fullmatch(candidate.quoted)
        local = candidate.quoted if plain else f'"{candidate.quoted}"'
    host = text[at + 1 : candidate.canonical_end]
    for dot in _DOTS:
        host = host.replace(dot, ".")
    return _normal(f"{local}@{host}")


def _normal(address: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address).lower())
