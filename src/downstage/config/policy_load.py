"""Reads `masking.yaml`: the file as it is written becomes `domain.policy.Policy`, with the place of every rule.

Names of one's own are resolved here. What a message may show are names of keys, strategies and paths, never another
value.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from downstage.config import document
from downstage.config.checks import Problem, keep_problems
from downstage.config.document import FileKind, KeyPath
from downstage.config.policy_checks import policy_problems
from downstage.config.policy_schema import EntityRules, Fields, PolicyFile, TableRules, json_schema
from downstage.config.policy_strategies import StrategyForm
from downstage.config.policy_templates import parse_template
from downstage.config.policy_words import show_policy_path
from downstage.config.problems import Whereabouts, as_error, from_validation
from downstage.config.schema import Keep
from downstage.domain import paths
from downstage.domain.policy import Entity, FieldRule, KeyRule, KeyTemplate, Policy, StrategySpec, TablePolicy

POLICY = FileKind(
    what="masking policy",
    absent="'downstage discover' writes a draft",
    empty="start with 'version: 1'; 'downstage discover' writes a draft",
    null_is_a_word=True,
)


def load_policy(
    path: Path, *, name: str | None = None, sinks: Collection[str] = (), kept_elsewhere: bool = False
) -> tuple[Policy, Keep]:
    """The policy of the file, and the keep lists in it as they are written.

    `name` stands in messages and places instead of `path`. `sinks` are the domains of pseudonyms, which no keep list
    may hold; `kept_elsewhere` says that the configuration has keep lists, so that the policy may have none.
    Raises `ConfigError`, one line a problem, in the order of the file.
    """
    name = str(path) if name is None else name
    return parse_policy(document.read_text(path, POLICY), name, sinks=sinks, kept_elsewhere=kept_elsewhere)


def parse_policy(
    text: str, name: str, *, sinks: Collection[str] = (), kept_elsewhere: bool = False
) -> tuple[Policy, Keep]:
    """`load_policy` for a text that is already there."""
    read = document.parse(text, name, kind=POLICY)
    whereabouts = Whereabouts(name, read.places, {}, json_schema(), "the policy", show_policy_path)
    own = read.values.get("strategies")
    try:
        file = PolicyFile.model_validate(read.values, context={"own": frozenset(own) if isinstance(own, dict) else ()})
    except ValidationError as error:
        raise as_error(_as_written(from_validation(error, whereabouts), read.places), whereabouts) from None
    problems: list[Problem] = [*keep_problems(file.keep, ("keep",), sinks), *policy_problems(file)]
    if kept_elsewhere and not file.keep.is_empty:
        problems.append((("keep",), "stands here, and 'masking.keep' in the configuration; move all to one place"))
    if problems:
        raise as_error(problems, whereabouts)
    return _Reading(file, whereabouts).policy(), file.keep


def _as_written(problems: Iterable[Problem], places: Container[KeyPath]) -> Iterator[Problem]:
    """The problems at what stands in the file: a shorthand, or a single template, has nothing below it."""
    for path, text in problems:
        while path and path not in places:
            path = path[:-1]
        yield path, text


class _Reading:
    """Makes the domain's types from the models. The file has passed every check."""

    def __init__(self, file: PolicyFile, place: Whereabouts) -> None:
        self._file = file
        self._place = place

    def policy(self) -> Policy:
        tables = tuple(self._table(table, rules) for table, rules in self._file.tables.items())
        return Policy(tables, self._file.unknown)

    def _table(self, table: str, rules: TableRules) -> TablePolicy:
        here: KeyPath = ("tables", table)
        return TablePolicy(
            table,
            tuple(self._entity(name, entity, (*here, "entities", name)) for name, entity in rules.entities.items()),
            self._fields(rules.fields, (*here, "fields")),
            rules.unmatched,
            self._place(here),
        )

    def _entity(self, name: str, rules: EntityRules, here: KeyPath) -> Entity:
        keys = tuple(
            KeyRule(attribute, tuple(self._templates(texts, (*here, "keys", attribute))))
            for attribute, texts in rules.keys.items()
        )
        fields = self._fields(rules.fields, (*here, "fields"))
        return Entity(name, tuple(rules.when.items()), keys, fields, self._place(here))

    def _fields(self, fields: Fields, here: KeyPath) -> tuple[FieldRule, ...]:
        return tuple(
            FieldRule(text, paths.parse(text), self._spec(strategy, (*here, text)), self._place((*here, text)))
            for text, strategy in fields.items()
        )

    def _templates(self, texts: tuple[str, ...], here: KeyPath) -> list[KeyTemplate]:
        templates = []
        for index, text in enumerate(texts):
            at = (*here, index)
            parts = parse_template(text, self._file.strategies)
            filled = tuple(part if isinstance(part, str) else self._spec(part.strategy, at) for part in parts)
            templates.append(KeyTemplate(text, filled, self._place(at)))
        return templates

    def _spec(self, strategy: StrategyForm | str, at: KeyPath) -> StrategySpec:
        while isinstance(strategy, str) and strategy in self._file.strategies:
            strategy = self._file.strategies[strategy]
        if isinstance(strategy, str):
            return StrategySpec(strategy, {}, self._place(at))
        name, options = strategy.given
        return StrategySpec(name, options, self._place(at))
