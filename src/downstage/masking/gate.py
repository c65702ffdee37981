"""The gate over the raw JSON of an item: in which string literals a decoder could find anything. It follows from the
table of decoders, and may be wrong only in naming too many.

    plain       an `@`, in any of its widths
    inline      a unit of the encoding (`%40`, `&#64;`, `=40`, a backslash, a NUL), where it stands
    base64      a run that is not known to be clean
    binary      every B; a BS, whose members may collide, is named as a whole

JSON has escapes of its own, so each literal with a backslash in it is named: it is then read as JSON reads it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from downstage.masking.address import AT_SIGNS
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS
from downstage.masking.inline import Codec

BINARY = '{"B":'
_STRING_BEGINS, _QUOTE = b'{"S":"', b'"'
_MANY_DOUBTFUL = 8
_BINARY_NAME = '"B"'
_BINARIES_NAME = '"BS"'
_REST_OF_LITERAL = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class Sign(NamedTuple):
    """A string without which a text needs no decoder, and what must match where it stands, if there is more."""

    text: str
    unit: re.Pattern[str] | None


def signs_of(codecs: tuple[Codec, ...]) -> tuple[Sign, ...]:
    """The signs of `codecs` and of plain addresses. A backslash is JSON's own, so nothing more is asked of it."""
    signs = {sign: Sign(sign, None) for sign in (*AT_SIGNS, "\\")}
    for codec in codecs:
        if codec.trigger not in signs:
            signs[codec.trigger] = Sign(codec.trigger, codec.unit)
        elif signs[codec.trigger].unit not in (None, codec.unit):
            signs[codec.trigger] = Sign(codec.trigger, None)
    return tuple(signs.values())


SIGNS = signs_of((JSON, *SURE_CODECS, *GUESSED_CODECS))

Literals = dict[int, int]
"""Where string literals start, with their opening quote, and end, after their closing one."""


def doubtful_literals(raw: bytes, text: str, clean_runs: CleanRuns) -> Literals | None:
    """The literals in an item's JSON (`raw`, and decoded as `text`) that must be looked into; None if the whole item
    must be."""
    literals: Literals = {}
    for sign, unit in SIGNS:
        if sign not in text:
            continue
        at = text.find(sign)
        while at >= 0:
            if unit is not None and unit.match(text, at) is None:
                at = text.find(sign, at + 1)
                continue
            at = _add_literal(text, at, literals)
            if at < 0:
                return None
            at = text.find(sign, at)
    doubtful = clean_runs.doubtful(raw.replace(_STRING_BEGINS, _QUOTE))
    if len(doubtful) > _MANY_DOUBTFUL or _BINARIES_NAME in text:
        return None
    for run in doubtful:
        word = run.decode()
        at = text.find(word)
        while at >= 0:
            at = _add_literal(text, at, literals)
            if at < 0:
                return None
            at = text.find(word, at)
    if _BINARY_NAME in text and not _add_binaries(text, literals):
        return None
    return literals


def _add_literal(text: str, at: int, literals: Literals) -> int:
    """Adds the literal round the place `at`, and gives its end; -1 if there is none."""
    start = text.rfind('"', 0, at)
    while start > 0 and text[start - 1] == "\\":
        start = text.rfind('"', 0, start)
    if start < 0:
        return -1
    end = literals.get(start)
    if end is None:
        rest = _REST_OF_LITERAL.match(text, start + 1)
        if rest is None or rest.end() <= at:
            return -1
        end = literals[start] = rest.end()
    return end


def _add_binaries(text: str, literals: Literals) -> bool:
    """Adds what follows each `"B"` that is a type; False if one stands as no one writes it."""
    at = text.find(_BINARY_NAME)
    while at >= 0:
        end = at + len(_BINARY_NAME)
        if text[end : end + 2] == ':"' and text.startswith(BINARY, at - 1):
            if _add_literal(text, end + 2, literals) < 0:
                return False
        elif text[end : end + 1] not in ("}", ",", "]") and text[end : end + 2] != ":{":
            return False
        at = text.find(_BINARY_NAME, end)
    return True
