"""What one lane does in a worker process: its own small composition root.

An order is plain data and holds no secret: the worker signs in by itself, reads the masking key by itself, and
checks who it is on both sides before its first write.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import orjson

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.aws.http import DynamoTransport
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.copying.rates import Pace
from downstage.copying.segment import CopyTask, copy_segment
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates, SearchPlan
from downstage.domain.refs import SourceTable, TargetTable
from downstage.errors import GuardRefused, RunConflict
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.compile import TableShape, compile_masker, compile_pseudonyms, fingerprint
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning import guards
from downstage.ports import Checkpoint, Journal, Lane, RawItem, RunRecord
from downstage.verify.canaries import CanaryKey, Exempt
from downstage.verify.compare import IndexExpectations, verify_segment
from downstage.verify.leaks import LeakScanner
from downstage.workflow.canaries import CanaryKeeper, probe_for
from downstage.workflow.findings import record_leak
from downstage.workflow.parts import TableWork


@dataclass(frozen=True, slots=True)
class Order:
    """Everything a worker must be told. Picklable; holds names, never credentials or keys. `rates` are its share."""

    source: Environment
    target: Environment
    masking: MaskingPlan
    mask_fingerprint: str
    search: SearchPlan | None
    rates: Rates
    journal: Path
    run_id: str
    epoch: int
    tables: tuple[TableWork, ...]

    def table(self, lane: Lane) -> TableWork:
        """The table that a lane is of."""
        return next(table for table in self.tables if lane.task.endswith(f"/{table.target}"))


@dataclass(frozen=True, slots=True)
class LaneWorker:
    """Implements `workflow.parts.LaneWork` for engines that run lanes on this machine."""

    source: Environment
    target: Environment
    masking: MaskingPlan
    mask_fingerprint: str
    search: SearchPlan | None
    rates: Rates
    journal: Path

    def copy(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that copies one lane."""
        return partial(copy_lane, self._order(run, tables))

    def verify(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        """The function that verifies one lane."""
        return partial(verify_lane, self._order(run, tables))

    def _order(self, run: RunRecord, tables: Sequence[TableWork]) -> Order:
        return Order(
            self.source,
            self.target,
            self.masking,
            self.mask_fingerprint,
            self.search,
            self.rates,
            self.journal,
            run.run_id,
            run.epoch,
            tuple(tables),
        )


def copy_lane(order: Order, lane: Lane) -> None:
    """Copies the lane's segments, each from its last checkpoint."""
    source, target = _session(order.source), _session(order.target)
    _guard(order, source, target)
    keys = _keys(order.source, order.masking)
    pseudonyms, sealer = _masking(order.source, order.masking)
    work = order.table(lane)
    journal = _journal(order.journal)
    task = CopyTask(
        context=f"{order.run_id}/{lane.task}",
        key_names=work.key_names,
        ttl_attribute=work.ttl_attribute,
        expired_before=work.expired_before,
    )
    shape = TableShape(work.source, work.key_names, work.index_key_names)
    mask = compile_masker(order.masking, keys[0], shape, keys[1:])

    def quarantine(item: RawItem, reason: str) -> None:
        read = orjson.loads(item)
        key = orjson.dumps([read.get(name) for name in work.key_names]).decode()
        journal.quarantine(order.run_id, order.epoch, lane.task, pseudonyms.key_hash(key), reason)

    async def copy() -> None:
        async with _transports(order.source, order.target) as (from_source, to_target):
            from_table = SourceTable(source.environment.account, "", work.source)
            to_table = TargetTable(target.environment.account, "", work.target)
            reader = ScanReader(from_source, from_table, pace=Pace(order.rates.read))
            writer = BatchWriter(to_target, to_table, pace=Pace(order.rates.write))
            await _together(
                copy_segment(
                    task,
                    _start(journal, order, lane, segment, work.segments),
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
                        key=_canary_key(order),
                        exempt=Exempt.of(order.masking),
                    ),
                )
                for segment in lane.segments
            )

    asyncio.run(copy())


def verify_lane(order: Order, lane: Lane) -> None:
    """Reads the lane's segments of the target, each from its last checkpoint."""
    pseudonyms, sealer = _masking(order.source, order.masking)
    work = order.table(lane)
    journal = _journal(order.journal)
    scanner = LeakScanner(allowed=pseudonyms.allowed, fingerprint=pseudonyms.fingerprint)
    search = order.search
    expectations = IndexExpectations(search.document_id, search.expectations) if search is not None else None
    run = journal.run(order.run_id)
    probe = probe_for(journal, run, _canary_key(order)) if run is not None else None

    async def verify() -> None:
        async with _transports(order.target) as (from_target,):
            table = TargetTable(order.target.account, order.target.region, work.target)
            reader = ScanReader(from_target, table, consistent=True)
            await _together(
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


@asynccontextmanager
async def _transports(*environments: Environment) -> AsyncIterator[tuple[DynamoTransport, ...]]:
    """A transport to each environment, closed at the end of the lane: connections belong to its event loop."""
    transports = tuple(DynamoTransport(_session(environment)) for environment in environments)
    try:
        yield transports
    finally:
        for transport in transports:
            transport.close()


async def _together(segments: Iterable[Coroutine[Any, Any, Checkpoint]]) -> None:
    """The lane's segments, interleaved: writes do not roll over one partition. The first error ends them all."""
    tasks = [asyncio.create_task(segment) for segment in segments]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _start(journal: Journal, order: Order, lane: Lane, segment: int, total: int) -> Checkpoint:
    """The segment's last checkpoint, or its beginning."""
    for checkpoint in journal.checkpoints(order.run_id, lane.task):
        if checkpoint.segment == segment:
            return checkpoint
    return Checkpoint(segment, total)


def _guard(order: Order, source: Session, target: Session) -> None:
    """Before the first write of a lane: are we who the plan says, on both sides, with the mask it says?"""
    if order.target.protected:
        raise GuardRefused(f"environment {order.target.name} is protected: a worker refused to write to it")
    guards.check_identity(order.source, source.caller())
    guards.check_identity(order.target, target.caller())
    keys = _keys(order.source, order.masking)
    if fingerprint(order.masking, keys[0], keys[1:]) != order.mask_fingerprint:
        raise RunConflict("a worker reads another masking key than the run was started with: nothing was written")


def _canary_key(order: Order) -> CanaryKey:
    return CanaryKey(_keys(order.source, order.masking)[0].derive(CanaryKey.label(order.masking.environment)))


@lru_cache(maxsize=8)
def _session(environment: Environment) -> Session:
    return Session(environment)


@lru_cache(maxsize=8)
def _journal(path: Path) -> SqliteJournal:
    return SqliteJournal(path)


@lru_cache(maxsize=8)
def _keys(source: Environment, plan: MaskingPlan) -> tuple[MaskKey, ...]:
    """The masking key, then those of earlier epochs."""
    reader = KeyReader(_session(source), os.environ)
    return tuple(MaskKey(reader.read(reference)) for reference in (plan.key, *plan.old_keys))


@lru_cache(maxsize=8)
def _masking(source: Environment, plan: MaskingPlan) -> tuple[EmailPseudonyms, KeySealer]:
    keys = _keys(source, plan)
    return compile_pseudonyms(plan, keys[0], keys[1:]), KeySealer(keys[0])
