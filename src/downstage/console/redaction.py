"""Redaction: no e-mail address reaches a log, a terminal or a report by way of text that we did not write.

Object keys and messages of libraries may hold addresses. `redact` finds every sign that can stand for `@` (plain,
full width, percent-encoded any number of times, escaped in JSON or HTML) and replaces it with what stands around
it. Rules: rather too much than too little, so whatever may be part of an address goes; a slash ends an address, so
that a key keeps its shape; time is linear, because each sign looks back at most `_REACH` characters and never over
what is redacted already. Only the standard library is imported.
"""

from __future__ import annotations

import re

ADDRESS = "‹address›"

_REACH = 320  # a local part of 64 characters, most of them percent-encoded
_SIGN = re.compile(r"[@＠﹫]|%(?:25)*40|\\u0040|&#(?:64|x40);", re.IGNORECASE)
_NOT_LOCAL = frozenset(' \t\r\n\v\f\0/=?&:;,<>()[]"\\@＠﹫')
_HOST = re.compile(
    r"\[[^\]\s]{1,64}\]"  # an IP literal
    r"|(?:[^\s\0-\x1f/=?&:;,<>()\[\]\"'\\@＠﹫%|#{}!`]"
    r"|%(?:25)*(?:[89A-F][0-9A-F]|2[DE]))+",  # UTF-8, a hyphen or a dot, percent-encoded
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with everything that looks like an e-mail address replaced by `‹address›`."""
    pieces: list[str] = []
    end = 0
    for sign in _SIGN.finditer(text):
        if sign.start() < end:
            continue
        host = _HOST.match(text, sign.end())
        if host is None:
            continue
        start = _local_start(text, max(end, sign.start() - _REACH), sign.start())
        if start == sign.start() and not (pieces and start == end):
            continue
        if start > end or not pieces:
            pieces += text[end:start], ADDRESS
        end = host.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _local_start(text: str, lowest: int, sign: int) -> int:
    """Where the local part that ends at `sign` begins; `sign` itself if there is none."""
    if text.endswith('"', lowest, sign):
        return _quote_start(text, lowest, sign - 1)
    start = sign
    while start > lowest and text[start - 1] not in _NOT_LOCAL:
        start -= 1
    return start


def _quote_start(text: str, lowest: int, closing: int) -> int:
    """The quote that opens what `closing` closes: the nearest that is not escaped, else the furthest in reach."""
    opening = closing
    while (further := text.rfind('"', lowest, opening)) >= 0:
        opening = further
        if not text.endswith("\\", lowest, opening):
            break
    return opening
