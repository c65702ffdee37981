"""How much of a table the policy covers: for each path what became of its leaves, and what was never met.

Run over a sample or a whole table of production, with the masking that a refresh uses. No value is kept or shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from downstage.app.preview import SourceTables
from downstage.app.setting import Setting
from downstage.app.showing import naming
from downstage.domain.paths import ANY_NAME, Name, Step, Steps, show
from downstage.errors import MaskingError
from downstage.masking.compile import Touch
from downstage.masking.naming import Names
from downstage.ports import Item

MOST_PATHS = 5000
MORE_PATHS = "(more)"
GROUPS: Mapping[str, str] = {
    "rule": "ruled",
    "key": "ruled",
    "scan": "scanned",
    "keep": "kept",
    "unknown": "unknown",
}


@dataclass(slots=True)
class PathCoverage:
    """What became of the leaves at one path."""

    types: set[str] = field(default_factory=set)
    by: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    addresses: int = 0


@dataclass(slots=True)
class TableCoverage:
    """What became of the leaves of one table's items. `unseen_rules` (text, place) and `unseen_paths` were never met;
    `refused` counts items by the reason, which holds no data."""

    table: str
    items: int = 0
    paths: dict[str, PathCoverage] = field(default_factory=dict)
    unseen_rules: list[tuple[str, str]] = field(default_factory=list)
    unseen_paths: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, touches: Sequence[Touch]) -> None:
        """Counts one item's leaves."""
        for touch in touches:
            path = touch.path if touch.path in self.paths or len(self.paths) < MOST_PATHS else MORE_PATHS
            leaf = self.paths.setdefault(path, PathCoverage())
            leaf.types.add(touch.kind)
            leaf.by[GROUPS[touch.by]] += 1
            leaf.changed += touch.changed
            leaf.addresses += touch.addresses

    def totals(self) -> Counter[str]:
        """Leaves by group."""
        total: Counter[str] = Counter(dict.fromkeys(("ruled", "scanned", "kept", "unknown"), 0))
        for leaf in self.paths.values():
            total.update(leaf.by)
        return total


def coverage(
    source: SourceTables, setting: Setting, table: str, count: int | None, rate: float | None
) -> TableCoverage:
    """What the masking would do with a sample of the table (None: with all of it), path by path."""
    masker = setting.masker(source.shape(table))
    found = TableCoverage(table)
    met: set[tuple[str, str]] = set()

    def look(item: Item) -> None:
        found.items += 1
        try:
            _, touches = masker.explain(item)
        except MaskingError as error:
            found.refused[str(error)] += 1
            return
        found.add(touches)
        met.update((touch.rule, touch.place) for touch in touches if touch.rule)

    source.visit(table, look, count, rate)
    found.unseen_rules = [rule for rule in _rules(setting, table) if rule not in met]
    found.unseen_paths = _unseen(setting, table, found.paths)
    return found


def _rules(setting: Setting, table: str) -> list[tuple[str, str]]:
    """(text, place) of every rule and template that concerns the table."""
    policy = setting.rules(table)
    if policy is None:
        return []
    rules = [(rule.text, rule.place) for rule in policy.fields]
    for entity in policy.entities:
        rules += [(rule.text, rule.place) for rule in entity.fields]
        rules += [(template.text, template.place) for key in entity.keys for template in key.templates]
    return list(dict.fromkeys(rules))


def _unseen(setting: Setting, table: str, met: Collection[str]) -> list[str]:
    """The paths of the lock that hold a leaf and were not met, as the walk writes them; where the entities differ in
    what they call data, with the fewest names."""
    lock = setting.plan.lock
    locked = next((found for found in lock.tables if found.table == table), None) if lock is not None else None
    if locked is None:
        return []
    tops = naming(setting, table).all()
    unseen: list[str] = []
    for steps, types in locked.paths:
        ways = [_as_shown(steps, top) for top in tops]
        if not set(types) <= {"M", "L"} and not any(show(way) in met for way in ways):
            unseen.append(show(max(ways, key=lambda way: way.count(ANY_NAME))))
    return list(dict.fromkeys(unseen))


def _as_shown(steps: Steps, names: Names) -> Steps:
    """A path of the lock as the walk writes it."""
    shown: list[Step] = []
    for step in steps:
        if isinstance(step, Name) or step == ANY_NAME:
            name = step.name if isinstance(step, Name) else ""
            shown.append(ANY_NAME if names.hides(name) else step)
            names = names.entry(name)
        else:
            shown.append(step)
            names = names.element()
    return tuple(shown)
