"""Where the addresses are in a text: one definition, one linear scan.

An address is a local part (atext, a quoted string, or UTF-8: RFC 5321/5322/6531), an `@`, and a host with or
without a dot, or an IP literal. What is not certainly something else is an address: a mistake must cost a wrong
pseudonym, never a leak. The rules where the RFCs leave a choice:

* In running text the local part begins at a delimiter, although `| # / = &` and others are legal atext, because
  keys such as `user-email|bob@…` are made with them. Only if nothing else stands before the `@`, and the host has a
  dot (`/@types` has none), are they taken as its local part.
* Letters, marks and digits of every script belong to local parts and hosts; symbols (`§`, `€`, an emoji) to local
  parts only as delimiters do, to hosts never: IDNA 2008 has no such hosts.
* `_` is in no mail host, and glues keys together: a host that is complete (`x.example_1`) ends before it.

The scan goes from `@` to `@` and looks left no further than where the last match ended, so its work is linear in
the text whatever the text is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

AT_SIGNS = "@\uff20\ufe6b"
_AT = re.compile(f"[{AT_SIGNS}]")
_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-'%"
_DELIMITERS = "!#$&*/=?^`{|}~"
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_COMPLETE_HOST = re.compile(r"(?:[A-Za-z0-9-]++\.)++[A-Za-z]{2,24}(?=_)")
_LITERAL = re.compile(r"\[(?:[0-9A-Fa-f:.]{2,45}|[A-Za-z0-9-]{1,16}:[!-Z^-~]{1,64})\]")
_RETURNED = re.compile(
    r"(?:[A-Za-z0-9-]{1,63}\.){1,4}(?:com|net|org|edu|gov|mil|info|biz|io|co|us|uk|ca|de|fr)", re.IGNORECASE
)
_SENDERS = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}")
"""The host of somebody's address, written into the local part of another: `bounces+bob=gmail.com@sender.com`."""

_IDNA_DOTS = "\u3002\uff0e\uff61"
_JOINERS = "\u200c\u200d\u00b7\u0375\u05f3\u05f4\u30fb"
_APOSTROPHE = "\u2019"
_TRIM_LEFT = ".'%" + _APOSTROPHE
_TRIM_RIGHT = "._-" + _IDNA_DOTS
_WINDOW = 256

_LONGEST_QUOTED = 160
_QUOTED_AT = tuple(f'"{sign}' for sign in AT_SIGNS)
_QUOTE = re.compile(r'(?<!\\)(\\*)"')
_QUOTE_MAY_FOLLOW = re.compile(r"[\s<>(\[{,;:|#/=&'*\\\ud800-\udfff]")
_STRUCTURE_ENDS = re.compile(r"[=:,({\[]\s*\Z")

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
        start = _local_start(text, floor, at, end)
        if start == at:
            continue
        while end < len(text) and text[end] in AT_SIGNS:
            further = _host_end(text, end + 1)
            if further == end + 1:
                break
            end = further
        if text.startswith(_QUOTED_AT, end) and start > floor and text[start - 1] == '"':
            further = _host_end(text, end + 2)
            if further > end + 2:
                start, end = start - 1, further
        yield start, end
        floor = end


def _host_end(text: str, start: int) -> int:
    """Where the host that begins at `start` ends; `start` itself if there is none."""
    if text.startswith("[", start):
        literal = _LITERAL.match(text, start)
        return literal.end() if literal else start
    length = len(text)
    plain = _HOST.match(text, start)
    if plain and (plain.end() == length or text[plain.end()] < "\x80") and "_" not in plain.group():
        return start + len(plain.group().rstrip(_TRIM_RIGHT))
    complete = _COMPLETE_HOST.match(text, start)
    if complete:
        return complete.end()
    end = start
    while end < length:
        run = _HOST.match(text, end)
        if run:
            end = run.end()
        elif ord(text[end]) > 127 and (_in_word(text[end]) or text[end] in _IDNA_DOTS):
            end += 1
        else:
            break
    while end > start and text[end - 1] in _TRIM_RIGHT:
        end -= 1
    return end if any(map(str.isalnum, text[start:end])) else start


def _local_start(text: str, floor: int, at: int, end: int) -> int:
    """Where the local part before `at` starts, for a host that ends at `end`; `at` itself if there is none."""
    if at > floor and text[at - 1] == '"':
        return _quoted_start(text, floor, at, end)
    start = at
    while start > floor:
        if text[start - 1] in _LOCAL:
            start = _run_start(text, floor, start, _LOCAL)
        elif ord(text[start - 1]) > 127 and (_in_word(text[start - 1]) or text[start - 1] == _APOSTROPHE):
            start -= 1
        else:
            break
    while start < at and text[start] in _TRIM_LEFT:
        start += 1
    if start - 1 > floor and text[start - 1] in "=!":
        before = _run_start(text, floor, start - 1, _LOCAL)
        host = _SENDERS if "+" in text[before : start - 1] else _RETURNED
        if host.fullmatch(text, start, at) or _RETURNED.fullmatch(text, before, start - 1):
            return _run_start(text, floor, start - 1, _LOCAL + "=!")
    if start < at or not ("." in text[at + 1 : end] or text[at + 1] == "["):
        return start
    while start > floor:
        if text[start - 1] in _LOCAL + _DELIMITERS:
            start = _run_start(text, floor, start, _LOCAL + _DELIMITERS)
        elif ord(text[start - 1]) > 127 and _is_visible(text[start - 1]):
            start -= 1
        else:
            break
    return start


def _run_start(text: str, floor: int, at: int, allowed: str) -> int:
    """The start of the run of `allowed` characters that ends at `at`, a window at a time at most."""
    window = max(floor, at - _WINDOW)
    return window + len(text[window:at].rstrip(allowed))


def _quoted_start(text: str, floor: int, at: int, end: int) -> int:
    """The start of a quoted local part that ends just before `at`, or `at` if the quotes are something else.

    In a text inside a text both its quotes are escaped alike: `\\"john doe\\"@…`; in CSV they are doubled. A lone
    quote after a word is taken for a part of it, for nothing writes so that is no address.
    """
    doubled = at - 2 > floor and text[at - 2] == '"'
    window = max(floor, at - 1 - _LONGEST_QUOTED)
    content = text[window : at - 1 - doubled]
    escapes = len(content) - len(content.rstrip("\\"))
    for depth in {escapes, 0} if escapes % 2 == 0 else {escapes}:
        body = content[: len(content) - depth]
        opening = None
        for quote in _QUOTE.finditer(body):
            if len(quote.group(1)) == depth:
                opening = quote
        if opening is not None and _is_quoted_local(body[opening.end() :]):
            start = window + opening.start()
            if start > floor and text[start - 1] == '"':
                return start - doubled
            if start == 0 or _QUOTE_MAY_FOLLOW.match(text[start - 1]):
                return start
    word = _run_start(text, floor, at - 1, _LOCAL)
    return word if word < at - 1 and text[at - 2].isalnum() and "." in text[at + 1 : end] else at


def _is_quoted_local(content: str) -> bool:
    """Whether this stands in quotes itself, and is not what stands between two quoted strings."""
    return content.isprintable() and any(map(str.isalnum, content)) and _STRUCTURE_ENDS.search(content) is None


def _in_word(character: str) -> bool:
    """Letters, marks, digits and what joins them: what a name may be written with, in any script."""
    return character.isalnum() or unicodedata.category(character)[0] == "M" or character in _JOINERS


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMNSP" and character not in AT_SIGNS
