"""The lanes of a deep comparison in a worker process: both tables, and mending, over our own wire.

As in `app.worker`, an order holds no secret, and before anything else a lane makes sure who it is on both sides and
that its mask is the one of the copy. Mending keeps to a bounded rate of its own, whatever the configuration allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from downstage.app.orders import Order, guard, keys, masking, session, transports, watch_lease
from downstage.app.places import open_journal
from downstage.app.worker import LaneWorker
from downstage.aws.dynamodb import ItemMenderByKey, ItemReaderByKey, ScanReader
from downstage.copying.rates import Pace
from downstage.copying.segment import CopyTask
from downstage.domain.refs import SourceTable, TargetTable
from downstage.masking.compile import TableShape, compile_masker
from downstage.ports import Lane, RunRecord
from downstage.verify.item_names import ItemNames
from downstage.workflow.deep_lanes import Tools, deep_lane, quarantined_by, shape_of
from downstage.workflow.parts import DeepWork

MENDING_UNITS = 400.0
"""Capacity units a second, of the target, that all lanes together may spend on reading and mending single items."""


@dataclass(frozen=True, slots=True)
class DeepOrder:
    """Everything a worker must be told. Picklable; holds names, never credentials or keys."""

    order: Order
    works: tuple[DeepWork, ...]

    def work(self, lane: Lane) -> DeepWork:
        """The comparison that a lane is of."""
        return next(work for work in self.works if lane.task.endswith(f"/{work.table.target}"))


@dataclass(frozen=True, slots=True)
class DeepWorker:
    """Implements `workflow.parts.DeepLanes` for engines whose lanes share a file with us: those of this machine."""

    worker: LaneWorker

    def deep(self, run: RunRecord, works: Sequence[DeepWork]) -> Callable[[Lane], None]:
        """The function that does one lane."""
        order = self.worker.order(run, [work.table for work in works])
        return partial(run_lane, DeepOrder(order, tuple(works)))


def run_lane(deep: DeepOrder, lane: Lane) -> None:
    """Does what is left of one lane, whatever its phase."""
    order, work = deep.order, deep.work(lane)
    guard(order, session(order.source), session(order.target))
    watch_lease(order)
    key, *old_keys = keys(order.source, order.masking)
    pseudonyms, sealer = masking(order.source, order.masking)
    table = work.table
    mask = compile_masker(
        order.masking, key, TableShape(table.source, table.key_names, table.index_key_names), old_keys
    )
    copied = CopyTask(f"{work.copy_run}/copy", table.key_names, table.ttl_attribute, table.expired_before)
    mending = min(order.rates.write or MENDING_UNITS, MENDING_UNITS / order.lanes)

    async def run() -> None:
        async with transports(order.source, order.target) as (from_source, to_target):
            source = SourceTable(order.source.account, order.source.region, table.source)
            target = TargetTable(order.target.account, order.target.region, table.target)
            tools = Tools(
                source=ScanReader(from_source, source, pace=Pace(order.rates.read)),
                target=ScanReader(to_target, target, consistent=True, pace=Pace(order.rates.verify)),
                source_items=ItemReaderByKey(from_source, source, pace=Pace(order.rates.read)),
                target_items=ItemMenderByKey(to_target, target, table.key_names[0], pace=Pace(mending)),
                shape=shape_of(mask, copied),
                quarantined=quarantined_by(open_journal(order.journal), work, pseudonyms.key_hash),
                names=ItemNames(key.derive(ItemNames.label(order.masking.environment))),
                sealer=sealer,
            )
            await deep_lane(tools, work, order.run_id, order.epoch, lane)

    asyncio.run(run())
