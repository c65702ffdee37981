"""What `masking.yaml` may hold: models in the manner of `schema`, from which `policy.schema.json` is made.

`python -m downstage.config.policy_schema` writes it anew and a test compares it with the models. What concerns
several values at once is in `policy_checks`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from downstage.config.model import Model
from downstage.config.policy_strategies import BUILT_IN, OWN_NAME, Strategy
from downstage.config.policy_templates import parse_template
from downstage.config.schema import Keep
from downstage.config.values import Text
from downstage.domain import paths

_TABLE = r"[A-Za-z0-9_.*?-]{1,255}"
_ENTITY = r"[A-Za-z0-9_.-]{1,64}"


def _path(value: str) -> str:
    paths.parse(value)
    return value


def _own_name(value: str) -> str:
    if value in BUILT_IN:
        raise ValueError("is a strategy of Downstage already; choose another name")
    if re.fullmatch(OWN_NAME, value) is None:
        raise ValueError("must be a name that starts with a letter, of letters, digits, _ and -")
    return value


def _table(value: str) -> str:
    if re.fullmatch(_TABLE, value) is None:
        raise ValueError("must be the name of a source table, or a pattern with '*' and '?'")
    return value


def _entity(value: str) -> str:
    if re.fullmatch(_ENTITY, value) is None:
        raise ValueError("must be a name of letters, digits, '.', '_' and '-'")
    return value


def _templates(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must not be empty")
    return values


def _template(value: str, info: ValidationInfo) -> str:
    parse_template(value, (info.context or {}).get("own", ()))
    return value


FieldPath = Annotated[str, AfterValidator(_path)]
OwnName = Annotated[str, AfterValidator(_own_name)]
TablePattern = Annotated[str, AfterValidator(_table)]
EntityName = Annotated[str, AfterValidator(_entity)]
Template = Annotated[str, AfterValidator(_template)]
Fields = dict[FieldPath, Strategy]

_TEMPLATE_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1}
Templates = Annotated[
    Annotated[tuple[Template, ...], Field(strict=False)],
    BeforeValidator(_templates),
    AfterValidator(_not_empty),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _TEMPLATE_SCHEMA, "minItems": 1}, _TEMPLATE_SCHEMA]}),
]
"""One template, or a list of them."""


class EntityRules(Model):
    """One kind of item of a table."""

    when: dict[Text, Text] = Field(
        default={},
        description="Attributes and shell patterns ('*' any characters, '?' one); an item is of this kind if all "
        'match, for example {pk: "user|*"}. Without it, every item is.',
    )
    keys: dict[Text, Templates] = Field(
        default={},
        description="Attributes that hold composite keys, and their templates: literal text and strategies in "
        'braces, with a label if you like, for example {pk: "user|{email}#{id:keep}"}. Of a list the first that fits '
        "is taken; a key that fits none is refused.",
    )
    fields: Fields = Field(
        default={},
        description="Paths and the strategy for what stands there, for example {contact.phones[*]: phone}. A path "
        'holds names, * (any name), [*] (list elements), {key} (the names of a map), and ** (any depth); "a.b" is '
        "one name.",
    )


class TableRules(Model):
    """The rules of a source table, or of all that a pattern names."""

    unmatched: Literal["scan", "fail"] = Field(
        default="scan",
        description="An item that is of no entity. scan: addresses are replaced. fail: it is refused.",
    )
    fields: Fields = Field(
        default={}, description="Rules for every item of the table, whatever its entity; written as in an entity."
    )
    entities: dict[EntityName, EntityRules] = Field(
        default={}, description="The kinds of items. An item is of the first one that matches it."
    )


class PolicyFile(Model):
    """The masking policy: what is replaced beside e-mail addresses, which are replaced everywhere without it."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    keep: Keep = Field(
        default=Keep(),
        description="The only addresses that are not replaced. They may stand here or in downstage.yaml, not in both.",
    )
    unknown: Literal["fail", "scan", "keep"] | None = Field(
        default=None,
        description="A path or type that masking.lock does not know. fail: the item is refused. scan: e-mail addresses "
        "in it are replaced, and the report counts it. keep: it is accepted; e-mail addresses in it are replaced all "
        "the same. Default: fail if there is a lock, else scan.",
    )
    strategies: dict[OwnName, Strategy] = Field(
        default={},
        description="Names of your own for strategies with options, for example {birthday: {date_shift: {days: 30}}}.",
        json_schema_extra={"propertyNames": {"pattern": f"^{OWN_NAME}$", "not": {"enum": list(BUILT_IN)}}},
    )
    tables: dict[TablePattern, TableRules] = Field(
        default={},
        description="Source tables, by name or shell pattern. A table follows the first that matches it.",
        json_schema_extra={"propertyNames": {"pattern": f"^{_TABLE}$"}},
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, made from the models."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "masking.yaml"}


def schema_text() -> str:
    """The text of `policy.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("policy.schema.json").write_text(schema_text(), encoding="utf-8")
