"""What `downstage.yaml` may say of stream consumers and of the search domain that they fill."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from downstage.config.model import Model, Texts
from downstage.config.values import Duration, Expression, IdTemplate, Region, Text, Truth

_FUNCTION = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"


def _function(value: str) -> str:
    if re.fullmatch(_FUNCTION, value) is None:
        raise ValueError("must be written module:function")
    return value


class Streams(Model):
    """The consumers that are held off while the tables load."""

    functions: Texts = Field(
        default=(),
        description="Names or shell patterns of the Lambda functions that read the target tables' streams.",
    )
    regions: Annotated[tuple[Region, ...], Field(strict=False)] = Field(
        default=(), description="The regions in which to look for them. Default: the target's region."
    )
    others: Literal["fail", "warn", "off"] = Field(
        default="fail",
        description="What becomes of a run if a function that is not named here is on one of those streams, and so "
        "would see data that is not proven yet: fail stops it before anything is copied, warn says so and goes on, "
        "off does not look.",
    )


class Backfill(Model):
    """How documents are made straight from the target's tables, where the streams have lost records: exactly one of
    call and attributes."""

    call: Annotated[str, Field(json_schema_extra={"pattern": f"^{_FUNCTION}$"}), AfterValidator(_function)] | None = (
        Field(
            default=None,
            description="Your function, module:function. It is called with an item in typed JSON and returns "
            "(index, id, document), a list of such, or None. The module must be installed, or stand on PYTHONPATH.",
        )
    )
    attributes: Texts = Field(
        default=(),
        description="Without a function: the attributes of an item that its document holds, or ['*'] for all. The "
        "index is that of 'expect', the id is made by 'id'.",
    )
    automatic: Truth = Field(
        default=True,
        description="Whether a refresh does so by itself when the streams cannot have kept every record. false: only "
        "'downstage index backfill' does.",
    )

    @model_validator(mode="after")
    def _one(self) -> Backfill:
        if (self.call is None) == (not self.attributes):
            raise ValueError("must hold exactly one of call and attributes, for example 'attributes: [pk, sk]'")
        return self


class Search(Model):
    """The search domain that fills from the tables' streams."""

    source: Text | None = Field(
        default=None,
        alias="from",
        description="The source's search domain: settings and mappings come from it.",
    )
    domain: Text = Field(description="The target's search domain.")
    id: IdTemplate = Field(
        default="{pk}_{sk}",
        description="How a document's id is made from the item's attributes, for example {pk}_{sk}.",
    )
    patience: Duration = Field(
        default=900.0,
        description="How long to wait without progress, for example 90s, 15m or 2h.",
        json_schema_extra={"default": "15m"},
    )
    expect: dict[Text, Expression] = Field(
        default={},
        description="For each index the JMESPath condition, over the typed item, under which an item must have "
        "a document there, for example {efcms-case: \"entityName.S == 'Case'\"}.",
    )
    backfill: Backfill | None = Field(
        default=None,
        description="How documents are made from the tables themselves, where the streams have lost records.",
    )
