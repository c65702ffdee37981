"""Consumers in memory. One that is enabled is handed every record of its stream, from the first on, as Lambda does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from downstage.errors import NotFound
from downstage.ports import Consumer, Item
from downstage.testing.tables import MemoryTable, MemoryTables

Deliver = Callable[[Item], None]


class MemoryConsumers:
    """Implements `ports.StreamControl` over memory tables. `mappings` by uuid; `deliver` is the function's body, and
    `functions` the patterns of those that are configured."""

    def __init__(self, tables: MemoryTables, deliver: Deliver, writes: list[str]) -> None:
        self.mappings: dict[str, Consumer] = {}
        self.functions: tuple[str, ...] = ("streams_*",)
        self._tables = tables
        self._deliver = deliver
        self._writes = writes
        self._made = 0

    def add(
        self,
        function: str,
        table: str,
        stream_arn: str,
        *,
        enabled: bool = True,
        starts: str = "TRIM_HORIZON",
        region: str = "us-east-1",
    ) -> Consumer:
        """A new mapping."""
        self._made += 1
        state = "Enabled" if enabled else "Disabled"
        uuid = f"uuid-{self._made}"
        consumer = Consumer(uuid, function, table, stream_arn, state, region, {}, starts, "OK")
        self.mappings[consumer.uuid] = consumer
        if enabled:
            self._attach(consumer)
        return consumer

    @property
    def enabled(self) -> list[str]:
        """The functions that are on."""
        return sorted(consumer.function for consumer in self.mappings.values() if consumer.enabled)

    def consumers(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """The mappings on streams of these tables, also on streams that are gone."""
        return [one for one in self.mappings.values() if one.table in tables and self._configured(one)]

    def others(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """The mappings of functions that are not configured."""
        return [one for one in self.mappings.values() if one.table in tables and not self._configured(one)]

    def _configured(self, consumer: Consumer) -> bool:
        return any(fnmatchcase(consumer.function, pattern) for pattern in self.functions)

    def switch(self, consumer: Consumer, on: bool) -> None:
        """Switches it; an enabled one gets what the stream has kept."""
        self._writes.append(f"switch {consumer.function} {'on' if on else 'off'}")
        now = self.mappings.get(consumer.uuid)
        if now is None:
            raise NotFound(f"there is no consumer {consumer.function}")
        if now.enabled != on:
            self.mappings[consumer.uuid] = replace(now, state="Enabled" if on else "Disabled")
            if on:
                self._attach(now)

    def create(self, consumer: Consumer, stream_arn: str) -> str:
        """Its like on another stream, disabled."""
        self._writes.append(f"create consumer {consumer.function}")
        return self.add(consumer.function, consumer.table, stream_arn, enabled=False, region=consumer.region).uuid

    def remove(self, consumer: Consumer) -> None:
        """Removes it; an absent one is fine."""
        self._writes.append(f"remove consumer {consumer.function}")
        self.mappings.pop(consumer.uuid, None)

    def _attach(self, consumer: Consumer) -> None:
        table: MemoryTable | None = self._tables.tables.get(consumer.table)
        if table is None or table.stream_arn != consumer.stream_arn:
            return

        def on_record(item: Item) -> None:
            now = self.mappings.get(consumer.uuid)
            if now is not None and now.enabled:
                self._deliver(item)

        for item in table.records:
            self._deliver(item)
        table.listeners.append(on_record)
