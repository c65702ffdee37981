"""Where the S3 Inventory of a source bucket lies, and how old it may be. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from downstage.domain.refs import ExportBucket


@dataclass(frozen=True, slots=True)
class InventoryPlan:
    """An inventory to list a source from: the newest below `prefix` (no slash at its end), or the one whose `manifest`
    (an object's key) is named. `max_age` is in seconds. The bucket belongs to production's account."""

    bucket: ExportBucket
    prefix: str = ""
    manifest: str = ""
    max_age: float = 48 * 3600.0
