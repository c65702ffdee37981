"""A masking plan, a key and a table become one callable: item in, masked item out.

    walk       every text, binary and name is looked through for addresses          (always)
    ruled      the policy's rules before it, the lock beside it                     (where a table has any)

What cannot stand is refused here, before an item is read: a strategy that may make two values one, on a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson

from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import Entity, FieldRule, KeyTemplate, Policy, StrategySpec, TablePolicy
from downstage.errors import ConfigError, MaskingError
from downstage.masking import selectors, strategies
from downstage.masking.draws import Draw, Draws
from downstage.masking.email import ALGORITHM, EmailPseudonyms
from downstage.masking.entities import CompiledEntity, pattern_of
from downstage.masking.keys import MaskKey
from downstage.masking.locked import UNKNOWN, Known, known_places
from downstage.masking.nested import NestedMasker
from downstage.masking.raw import RawMasker
from downstage.masking.ruled import RuledWalk, Touch
from downstage.masking.selectors import Rule
from downstage.masking.strategies.base import Strategy
from downstage.masking.templates import Template
from downstage.masking.walk import AddressWalk
from downstage.ports import Item, RawItem

__all__ = ["ItemMasker", "TableShape", "Touch", "compile_masker", "compile_pseudonyms", "fingerprint"]


@dataclass(frozen=True, slots=True)
class TableShape:
    """What masking must know of a table: the source table's name, its key attributes, those of its indexes."""

    name: str
    key_names: tuple[str, ...] = ()
    index_key_names: tuple[str, ...] = ()


class ItemMasker:
    """The compiled masking of one table. Pure: equal items give equal results in every process and run.

    Statistics so far: addresses `replaced`; addresses `kept` by a keep list; `opaque` binaries; values `unknown` to
    the lock.
    """

    def __init__(self, pseudonyms: EmailPseudonyms, ruled: RuledWalk | None = None, scan: AddressWalk | None = None):
        self._scan = scan or AddressWalk(NestedMasker(pseudonyms.replace, pseudonyms.is_kept))
        self._ruled = ruled
        self._mask = ruled or self._scan.attributes
        self._raw = RawMasker(self._scan.nested, self) if ruled is None else None

    @property
    def replaced(self) -> int:
        return self._scan.nested.replaced

    @property
    def kept(self) -> int:
        return self._scan.nested.kept

    @property
    def opaque(self) -> int:
        return self._scan.nested.opaque

    @property
    def unknown(self) -> int:
        return self._ruled.unknown_values if self._ruled else 0

    def __call__(self, item: Item) -> Item:
        """The masked item. Raises MaskingError if it cannot be masked; it must then not be written."""
        try:
            return self._mask(item)
        except _ODD as error:
            raise _odd(error) from None

    def mask_bytes(self, item: RawItem) -> RawItem:
        """The same for an item as the bytes it travels in; the same object if nothing changes. It is decoded only where
        something may be found, or where a rule or the lock asks for its structure."""
        if self._raw is not None:
            return self._raw(item)
        try:
            read = orjson.loads(item)
        except orjson.JSONDecodeError:
            raise MaskingError("an item is not JSON: it is refused") from None
        masked = self(read)
        return item if masked is read else orjson.dumps(masked)

    def explain(self, item: Item) -> tuple[Item, list[Touch]]:
        """The masked item, and what touched each of its leaves. Raises MaskingError as masking does."""
        ruled = self._ruled or RuledWalk(self._scan, (), _nothing_ruled(), None, "scan")
        try:
            return ruled.explain(item)
        except _ODD as error:
            raise _odd(error) from None


