"""The `flags` of a refresh: what is set in the target before anything else, and read back."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from downstage.config.model import Model
from downstage.config.values import (
    AttributeValue,
    FlagName,
    KeyValue,
    TableName,
    Text,
)


class ItemFlag(Model):
    """Attributes to set in one item of a flags table."""

    table: TableName = Field(description="The flags table in the target account. It is never wiped.")
    key: Annotated[dict[Text, KeyValue], Field(min_length=1, max_length=2)] = Field(
        description="The item's key in typed DynamoDB JSON, for example {pk: {S: a}, sk: {S: a}}."
    )
    set: Annotated[dict[Text, AttributeValue], Field(min_length=1)] = Field(
        description="The attributes to set, in typed DynamoDB JSON, for example {current: {S: alpha}}."
    )


class ParameterFlag(Model):
    """An SSM parameter to set."""

    name: Text = Field(description="The parameter's name, for example /app/test/destination-table-version.")
    value: Text = Field(description="The value to set. It is read back and compared.")


class Flag(Model):
    """One flag: exactly one of `dynamodb` and `ssm`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["dynamodb"]}, {"required": ["ssm"]}]})

    name_as: FlagName | None = Field(
        default=None,
        alias="as",
        description="What ${flags.NAME} calls it. Default: the last part of the parameter's name, or the item's first "
        "key value.",
    )
    dynamodb: ItemFlag | None = Field(default=None, description="Set attributes of an item of a flags table.")
    ssm: ParameterFlag | None = Field(default=None, description="Set an SSM parameter.")

    @model_validator(mode="after")
    def _one(self) -> Flag:
        if (self.dynamodb is None) == (self.ssm is None):
            raise ValueError("must hold exactly one of 'dynamodb' and 'ssm'")
        return self
