"""What one lane of tables does in a worker process, copying or verifying: its own small composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import orjson

from downstage.app.exports import reader_of
from downstage.app.orders import (
    Order,
    canary_key,
    guard,
    guard_reading,
    keys,
    masking,
    session,
    shared_pace,
    this_process,
    transports,
    watch_lease,
)
from downstage.app.places import ControlPlace, JournalPlace, open_journal
from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.copying.quarantine import Quarantine
from downstage.copying.segment import CopyTask, copy_segment
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates, SearchPlan
from downstage.domain.refs import SourceTable, TargetTable
from downstage.domain.together import together
from downstage.masking.compile import TableShape, compile_masker
from downstage.ports import Checkpoint, ItemReader, Journal, Lane, RawItem, RunRecord
from downstage.verify.canaries import CanaryProbe, Exempt
from downstage.verify.compare import IndexExpectations, verify_segment
from downstage.verify.leaks import LeakScanner
from downstage.workflow.canaries import CanaryKeeper, probe_for, share_of
from downstage.workflow.findings import record_leak
from downstage.workflow.parts import TableWork


@dataclass(frozen=True, slots=True)
class LaneWorker:
    """Implements `workflow.parts.LaneWork` for engines that run lanes on this machine."""

    source: Environment
    target: Environment
    masking: MaskingPlan
    mask_fingerprint: str
    search: SearchPlan | None
    rates: Rates
    lanes: int
    journal: JournalPlace
    lease: ControlPlace | None = None
    exporter: Environment | None = None

    def copy(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that copies one lane."""
        return partial(copy_lane, self.order(run, tables))

    def verify(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that verifies one lane."""
        return partial(verify_lane, self.order(run, tables))

    def order(self, run: RunRecord, tables: Sequence[TableWork]) -> Order:
        """What the lanes of one run must be told."""
        return Order(
            self.source,
            self.target,
            self.masking,
            self.mask_fingerprint,
            self.search,
            self.rates,
            self.lanes,
            self.journal,
            self.lease,
            this_process(),
            run.run_id,
            run.epoch,
            tuple(tables),
            self.exporter,
        )


def copy_lane(order: Order, lane: Lane) -> None:
    """Copies the lane's segments, each from its last checkpoint."""
    source, target = session(order.source), session(order.target)
    guard(order, source, target)
    watch_lease(order)
    key, *old_keys = keys(order.source, order.masking)
    _, sealer = masking(order.source, order.masking)
    work = order.table(lane)
    journal = open_journal(order.journal)
    quarantine = _quarantine(
        order.journal,
        order.source,
        order.masking,
        order.run_id,
        order.epoch,
        lane.task,
        key_names=work.key_names,
        limit=work.max_quarantine,
        workers=order.lanes,
    )
    task = CopyTask(
        context=f"{order.run_id}/{lane.task}",
        key_names=work.key_names,
        ttl_attribute=work.ttl_attribute,
        expired_before=work.expired_before,
    )
    shape = TableShape(work.source, work.key_names, work.index_key_names)
    mask = compile_masker(order.masking, key, shape, old_keys)

    async def copy() -> None:
        async with transports(order.source, order.target) as (from_source, to_target):
            from_table = SourceTable(source.environment.account, "", work.source)
            to_table = TargetTable(target.environment.account, "", work.target)
            reader: ItemReader = (
                ScanReader(from_source, from_table, pace=shared_pace(order, "read", lane, order.rates.read))
                if work.export is None
                else reader_of(session(order.exporter or order.source), work.export)
            )
            writer = BatchWriter(to_target, to_table, pace=shared_pace(order, "write", lane, order.rates.write))
            await together(
                copy_segment(
                    task,
                    _start(journal, order, lane, segment, work.read_segments),
                    reader=reader,
                    mask=mask,
                    writer=writer,
                    sealer=sealer,
                    save=partial(journal.save_checkpoint, order.run_id, order.epoch, lane.task),
                    quarantine=quarantine,
                    canaries=CanaryKeeper(
                        journal,
                        order.run_id,
                        order.epoch,
                        lane.task,
                        segment,
                        key=canary_key(order),
                        exempt=Exempt.of(order.masking),
                        limit=share_of(segment, sum(table.read_segments for table in order.tables)),
                    ),
                )
                for segment in lane.segments
            )

    asyncio.run(copy())


def verify_lane(order: Order, lane: Lane) -> None:
    """Reads the lane's segments of the target, each from its last checkpoint."""
    guard_reading(order, session(order.target))
    pseudonyms, sealer = masking(order.source, order.masking)
    work = order.table(lane)
    journal = open_journal(order.journal)
    scanner = LeakScanner(allowed=pseudonyms.allowed, fingerprint=pseudonyms.fingerprint)
    search = order.search
    expectations = IndexExpectations(search.document_id, search.expectations) if search is not None else None
    probe = _probe(order)

    async def verify() -> None:
        async with transports(order.target) as (from_target,):
            table = TargetTable(order.target.account, order.target.region, work.target)
            pace = shared_pace(order, "verify", lane, order.rates.verify)
            reader = ScanReader(from_target, table, consistent=True, pace=pace)
            await together(
                verify_segment(
                    work.target,
                    f"{order.run_id}/{lane.task}",
                    _start(journal, order, lane, segment, work.segments),
                    reader=reader,
                    scanner=scanner,
                    expectations=expectations,
                    sealer=sealer,
                    save=partial(journal.save_checkpoint, order.run_id, order.epoch, lane.task),
                    leak=partial(record_leak, journal, order.run_id, order.epoch, lane.task),
                    probe=probe,
                )
                for segment in lane.segments
            )

    asyncio.run(verify())


def _start(journal: Journal, order: Order, lane: Lane, segment: int, total: int) -> Checkpoint:
    """The segment's last checkpoint, or its beginning."""
    return journal.checkpoint(order.run_id, lane.task, segment) or Checkpoint(segment, total)


@lru_cache(maxsize=64)
def _quarantine(
    journal: JournalPlace,
    source: Environment,
    plan: MaskingPlan,
    run_id: str,
    epoch: int,
    task: str,
    *,
    key_names: tuple[str, ...],
    limit: int | None,
    workers: int,
) -> Quarantine:
    """One a process for each run, epoch and task: a lane goes on counting where the one before it stopped."""
    pseudonyms, _ = masking(source, plan)

    def key_hash(item: RawItem) -> str:
        read = orjson.loads(item)
        return pseudonyms.key_hash(orjson.dumps([read.get(name) for name in key_names]).decode())

    return Quarantine(open_journal(journal), run_id, epoch, task, limit=limit, workers=workers, key_hash=key_hash)


@lru_cache(maxsize=2)
def _probe(order: Order) -> CanaryProbe | None:
    """What every lane of a verification looks for: read once a process."""
    journal = open_journal(order.journal)
    run = journal.run(order.run_id)
    return probe_for(journal, run, canary_key(order)) if run is not None else None
