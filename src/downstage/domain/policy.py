"""The masking policy as data: what a privacy officer wrote in `masking.yaml`, checked, before it is compiled.

A policy only ever *adds* to the address scan: nothing in it but `keep` exempts an address. `place` is where a thing
stands in the file (`masking.yaml:12:7`), for messages; it decides nothing, so it is left out of comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from downstage.domain.paths import Steps

Unknown = Literal["fail", "scan", "keep"]
Unmatched = Literal["fail", "scan"]


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """What replaces a value: the name of a strategy and its options, already checked (plain data)."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Every value at `path` is replaced by `strategy`. `text` is the path as it is written."""

    text: str
    path: Steps
    strategy: StrategySpec
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A composite key such as `USER#{email}#{id:keep}`: literal texts and strategies for the parts between them."""

    text: str
    parts: tuple[str | StrategySpec, ...]
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The templates of one attribute that holds a composite key; the first that fits is taken."""

    attribute: str
    templates: tuple[KeyTemplate, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of item in a table. `when` maps key attributes to shell patterns; all must match (`*` any run of
    characters, `?` one); an entity without `when` is every item."""

    name: str
    when: tuple[tuple[str, str], ...] = ()
    keys: tuple[KeyRule, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TablePolicy:
    """The rules of the source tables that `table` (a name or shell pattern) names. The first entity that matches an
    item is its entity; `fields` hold for every item, after its entity's own. `unmatched` says what becomes of an item
    that no entity matches."""

    table: str
    entities: tuple[Entity, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    unmatched: Unmatched = "scan"
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy. `unknown` is None where the file says nothing: then `fail` with a lock, else `scan`."""

    tables: tuple[TablePolicy, ...] = ()
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class LockedTable:
    """What `discover` saw in one source table: (path, types) in the order of the paths."""

    table: str
    paths: tuple[tuple[Steps, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SchemaLock:
    """`masking.lock`: every path and type that was seen, and no values."""

    tables: tuple[LockedTable, ...] = ()
