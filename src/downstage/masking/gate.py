"""The gate over the raw JSON of an item: which of its string literals a decoder could find anything in. It follows from
the table of decoders, and may be wrong only in naming too many.

    plain       an `@`, in any of its widths
    inline      a unit of the encoding (`%40`, `&#64;`, `=40`, a backslash, a NUL), where it stands
    base64      a run that is not known to be clean

An item is cut at its quotes. Nearly every piece is known from other items: attribute names, types, kinds, what stands
between literals. The few that are new are looked at together. A piece between literals is no exception: there is no
valid JSON in which one shows a sign.
"""

from __future__ import annotations

import re
from itertools import filterfalse
from typing import NamedTuple

import orjson

from downstage.masking.address import AT_SIGNS
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS
from downstage.masking.inline import Codec

_MANY_DOUBTFUL = 8
_REMEMBERED = 8192
_MOST_CHARACTERS_REMEMBERED = 1024 * 1024
_TYPES_OF_BINARIES = ("B", "BS")
_BINARY_NAME = '"B"'
_MARKS = ("\0", "\1")


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


class Doubt(NamedTuple):
    """A piece of an item's JSON that must be looked into: as it is written, what it means, and whether its runs of
    base64 are known to be clean."""

    written: str
    value: str
    runs_are_clean: bool


class Gate:
    """Remembers clean pieces, boundedly; all are forgotten at once."""

    def __init__(self, clean_runs: CleanRuns) -> None:
        self._clean_runs = clean_runs
        self._clean: set[str] = set()
        self._left = _MOST_CHARACTERS_REMEMBERED

    def doubts(self, marked: str) -> list[Doubt] | None:
        """The doubtful pieces of an item's JSON (see `marked`), in order; None if the whole item must be looked at.

        Binaries are not asked about: see `binaries`."""
        unknown = list(filterfalse(self._clean.__contains__, marked.split('"')))
        if not unknown:
            return []
        values = unknown
        joined = '"'.join(unknown)
        if "\\" in joined:
            meant = [_meant(piece) if "\\" in piece else piece for piece in unknown]
            values = [value for value in meant if value is not None and value not in _TYPES_OF_BINARIES]
            if len(values) < len(unknown):
                return None
            joined = '"'.join(values)
        signs = [sign for sign in SIGNS if sign.text in joined]
        runs = self._clean_runs.doubtful(values)
        if not signs and not runs:
            self._remember(unknown, len(joined))
            return []
        doubts: list[Doubt] = []
        clean: list[str] = []
        everything = len(runs) > _MANY_DOUBTFUL
        for piece, value in zip(unknown, values, strict=True):
            if runs and (everything or _holds(value, runs)):
                doubts.append(Doubt(piece, value, runs_are_clean=False))
            elif signs and _shows(value, signs):
                doubts.append(Doubt(piece, value, runs_are_clean=True))
            else:
                clean.append(piece)
        self._remember(clean, len(joined))
        return doubts

    def _remember(self, clean: list[str], size: int) -> None:
        self._left -= size
        if self._left < 0 or len(self._clean) > _REMEMBERED:
            self._clean.clear()
            self._left = _MOST_CHARACTERS_REMEMBERED
        elif size < _MOST_CHARACTERS_REMEMBERED:
            self._clean.update(clean)


def marked(text: str) -> str | None:
    """`text` of the same length, with marks where an escaped quote or backslash stood: so each quote in it begins or
    ends a literal. None if it holds a mark, as no JSON does."""
    if "\\" not in text:
        return text
    if _MARKS[0] in text or _MARKS[1] in text:
        return None
    if "\\\\" in text:
        text = text.replace("\\\\", f"\\{_MARKS[0]}")
    return text.replace('\\"', f"\\{_MARKS[1]}")


def binaries(marked: str) -> list[str] | None:
    """The contents of all attributes of type B, as they are written; None if there are sets of them, which may collide,
    or one stands as no one writes it."""
    if '"BS"' in marked:
        return None
    contents: list[str] = []
    at = marked.find(_BINARY_NAME)
    while at >= 0:
        end = at + len(_BINARY_NAME)
        if marked.startswith(':"', end):
            closing = marked.find('"', end + 2)
            if closing < 0:
                return None
            contents.append(marked[end + 2 : closing])
        elif marked[end : end + 1] not in ("}", ",", "]") and not marked.startswith(":{", end):
            return None
        at = marked.find(_BINARY_NAME, end)
    return contents


def _meant(piece: str) -> str | None:
    """The string that a marked piece means; None if it is no JSON."""
    try:
        value: str = orjson.loads(f'"{piece.replace(_MARKS[0], chr(92)).replace(_MARKS[1], chr(34))}"')
    except orjson.JSONDecodeError:
        return None
    return value


def _holds(value: str, runs: list[str]) -> bool:
    for run in runs:
        if run in value:
            return True
    return False


def _shows(value: str, signs: list[Sign]) -> bool:
    for sign, unit in signs:
        if sign in value and (unit is None or unit.search(value) is not None):
            return True
    return False
