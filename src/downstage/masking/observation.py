"""What a table looks like: every path and type that was seen, written without a word of data, in bounded memory.

This is what `discover` writes into `masking.lock`. A name in a path is written out only if it is certainly a field's
name. It becomes `*` if it does not look like one (an address, an id, many digits), if its map has more than
`MOST_NAMES` names, if hardly a name of its map comes twice, or if it was seen in one single map: a lock that knows
a little too much is a lesser evil than one that holds somebody's name. Below the top level a name that may be a
person's (`names`), or is made of words of somebody's address, is theirs, however often it stands there. Whatever was
seen is known to the lock made of it.
Memory: at most `MOST_PLACES` places a table; beyond them all names of a map become one, and then `complete` is False.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from downstage.domain.paths import ANY_NAME, ELEMENT, Name, Step, Steps, is_plain_name
from downstage.domain.policy import LockedTable
from downstage.masking.prefixes import Prefixes
from downstage.ports import Item

MOST_NAMES = 64
MOST_ATTRIBUTES = 1024
MOST_PLACES = 20_000
_TELLING_MAPS = 4
_NAMES_COUNTED = 50_000
_DEEPEST = 40

_HEX = re.compile(r"[0-9a-f_-]{16,}", re.IGNORECASE)
_OF_AWS = re.compile(r"aws:rep:[a-z]{1,32}")

Shapes = Callable[[str], Sequence[str]]
"""The shapes of personal data that a text has, by name."""


def looks_like_data(name: str) -> bool:
    """Whether a map's or item's name is certainly not a field's name: an address, an id, a date, many digits."""
    if not is_plain_name(name):
        return _OF_AWS.fullmatch(name) is None
    digits = sum(letter.isdigit() for letter in name)
    return digits * 2 > len(name) or (digits > 0 and _HEX.fullmatch(name) is not None)


def without_data(steps: Sequence[Step]) -> Steps:
    """The path with every name that looks like data as `*`."""
    return tuple(ANY_NAME if isinstance(step, Name) and looks_like_data(step.name) else step for step in steps)


class _Place:
    """One path. `types` counts values by type, `shapes` counts texts by (group, shape), with "" for all of them."""

    __slots__ = ("any", "collapsed", "element", "names", "shapes", "types")

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.shapes: Counter[tuple[int, str]] = Counter()
        self.names: dict[str, _Place] = {}
        self.any: _Place | None = None
        self.element: _Place | None = None
        self.collapsed = False

    def absorb(self, other: _Place) -> None:
        """Takes over what `other` has seen."""
        self.types.update(other.types)
        self.shapes.update(other.shapes)
        self.collapsed = self.collapsed or other.collapsed
        for name, place in other.names.items():
            self.names.setdefault(name, _Place()).absorb(place)
        if other.any is not None:
            self.any = self.any or _Place()
            self.any.absorb(other.any)
        if other.element is not None:
            self.element = self.element or _Place()
            self.element.absorb(other.element)
        if self.collapsed:
            self.collapse()

    def collapse(self) -> None:
        """From now on all names of this map are one."""
        self.collapsed = True
        self.hide(list(self.names))

    def hide(self, names: Sequence[str]) -> None:
        """Makes these names part of `*`."""
        for name in names:
            self.any = self.any or _Place()
            self.any.absorb(self.names.pop(name))


@dataclass(frozen=True, slots=True)
class Leaf:
    """What was seen at one path in the items of one group: `values` texts or numbers, `shapes` of them by name."""

    path: Steps
    types: tuple[str, ...]
    group: int
    values: int
    shapes: Mapping[str, int]


