"""What masking changed in one item, leaf by leaf: the item before and the item after, walked side by side.

Rules: paths are written as the walk writes them, names that are data as `*` (`naming`). Where the two cannot
be matched for certain (entries renamed and dropped in one map, elements dropped from a list), `after` is None: nobody
may be shown a value as the pseudonym of another. The values themselves stand in no repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from downstage.domain.paths import ANY_NAME, ELEMENT, KEY, Name, Step, Steps, show
from downstage.masking.naming import UNRULED, Names
from downstage.masking.strategies.base import Attribute
from downstage.ports import Item

NAME = "name"
"""The `kind` of a change of a map's name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed leaf: a value that is no map or list, or a map's name. `after` is None if nothing stands there now,
    or if it cannot be told what does."""

    path: str
    kind: str
    before: Attribute = field(repr=False)
    after: Attribute | None = field(repr=False)


def changes(before: Item, after: Item, names: Names = UNRULED) -> Iterator[Change]:
    """Every changed leaf, in the order of the item. `names` says which names may be shown."""
    return _entries(before, after, (), names)


def _entries(before: Mapping[str, Any], after: Mapping[str, Any] | None, path: Steps, names: Names) -> Iterator[Change]:
    for name, value, new_name, new_value in _matched(before, after):
        step: Step = ANY_NAME if names.hides(name) else Name(name)
        if new_name is not None and new_name != name:
            yield Change(show((*path, KEY)), NAME, {"S": name}, {"S": new_name})
        yield from _value(value, new_value, (*path, step), names.entry(name))


def _matched(
    before: Mapping[str, Any], after: Mapping[str, Any] | None
) -> Iterator[tuple[str, Attribute, str | None, Attribute | None]]:
    """(name, value, new name, new value) of each entry; a new one is None where there is none, or none for certain."""
    if after is not None and len(after) == len(before):
        for (name, value), (new_name, new_value) in zip(before.items(), after.items(), strict=True):
            yield name, value, new_name, new_value
        return
    certain = after is not None and all(name in before for name in after)
    for name, value in before.items():
        found = after.get(name) if after is not None and certain else None
        yield name, value, name if found is not None else None, found


def _value(value: Attribute, new: Attribute | None, path: Steps, names: Names) -> Iterator[Change]:
    if new is value or new == value:
        return
    ((kind, content),) = value.items()
    below = new.get(kind) if new is not None else None
    if kind == "M" and (below is not None or new is None) and content:
        yield from _entries(content, below, path, names)
    elif kind == "L" and (below is not None or new is None) and content:
        yield from _elements(content, below, path, names)
    else:
        yield Change(show(path), kind, value, new)


def _elements(
    members: Sequence[Attribute], new: Sequence[Attribute] | None, path: Steps, names: Names
) -> Iterator[Change]:
    certain = new is not None and len(new) == len(members)
    below = names.element()
    for member, masked in zip_longest(members, new if certain and new is not None else ()):
        yield from _value(member, masked, (*path, ELEMENT), below)
