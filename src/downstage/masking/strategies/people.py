"""Names of people: name, given_name, family_name. Each word becomes one of a list; what shapes a name stays.

Titles and suffixes (`Dr`, `Jr.`, `III`) stay where they stand as such, initials become initials, hyphens, commas and
capitals stay. No other word is ever passed through, whatever it is. `name` draws as given_name and family_name do, so
"Ann Lee" becomes what they make of "Ann" and of "Lee".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import Place, Strategy
from downstage.masking.strategies.drawn import Stream, choose_other, fold, in_style
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.lists import fake_list
from downstage.masking.strategies.options import Options

_CHUNK = re.compile(r"[^\s,;]+")
_WORD = re.compile(r"[^\s,;:.()\[\]{}<>\"/\\|&+*_=#!?-]+")
_TITLES = frozenset(
    ("mr", "mrs", "ms", "mx", "miss", "dr", "prof", "hon", "honorable", "rev", "reverend", "judge", "sir", "madam")
)
_SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "esq", "esquire", "md", "phd", "jd", "llm", "cpa"))

Chunk = tuple[int, int]
"""(start, end) of a run without white space or commas in the text."""


@dataclass(frozen=True, slots=True)
class Words:
    """One list of names and its draws."""

    draw: Draw
    names: tuple[str, ...]

    def replace(self, text: str) -> str:
        """`text` with every word of it replaced."""
        return _WORD.sub(lambda word: self._word(word[0]), text)

    def _word(self, word: str) -> str:
        canonical = fold(word)
        if len(word) == 1 and word.isascii() and word.isalpha():
            letter = Stream(self.draw, canonical).letters(1)
            letter = letter if letter != canonical else chr((ord(letter) - 96) % 26 + 97)
            return letter.upper() if word.isupper() else letter
        return in_style(choose_other(self.draw, canonical, self.names), word)


@dataclass(frozen=True, slots=True)
class Names:
    """Whole names: which words are given names and which the family's."""

    given: Words
    family: Words

    def replace(self, text: str) -> str:
        """`text`, "Given Middle Family" or "Family, Given Middle", with every name in it replaced."""
        chunks, titled = _named(text)
        if not chunks:
            return text
        comma = text.find(",", chunks[0][1], chunks[-1][0])
        if comma >= 0:
            words = [(chunk, self.family if chunk[0] < comma else self.given) for chunk in chunks]
        else:
            words = [(chunk, self.given) for chunk in chunks]
            if titled or len(chunks) > 1:
                words[-1] = (chunks[-1], self.family)
        return _replaced(text, words)


def _named(text: str) -> tuple[list[Chunk], bool]:
    """The chunks that are names, and whether a title stands before them."""
    chunks = [chunk.span() for chunk in _CHUNK.finditer(text) if _WORD.search(chunk[0])]
    last = len(chunks)
    while last > 1 and _letters(text, chunks[last - 1]) in _SUFFIXES:
        last -= 1
    first = 0
    while first < last - 1 and _letters(text, chunks[first]) in _TITLES and text[chunks[first][1]].isspace():
        first += 1
    return chunks[first:last], first > 0


def _letters(text: str, chunk: Chunk) -> str:
    """A chunk without its dots, if it is short enough to be a title."""
    return text[chunk[0] : min(chunk[1], chunk[0] + 16)].replace(".", "").casefold()


def _replaced(text: str, words: list[tuple[Chunk, Words]]) -> str:
    pieces: list[str] = []
    done = 0
    for (start, end), names in words:
        pieces += [text[done:start], names.replace(text[start:end])]
        done = end
    return "".join([*pieces, text[done:]])


def make_given_name(options: Options, draws: Draws) -> Strategy:
    """`given_name`."""
    return _single("given_name", _words(options, draws, "given"))


def make_family_name(options: Options, draws: Draws) -> Strategy:
    """`family_name`."""
    return _single("family_name", _words(options, draws, "family"))


def make_name(options: Options, draws: Draws) -> Strategy:
    """`name`."""
    names = Names(_words(options, draws, "given"), _words(options, draws, "family"))
    return Leaves(name="name", text=lambda text, _: names.replace(text))


def _words(options: Options, draws: Draws, kind: str) -> Words:
    return Words(draws(options.domain(f"{kind}_name/v1")), fake_list(kind))


def _single(name: str, words: Words) -> Strategy:
    def text(text: str, place: Place) -> str:
        return _replaced(text, [(chunk, words) for chunk in _named(text)[0]])

    return Leaves(name=name, text=text)
