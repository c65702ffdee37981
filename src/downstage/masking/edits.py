"""Edits: what to write over which piece of a text. Everything that an edit does not name stays byte for byte."""

from __future__ import annotations

from typing import NamedTuple


class Edit(NamedTuple):
    """`text` in place of the characters from `start` to `end`. It replaces so many `addresses`, the deepest of
    them under `depth` layers of encoding. `refused` says why it must not be made, if there is a reason: then the value
    is refused, unless another edit of the same piece knows better. `sure`: it is an address even in few bytes that may
    be nothing at all."""

    start: int
    end: int
    text: str
    addresses: int = 1
    depth: int = 0
    refused: str = ""
    sure: bool = True


def merge(first: list[Edit], second: list[Edit]) -> list[Edit]:
    """Both lists in order; where two overlap, the one from `first` (the deeper look) stands."""
    if not first:
        return second
    if not second:
        return first
    kept = list(first)
    place = 0
    for edit in second:
        while place < len(first) and first[place].end <= edit.start:
            place += 1
        if place == len(first) or edit.end <= first[place].start:
            kept.append(edit)
    kept.sort(key=lambda edit: edit.start)
    return kept


def apply(text: str, edits: list[Edit]) -> str:
    """`text` with `edits` (in order, without overlap) made."""
    pieces = []
    at = 0
    for edit in edits:
        pieces.append(text[at : edit.start])
        pieces.append(edit.text)
        at = edit.end
    pieces.append(text[at:])
    return "".join(pieces)
