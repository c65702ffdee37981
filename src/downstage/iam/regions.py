"""Actions that know no resource are bounded by the region that they are asked in."""

from __future__ import annotations

from downstage.iam.documents import Condition


def in_region(*regions: str) -> Condition:
    """Only calls to these regions."""
    return {"StringEquals": {"aws:RequestedRegion": regions}}
