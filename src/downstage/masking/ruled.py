"""The walk over one item when rules or a lock apply: the rule replaces, then the address scan goes over the result.

Nothing that a rule says exempts a value from the scan: `keep` only means that nothing else is done to it. Where
neither a rule nor the lock has anything to say below a place, the plain walk takes over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from downstage.domain.paths import ANY_DEPTH, ANY_NAME, ELEMENT, KEY, Name, Step, show
from downstage.domain.policy import Unknown
from downstage.errors import MaskingError
from downstage.masking.entities import CompiledEntity
from downstage.masking.locked import Known
from downstage.masking.naming import may_be_data
from downstage.masking.selectors import NOWHERE, Rule, State
from downstage.masking.strategies.base import DROPPED, Attribute, Place
from downstage.masking.templates import Template
from downstage.masking.walk import AddressWalk, opened
from downstage.ports import Item

_SETS: Mapping[str, str] = {"SS": "S", "NS": "N", "BS": "B"}
_NO_KEYS: Mapping[str, tuple[Template, ...]] = {}

By = Literal["rule", "key", "scan", "keep", "unknown"]


@dataclass(frozen=True, slots=True)
class Touch:
    """What touched one leaf, and why. `path` shows names that are data as `*`; `kind` is the DynamoDB type, or `name`
    for a map's own name; `rule` is the path or template as written, `place` where it stands; `addresses` were replaced
    by the scan that follows every rule."""

    path: str
    kind: str
    by: By
    rule: str
    strategy: str
    place: str
    changed: bool
    addresses: int


@dataclass(frozen=True, slots=True)
class _Here:
    """Where the walk stands: the automaton's state, the rule that holds, what the lock knows (None: no lock), the
    path."""

    state: State
    rule: Rule | None
    known: Known | None
    path: tuple[Step, ...]

    @property
    def shown(self) -> str:
        return show(self.path)

    def entry(self, name: str) -> _Here:
        """The place of a map's entry."""
        known = self.known.name(name) if self.known is not None else None
        hidden = may_be_data(name, self.state, self.known, top=not self.path)
        return self._below(self.state.name(name), known, ANY_NAME if hidden else Name(name))

    def element(self) -> _Here:
        """The place of a list's elements."""
        known = self.known.element() if self.known is not None else None
        return self._below(self.state.element(), known, ELEMENT)

    def _below(self, state: State, known: Known | None, step: Step) -> _Here:
        """What an enclosing container lost as a whole, a rule for any depth does not bring back."""
        rule = state.rule or self.rule
        if self.rule is not None and self.rule.strategy.whole and state.rule and ANY_DEPTH in state.rule.steps:
            rule = self.rule
        return _Here(state, rule, known, (*self.path, step))


