"""`discover`: what stands in production, as a lock of paths and types and as a draft of a policy; no values in either.

The lock grows: what it knew it knows afterwards too, unless it is made afresh. The draft is a file of its own and is
written anew each time; the policy is never touched. Production is only read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from downstage.app.preview import SourceTables
from downstage.app.runs import Project
from downstage.config import document
from downstage.config.layers import interpolation
from downstage.config.lock import write_lock
from downstage.config.masking_files import lock_of
from downstage.config.policy_draft import DraftEntity, DraftRule, draft_policy
from downstage.domain.paths import Name, Steps, show
from downstage.domain.policy import LockedTable, SchemaLock, StrategySpec
from downstage.errors import ConfigError
from downstage.masking.compile import TableShape
from downstage.masking.observation import Leaf, Shapes, TableObservation, merged
from downstage.masking.personal import EMAIL, IN_TEXT, Suggestion, suggest
from downstage.masking.prefixes import Kind

DRAFT_NAME = "masking.draft.yaml"

PathTypes = tuple[str, tuple[str, ...]]
"""A path as it is written, and types."""


@dataclass(frozen=True, slots=True)
class EntityFound:
    """One kind of item and what looks personal in it; `kind` is None for items of no certain kind."""

    kind: Kind | None
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class TableFound:
    """What was seen of one table. `complete` is False if there were more paths than are told apart.

    `added` is new to the lock; `unmet` the lock knew and this look did not meet; `dropped` is no longer written out in
    it: forgotten if it was made afresh, else part of a `*` now.
    """

    table: str
    items: int
    complete: bool
    lock: LockedTable
    added: tuple[PathTypes, ...]
    unmet: tuple[PathTypes, ...]
    dropped: tuple[PathTypes, ...]
    addresses: int
    entities: tuple[EntityFound, ...]

    @property
    def suggestions(self) -> int:
        """How many rules are proposed."""
        return sum(len(entity.suggestions) for entity in self.entities)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The whole of it, and the files that were written."""

    tables: tuple[TableFound, ...]
    lock_path: Path
    draft_path: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """Where `discover` stands: the project, where the lock is or will be, and where the policy is, if one is named."""

    project: Project
    lock_path: Path
    policy_path: Path | None


def ground(path: Path) -> Ground:
    """The configuration, read although the policy or the lock that it names may not be there yet: they are what
    `discover` is for. Raises ConfigError."""
    base = path.absolute().parent
    stanza = document.parse(document.read_text(path), str(path), interpolation(os.environ)).values.get("masking")
    named = {name: stanza.get(name) for name in ("policy", "lock")} if isinstance(stanza, dict) else {}
    absent = {
        name: to for name, to in named.items() if isinstance(to, str) and not (base / Path(to).expanduser()).exists()
    }
    project = Project.open(path, dict.fromkeys((f"masking.{name}" for name in absent), None))
    masking = project.config.config.masking.model_copy(update=absent)
    policy = base / Path(masking.policy).expanduser() if masking.policy is not None else None
    return Ground(project, lock_of(masking, base), policy)


def discover(
    source: SourceTables,
    tables: Sequence[str],
    shapes_of: Shapes,
    *,
    count: int | None,
    rate: float | None,
    fresh: bool,
) -> Iterator[TableFound]:
    """Looks at `count` items of each table (None: all) and yields what was found, table by table. Writes nothing.

    `fresh` leaves out what the lock knew of these tables before.
    """
    lock = source.plan.masking.lock or SchemaLock()
    for table in tables:
        shape = source.shape(table)
        seen = TableObservation(table, shape.key_names, shapes_of)
        source.visit(table, seen.add, count, rate)
        old = next((locked for locked in lock.tables if locked.table == table), LockedTable(table, ()))
        yield table_found(seen, shape, old, fresh=fresh)


def table_found(seen: TableObservation, shape: TableShape, old: LockedTable, *, fresh: bool) -> TableFound:
    """What an observation says, compared with what the lock knew."""
    new = seen.lock()
    lock = new if fresh else merged(old, new)
    leaves = list(seen.leaves())
    addresses = {leaf.path for leaf in leaves if leaf.shapes.get(EMAIL) or leaf.shapes.get(EMAIL + IN_TEXT)}
    dropped = _beyond(old, lock)
    return TableFound(
        table=seen.table,
        items=seen.items,
        complete=seen.complete,
        lock=lock,
        added=_beyond(lock, old),
        unmet=() if fresh else tuple(path for path in _beyond(old, new) if path not in dropped),
        dropped=dropped,
        addresses=len(addresses),
        entities=tuple(_entities(leaves, seen.prefixes.kinds(), shape)),
    )


