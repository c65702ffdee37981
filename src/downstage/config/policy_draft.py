"""A first policy as text, from what was found in the tables: a draft for a person to read, correct and commit.

The text is one that `load_policy` accepts: entities and tables stand in an order in which none hides another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from downstage.config.yaml_text import entry, remark, scalar

_HEADER = """\
# The masking policy. E-mail addresses are replaced everywhere without it; what stands here is replaced as well.
# Strategies and paths: docs/masking-policy.md. A draft: read every line, and correct it.
version: 1
"""
_DOUBT = "  # "


@dataclass(frozen=True, slots=True)
class DraftRule:
    """One rule: a path as it is written, a strategy as YAML (`phone`, `{date_shift: {days: 30}}`), why it is there.

    `comment` says what the guess rests on and holds no value of the data. A rule of `doubt` is written commented out.
    """

    path: str
    strategy: str
    comment: str = ""
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class DraftEntity:
    """The rules of one kind of item. Without a name they are rules for every item of the table."""

    table: str
    name: str
    when: tuple[tuple[str, str], ...] = ()
    rules: tuple[DraftRule, ...] = ()


def draft_policy(entities: Iterable[DraftEntity]) -> str:
    """The draft. Raises ValueError if an entity, or a path in one, is there twice."""
    by_table: dict[str, dict[str, DraftEntity]] = {}
    for entity in entities:
        if entity.name in by_table.setdefault(entity.table, {}):
            raise ValueError("an entity is drafted twice")
        by_table[entity.table][entity.name] = entity
    lines = [_HEADER, "tables:\n" if by_table else "tables: {}\n"]
    for table in sorted(by_table, key=lambda pattern: (-_exactness(pattern), pattern)):
        named = dict(by_table[table])
        shared = named.pop("", None)
        body = [] if shared is None else _fields(4, shared.rules)
        if named:
            body.append("    entities:\n")
            for entity in sorted(named.values(), key=_order):
                body += _entity(entity)
        lines += [entry(2, table, _unless_said(body)), *body]
    return "".join(lines)


def _order(entity: DraftEntity) -> tuple[int, int, str]:
    """The more an entity asks for, the further up: what stands above then never takes all that it matches."""
    return -len(entity.when), -sum(_exactness(pattern) for _, pattern in entity.when), entity.name


def _exactness(pattern: str) -> int:
    return len(pattern) - 2 * pattern.count("*")


def _entity(entity: DraftEntity) -> list[str]:
    conditions = ", ".join(f"{scalar(name)}: {_quoted(pattern)}" for name, pattern in entity.when)
    body = [f"        when: {{{conditions}}}\n"] * bool(conditions) + _fields(8, entity.rules)
    return [entry(6, entity.name, _unless_said(body)), *body]


def _fields(indent: int, rules: Sequence[DraftRule]) -> list[str]:
    if len({rule.path for rule in rules}) != len(rules):
        raise ValueError("a path is drafted twice")
    margin = " " * indent
    sure = [entry(indent + 2, rule.path, rule.strategy, rule.comment) for rule in rules if not rule.doubt]
    doubtful = [
        f"{margin}{_DOUBT}{scalar(rule.path)}: {rule.strategy}{remark(rule.comment)}\n" for rule in rules if rule.doubt
    ]
    return [f"{margin}{'' if sure else '# '}fields:\n", *sure, *doubtful] if rules else []


def _unless_said(body: Sequence[str]) -> str:
    """What stands behind a key: nothing if something follows below that is no comment, else an empty mapping."""
    return "" if any(not line.lstrip().startswith("#") for line in body) else "{}"


def _quoted(text: str) -> str:
    shown = scalar(text)
    return shown if shown.startswith('"') else f'"{shown}"'
