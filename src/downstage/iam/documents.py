"""Statements, and the policies they are put into: each a whole document below AWS's limit for a managed policy.

White space does not count for AWS, so a document is measured without. A statement that is too large by itself is cut
along its resources, which allows the same; one that denies all *but* its resources cannot be cut, and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from downstage.errors import ConfigError

LIMIT = 6144
"""Characters that a managed policy may have."""

VERSION = "2012-10-17"

_NUMBER = 6
"""Room for the number of a piece."""

Condition = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Of `actions` and `not_actions`, of `resources` and `not_resources`, one is given; a trust
    statement has `principals` (kind → names) and no resource."""

    sid: str
    actions: Sequence[str] = ()
    resources: Sequence[str] = ()
    condition: Condition = field(default_factory=dict)
    effect: str = "Allow"
    not_actions: Sequence[str] = ()
    not_resources: Sequence[str] = ()
    principals: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        shown: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principals:
            shown["Principal"] = {kind: _one_or_list(names) for kind, names in self.principals.items()}
        for name, values in (
            ("Action", self.actions),
            ("NotAction", self.not_actions),
            ("Resource", self.resources),
            ("NotResource", self.not_resources),
        ):
            if values:
                shown[name] = _one_or_list(values)
        if self.condition:
            shown["Condition"] = {
                test: {name: value if isinstance(value, str) else _one_or_list(value) for name, value in keys.items()}
                for test, keys in self.condition.items()
            }
        return shown


Policy = tuple[Statement, ...]
"""The statements of one document."""


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """The policy document."""
    return {"Version": VERSION, "Statement": [one.record for one in statements]}


def size(statements: Iterable[Statement]) -> int:
    """The characters of the document, as AWS counts them."""
    return len(json.dumps(document(statements), separators=(",", ":"), ensure_ascii=False))


def packed(statements: Iterable[Statement], limit: int = LIMIT) -> list[Policy]:
    """The statements, in their order, in as few documents as that takes. Raises ConfigError for one that fits none."""
    policies: list[list[Statement]] = []
    for statement in (piece for one in statements for piece in _pieces(one, limit)):
        if policies and size([*policies[-1], statement]) <= limit:
            policies[-1].append(statement)
        else:
            policies.append([statement])
    return [tuple(policy) for policy in policies]


def _pieces(statement: Statement, limit: int) -> Iterator[Statement]:
    """The statement, or what it is cut into, each with a number in its name."""
    if size([statement]) <= limit:
        yield statement
        return
    for number, piece in enumerate(_halves(statement, limit - _NUMBER), 1):
        yield replace(piece, sid=f"{statement.sid}{number}")


def _halves(statement: Statement, limit: int) -> Iterator[Statement]:
    if size([statement]) <= limit:
        yield statement
        return
    middle = len(statement.resources) // 2
    if not middle:
        raise ConfigError(
            f"the statement {statement.sid} is larger than AWS takes ({LIMIT:,} characters): name fewer things in one "
            "environment, or write them as a pattern"
        )
    yield from _halves(replace(statement, resources=statement.resources[:middle]), limit)
    yield from _halves(replace(statement, resources=statement.resources[middle:]), limit)


def _one_or_list(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
