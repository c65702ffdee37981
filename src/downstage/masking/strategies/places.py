"""Places: address, city. An address is taken apart at commas and line ends, and each part becomes one of its kind.

The first part, and any with a house number, becomes a number, a street and a suffix; `PO Box 12` and `Apt 4B` keep
their words and get other numbers; `IL 62701` becomes another state and postcode; every other part becomes a city.
What the number of digits is, stays. Another spelling of the same part makes the same one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from downstage.masking.draws import Draw, Draws
from downstage.masking.shapes import postcodes
from downstage.masking.strategies.base import Strategy
from downstage.masking.strategies.drawn import Stream, choose_other, fold, in_style, reshape
from downstage.masking.strategies.identifiers import postcode_text
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.lists import fake_list
from downstage.masking.strategies.options import Options

_PARTS = re.compile(r"[^,;\r\n]+")
_UNITS = frozenset(
    (
        "apt",
        "apartment",
        "suite",
        "ste",
        "unit",
        "floor",
        "fl",
        "room",
        "rm",
        "bldg",
        "building",
        "#",
        "no",
        "lot",
        "flat",
    )
)
_BOX = frozenset({("po", "box"), ("post", "office", "box"), ("box",)})
_LONGEST_NUMBER = 6
# fmt: off
_STATES = (
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL",
    "IN", "IA", "KS", "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT",
    "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA", "RI",
    "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC",
)
# fmt: on
_STATE_SET = frozenset(_STATES)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The lists and draws of addresses. Cities and postcodes draw as the strategies of that name do."""

    draw: Draw
    city_draw: Draw
    postcode_draw: Draw
    cities: tuple[str, ...]
    streets: tuple[str, ...]
    suffixes: tuple[str, ...]

    def replace(self, text: str) -> str:
        """`text` with every part of it replaced."""
        pieces: list[str] = []
        done = 0
        street = True
        for part in _PARTS.finditer(text):
            words = part[0].split()
            if not any(map(str.isalnum, part[0])):
                continue
            start = part.start() + len(part[0]) - len(part[0].lstrip())
            end = part.start() + len(part[0].rstrip())
            pieces += [text[done:start], self._part(words, street)]
            done = end
            street = street and words[0].casefold() in _UNITS
        return "".join([*pieces, text[done:]])

    def _part(self, words: list[str], street: bool) -> str:
        bare = [word.strip(".:").casefold().replace(".", "") for word in words]
        numbered = len(words) > 1 and _has_digit(words[-1])
        if numbered and tuple(bare[:-1]) in _BOX:
            return " ".join([*words[:-1], self._number(words[-1])])
        if (numbered and len(words) == 2 and bare[0] in _UNITS) or (len(words) == 1 and words[0].startswith("#")):
            return " ".join([*words[:-1], self._number(words[-1])])
        if words[0] in _STATE_SET and (len(words) == 1 or (len(words) == 2 and numbered)):
            state = choose_other(self.draw, words[0].casefold(), _STATES)
            return " ".join([state, *(postcode_text(self.postcode_draw, word) for word in words[1:])])
        part = " ".join(words)
        if next(postcodes(part), None) == (0, len(part)):
            return postcode_text(self.postcode_draw, part)
        if street or _has_digit(words[0]):
            return self._street(words, bare)
        return city(self.city_draw, self.cities, part)

    def _street(self, words: list[str], bare: list[str]) -> str:
        unit: list[str] = []
        if len(words) > 3 and bare[-2] in _UNITS and _has_digit(words[-1]):
            unit = [words[-2], self._number(words[-1])]
            words = words[:-2]
        elif len(words) > 2 and words[-1].startswith("#"):
            unit = [self._number(words[-1])]
            words = words[:-1]
        line = " ".join(words)
        stream = Stream(self.draw, fold(line))
        digits = min(sum(map(str.isdecimal, words[0])), _LONGEST_NUMBER)
        number = [str(stream.below(9) + 1) + stream.digits(digits - 1)] if digits else []
        street = self.streets[stream.below(len(self.streets))]
        suffix = self.suffixes[stream.below(len(self.suffixes))]
        return " ".join([*number, in_style(f"{street} {suffix}", line), *unit])

    def _number(self, text: str) -> str:
        return reshape(text, Stream(self.draw, fold(text)))


def city(draw: Draw, cities: tuple[str, ...], text: str) -> str:
    """A city of the list, in the letter case of `text`."""
    return in_style(choose_other(draw, fold(text), cities), text)


def make_city(options: Options, draws: Draws) -> Strategy:
    """`city`: whatever the text is, it becomes one city."""
    draw, cities = draws(options.domain()), fake_list("city")
    return Leaves(name="city", text=lambda text, _: city(draw, cities, text))


def make_address(options: Options, draws: Draws) -> Strategy:
    """`address`."""
    addresses = Addresses(
        draws(options.domain()),
        draws(options.domain("city/v1")),
        draws(options.domain("postcode/v1")),
        fake_list("city"),
        fake_list("street"),
        fake_list("suffix"),
    )
    return Leaves(name="address", text=lambda text, _: addresses.replace(text))


def _has_digit(word: str) -> bool:
    return any(map(str.isdecimal, word))
