"""Lanes of a backfill over memory tables and a memory domain: the real loop, the real batches, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from downstage.domain.plan import Backfill, SearchPlan
from downstage.indexing.bulk import Bulk, Limits
from downstage.indexing.flag_environment import flags_shown
from downstage.indexing.mapping import by_attributes, by_function
from downstage.indexing.segment import IndexTask, index_segment
from downstage.ports import (
    Checkpoint,
    Clock,
    ItemReader,
    Journal,
    Lane,
    Made,
    NewDocument,
    RunRecord,
    Sealer,
    SearchDomains,
)
from downstage.verify.compare import IndexExpectations
from downstage.workflow.flag_values import opened_flags
from downstage.workflow.parts import TableWork


class MemoryIndexLanes:
    """Implements `workflow.parts.IndexLanes` in this process. `limits` are those of a request."""

    def __init__(
        self,
        *,
        reader: Callable[[str], ItemReader],
        domains: SearchDomains,
        search: SearchPlan | None,
        journal: Journal,
        sealer: Sealer,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._reader = reader
        self._domains = domains
        self._search = search
        self._journal = journal
        self._sealer = sealer
        self._clock = clock
        self._limits = limits

    def version(self, settings: Backfill) -> str:
        """Which mapping it is."""
        return repr(settings)

    def backfill(
        self, run: RunRecord, tables: Sequence[TableWork], *, dry: bool, only: Sequence[str] | None, flags: str = ""
    ) -> Callable[[Lane], None]:
        """The function that does one lane."""
        lane = partial(self._lane, run, {f"backfill/{table.target}": table for table in tables}, dry, only)
        return partial(self._with_flags, lane, opened_flags(flags, run.run_id, self._sealer))

    def _with_flags(self, work: Callable[[Lane], None], flags: Mapping[str, str], lane: Lane) -> None:
        with flags_shown(flags):
            work(lane)

    def _lane(
        self, run: RunRecord, tables: dict[str, TableWork], dry: bool, only: Sequence[str] | None, lane: Lane
    ) -> None:
        search, work = self._search, tables[lane.task]
        assert search is not None
        assert search.backfill is not None
        documents = self._domains.index(search.target.name)
        settings = search.backfill
        mapping = (
            by_function(settings.call)
            if settings.call is not None
            else by_attributes(settings.attributes, IndexExpectations(search.document_id, search.expectations).of)
        )

        async def make(batch: Sequence[NewDocument]) -> Sequence[Made]:
            return documents.make(batch)

        async def sleep(seconds: float) -> None:
            self._clock.sleep(seconds)

        bulk = Bulk(make, sleep=sleep, clock=self._clock.monotonic, jitter=lambda: 1.0, limits=self._limits)
        task = IndexTask(f"{run.run_id}/{lane.task}", search.target.name, documents.writable(), only)
        for segment in lane.segments:
            asyncio.run(
                index_segment(
                    task,
                    self._journal.checkpoint(run.run_id, lane.task, segment) or Checkpoint(segment, work.segments),
                    reader=self._reader(work.target),
                    mapping=mapping,
                    bulk=None if dry else bulk,
                    sealer=self._sealer,
                    save=partial(self._journal.save_checkpoint, run.run_id, run.epoch, lane.task),
                )
            )
