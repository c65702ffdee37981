"""A deep comparison over memory tables: the real phases, the real spill, memory at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import orjson

from downstage.copying.segment import CopyTask, Mask
from downstage.ports import Item, ItemGetter, ItemMender, ItemReader, Journal, Lane, RawItem, RunRecord, Sealer
from downstage.testing.tables import LARGEST_ITEM, MemoryTable
from downstage.verify.item_names import ItemNames
from downstage.workflow.deep_lanes import Tools, deep_lane, quarantined_by, shape_of
from downstage.workflow.parts import DeepWork


class MemoryItems:
    """Implements `ports.ItemMender` on a table. `gets` counts; `writes` takes note of each change."""

    def __init__(self, table: MemoryTable, writes: list[str] | None = None) -> None:
        self._table = table
        self._writes = writes if writes is not None else []
        self.gets = 0

    async def get(self, key: Item) -> RawItem | None:
        """The item of that key."""
        self.gets += 1
        item = self._table.items.get(self._table.key(key))
        return None if item is None else orjson.dumps(item)

    async def put(self, item: RawItem, *, new: bool) -> bool:
        """Puts it, if the condition holds and DynamoDB would take it."""
        read = orjson.loads(item)
        if (self._table.key(read) in self._table.items) is new or len(item) > LARGEST_ITEM:
            return False
        self._writes.append(f"mend {self._table.name}")
        self._table.put([read])
        return True

    async def delete(self, key: Item) -> bool:
        """Deletes what is there."""
        self._writes.append(f"delete an item {self._table.name}")
        return self._table.remove(key)


class MemoryDeepLanes:
    """Implements `workflow.parts.DeepLanes` in this process. Readers are made by name of the table."""

    def __init__(
        self,
        *,
        source_reader: Callable[[str], ItemReader],
        target_reader: Callable[[str], ItemReader],
        source_items: Callable[[str], ItemGetter],
        target_items: Callable[[str], ItemMender],
        journal: Journal,
        mask: Mask,
        sealer: Sealer,
        names: ItemNames,
        fingerprint: Callable[[str], str],
    ) -> None:
        self._source_reader = source_reader
        self._target_reader = target_reader
        self._source_items = source_items
        self._target_items = target_items
        self._journal = journal
        self._mask = mask
        self._sealer = sealer
        self._names = names
        self._fingerprint = fingerprint

    def deep(self, run: RunRecord, works: Sequence[DeepWork]) -> Callable[[Lane], None]:
        """The function that does one lane."""
        return partial(self._lane, run, {work.table.target: work for work in works})

    def _lane(self, run: RunRecord, works: dict[str, DeepWork], lane: Lane) -> None:
        work = works[lane.task.partition("/")[2]]
        table = work.table
        copied = CopyTask(work.copy_run, table.key_names, table.ttl_attribute, table.expired_before)
        tools = Tools(
            source=self._source_reader(table.source),
            target=self._target_reader(table.target),
            source_items=self._source_items(table.source),
            target_items=self._target_items(table.target),
            shape=shape_of(self._mask, copied),
            quarantined=quarantined_by(self._journal, work, self._fingerprint),
            names=self._names,
            sealer=self._sealer,
        )
        asyncio.run(deep_lane(tools, work, run.run_id, run.epoch, lane))
