"""The gate over the raw JSON of an item: in which string literals a decoder could find anything. It follows from the
table of decoders, and may be wrong only in naming too many.

    plain       an `@`, in any of its widths
    inline      a unit of the encoding (`%40`, `&#64;`, `=40`, a backslash, a NUL), where it stands
    base64      a run that is not known to be clean

JSON has escapes of its own. The few that everybody writes are undone for the whole item at once, each into one
character that no JSON holds, so that they can be made again; an item with any other is not for this gate.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from downstage.masking.address import AT_SIGNS
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS
from downstage.masking.inline import Codec

_MANY_DOUBTFUL = 8
_BACKSLASH, _QUOTE = "\1", "\2"
_UNDONE = {"\\": _BACKSLASH, '"': _QUOTE, "n": "\n", "r": "\r", "t": "\t"}
_BINARY_NAME = '"B"'
_BINARIES_NAME = '"BS"'


class Sign(NamedTuple):
    """A string without which a text needs no decoder, and what must match where it stands, if there is more."""

    text: str
    unit: re.Pattern[str] | None


def signs_of(codecs: tuple[Codec, ...]) -> tuple[Sign, ...]:
    """The signs of `codecs` and of plain addresses."""
    signs = {sign: Sign(sign, None) for sign in AT_SIGNS}
    for codec in codecs:
        if codec.trigger not in signs:
            signs[codec.trigger] = Sign(codec.trigger, codec.unit)
        elif signs[codec.trigger].unit not in (None, codec.unit):
            signs[codec.trigger] = Sign(codec.trigger, None)
    return tuple(signs.values())


SIGNS = signs_of((JSON, *SURE_CODECS, *GUESSED_CODECS))


_IN_ITEMS = [sign if sign.text != "\\" else Sign(_BACKSLASH, None) for sign in SIGNS]
_SIGNS_WITHIN = tuple(
    (start, tuple(sign for sign in _IN_ITEMS if sign.text[0] == start))
    for start in dict.fromkeys(sign.text[0] for sign in _IN_ITEMS)
)
"""By their first characters: to look for one character is ten times as fast as for two."""

Literals = dict[int, tuple[int, bool]]
"""Where the contents of string literals start, where they end, and whether their runs of base64 are known as clean."""


def without_escapes(text: str) -> str | None:
    """An item's JSON in which each quote begins or ends a literal; None if it is written as hardly anyone writes it."""
    if _BACKSLASH in text or _QUOTE in text:
        return None
    if "\\" not in text:
        return text
    for character in _UNDONE.values():
        if character in text:
            return None
    pieces = text.split("\\")
    undone = [pieces[0]]
    after_backslash = False
    for piece in pieces[1:]:
        if after_backslash:
            undone.append(piece)
            after_backslash = False
        elif piece:
            character = _UNDONE.get(piece[0], "")
            if not character:
                return None
            undone += (character, piece[1:])
        else:
            undone.append(_BACKSLASH)
            after_backslash = True
    return None if after_backslash else "".join(undone)


def with_escapes(text: str) -> str:
    """What `without_escapes` made of an item, as it was."""
    for escaped, character in _UNDONE.items():
        if character in text:
            text = text.replace(character, f"\\{escaped}")
    return text


def meant(literal: str) -> str:
    """The string that a literal, without escapes, means."""
    if _BACKSLASH in literal:
        literal = literal.replace(_BACKSLASH, "\\")
    return literal.replace(_QUOTE, '"') if _QUOTE in literal else literal


def literal_of(value: str) -> str:
    """The opposite of `meant`."""
    if "\\" in value:
        value = value.replace("\\", _BACKSLASH)
    return value.replace('"', _QUOTE) if '"' in value else value


def doubtful_literals(text: str, clean_runs: CleanRuns, unknown: list[bytes]) -> Literals | None:
    """The literals of an item's JSON (see `without_escapes`) that must be looked into; None if the whole item must be.
    `unknown` are its runs that `clean_runs` does not know. Binaries are not asked about: see `binaries`."""
    literals: Literals = {}
    doubtful = clean_runs.doubtful(text, unknown)
    if doubtful:
        if len(doubtful) > _MANY_DOUBTFUL:
            return None
        for run in doubtful:
            if not _add_literals(text, run, literals, runs_are_clean=False):
                return None
    for start, signs in _SIGNS_WITHIN:
        if start in text:
            for sign, unit in signs:
                if sign in text and not _add_literals(text, sign, literals, unit=unit):
                    return None
    return literals


def _add_literals(
    text: str, sign: str, literals: Literals, *, unit: re.Pattern[str] | None = None, runs_are_clean: bool = True
) -> bool:
    """Adds the literals in which `sign` stands, as the first of a `unit` if there is one; False if one is in none."""
    at = text.find(sign)
    while at >= 0:
        if unit is not None and unit.match(text, at) is None:
            at = text.find(sign, at + 1)
            continue
        start = text.rfind('"', 0, at) + 1
        end = text.find('"', at)
        if not start or end < 0:
            return False
        if start not in literals:
            literals[start] = end, runs_are_clean
        at = text.find(sign, end)
    return True


def binaries(text: str) -> list[str] | None:
    """The contents of all attributes of type B, as they are written; None if there are sets of them, which may collide,
    or one stands as no one writes it."""
    if _BINARIES_NAME in text:
        return None
    contents: list[str] = []
    at = text.find(_BINARY_NAME)
    while at >= 0:
        end = at + len(_BINARY_NAME)
        if text.startswith(':"', end):
            closing = text.find('"', end + 2)
            if closing < 0:
                return None
            contents.append(text[end + 2 : closing])
        elif text[end : end + 1] not in ("}", ",", "]") and not text.startswith(":{", end):
            return None
        at = text.find(_BINARY_NAME, end)
    return contents
