"""The `tables` of a refresh, in what they may differ from production's, and how fast they are read and written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from downstage.config.exports import Export
from downstage.config.model import Model
from downstage.config.parity_values import Accepted, SourceKey, TargetKey
from downstage.config.values import (
    Account,
    Rate,
    TableName,
    Text,
    Truth,
    Whole,
)


class WarmThroughput(Model):
    """What a table can serve at once from the beginning."""

    read: Annotated[Whole, Field(ge=1)] | None = Field(default=None, description="Read units a second.")
    write: Annotated[Whole, Field(ge=1)] | None = Field(default=None, description="Write units a second.")


class TablePair(Model):
    """A table to copy."""

    source: TableName = Field(alias="from", description="The table's name in the source environment.")
    target: TableName = Field(alias="to", description="The table's name in the target environment.")
    accept: Annotated[tuple[Accepted, ...], Field(strict=False)] = Field(
        default=(),
        description="In what this table may differ from its source, besides 'parity.accept': it is shown, not "
        'demanded and not cloned. For example [deletion_protection, billing, "tags:stage"].',
    )
    warm_throughput: WarmThroughput | None = Field(
        default=None,
        description="What the target table and its global indexes are warmed to at least, so that they take the load "
        "at full speed. AWS charges for it, and it cannot be lowered. Default: nothing is asked for.",
    )
    export: Export | None = Field(
        default=None, description="Read this table from an export to S3, in place of what 'export' of the refresh says."
    )
    live: Truth = Field(
        default=False, description="Read the live table, although the refresh has an 'export'. Not with an own one."
    )

    @model_validator(mode="after")
    def _one_source(self) -> TablePair:
        if self.live and self.export is not None:
            raise ValueError("must not hold both 'live: true' and 'export'")
        return self


class Parity(Model):
    """What is another word for the same in the target, and in what every table may differ from its source."""

    accept: Annotated[tuple[Accepted, ...], Field(strict=False)] = Field(
        default=(), description="In what any table may differ, like 'accept' of a single one."
    )
    kms: dict[SourceKey, TargetKey] = Field(
        default={},
        description="For each customer key (ARN) that encrypts a source table the target's key (ARN or alias) that "
        "takes its place. A source's key cannot be used in another account.",
    )
    accounts: dict[Account, Account] = Field(
        default={},
        description="Account ids to replace in resource policies. Nothing else of a policy is rewritten but the "
        "table's own ARN; one that names the source's account otherwise is shown and not cloned.",
    )
    functions: dict[Text, Text] = Field(
        default={},
        description="Lambda functions that have another name in the target. Default: the same name.",
    )


class Rates(Model):
    """How much of each table's capacity may be used, in capacity units a second."""

    read: Rate = Field(
        default="auto",
        description="Of the source: a number that is not exceeded over any longer time, whatever the workers; or "
        "auto: as much as the table gives, less when it throttles.",
    )
    write: Rate = Field(default="auto", description="Of the target, in the same way.")
    verify: Rate = Field(
        default="auto",
        description="Of the target while it is read again to be verified, in the same way. Such a read is consistent: "
        "it costs twice the units.",
    )
