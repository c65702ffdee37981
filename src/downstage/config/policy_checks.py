"""The checks of the policy that need several of its values at once: rules that could never take effect, above all.

A rule that is silently shadowed is worse than a missing one: the reader believes in it. Each check yields a problem
at the place that is to be changed, and names the other one.
"""

from __future__ import annotations

from collections.abc import Iterator

from downstage.config.checks import Problem
from downstage.config.document import KeyPath
from downstage.config.policy_schema import EntityRules, Fields, PolicyFile, TableRules
from downstage.config.policy_words import show_name
from downstage.domain import paths
from downstage.domain.patterns import covers


def policy_problems(file: PolicyFile) -> Iterator[Problem]:
    """Every problem between values of a policy whose single values are good."""
    yield from _circles(file)
    earlier: list[str] = []
    for table, rules in file.tables.items():
        here: KeyPath = ("tables", table)
        hiding = next((pattern for pattern in earlier if covers(pattern, table)), None)
        if hiding is not None:
            yield (
                here,
                f"is never taken: {show_name(hiding)} before it matches every such table; move this one up",
            )
        earlier.append(table)
        yield from _table(rules, here)


def _circles(file: PolicyFile) -> Iterator[Problem]:
    reported: set[str] = set()
    for name in file.strategies:
        chain = [name]
        while isinstance(following := file.strategies[chain[-1]], str):
            if following in chain:
                circle = [*chain[chain.index(following) :], following]
                if following == name and not reported & set(circle):
                    reported |= set(circle)
                    yield ("strategies", name), f"goes round in a circle: {' -> '.join(circle)}; name a strategy"
                break
            chain.append(following)


def _table(table: TableRules, here: KeyPath) -> Iterator[Problem]:
    if table.unmatched == "fail" and not table.entities:
        yield here, "has 'unmatched: fail' and no entities: every item would be refused; name its entities"
    yield from _one_rule_a_path(table.fields, (*here, "fields"))
    earlier: dict[str, EntityRules] = {}
    for name, entity in table.entities.items():
        at: KeyPath = (*here, "entities", name)
        hiding = next((other for other, rules in earlier.items() if _takes_all(rules, entity)), None)
        if hiding is not None:
            why = "has no 'when', so it" if not earlier[hiding].when else "before it"
            yield at, f"is never taken: {show_name(hiding)} {why} matches every such item; move this one up"
        earlier[name] = entity
        yield from _one_rule_a_path(entity.fields, (*at, "fields"))
        for path in entity.fields:
            attribute = _attribute(path)
            if attribute in entity.keys:
                yield (
                    (*at, "fields", path),
                    f"is about {show_name(attribute)}, which has a template in 'keys'; keep one of the two",
                )
        for attribute in entity.keys:
            if any(_attribute(path) == attribute for path in table.fields):
                yield (
                    (*at, "keys", attribute),
                    "has a rule in the table's 'fields' already; keep one of the two",
                )


def _takes_all(first: EntityRules, later: EntityRules) -> bool:
    """Whether `first` matches every item that `later` matches."""
    return all(
        attribute in later.when and covers(pattern, later.when[attribute]) for attribute, pattern in first.when.items()
    )


def _one_rule_a_path(fields: Fields, here: KeyPath) -> Iterator[Problem]:
    seen: dict[paths.Steps, str] = {}
    for path in fields:
        first = seen.setdefault(paths.parse(path), path)
        if first != path:
            yield (*here, path), f"is the same path as {show_name(first)} above, written otherwise; keep one of them"


def _attribute(path: str) -> str | None:
    first = paths.parse(path)[0]
    return first.name if isinstance(first, paths.Name) else None
