"""Tables on the hot path: pages read, batches written, single items mended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from downstage.domain.table_schema import Units
from downstage.ports.items import Item, RawItem


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan. `cursor` is the key to go on from, None at the segment's end."""

    items: Sequence[RawItem]
    cursor: Item | None


class ItemReader(Protocol):
    """Reads one segment of one table, page by page, from `cursor` (exclusive) on. Throttling is its business.

    It may read ahead: whoever stops early closes the generator, which ends what is under way.
    """

    def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that the target refuses for what it is (too large, empty key, …). `reason` holds no item data."""

    item: RawItem
    reason: str


class ItemWriter(Protocol):
    """Puts items. Returns when every one is acknowledged or rejected for good; raises if it cannot tell.

    The items of one call have distinct keys. Throttles and partial batches are its business.
    """

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]: ...


class ItemGetter(Protocol):
    """Reads single items of a table by key, strongly consistent; None for one that is not there."""

    async def get(self, key: Item) -> RawItem | None: ...


class ItemMender(ItemGetter, Protocol):
    """Changes single items of a target table. `put` is on the condition that there is none (`new`), or one, of that
    key; `delete` that there is one. False if that is not so, or if DynamoDB refuses the item for what it is."""

    async def put(self, item: RawItem, *, new: bool) -> bool: ...
    async def delete(self, key: Item) -> bool: ...


_NONE_SET = Units()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a table, or one of its global indexes, can take, in units a second.

    `provisioned` counts unless `on_demand`, where `maximum` is the limit that was set, and `warm` what AWS says it
    takes at once. None: not set, or not told.
    """

    on_demand: bool = True
    provisioned: Units = _NONE_SET
    maximum: Units = _NONE_SET
    warm: Units = _NONE_SET


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """A global secondary index: how many entries it holds and how large they are together, both hours old."""

    name: str
    items: int
    size: int
    capacity: Capacity = Capacity()


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """A copy of a global table in another region, and whose account it lies in."""

    region: str
    account: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What is known of a table: its identity survives no re-creation (`table_id`), `items` and `size` (bytes) lag by
    hours. `replicas` are those in other regions; `infrequent` is the table class Standard-Infrequent Access."""

    name: str
    arn: str
    table_id: str
    status: str
    key_names: tuple[str, ...]
    items: int
    size: int
    ttl_attribute: str | None = None
    stream_arn: str | None = None
    index_key_names: tuple[str, ...] = ()
    capacity: Capacity = Capacity()
    indexes: tuple[IndexFacts, ...] = ()
    replicas: int = 0
    infrequent: bool = False
