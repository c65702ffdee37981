"""Which kinds of item a table holds, guessed from what stands before the first delimiter of its keys.

`user|…`, `USER#…`: a prefix names an entity in a draft policy only if it is plain letters, stands on several items
with different rests, has few others beside it, was not met as a word of somebody's address, and is in no list of
people's names: a person's name is never written as an entity. Words that name kinds of things all over the world are
nobody's, although `orders@…` is an address. Memory is bounded whatever the keys are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from downstage.masking.address import find
from downstage.masking.names import FIELD, Likeness, likeness, people_among, words_of
from downstage.ports import Item

MOST_PREFIXES = 40
LEAST_ITEMS = 3
_MOST_GROUPS = 400
_MOST_WORDS = 50_000
_LONGEST_PREFIX = 32
_LOOKED_AT = 4096
_PREFIX = re.compile(r"(?P<word>[A-Za-z]{2,}(?:[-_][A-Za-z]{2,})*)(?P<delimiter>[|#:/])")
_WORD = re.compile(r"[A-Za-z]{2,}")
_LETTERS = re.compile(r"[A-Za-z]+")

_KINDS = frozenset(
    re.findall(
        r"[a-z]+",
        """
    account activity address alert alias application appointment archive asset attachment audit booking bucket
    calendar cart case category channel claim client comment company config contact contract counter customer
    device doc document draft email employee entity entry event feature file form group history image index
    instance inventory invoice item job key ledger line link list location lock log login lookup mapping member
    membership message meta metadata metric note notification offer order org organization owner participant
    party patient payment permission phone photo plan policy post preference price product profile project
    property question queue record ref relation report request resource response result review role row rule run
    schedule section service session setting shipment site state statistic status step store subscription tag
    task team template tenant test ticket token tracking transaction type unit update user vendor version video
    visit work workflow workspace
        """,
    )
)
"""Words for kinds of things, which name nobody."""

Prefix = tuple[str, str]
"""(the word, its delimiter), or two empty texts if the key has no prefix."""

_NONE: Prefix = ("", "")


@dataclass(frozen=True, slots=True)
class Kind:
    """One guessed entity: its name and the pattern of each key attribute that has a prefix."""

    name: str
    when: tuple[tuple[str, str], ...]
    items: int


class Prefixes:
    """Counts the prefixes of the key attributes and puts items into groups by them."""

    def __init__(self, key_names: Sequence[str]) -> None:
        self._key_names = tuple(key_names)
        self._groups: dict[tuple[Prefix, ...], int] = {}
        self._items: Counter[int] = Counter()
        self._rests: dict[tuple[str, Prefix], set[int]] = {}
        self._crowded: set[str] = set()
        self._words: set[str] = set()

    def group(self, item: Item) -> int:
        """The number of the item's group; 0 for items without a usable prefix."""
        found = tuple(self._prefix(name, item) for name in self._key_names)
        number = self._groups.get(found)
        if number is None:
            if all(prefix == _NONE for prefix in found) or len(self._groups) >= _MOST_GROUPS:
                number = 0
            else:
                number = self._groups[found] = len(self._groups) + 1
        self._items[number] += 1
        return number

    def warn_of(self, text: str) -> None:
        """Takes note of the words of every address in `text`: they are people's, and no prefixes."""
        if "@" in text and len(self._words) < _MOST_WORDS:
            looked = text[:_LOOKED_AT]
            for start, end in find(looked):
                local = looked[start:end].rpartition("@")[0]
                self._words.update(word.lower() for word in _WORD.findall(local))

    def is_somebody(self, text: str) -> bool:
        """Whether `text` may be somebody's name: a word of it is a name, or it was met in the local part of an address
        and none of its words names a kind of thing."""
        return likeness(text) is Likeness.SURELY or self._is_of_an_address(text)

    def people_among(self, names: Collection[str]) -> set[str]:
        """The names of one map that may be people's, by their words or by the addresses that were met."""
        return people_among(names) | {name for name in names if self._is_of_an_address(name)}

    def _is_of_an_address(self, text: str) -> bool:
        words = [word.lower() for word in _LETTERS.findall(text)]
        if any(_is_kind(word) or word in FIELD for word in (*words, *words_of(text))):
            return False
        parts = [word for word in words_of(text) if len(word) > 1]
        return any(word in self._words for word in words) or (bool(parts) and self._words.issuperset(parts))

    def kinds(self) -> dict[int, Kind]:
        """The groups that may be named, by their number. Two groups with the same patterns do not occur."""
        kinds: dict[int, Kind] = {}
        names: Counter[str] = Counter()
        for found, number in self._groups.items():
            when = []
            for key_name, prefix in zip(self._key_names, found, strict=True):
                if prefix == _NONE:
                    continue
                if not self._is_plain(key_name, prefix):
                    break
                when.append((key_name, f"{prefix[0]}{prefix[1]}*"))
            else:
                if self._items[number] >= LEAST_ITEMS:
                    words = dict.fromkeys(prefix[0].lower() for prefix in found if prefix != _NONE)
                    name = "-".join(words)
                    names[name] += 1
                    shown = name if names[name] == 1 else f"{name}-{names[name]}"
                    kinds[number] = Kind(shown, tuple(when), self._items[number])
        return kinds

    def _prefix(self, name: str, item: Item) -> Prefix:
        text = item.get(name, {}).get("S")
        found = _PREFIX.match(text, 0, _LONGEST_PREFIX) if isinstance(text, str) else None
        if found is None or name in self._crowded:
            return _NONE
        prefix = (found["word"], found["delimiter"])
        rests = self._rests.get((name, prefix))
        if rests is None:
            if sum(of == name for of, _ in self._rests) >= MOST_PREFIXES:
                self._crowded.add(name)
                return _NONE
            rests = self._rests[name, prefix] = set()
        if len(rests) < LEAST_ITEMS:
            rests.add(hash(text))
        return prefix

    def _is_plain(self, name: str, prefix: Prefix) -> bool:
        """Whether the prefix may be written: it comes again and again, among few, and is nobody's name."""
        if name in self._crowded or len(self._rests[name, prefix]) < LEAST_ITEMS:
            return False
        return not self.is_somebody(prefix[0]) and likeness(prefix[0]) is Likeness.NOT


def _is_kind(word: str) -> bool:
    return word in _KINDS or word.removesuffix("s") in _KINDS
