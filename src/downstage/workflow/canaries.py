"""Canaries between the copy, which keeps them, and the verification, which looks for them; the journal is the way."""

from __future__ import annotations

from collections.abc import Sequence

from downstage.ports import Journal, RawItem, RunRecord
from downstage.verify.canaries import A_SEGMENT, CanaryKey, CanaryProbe, CanarySample, Exempt

MOST = 2**18
"""Canaries of one run: each worker that verifies holds them all."""


def share_of(segment: int, segments: int) -> int:
    """How many canaries a segment may keep, of so many segments in the run. Where there are more segments than
    canaries, some keep one and the others none."""
    each = MOST // segments
    return min(each, A_SEGMENT) if each else int(segment % -(-segments // MOST) == 0)


class CanaryKeeper:
    """What the copy loop calls with each page of one segment, before anything of it is written.

    The sample is in the journal before the page's checkpoint is, so a resumed segment goes on with it; a page that is
    read again is offered again, and changes nothing.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        epoch: int,
        task: str,
        segment: int,
        *,
        key: CanaryKey,
        exempt: Exempt,
        limit: int = A_SEGMENT,
    ) -> None:
        self._journal = journal
        self._place = (run_id, epoch, task, segment)
        self._sample = None
        if limit:
            self._sample = CanarySample(key, exempt, journal.segment_canaries(run_id, task, segment), limit)

    def __call__(self, items: Sequence[RawItem]) -> None:
        """Looks at the unmasked items."""
        if self._sample is not None and self._sample.look(items):
            self._journal.save_canaries(*self._place, self._sample.canaries)


def canaries_of(journal: Journal, run: RunRecord) -> list[str]:
    """What is looked for in a run: the canaries of its own copy, or of the newest copy of the environment before it
    that was made under the same masking."""
    runs = journal.runs()
    ids = [candidate.run_id for candidate in runs]
    for candidate in reversed(runs[: ids.index(run.run_id) + 1] if run.run_id in ids else runs):
        same = (candidate.environment, candidate.settings.get("mask")) == (run.environment, run.settings.get("mask"))
        kept = journal.canaries(candidate.run_id) if same else {}
        if kept:
            return sorted({canary for canaries in kept.values() for canary in canaries})
    return []


def looked_for(journal: Journal, run: RunRecord, key: CanaryKey | None) -> int:
    """How many canaries the steps of a run look for."""
    return len(canaries_of(journal, run)) if key is not None else 0


def none_found(count: int) -> str:
    """What a step that found nothing says of its canaries: that none was there to look for is no proof."""
    if not count:
        return (
            "; no canaries were looked for, as no copy of this environment under the same key and policy has kept any"
        )
    return f"; none of {count:,} {'canary' if count == 1 else 'canaries'}"


def probe_for(journal: Journal, run: RunRecord, key: CanaryKey | None) -> CanaryProbe:
    """Looks for `canaries_of` the run."""
    return CanaryProbe(key, canaries_of(journal, run)) if key is not None else CanaryProbe()
