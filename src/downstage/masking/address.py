"""Where the addresses are in a text: one definition, one linear scan.

An address is a local part (atext, a quoted string, or UTF-8: RFC 5321/5322/6531), an `@`, and a host with or
without a dot, or an IP literal. What is not certainly something else is an address: a mistake must cost a wrong
pseudonym, never a leak. In running text the local part begins at a delimiter, although `| # / = &` and others are
legal atext, because keys such as `user-email|bob@…` are made with them; only if nothing else stands before the `@`
are they taken as its local part.

The scan goes from `@` to `@` and looks left no further than where the last match ended, so its work is linear in
the text whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

AT_SIGNS = "@\uff20\ufe6b"
_AT = re.compile(f"[{AT_SIGNS}]")
_LOCAL_ASCII = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-'%"
_DELIMITERS = "!#$&*/=?^`{|}~"
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\]", re.IGNORECASE)
_QUOTED_BEFORE = re.compile(r"[\s<>(\[,;:|#/=&\x00]")
_LONGEST_QUOTED = 128
_WINDOW = 256
_IDNA_DOTS = "\u3002\uff0e\uff61"
_TRIM_LEFT = ".'%"
_TRIM_RIGHT = "._-"

Span = tuple[int, int]


def find(text: str) -> Iterator[Span]:
    """Yields the (start, end) of each address in `text`, in order, without overlap."""
    floor = 0
    for match in _AT.finditer(text):
        at = match.start()
        if at < floor:
            continue
        end = _host_end(text, at + 1)
        if end == at + 1:
            continue
        start = _local_start(text, floor, at)
        if start == at:
            continue
        while end < len(text) and text[end] in AT_SIGNS:
            further = _host_end(text, end + 1)
            if further == end + 1:
                break
            end = further
        yield start, end
        floor = end


def _host_end(text: str, start: int) -> int:
    """Where the host that begins at `start` ends; `start` itself if there is none."""
    if text.startswith("[", start):
        literal = _LITERAL.match(text, start)
        return literal.end() if literal else start
    end = start
    length = len(text)
    while end < length:
        run = _HOST.match(text, end)
        if run:
            end = run.end()
        elif ord(text[end]) > 127 and (_is_word(text[end]) or text[end] in _IDNA_DOTS):
            end += 1
        else:
            break
    while end > start and text[end - 1] in _TRIM_RIGHT + _IDNA_DOTS:
        end -= 1
    return end


def _local_start(text: str, floor: int, at: int) -> int:
    """Where the local part before `at` starts; `at` itself if there is none."""
    if at > floor and text[at - 1] == '"':
        return _quoted_start(text, floor, at)
    start = _run_start(text, floor, at, _LOCAL_ASCII)
    while start < at and text[start] in _TRIM_LEFT:
        start += 1
    if start == at:
        start = _run_start(text, floor, at, _LOCAL_ASCII + _DELIMITERS)
    return start


def _run_start(text: str, floor: int, at: int, allowed: str) -> int:
    """The start of the run of `allowed` or non-ASCII word characters that ends at `at`."""
    start = at
    while start > floor:
        character = text[start - 1]
        if character in allowed:
            window = max(floor, start - _WINDOW)
            start = window + len(text[window:start].rstrip(allowed))
            continue
        if ord(character) > 127 and (_is_word(character) or character == "\u2019"):
            start -= 1
        else:
            break
    return start


def _quoted_start(text: str, floor: int, at: int) -> int:
    """The start of a quoted local part that ends just before `at`, or `at` if the quotes are something else."""
    opening = text.rfind('"', max(floor, at - 1 - _LONGEST_QUOTED), at - 1)
    while opening > floor and text[opening - 1] == "\\":
        opening = text.rfind('"', max(floor, at - 1 - _LONGEST_QUOTED), opening)
    if opening < 0:
        return at
    content = text[opening + 1 : at - 1]
    boundary = opening == 0 or _QUOTED_BEFORE.match(text[opening - 1]) is not None
    if boundary and content == content.strip() and any(map(str.isalnum, content)):
        return opening
    return at


def _is_word(character: str) -> bool:
    """Letters, marks, digits, symbols and joiners: what RFC 6531 lets stand in a name, without punctuation."""
    return unicodedata.category(character)[0] in "LMNSC" and character not in "\uff20\ufe6b"
