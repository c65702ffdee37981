"""The single values of deployers and schedules: what a project, a branch, a parameter, an hour may look like."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from downstage.config.values import Text, Whole
from downstage.domain.schedule import MONTHS, WEEKDAYS


def _slug(value: str) -> str:
    if re.fullmatch(r"[a-z]+(/[A-Za-z0-9_.-]+){2}", value) is None:
        raise ValueError("must be a project such as github/acme/app: host, organisation, name")
    return value


def _parameter(value: Any) -> Any:
    if isinstance(value, bool | str) or type(value) is int:
        return value
    raise ValueError("must be text, a whole number, true or false")


def _branch(value: str) -> str:
    if re.fullmatch(r"[^\s\x00-\x1f\x7f~^:?*\[\\'\"<>{}]+", value) is None:
        raise ValueError("must be the name of a branch")
    return value


def _name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-][A-Za-z0-9 _.-]{0,63}", value) is None:
        raise ValueError("must be 1 to 64 letters, digits, blanks and _ . -")
    return value


def _several(value: Any) -> Any:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _named(known: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value.upper() not in known:
            raise ValueError(f"must be one of {', '.join(name.lower() for name in known)}")
        return value.upper()

    return BeforeValidator(check)


def _words(known: tuple[str, ...]) -> dict[str, Any]:
    return {"enum": [*(name.lower() for name in known), *known]}


def _once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(value)) != len(value):
        raise ValueError("names something twice")
    return value


def _some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


def _one_or_more(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "uniqueItems": True}]})


Project = Annotated[str, Field(json_schema_extra={"pattern": r"^[a-z]+(/[A-Za-z0-9_.-]+){2}$"}), AfterValidator(_slug)]
"""A project: `github/acme/app`."""

Branch = Annotated[str, Field(min_length=1), AfterValidator(_branch)]
"""A branch: as git has them, and without what YAML or a shell would read otherwise."""

Name = Annotated[
    str, Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.-][A-Za-z0-9 _.-]{0,63}$"}), AfterValidator(_name)
]
"""The name of a schedule, a workflow or a job."""

Parameter = Annotated[
    Any,
    BeforeValidator(_parameter),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}),
]
"""A pipeline parameter: text, a whole number, true or false."""

Parameters = dict[Text, Parameter]

Hours = Annotated[
    tuple[Annotated[Whole, Field(ge=0, le=23)], ...],
    Field(strict=False),
    BeforeValidator(_several),
    AfterValidator(_once),
    AfterValidator(_some),
    _one_or_more({"type": "integer", "minimum": 0, "maximum": 23}),
]
Days = Annotated[
    tuple[Annotated[Whole, Field(ge=1, le=31)], ...],
    Field(strict=False),
    BeforeValidator(_several),
    AfterValidator(_once),
    _one_or_more({"type": "integer", "minimum": 1, "maximum": 31}),
]
Weekdays = Annotated[
    tuple[Annotated[str, _named(WEEKDAYS)], ...],
    Field(strict=False),
    BeforeValidator(_several),
    AfterValidator(_once),
    _one_or_more(_words(WEEKDAYS)),
]
Months = Annotated[
    tuple[Annotated[str, _named(MONTHS)], ...],
    Field(strict=False),
    BeforeValidator(_several),
    AfterValidator(_once),
    _one_or_more(_words(MONTHS)),
]
