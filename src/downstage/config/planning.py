"""`preflight` and `prices`: what the looks before a refresh bear, and what its estimate reckons with."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from downstage.config.model import Model
from downstage.domain.prices import AS_OF
from downstage.domain.prices import Prices as ListPrices

_LIST = ListPrices()


def _dollars(value: Any) -> float:
    """A price; from an environment variable it comes as text."""
    if not isinstance(value, bool) and isinstance(value, (int, float, str)):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number) and number >= 0:
            return number
    raise ValueError("must be a number of dollars that is not negative, such as 0.625")


Dollars = Annotated[float, BeforeValidator(_dollars), WithJsonSchema({"type": "number", "minimum": 0})]
"""A price."""


class Preflight(Model):
    """What `check` and a refresh's preflight bear."""

    source_role: Literal["fail", "warn"] = Field(
        default="fail",
        description="What becomes of a refresh whose source role may change the tables or buckets that are copied, as "
        "IAM's simulation says. fail: it does not begin. warn: it is said.",
    )


class Prices(Model):
    """What AWS asks, in dollars. The defaults are list prices of us-east-1."""

    read: Dollars = Field(
        default=_LIST.read, description=f"A million read request units, on demand. Default: {AS_OF}, like the others."
    )
    write: Dollars = Field(default=_LIST.write, description="A million write request units, on demand.")
    infrequent_access: Dollars = Field(
        default=_LIST.infrequent_access,
        description="How many times as much requests cost of a table of the class Standard-Infrequent Access.",
    )
    export: Dollars = Field(default=_LIST.export, description="A GB of a table that is exported to S3.")
    requests: Dollars = Field(default=_LIST.requests, description="A thousand LIST or COPY requests of S3.")
    dpu_hour: Dollars = Field(default=_LIST.dpu_hour, description="A DPU-hour of AWS Glue.")
