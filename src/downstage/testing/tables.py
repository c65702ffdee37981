"""Tables in memory: items by key, segments by hash of the key, a stream that keeps every record.

What DynamoDB refuses is refused: an item over 400 KB, an empty key. A table that is deleted and made again has
another id and another stream, and the old stream is gone.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence

import orjson

from downstage.domain.environment import Environment
from downstage.errors import NotFound
from downstage.planning import guards
from downstage.ports import Item, Page, RawItem, Rejected, Replica, TableFacts

LARGEST_ITEM = 400 * 1024


class MemoryTable:
    """One table. `items` by canonical key, `records` is what its stream holds, `listeners` see each new record."""

    def __init__(self, name: str, key_names: Sequence[str], table_id: str, ttl_attribute: str | None = None) -> None:
        self.name = name
        self.key_names = tuple(key_names)
        self.table_id = table_id
        self.ttl_attribute = ttl_attribute
        self.status = "ACTIVE"
        self.stream_arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}/stream/{table_id}"
        self.items: dict[bytes, Item] = {}
        self.records: list[Item] = []
        self.listeners: list[Callable[[Item], None]] = []

    def key(self, item: Item) -> bytes:
        """The item's key, as bytes that sort."""
        return orjson.dumps([item.get(name) for name in self.key_names])

    def put(self, items: Iterable[Item]) -> None:
        """Puts items as they are."""
        for item in items:
            self.items[self.key(item)] = copy.deepcopy(item)
            self.records.append(item)
            for listener in self.listeners:
                listener(item)

    def remove(self, key: Item) -> bool:
        """Deletes an item; False if there is none. Its records go too: to a consumer that comes later, a put and its
        removal are nothing."""
        place = self.key(key)
        self.records = [record for record in self.records if self.key(record) != place]
        return self.items.pop(place, None) is not None

    def all(self) -> list[Item]:
        """Every item, by key."""
        return [item for _, item in sorted(self.items.items())]

    def segment(self, segment: int, total_segments: int) -> list[tuple[bytes, Item]]:
        """(key, item) of one segment, by key."""
        return sorted(pair for pair in self.items.items() if zlib.crc32(pair[0]) % total_segments == segment)


class MemoryTables:
    """Implements `ports.TableAdmin`. `tables` by name; `writes` takes note of each deletion. `copies` are the regions
    in which a table has a replica, and those regions' own tables, which lose them with it."""

    def __init__(self, writes: list[str], region: str = "us-east-1", account: str = "222222222222") -> None:
        self.tables: dict[str, MemoryTable] = {}
        self.copies: dict[str, dict[str, MemoryTables]] = {}
        self.place = Environment("test", account, region)
        self._writes = writes
        self._made = 0

    def create(self, name: str, key_names: Sequence[str], ttl_attribute: str | None = None) -> MemoryTable:
        """A new, empty table, with an id that no table had before."""
        self._made += 1
        self.tables[name] = MemoryTable(name, key_names, f"id-{self._made}", ttl_attribute)
        return self.tables[name]

    def __getitem__(self, name: str) -> MemoryTable:
        try:
            return self.tables[name]
        except KeyError:
            raise NotFound(f"there is no table {name}", "ResourceNotFoundException") from None

    def names(self) -> Sequence[str]:
        """Every table."""
        return sorted(self.tables)

    def facts(self, name: str) -> TableFacts:
        """What is known of a table. Raises NotFound."""
        table = self[name]
        return TableFacts(
            name=name,
            arn=table.stream_arn.partition("/stream/")[0],
            table_id=table.table_id,
            status=table.status,
            key_names=table.key_names,
            items=len(table.items),
            size=0,
            ttl_attribute=table.ttl_attribute,
            stream_arn=table.stream_arn,
        )

    def identity(self, name: str) -> str | None:
        """Its id."""
        return self.tables[name].table_id if name in self.tables else None

    def is_empty(self, name: str) -> bool:
        """Whether it holds no item."""
        return not self[name].items

    def replicas(self, name: str) -> Sequence[Replica]:
        """Its copies in other regions."""
        return [Replica(region, there.place.account) for region, there in sorted(self.copies.get(name, {}).items())]

    def delete(self, name: str, regions: Collection[str] = ()) -> bool:
        """Deletes it with its stream, its copies first; False if it was not there."""
        guards.check_replicas(name, self.place, self.replicas(name), regions)
        for region, there in self.copies.pop(name, {}).items():
            self._writes.append(f"delete table {name} in {region}")
            there.tables.pop(name, None)
            there.copies.get(name, {}).pop(self.place.region, None)
        self._writes.append(f"delete table {name}")
        return self.tables.pop(name, None) is not None

    def enable_ttl(self, name: str, attribute: str) -> bool:
        """Lets items expire by `attribute`; False if they did already."""
        table = self[name]
        if table.ttl_attribute == attribute:
            return False
        self._writes.append(f"expire items of {name}")
        table.ttl_attribute = attribute
        return True


class MemoryReader:
    """Implements `ports.ItemReader` on a table, `page_size` items a page. `pages_read` counts."""

    def __init__(self, table: MemoryTable, page_size: int = 3) -> None:
        self._table = table
        self._page_size = page_size
        self.pages_read = 0

    async def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
        """Pages in key order, after `cursor`. As in DynamoDB, the last page may be empty."""
        after = self._table.key(cursor) if cursor is not None else None
        left = [pair for pair in self._table.segment(segment, total_segments) if after is None or pair[0] > after]
        while True:
            page, left = left[: self._page_size], left[self._page_size :]
            last = page[-1][1] if len(page) == self._page_size else None
            following = {name: last[name] for name in self._table.key_names} if last is not None else None
            self.pages_read += 1
            yield Page([orjson.dumps(item) for _, item in page], following)
            if following is None:
                return


class MemoryWriter:
    """Implements `ports.ItemWriter` on a table."""

    def __init__(self, table: MemoryTable, writes: list[str] | None = None) -> None:
        self._table = table
        self._writes = writes if writes is not None else []

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]:
        """Puts what DynamoDB would take; the rest is answered."""
        read = {raw: orjson.loads(raw) for raw in items}
        if len({self._table.key(item) for item in read.values()}) != len(items):
            raise AssertionError("the items of one call must have distinct keys")
        rejected = [Rejected(raw, reason) for raw, item in read.items() if (reason := self._refusal(item))]
        refused = {rejection.item for rejection in rejected}
        self._writes.append(f"put {self._table.name}")
        self._table.put(item for raw, item in read.items() if raw not in refused)
        return rejected

    def _refusal(self, item: Item) -> str:
        if len(orjson.dumps(item)) > LARGEST_ITEM:
            return "the item is larger than 400 KB"
        for name in self._table.key_names:
            if not next(iter(item.get(name, {"": ""}).values())):
                return "a key attribute is empty"
        return ""
