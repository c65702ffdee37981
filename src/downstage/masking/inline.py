"""Encodings that stand inside a text, character by character; the machine, of which `escapes` has the kinds.

Each is a codec that decodes a text *and remembers which raw characters each decoded one came from*. Addresses are
looked for in the decoded view; only the raw characters under a find are replaced, by the pseudonym encoded the same
way. All else, numbers, spacing, odd escapes, key order, stays byte for byte, because it is never re-encoded.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

Pieces = list[tuple[str, int]]
"""Decoded characters, each with the length of its raw text; empty if the unit only joins its neighbours."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded view. `places` are the points of `text` (rising) at which a raw character and a decoded one stop
    being one for one, `raws` where each is in the raw text; between two points they go in step."""

    text: str
    places: list[int]
    raws: list[int]

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw characters under `text[start:end]`."""
        first = bisect_right(self.places, start) - 1
        last = bisect_left(self.places, end)
        if last == len(self.places) or self.places[last] != end:
            last -= 1
        return self.raws[first] + start - self.places[first], self.raws[last] + end - self.places[last]


@dataclass(frozen=True, slots=True)
class Codec:
    """One inline encoding.

    `trigger` is a string without which a text cannot hold it; `evidence`, where it is given, must be found too.
    `unit` matches one encoded piece; `decode` gives its characters, or None if the piece means itself. `encode`
    writes replacement text the way the raw text it replaces was written. `believes(raw, found)` says whether a find
    may be trusted, where the encoding is ambiguous.
    """

    name: str
    trigger: str
    unit: re.Pattern[str]
    decode: Callable[[str], Pieces | None]
    encode: Callable[[str, str], str]
    evidence: re.Pattern[str] | None = None
    believes: Callable[[str, str], bool] | None = None

    def applies_to(self, text: str) -> bool:
        """Whether `text` may be encoded this way."""
        return self.trigger in text and (self.evidence is None or self.evidence.search(text) is not None)

    def view(self, text: str) -> Decoded | None:
        """The decoded view of `text`, or None if nothing in it is encoded this way."""
        if not self.applies_to(text):
            return None
        characters: list[str] = []
        places, raws = [0], [0]
        place = raw = 0
        for match in self.unit.finditer(text):
            pieces = self.decode(match.group())
            if pieces is None:
                continue
            characters.append(text[raw : match.start()])
            place += match.start() - raw
            raw = match.start()
            for character, length in pieces:
                places.append(place)
                raws.append(raw)
                characters.append(character)
                place += 1
                raw += length
            if not pieces:
                places.append(place)
                raws.append(raw)
            raw = match.end()
            places.append(place)
            raws.append(raw)
        if len(places) == 1:
            return None
        characters.append(text[raw:])
        return Decoded("".join(characters), places, raws)
