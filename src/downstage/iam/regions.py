"""Actions that know no resource are bounded by the region that they are asked in; the rest by ARNs in each region."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from downstage.domain.environment import Environment
from downstage.iam.documents import Condition


def in_region(*regions: str) -> Condition:
    """Only calls to these regions."""
    return {"StringEquals": {"aws:RequestedRegion": regions}}


def in_regions(place: Environment, regions: Iterable[str]) -> list[Environment]:
    """The same account, in each of these regions."""
    return [replace(place, region=region) for region in regions]
