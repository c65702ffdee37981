"""`export`: an export to S3 as the source of a refresh's tables, instead of the live tables."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from downstage.config.model import Model
from downstage.config.parity_values import TargetKey
from downstage.config.values import BucketName, Duration, Truth

_ARN = r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}/export/[A-Za-z0-9-]+"
_PREFIX = r"[A-Za-z0-9][A-Za-z0-9_.=-]*(/[A-Za-z0-9][A-Za-z0-9_.=-]*)*"
_ONLY_STARTED = ("prefix", "kms", "time")


def _export_arn(value: str) -> str:
    if re.fullmatch(_ARN, value) is None:
        raise ValueError("must be an export's ARN: arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/export/ID")
    return value


def _prefix(value: str) -> str:
    if re.fullmatch(_PREFIX, value) is None or len(value) > 512:
        raise ValueError("must be names of letters, digits and _ . = - with '/' between them, none at either end")
    return value


def _instant(value: Any) -> float:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return moment.timestamp()
    except ValueError:
        pass
    raise ValueError("must be an instant with its time zone, such as 2026-03-01T05:00:00Z, in quotes")


ExportArn = Annotated[str, Field(json_schema_extra={"pattern": f"^{_ARN}$"}), AfterValidator(_export_arn)]
"""The ARN of a finished export."""

Prefix = Annotated[str, Field(json_schema_extra={"pattern": f"^{_PREFIX}$"}), AfterValidator(_prefix)]
"""What stands before the keys of objects."""

Instant = Annotated[
    float, BeforeValidator(_instant), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}[T ].+$"})
]
"""An instant in ISO 8601, with a time zone; in seconds since the epoch."""


class Export(Model):
    """Read a DynamoDB export to S3 instead of the live table: a point in time, and no load on production."""

    bucket: BucketName = Field(
        description="The bucket that the export lies in. It belongs to the source's account and is not one of "
        "'buckets': an export is a raw copy of production."
    )
    arn: ExportArn | None = Field(
        default=None,
        description="An export that is there already (full, DynamoDB JSON). Default: the refresh starts one, for which "
        "the table needs point-in-time recovery.",
    )
    prefix: Prefix | None = Field(default=None, description="What stands before the keys of the export's files.")
    kms: TargetKey | None = Field(
        default=None,
        description="The source's KMS key (ARN or alias) that encrypts the files. Default: as the bucket does.",
    )
    time: Instant | None = Field(
        default=None,
        description="The instant that the export shows, for example '2026-03-01T05:00:00Z'. Default: the newest that "
        "all tables of the refresh can show, one and the same for all.",
    )
    keep: Truth | None = Field(
        default=None,
        description="Whether the raw export stays after the tables are verified. Default: one that the refresh "
        "started is deleted, one that 'arn' names stays.",
    )
    patience: Duration = Field(
        default=21600.0,
        description="How long to wait for the export, for example 90m or 6h.",
        json_schema_extra={"default": "6h"},
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> Export:
        given = [name for name in _ONLY_STARTED if getattr(self, name) is not None]
        if self.arn is not None and given:
            raise ValueError(f"must not hold '{given[0]}' beside 'arn': that is for an export that the refresh starts")
        return self

    @property
    def kept(self) -> bool:
        """Whether the export outlives the refresh."""
        return self.arn is not None if self.keep is None else self.keep