def _beyond(one: LockedTable, other: LockedTable) -> tuple[PathTypes, ...]:
    """The paths and types of `one` that `other` does not have."""
    known = dict(other.paths)
    left = ((steps, tuple(sorted(set(types) - set(known.get(steps, ()))))) for steps, types in one.paths)
    return tuple((show(steps), types) for steps, types in left if types)


def _entities(leaves: Sequence[Leaf], kinds: Mapping[int, Kind], shape: TableShape) -> Iterator[EntityFound]:
    """What looks personal, kind by kind; what does in items of no certain kind holds for the whole table."""
    gathered: dict[tuple[int, Steps], _Gathered] = {}
    for leaf in leaves:
        group = leaf.group if leaf.group in kinds else 0
        gathered.setdefault((group, leaf.path), _Gathered()).add(leaf)
    found: dict[int, list[Suggestion]] = {}
    for (group, _), leaf_counts in gathered.items():
        suggestion = suggest(leaf_counts.leaf())
        if suggestion is not None:
            found.setdefault(group, []).append(_for_key(suggestion, shape))
    everywhere = {(suggestion.path, strategy_text(suggestion.strategy)) for suggestion in found.get(0, ())}
    if found.get(0):
        yield EntityFound(None, tuple(found[0]))
    for group, kind in sorted(kinds.items(), key=lambda pair: pair[1].name):
        own = (
            suggestion
            for suggestion in found.get(group, ())
            if (suggestion.path, strategy_text(suggestion.strategy)) not in everywhere
        )
        yield EntityFound(kind, tuple(own))


@dataclass(slots=True)
class _Gathered:
    """The leaves of one path in several groups, as one."""

    last: Leaf | None = None
    values: int = 0
    shapes: Counter[str] = field(default_factory=Counter)

    def add(self, leaf: Leaf) -> None:
        self.last = leaf
        self.values += leaf.values
        self.shapes.update(leaf.shapes)

    def leaf(self) -> Leaf:
        assert self.last is not None
        return Leaf(self.last.path, self.last.types, 0, self.values, self.shapes)


def _for_key(suggestion: Suggestion, shape: TableShape) -> Suggestion:
    """A suggestion for a key attribute is only a hint: what stands on keys must keep them apart."""
    (first, *rest) = suggestion.path
    if rest or not isinstance(first, Name) or first.name not in (*shape.key_names, *shape.index_key_names):
        return suggestion
    reason = f"a key: {suggestion.reason}; or a template under 'keys'"
    return Suggestion(suggestion.path, StrategySpec("hash"), reason, suggestion.values, doubt=True)


# ---- the files


def write_discovery(
    source: SourceTables, found: Sequence[TableFound], lock_path: Path, policy: Path | None
) -> Discovery:
    """Writes the lock and the draft. Raises ConfigError if one cannot be written, or the draft is the policy itself."""
    draft_path = lock_path.parent / DRAFT_NAME
    if policy is not None and policy.resolve() == draft_path.resolve():
        raise ConfigError(f"{draft_path} is the policy itself: give the policy another name, a draft is written there")
    looked_at = {table.table for table in found}
    before = source.plan.masking.lock or SchemaLock()
    others = tuple(locked for locked in before.tables if locked.table not in looked_at)
    write_lock(lock_path, SchemaLock((*others, *(table.lock for table in found))))
    draft = draft_policy(entity for table in found for entity in _draft(table))
    unfinished = draft_path.with_name(f".{draft_path.name}.new")
    try:
        unfinished.write_text(draft, encoding="utf-8")
        os.replace(unfinished, draft_path)
    except OSError as error:
        raise ConfigError(f"{draft_path}: cannot be written: {error.strerror or 'not a usable path'}") from None
    return Discovery(tuple(found), lock_path, draft_path)


def _draft(found: TableFound) -> Iterator[DraftEntity]:
    for entity in found.entities:
        rules = tuple(
            DraftRule(show(rule.path), strategy_text(rule.strategy), rule.reason, rule.doubt)
            for rule in entity.suggestions
        )
        if entity.kind is None:
            yield DraftEntity(found.table, "", rules=rules)
        elif rules:
            yield DraftEntity(found.table, entity.kind.name, entity.kind.when, rules)


def strategy_text(spec: StrategySpec) -> str:
    """A strategy as the policy file has it."""
    if not spec.options:
        return spec.name
    if spec.name == "text":
        return f"{{text: [{', '.join(spec.options['kinds'])}]}}"
    options = ", ".join(f"{name}: {value}" for name, value in spec.options.items())
    return f"{{{spec.name}: {{{options}}}}}"
