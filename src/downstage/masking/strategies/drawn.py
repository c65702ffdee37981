"""What is made from a draw: digits, letters, the entry of a list. A draw is 256 bits; more are drawn from it in turn.

Every helper here costs a bounded number of draws for its output, whatever the value it belongs to.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from downstage.masking.draws import Draw

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BITS = 256
_SPARE = 64


class Stream:
    """Endless even numbers that belong to `canonical`."""

    __slots__ = ("_draw", "_left", "_room", "_seed", "_turn")

    def __init__(self, draw: Draw, canonical: str) -> None:
        self._draw = draw
        self._seed = draw.number(canonical)
        self._left, self._room, self._turn = self._seed, 1 << _BITS, 0

    def below(self, bound: int) -> int:
        """The next number from 0 to `bound` - 1; `bound` is below 2^128. Uneven by less than 2^-64."""
        if self._room < bound << _SPARE:
            self._turn += 1
            self._left, self._room = self._draw.number(f"{self._seed:064x}/{self._turn}"), 1 << _BITS
        self._left, number = divmod(self._left, bound)
        self._room //= bound
        return number

    def digits(self, count: int) -> str:
        """`count` decimal digits."""
        return "".join(str(self.below(10)) for _ in range(count))

    def letters(self, count: int) -> str:
        """`count` lower-case letters."""
        return "".join(LETTERS[self.below(26)] for _ in range(count))


def fold(text: str) -> str:
    """The form by which two spellings of a name or a place are one: NFC, casefold, white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def choose_other(draw: Draw, canonical: str, values: Sequence[str]) -> str:
    """The entry of `values` that belongs to `canonical`, never `canonical` itself."""
    place = draw.number(canonical) % len(values)
    if values[place].casefold() == canonical:
        place = (place + 1) % len(values)
    return values[place]


def in_style(text: str, like: str) -> str:
    """`text` in capitals or in small letters if `like` is; else as it is."""
    if like.isupper() and len(like) > 1:
        return text.upper()
    return text.lower() if like.islower() else text


def is_letter(character: str) -> bool:
    """Whether it can be part of a name: letters, marks and odd numbers of every script, but no decimal digit."""
    return character.isalpha() or (not character.isdecimal() and unicodedata.category(character)[0] in "LMN")


def reshape(text: str, stream: Stream, *, first: str = "") -> str:
    """`text` with new digits and letters and all else kept: capitals stay capitals. The digits begin with `first`.
    Never `text` itself, if there is anything to draw."""
    fixed = iter(first)
    characters = []
    turned = -1
    for place, character in enumerate(text):
        if character.isdecimal():
            digit = next(fixed, "")
            turned = turned if digit else place
            characters.append(digit or stream.digits(1))
        elif is_letter(character):
            letter = stream.letters(1)
            characters.append(letter.upper() if character.isupper() else letter)
            turned = place
        else:
            characters.append(character)
    if turned >= 0 and characters[turned] == text[turned] and "".join(characters) == text:
        characters[turned] = _next(characters[turned])
    return "".join(characters)


def _next(character: str) -> str:
    """The digit or letter after this one, round in a circle."""
    if character.isdecimal():
        return str((int(character) + 1) % 10)
    following = LETTERS[(LETTERS.index(character.lower()) + 1) % 26]
    return following.upper() if character.isupper() else following
