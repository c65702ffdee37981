"""What every model of the configuration is built on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from downstage.config.values import Text

ONE_KEY = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

Texts = Annotated[tuple[Text, ...], Field(strict=False)]


class Model(BaseModel):
    """Frozen, no unknown keys, no silent conversions; input never stands in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