_ODD = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What an item of an unheard-of shape may raise: it is one item that cannot be masked, and no reason to end a run."""


def _odd(error: Exception) -> MaskingError:
    return MaskingError(f"the item cannot be masked ({type(error).__name__}): it is refused")


def compile_pseudonyms(plan: MaskingPlan, key: MaskKey, old_keys: Iterable[MaskKey] = ()) -> EmailPseudonyms:
    """The pseudonyms that `plan` describes; those that `old_keys` made are recognised."""
    return EmailPseudonyms(key, plan.environment, plan.sink, plan.keep_domains, plan.keep_addresses, old_keys)


def compile_masker(plan: MaskingPlan, key: MaskKey, shape: TableShape, old_keys: Iterable[MaskKey] = ()) -> ItemMasker:
    """The masking of one table. Raises ConfigError, with its place, for a rule that cannot stand on this table."""
    pseudonyms = compile_pseudonyms(plan, key, old_keys)
    policy = _policy_of(plan.policy, shape.name)
    known = _known(plan, shape.name)
    if policy is None and known is None:
        return ItemMasker(pseudonyms)
    draws = lru_cache(maxsize=None)(partial(Draw, key, plan.environment))
    compiler = _Compiler(pseudonyms, draws, shape)
    entities = [compiler.entity(entity, policy.fields) for entity in policy.entities] if policy else []
    refuses = policy is not None and policy.unmatched == "fail"
    others = None if refuses else compiler.entity(Entity("others"), policy.fields if policy else ())
    scan = AddressWalk(NestedMasker(pseudonyms.replace, pseudonyms.is_kept))
    keys = tuple(dict.fromkeys((*shape.key_names, *shape.index_key_names)))
    return ItemMasker(pseudonyms, RuledWalk(scan, entities, others, known, plan.unknown, keys), scan)


def fingerprint(plan: MaskingPlan, key: MaskKey, old_keys: Iterable[MaskKey] = ()) -> str:
    """16 hex digits that change if anything that decides a masked value changes; a resumed run must show the same.

    The lock is not in it: it decides which items are refused, and a run that refused some may go on with a better one.
    """
    specs = specs_of(plan.policy)
    parts: Mapping[str, Any] = {
        "algorithm": ALGORITHM,
        "key": key.check,
        "old_keys": sorted(old.check for old in old_keys),
        "environment": plan.environment,
        "sink": plan.sink,
        "keep": sorted(plan.keep_domains),
        "keep_addresses": sorted(plan.keep_addresses),
        "policy": repr(plan.policy.tables),
        "lists": strategies.list_versions(specs),
        "hooks": strategies.hook_versions(specs),
    }
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles the rules of one table."""

    pseudonyms: EmailPseudonyms
    draws: Draws
    shape: TableShape

    def entity(self, entity: Entity, table_fields: Sequence[FieldRule]) -> CompiledEntity:
        rules = [self._rule(rule) for rule in (*entity.fields, *table_fields)]
        start = selectors.start(rules)
        if start.names is not None:
            raise ConfigError(
                f"{start.names.place}: {start.names.text} would rename the attributes of every item of table "
                f"{self.shape.name}, its keys too: name the map whose names are data, for example byEmail.{{key}}"
            )
        keys = {rule.attribute: tuple(map(self._template, rule.templates)) for rule in entity.keys}
        for name in dict.fromkeys((*self.shape.key_names, *self.shape.index_key_names)):
            rule = start.name(name).rule
            if rule is not None and name not in keys:
                self._check_key(name, rule.strategy, rule.name, rule.place)
        when = tuple((name, pattern_of(shell)) for name, shell in entity.when)
        return CompiledEntity(entity.name, when, keys, start)

    def _rule(self, rule: FieldRule) -> Rule:
        merges = rule.strategy.options.get("on_merge") == "merge"
        strategy = self._strategy(rule.strategy)
        return Rule(rule.text, rule.path, strategy, rule.strategy.name, rule.place, merges)

    def _template(self, template: KeyTemplate) -> Template:
        literals = [""]
        made: list[Strategy] = []
        for part in template.parts:
            if isinstance(part, str):
                literals[-1] += part
            else:
                strategy = self._strategy(part)
                self._check_key(template.text, strategy, part.name, part.place)
                made.append(strategy)
                literals.append("")
        return Template(template.text, tuple(literals), tuple(made), template.place)

    def _strategy(self, spec: StrategySpec) -> Strategy:
        return strategies.make(spec, self.draws, self.pseudonyms)

    def _check_key(self, key: str, strategy: Strategy, name: str, place: str) -> None:
        if not strategy.injective:
            raise ConfigError(
                f"{place}: the strategy {name} may make two values one, so it cannot stand on the key {key} of table "
                f"{self.shape.name}: use email, hash or keep"
            )


def _policy_of(policy: Policy, table: str) -> TablePolicy | None:
    return next((found for found in policy.tables if pattern_of(found.table).fullmatch(table)), None)


def _known(plan: MaskingPlan, table: str) -> Known | None:
    """What the lock knows of the table; nothing of one that it does not name. None if there is no lock."""
    if plan.lock is None or plan.unknown == "keep":
        return None
    return next((known_places(locked) for locked in plan.lock.tables if locked.table == table), UNKNOWN)


def _nothing_ruled() -> CompiledEntity:
    return CompiledEntity("others", (), {}, selectors.NOWHERE)


def specs_of(policy: Policy) -> list[StrategySpec]:
    """Every strategy that the policy uses."""
    found: list[StrategySpec] = []
    for table in policy.tables:
        found += [rule.strategy for rule in table.fields]
        for entity in table.entities:
            found += [rule.strategy for rule in entity.fields]
            templates = [template for rule in entity.keys for template in rule.templates]
            found += [part for template in templates for part in template.parts if not isinstance(part, str)]
    return found
