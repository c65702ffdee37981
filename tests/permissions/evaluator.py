"""A small judge of policies: is this action on this resource allowed by these documents? A denial wins.

It knows what our policies are made of and refuses to judge what it does not know. A condition on a key that the request
does not carry does not hold, as in AWS (but for a `Null` test, which is none of ours).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_PIECE = re.compile(r"\$\{([$*?])\}|([*?])|([^*?$]+|\$)")


@dataclass(frozen=True)
class Request:
    """One call, as a policy sees it. `resource` is an ARN, or `*` for an action that knows none."""

    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def allowed(documents: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether a statement allows the request and none denies it."""
    hit = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if _applies(statement, request)
    }
    return hit == {"Allow"}


def actions_in(documents: Iterable[Mapping[str, Any]], effect: str = "Allow") -> set[str]:
    """Every action that is named by the statements of this effect."""
    return {
        action
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == effect
        for action in _listed(statement.get("Action", ()))
    }


def matches(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether a policy's pattern takes a text."""
    form = "".join(
        re.escape(plain or text) if plain or text else {"*": ".*", "?": "."}[wild]
        for plain, wild, text in _PIECE.findall(pattern)
    )
    return re.fullmatch(form, text, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _named(statement, "Action", request.action, fold=True)
        and _named(statement, "Resource", request.resource)
        and all(
            _holds(test, request.context.get(key), _listed(values))
            for test, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _named(statement: Mapping[str, Any], what: str, asked: str, *, fold: bool = False) -> bool:
    if f"Not{what}" in statement:
        return not any(matches(one, asked, fold=fold) for one in _listed(statement[f"Not{what}"]))
    return any(matches(one, asked, fold=fold) for one in _listed(statement[what]))


def _holds(test: str, carried: str | tuple[str, ...] | None, wanted: list[str]) -> bool:
    values = (carried,) if isinstance(carried, str) else carried or ()
    match test:
        case "StringEquals" | "ForAnyValue:StringEquals" | "Bool":
            return any(value in wanted for value in values)
        case "StringLike" | "ArnLike":
            return any(matches(one, value) for one in wanted for value in values)
        case _:
            raise AssertionError(f"the judge does not know the test {test}")


def _listed(values: Any) -> list[str]:
    return [values] if isinstance(values, str) else list(values)
