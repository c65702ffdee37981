"""One range of a bucket and what is to be done in it: decided by the plan pass, the same for every attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from downstage.domain.plan import BucketPair, Compare
from downstage.syncing.listing import KeyRange, SourcePages


@dataclass(frozen=True, slots=True)
class RangeTask:
    """One range. `context` is what its cursor is sealed for: run, bucket, both accounts, options, range. `deletes` is
    how many objects may be deleted in it. `listed` stands in for the source's listing. `marked`: what is left in the
    target is added up, for the proof (see `left`)."""

    context: str
    pair: BucketPair
    keys: KeyRange
    compare: Compare
    deletes: int
    listed: SourcePages | None = None
    marked: bool = False

    def rest(self, cursor: str | None) -> KeyRange:
        """What is left of the range after `cursor`; all of it if that is None."""
        return self.keys if cursor is None else replace(self.keys, after=cursor)
