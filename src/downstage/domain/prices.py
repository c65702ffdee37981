"""What AWS asks: the list prices that `plan` reckons with, in one place, dated and with their sources.

Dollars, region us-east-1, without free tiers, discounts and taxes. Other regions ask up to about half as much again.
Whoever pays otherwise says so under `prices` in the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "July 2025"
"""When these prices were AWS's list prices."""

SOURCES = (
    "https://aws.amazon.com/dynamodb/pricing/on-demand/",  # requests, table class, export to S3
    "https://aws.amazon.com/s3/pricing/",  # PUT, COPY, POST, LIST
    "https://aws.amazon.com/glue/pricing/",  # DPU-hour
)


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars. `read` and `write` are of a million request units of an on-demand table; `infrequent_access` is how many
    times as much a table of that class asks; `export` is of a GB (2^30 bytes) of table; `requests` of a thousand LIST
    or COPY requests of S3; `dpu_hour` of AWS Glue."""

    read: float = 0.125
    write: float = 0.625
    infrequent_access: float = 1.25
    export: float = 0.10
    requests: float = 0.005
    dpu_hour: float = 0.44

    @property
    def own(self) -> bool:
        """Whether one of them is not the list price."""
        return self != Prices()
