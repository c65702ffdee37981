"""Lanes of a bucket sync over memory buckets: the real sync, memory at both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from downstage.domain.events import Event
from downstage.domain.plan import BucketPair
from downstage.ports import Journal, Lane, ObjectTransfer, RunRecord, Sealer
from downstage.workflow.object_lanes import ObjectTools, object_lane
from downstage.workflow.parts import ObjectWork


class MemoryObjectLanes:
    """Implements `workflow.parts.ObjectLanes` in this process, over a transfer that is made for each lane."""

    def __init__(
        self,
        *,
        transfer: Callable[[BucketPair], ObjectTransfer],
        journal: Journal,
        sealer: Sealer,
        masker: Callable[[str], str],
        redact: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._transfer = transfer
        self._journal = journal
        self._sealer = sealer
        self._masker = masker
        self._redact = redact
        self._clock = clock

    @contextmanager
    def sync(
        self, run: RunRecord, works: Sequence[ObjectWork], emit: Callable[[Event], None], stop_at: float | None
    ) -> Iterator[Callable[[Lane], None]]:
        """The function that syncs one lane."""
        by_task = {f"sync/{work.pair.target.name}": work for work in works}

        def lane(lane: Lane) -> None:
            work = by_task[lane.task]
            tools = ObjectTools(
                run=run,
                journal=self._journal,
                transfer=self._transfer(work.pair),
                sealer=self._sealer,
                masker=self._masker,
                redact=self._redact,
                emit=emit,
                clock=self._clock,
            )
            object_lane(tools, work, stop_at, lane)

        yield lane