class RuledWalk:
    """Masks items of one table. `others` is the entity of items that no other matches, None if such are refused;
    `known` is the lock's tree, None if there is no lock; `key_names` are keys of the table or an index, which no rule
    may take away. `unknown_values` counts what the lock does not know."""

    def __init__(
        self,
        scan: AddressWalk,
        entities: Sequence[CompiledEntity],
        others: CompiledEntity | None,
        known: Known | None,
        unknown: Unknown,
        key_names: Sequence[str] = (),
    ) -> None:
        self._scan = scan
        self._entities = entities
        self._others = others
        self._known = known
        self._unknown = unknown
        self._key_names = key_names
        self._touches: list[Touch] | None = None
        self._item: Item = {}
        self.unknown_values = 0

    def __call__(self, item: Item) -> Item:
        """The masked item. Raises MaskingError if it cannot be masked; it must then not be written."""
        entity = next((entity for entity in self._entities if entity.matches(item)), self._others)
        if entity is None:
            raise MaskingError("the item matches no entity of its table: add one to the policy, or 'unmatched: scan'")
        self._item = item
        masked = self._entries(item, _Here(entity.start, None, self._known, ()), entity.keys)
        for name in self._key_names:
            if name in item and not _is_same_kind(item[name], masked.get(name)):
                raise MaskingError(f"the key {name} would be lost, empty or of another type: correct its rule")
        return masked

    def explain(self, item: Item) -> tuple[Item, list[Touch]]:
        """The masked item, and what touched each of its leaves."""
        touches: list[Touch] = []
        self._touches = touches
        try:
            return self(item), touches
        finally:
            self._touches = None

    def _entries(self, content: dict[str, Any], here: _Here, keys: Mapping[str, Sequence[Template]]) -> dict[str, Any]:
        """The entries of a map; `keys` are the templates of composite keys, at the top of the item."""
        masked: dict[str, Any] = {}
        dropped = 0
        changed = False
        for name, value in content.items():
            below = here.entry(name)
            new_value = self._key(value, keys[name], below) if name in keys else self._value(value, below)
            if new_value is DROPPED:
                dropped += 1
                continue
            new_name = self._name(name, here)
            changed = changed or new_value is not value or new_name is not name
            masked[new_name] = new_value
        if len(masked) + dropped != len(content):
            raise MaskingError("two names of one map have the same pseudonym")
        return masked if changed or dropped else content

    def _value(self, value: Attribute, here: _Here) -> Attribute:
        if here.state is NOWHERE and here.rule is None and here.known is None and self._touches is None:
            return self._scan.value(value)
        kind, content = opened(value)
        unknown = here.known is not None and kind != "NULL" and kind not in here.known.types
        if unknown and self._unknown == "fail":
            raise MaskingError(
                f"{here.shown} of type {kind} is not in masking.lock: run 'downstage discover', or set 'unknown: scan'"
            )
        whole = here.rule is not None and here.rule.strategy.whole
        if kind not in ("M", "L") or (whole and not here.state.refined):
            self.unknown_values += unknown
            return self._leaf(value, kind, here, unknown=unknown)
        new: Any
        if kind == "M":
            new = self._entries(content, here, _NO_KEYS)
        else:
            below = here.element()
            new = [masked for member in content if (masked := self._value(member, below)) is not DROPPED]
            if len(new) == len(content) and all(one is other for one, other in zip(new, content, strict=True)):
                new = content
        if whole and content and not new:
            return DROPPED
        return value if new is content else {kind: new}

    def _leaf(self, value: Attribute, kind: str, here: _Here, *, unknown: bool) -> Attribute:
        rule = here.rule
        new = value
        if rule is not None:
            place = Place(here.shown, self._item)
            opens = kind in _SETS and not rule.strategy.whole
            new = self._members(value, kind, rule, place) if opens else _replaced(rule, value, place)
        by: By = "unknown" if unknown else "scan" if rule is None else "keep" if rule.name == "keep" else "rule"
        if rule is None:
            return self._scanned(new, value, here, by)
        return self._scanned(new, value, here, by, rule.text, rule.name, rule.place)

    def _members(self, value: Attribute, kind: str, rule: Rule, place: Place) -> Attribute:
        """A set, member by member."""
        one = _SETS[kind]
        new: list[str] = []
        for member in value[kind]:
            replaced = _replaced(rule, {one: member}, place)
            if replaced is DROPPED:
                continue
            content = replaced.get(one)
            if not isinstance(content, str):
                raise MaskingError(f"a member of the set {place.path} would change its type ({rule.place})")
            new.append(content)
        if new == value[kind]:
            return value
        distinct = list(dict.fromkeys(new))
        if len(distinct) != len(new) and not rule.merges:
            raise MaskingError(
                f"two members of the set {place.path} have the same pseudonym; 'on_merge: merge' allows it "
                f"({rule.place})"
            )
        return {kind: distinct} if distinct else DROPPED

    def _name(self, name: str, here: _Here) -> str:
        rule = here.state.names
        new = name
        if rule is not None:
            content = _replaced(rule, {"S": name}, Place(here.shown, self._item)).get("S")
            if not isinstance(content, str) or not content:
                raise MaskingError(f"a name of a map has no replacement under {rule.text} ({rule.place})")
            new = content
        before = self._scan.nested.replaced
        masked = self._scan.name(new)
        if self._touches is not None and (rule is not None or masked != name):
            path = show((*here.path, KEY))
            found = self._scan.nested.replaced - before
            why = (rule.text, rule.name, rule.place) if rule is not None else ("", "", "")
            self._touches.append(Touch(path, "name", "rule" if rule else "scan", *why, masked != name, found))
        return masked

    def _key(self, value: Attribute, templates: Sequence[Template], here: _Here) -> Attribute:
        kind, content = opened(value)
        if kind != "S":
            raise MaskingError(f"{here.shown} has a template but is no string ({templates[0].place})")
        for template in templates:
            parts = template.parts(content)
            if parts is not None:
                masked = template.masked(parts, Place(here.shown, self._item))
                new = value if masked == content else {"S": masked}
                return self._scanned(new, value, here, "key", template.text, "", template.place)
        raise MaskingError(f"{here.shown} fits none of its templates ({templates[0].place})")

    def _scanned(
        self, new: Attribute, old: Attribute, here: _Here, by: By, rule: str = "", strategy: str = "", place: str = ""
    ) -> Attribute:
        """What a rule made, looked through for addresses."""
        before = self._scan.nested.replaced
        masked = new if new is DROPPED else self._scan.value(new)
        if self._touches is not None:
            (kind,) = old
            found = self._scan.nested.replaced - before
            self._touches.append(Touch(here.shown, kind, by, rule, strategy, place, masked != old, found))
        return masked


def _is_same_kind(before: Attribute, after: Attribute | None) -> bool:
    """Whether a key is still one: of its type, and not empty where it was not."""
    (kind,) = before
    return after is not None and kind in after and (after[kind] != "" or before[kind] == "")


def _replaced(rule: Rule, value: Attribute, place: Place) -> Attribute:
    """What the rule's strategy makes of a value; a refusal says where."""
    try:
        return rule.strategy.replace(value, place)
    except MaskingError as error:
        raise MaskingError(f"{place.path}: {error} ({rule.place})") from None