class TableObservation:
    """What was seen of one table. `shapes_of` names the shapes of a text; `key_names` are the table's key attributes,
    by whose prefixes items are told apart."""

    def __init__(self, table: str, key_names: Sequence[str], shapes_of: Shapes = lambda text: ()) -> None:
        self.table = table
        self.items = 0
        self.complete = True
        self.prefixes = Prefixes(key_names)
        self._shapes_of = shapes_of
        self._root = _Place()
        self._places = 1
        self._held: Counter[str] = Counter()

    def add(self, item: Item) -> None:
        """Takes note of one item. Nothing of its values is kept."""
        self.items += 1
        self._map(item, self._root, self.prefixes.group(item), MOST_ATTRIBUTES, _DEEPEST)

    def lock(self) -> LockedTable:
        """Every path and its types, in the order of the paths."""
        self._settle(self._root, top=True)
        return LockedTable(self.table, tuple(_sorted_paths(self._root)))

    def leaves(self) -> Iterator[Leaf]:
        """What was seen of texts and numbers, path by path and group by group, named as in the lock."""
        self._settle(self._root, top=True)
        for steps, place in _below(self._root, ()):
            types = tuple(sorted(place.types))
            for group in sorted({group for group, _ in place.shapes}):
                counts = {shape: count for (of, shape), count in place.shapes.items() if of == group}
                yield Leaf(steps, types, group, counts.pop(""), counts)

    def _map(self, content: Mapping[str, Any], place: _Place, group: int, most: int, levels: int) -> None:
        for name, value in content.items():
            self._value(value, self._named(place, name, most), group, levels)

    def _named(self, place: _Place, name: str, most: int) -> _Place:
        """The place of one name of a map."""
        known = place.names.get(name)
        plain = known is not None or not looks_like_data(name)
        if plain and (len(self._held) < _NAMES_COUNTED or name in self._held):
            self._held[name] += 1
        if known is not None:
            return known
        if plain and not place.collapsed:
            if self._places < MOST_PLACES and len(place.names) < most:
                self._places += 1
                return place.names.setdefault(name, _Place())
            place.collapse()
        if place.any is None:
            self._places += 1
            place.any = _Place()
        return place.any

    def _value(self, value: Mapping[str, Any], place: _Place, group: int, levels: int) -> None:
        ((kind, content),) = value.items()
        place.types[kind] += 1
        if kind in ("S", "N"):
            self._text(content, place, group, number=kind == "N")
        elif kind in ("SS", "NS"):
            for member in content:
                self._text(member, place, group, number=kind == "NS")
        elif kind in ("M", "L") and content and (levels == 0 or self._places >= 2 * MOST_PLACES):
            self.complete = False
        elif kind == "M":
            self._map(content, place, group, MOST_NAMES, levels - 1)
        elif kind == "L" and content:
            if place.element is None:
                self._places += 1
                place.element = _Place()
            for member in content:
                self._value(member, place.element, group, levels - 1)

    def _text(self, text: str, place: _Place, group: int, *, number: bool) -> None:
        place.shapes[group, ""] += 1
        if not number:
            self.prefixes.warn_of(text)
            for shape in self._shapes_of(text):
                place.shapes[group, shape] += 1

    def _settle(self, place: _Place, *, top: bool = False) -> None:
        """Makes names that may be data part of `*`. Said twice, it changes nothing."""
        while hidden := self._attributes(place) if top else self._names_of_data(place):
            if not top and len(hidden) == len(place.names):
                place.collapse()
            else:
                place.hide(hidden)
        for below in (*place.names.values(), place.any, place.element):
            if below is not None:
                self._settle(below)

    @staticmethod
    def _attributes(place: _Place) -> list[str]:
        """Which attributes of the items may be data: the rare ones, if there are many such."""
        once = _once(place)
        return once if len(place.names) > MOST_NAMES and len(once) * 2 > len(place.names) else []

    def _names_of_data(self, place: _Place) -> list[str]:
        """Which of the names of a map that are still written out may be data."""
        once = set(_once(place))
        if place.types["M"] >= _TELLING_MAPS and len(once) * 2 > len(place.names):
            return list(place.names)
        people = self.prefixes.people_among(place.names)
        return [name for name in place.names if name in people or (name in once and self._held[name] < 2)]


def _once(place: _Place) -> list[str]:
    """The names that stood in one single map."""
    return [name for name, held in place.names.items() if held.types.total() == 1]


def merged(old: LockedTable, new: LockedTable) -> LockedTable:
    """A lock that knows what either knows.

    A name that one of them writes out and the other may have as `*` becomes part of `*`: a place is looked up by its
    name first, and would then know only half.
    """
    root = _union(_tree(old), _tree(new))
    return LockedTable(new.table, tuple(_sorted_paths(root)))


def _tree(table: LockedTable) -> _Place:
    root = _Place()
    for steps, types in table.paths:
        place = root
        for step in steps:
            if isinstance(step, Name):
                place = place.names.setdefault(step.name, _Place())
            elif step == ELEMENT:
                place.element = place = place.element or _Place()
            else:
                place.any = place = place.any or _Place()
        place.types.update(types)
    return root


def _union(one: _Place, other: _Place) -> _Place:
    hidden = [] if other.any is None else [name for name in one.names if name not in other.names]
    hidden_there = [] if one.any is None else [name for name in other.names if name not in one.names]
    for place, names in ((one, hidden), (other, hidden_there)):
        for name in names:
            held = place.names.pop(name)
            place.any = held if place.any is None else _union(place.any, held)
    one.types.update(other.types)
    for name, place in other.names.items():
        one.names[name] = _union(one.names[name], place) if name in one.names else place
    one.any = _union(one.any, other.any) if one.any and other.any else one.any or other.any
    one.element = _union(one.element, other.element) if one.element and other.element else one.element or other.element
    return one


def _sorted_paths(root: _Place) -> list[tuple[Steps, tuple[str, ...]]]:
    paths = [(steps, tuple(sorted(place.types))) for steps, place in _below(root, ())]
    return sorted(paths, key=lambda path: [_order(step) for step in path[0]])


def _below(place: _Place, steps: Steps) -> Iterator[tuple[Steps, _Place]]:
    """Every place below `place` and its path."""
    ways: list[tuple[Step, _Place | None]] = [(Name(name), held) for name, held in place.names.items()]
    for step, held in (*ways, (ANY_NAME, place.any), (ELEMENT, place.element)):
        if held is not None:
            yield (*steps, step), held
            yield from _below(held, (*steps, step))


def _order(step: Step) -> tuple[int, str]:
    return (0, step.name) if isinstance(step, Name) else (1, step)
