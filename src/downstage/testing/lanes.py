"""Lanes over memory tables: the real copy loop, the real verification, memory at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import orjson

from downstage.copying.quarantine import Quarantine
from downstage.copying.segment import CopyTask, Mask, copy_segment
from downstage.domain.export import ExportSource
from downstage.domain.plan import SearchPlan
from downstage.ports import Checkpoint, ItemReader, ItemWriter, Journal, Lane, RawItem, RunRecord, Sealer
from downstage.verify.canaries import CanaryKey, Exempt
from downstage.verify.compare import IndexExpectations, verify_segment
from downstage.verify.leaks import LeakScanner
from downstage.workflow.canaries import CanaryKeeper, probe_for
from downstage.workflow.findings import record_leak
from downstage.workflow.parts import TableWork


class MemoryLanes:
    """Implements `workflow.parts.LaneWork` in this process. Readers and writers are made by name of the table."""

    def __init__(
        self,
        *,
        source_reader: Callable[[str], ItemReader],
        target_reader: Callable[[str], ItemReader],
        writer: Callable[[str], ItemWriter],
        journal: Journal,
        mask: Mask,
        sealer: Sealer,
        scanner: LeakScanner,
        search: SearchPlan | None,
        fingerprint: Callable[[str], str],
        canary_key: CanaryKey,
        exempt: Exempt,
        export_reader: Callable[[ExportSource], ItemReader] | None = None,
    ) -> None:
        self._source_reader = source_reader
        self._target_reader = target_reader
        self._writer = writer
        self._journal = journal
        self._mask = mask
        self._sealer = sealer
        self._scanner = scanner
        self._expectations = IndexExpectations(search.document_id, search.expectations) if search else None
        self._fingerprint = fingerprint
        self._canary_key = canary_key
        self._exempt = exempt
        self._export_reader = export_reader

    def copy(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that copies one lane."""
        return partial(self._copy_lane, run, {f"copy/{table.target}": table for table in tables})

    def verify(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that verifies one lane."""
        return partial(self._verify_lane, run, {f"verify/{table.target}": table for table in tables})

    def _copy_lane(self, run: RunRecord, tables: dict[str, TableWork], lane: Lane) -> None:
        work = tables[lane.task]
        task = CopyTask(f"{run.run_id}/{lane.task}", work.key_names, work.ttl_attribute, work.expired_before)

        def key_hash(item: RawItem) -> str:
            read = orjson.loads(item)
            return self._fingerprint(orjson.dumps([read.get(name) for name in work.key_names]).decode())

        quarantine = Quarantine(
            self._journal, run.run_id, run.epoch, lane.task, limit=work.max_quarantine, workers=1, key_hash=key_hash
        )

        for segment in lane.segments:
            asyncio.run(
                copy_segment(
                    task,
                    self._start(run, lane, segment, work.read_segments),
                    reader=self._reader(work),
                    mask=self._mask,
                    writer=self._writer(work.target),
                    sealer=self._sealer,
                    save=partial(self._journal.save_checkpoint, run.run_id, run.epoch, lane.task),
                    quarantine=quarantine,
                    canaries=CanaryKeeper(
                        self._journal,
                        run.run_id,
                        run.epoch,
                        lane.task,
                        segment,
                        key=self._canary_key,
                        exempt=self._exempt,
                    ),
                )
            )

    def _verify_lane(self, run: RunRecord, tables: dict[str, TableWork], lane: Lane) -> None:
        work = tables[lane.task]
        probe = probe_for(self._journal, run, self._canary_key)
        for segment in lane.segments:
            asyncio.run(
                verify_segment(
                    work.target,
                    f"{run.run_id}/{lane.task}",
                    self._start(run, lane, segment, work.segments),
                    reader=self._target_reader(work.target),
                    scanner=self._scanner,
                    expectations=self._expectations,
                    sealer=self._sealer,
                    save=partial(self._journal.save_checkpoint, run.run_id, run.epoch, lane.task),
                    leak=partial(record_leak, self._journal, run.run_id, run.epoch, lane.task),
                    probe=probe,
                )
            )

    def _reader(self, work: TableWork) -> ItemReader:
        if work.export is None:
            return self._source_reader(work.source)
        assert self._export_reader is not None
        return self._export_reader(work.export)

    def _start(self, run: RunRecord, lane: Lane, segment: int, total_segments: int) -> Checkpoint:
        for checkpoint in self._journal.checkpoints(run.run_id, lane.task):
            if checkpoint.segment == segment:
                return checkpoint
        return Checkpoint(segment, total_segments)
