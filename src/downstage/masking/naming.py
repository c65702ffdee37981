"""Which names of maps may be shown, in the same way for all that shows paths: `*` for the others.

A name is data if it is no plain name, if a rule with `*` or `{key}` takes the names of its map for data, or, below
the item's own attributes, if there is a lock that does not write it out. This is what the walk itself goes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from downstage.domain.paths import is_plain_name
from downstage.domain.policy import FieldRule, TablePolicy
from downstage.masking import selectors
from downstage.masking.entities import CompiledEntity, pattern_of
from downstage.masking.locked import Known
from downstage.masking.selectors import NOWHERE, Rule, State
from downstage.masking.strategies.whole import Keep
from downstage.ports import Item

Patterns = tuple[tuple[str, re.Pattern[str]], ...]


def may_be_data(name: str, state: State, known: Known | None, *, top: bool) -> bool:
    """Whether the name of a map's entry may be data, by the map's rules and what the lock knows of it."""
    if not is_plain_name(name) or state.names_are_data:
        return True
    if known is None:
        return False
    return known.hides(name) if top else not known.writes(name)


@dataclass(frozen=True, slots=True)
class Names:
    """A place in an item: what the rules and the lock (None: there is none) say of the names below it. `top` for the
    item itself."""

    state: State = NOWHERE
    known: Known | None = None
    top: bool = True

    def hides(self, name: str) -> bool:
        """Whether this name of the map that stands here may be data."""
        return may_be_data(name, self.state, self.known, top=self.top)

    def entry(self, name: str) -> Names:
        """The place of a map's entry."""
        return Names(self.state.name(name), self.known.name(name) if self.known is not None else None, top=False)

    def element(self) -> Names:
        """The place of a list's elements."""
        return Names(self.state.element(), self.known.element() if self.known is not None else None, top=False)


UNRULED = Names()
"""An item about whose names neither a rule nor a lock says anything."""


class Naming:
    """What may be shown of the items of one table. `known` is the lock's tree, None if there is no lock."""

    def __init__(self, policy: TablePolicy | None, known: Known | None) -> None:
        fields = policy.fields if policy is not None else ()
        self._known = known
        self._entities = [
            CompiledEntity(
                entity.name,
                tuple((name, pattern_of(shell)) for name, shell in entity.when),
                {},
                _start((*entity.fields, *fields)),
            )
            for entity in (policy.entities if policy is not None else ())
        ]
        self._others = _start(fields)

    def of(self, item: Item) -> Names:
        """The place of one item."""
        entity = next((entity for entity in self._entities if entity.matches(item)), None)
        return Names(entity.start if entity is not None else self._others, self._known)

    def all(self) -> tuple[Names, ...]:
        """The place of an item of each entity, and of one of none."""
        starts = (*(entity.start for entity in self._entities), self._others)
        return tuple(Names(start, self._known) for start in starts)


def _start(fields: tuple[FieldRule, ...]) -> State:
    """The state at the top; what the rules do does not matter here, only where they stand."""
    return selectors.start([Rule(rule.text, rule.path, Keep(), rule.strategy.name, rule.place) for rule in fields])
