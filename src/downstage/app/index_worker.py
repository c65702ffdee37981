"""The lanes of a backfill in a worker process: the target's table over our own wire, its documents to the domain.

As in `app.worker`, an order holds no secret, and before anything else a lane makes sure who it is on both sides. The
client of the domain is a blocking one: each request is made in a thread, while the lane's other segments go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from downstage.app.orders import Order, guard, masking, session, shared_pace, transports, watch_lease
from downstage.app.places import open_journal
from downstage.app.worker import LaneWorker
from downstage.aws.dynamodb import ScanReader
from downstage.aws.opensearch import DomainControl
from downstage.domain.plan import Backfill, SearchPlan
from downstage.domain.refs import TargetTable
from downstage.domain.together import together
from downstage.errors import ConfigError
from downstage.indexing.bulk import Bulk, Limits
from downstage.indexing.flag_environment import flags_shown
from downstage.indexing.mapping import ItemMapping, by_attributes, by_function
from downstage.indexing.segment import IndexTask, index_segment
from downstage.masking.strategies.hook import version_of
from downstage.ports import Checkpoint, Lane, Made, NewDocument, RunRecord, SearchIndex
from downstage.verify.compare import IndexExpectations
from downstage.workflow.flag_values import opened_flags
from downstage.workflow.parts import TableWork


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """Everything a worker must be told. Picklable; holds names, never credentials or keys. `flags` are sealed."""

    order: Order
    dry: bool
    only: tuple[str, ...] | None
    flags: str = ""


@dataclass(frozen=True, slots=True)
class IndexWorker:
    """Implements `workflow.parts.IndexLanes` for every engine."""

    worker: LaneWorker

    def backfill(
        self, run: RunRecord, tables: Sequence[TableWork], *, dry: bool, only: Sequence[str] | None, flags: str = ""
    ) -> Callable[[Lane], None]:
        """The function that does one lane."""
        order = self.worker.order(run, tables)
        return partial(run_lane, IndexOrder(order, dry, None if only is None else tuple(only), flags))

    def version(self, settings: Backfill) -> str:
        """Which mapping it is."""
        return mapping_version(self.worker.search, settings)


def mapping_version(search: SearchPlan | None, settings: Backfill) -> str:
    """A digest of what decides which documents an item calls for."""
    if settings.call is not None:
        by_function(settings.call)  # a function that is not there is better told now than by a lane
        return f"{settings.call} {version_of(settings.call)}"
    wanted = [] if search is None else [search.document_id, *map(repr, search.expectations)]
    return hashlib.sha256(repr((settings.attributes, wanted)).encode()).hexdigest()[:16]


def mapping_of(search: SearchPlan) -> ItemMapping:
    """What makes an item's documents. Raises ConfigError if the configuration does not say."""
    settings = search.backfill
    if settings is None:
        raise ConfigError("search.backfill is not configured")
    if settings.call is not None:
        return by_function(settings.call)
    return by_attributes(settings.attributes, IndexExpectations(search.document_id, search.expectations).of)


def run_lane(wanted: IndexOrder, lane: Lane) -> None:
    """Makes the documents of the lane's segments, each from its last checkpoint."""
    order = wanted.order
    source, target = session(order.source), session(order.target)
    guard(order, source, target)
    watch_lease(order)
    _, sealer = masking(order.source, order.masking)
    if order.search is None:
        raise ConfigError("a backfill needs 'search' in the configuration")
    domain = order.search.target.name
    documents = DomainControl(target).index(domain)
    work, journal = order.table(lane), open_journal(order.journal)
    task = IndexTask(f"{order.run_id}/{lane.task}", domain, documents.writable(), wanted.only)
    flags = opened_flags(wanted.flags, order.run_id, sealer)
    bulk = None if wanted.dry else bulk_to(documents)

    async def make(mapping: ItemMapping) -> None:
        async with transports(order.target) as (from_target,):
            table = TargetTable(order.target.account, order.target.region, work.target)
            pace = shared_pace(order, "verify", lane, order.rates.verify)
            reader = ScanReader(from_target, table, consistent=True, pace=pace)
            await together(
                index_segment(
                    task,
                    journal.checkpoint(order.run_id, lane.task, segment) or Checkpoint(segment, work.segments),
                    reader=reader,
                    mapping=mapping,
                    bulk=bulk,
                    sealer=sealer,
                    save=partial(journal.save_checkpoint, order.run_id, order.epoch, lane.task),
                )
                for segment in lane.segments
            )

    with flags_shown(flags):
        asyncio.run(make(mapping_of(order.search)))


def bulk_to(documents: SearchIndex) -> Bulk:
    """Writes to a domain, with the machine's clock."""

    async def make(batch: Sequence[NewDocument]) -> Sequence[Made]:
        return await asyncio.to_thread(documents.make, batch)

    return Bulk(make, sleep=asyncio.sleep, clock=time.monotonic, jitter=random.random, limits=Limits())
