"""Looking at production without being felt: single small pages, one at a time, from all over a table.

A sample takes items from the beginning of every segment of a parallel scan, segments in shuffled order, so that it is
not the first partition alone; and of what it reads there only some, at random, so that it is not the first entity
alone where a partition is large. Nothing is written anywhere, and no item is kept.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import orjson

from downstage.aws.dynamodb import ScanReader, Transport
from downstage.aws.http import DynamoTransport
from downstage.aws.session import Session
from downstage.domain.refs import SourceTable
from downstage.ports import Clock, Item, ItemReader, Page
from downstage.wire.dynamodb import Response

SEGMENTS = 16
_UNITS = re.compile(rb'"CapacityUnits":\s*([0-9.]+)')
_SPREAD = 4
_FULL_PAGE = 1000


class GentleTransport:
    """Wraps a transport: one call at a time, pages of at most `limit` items, and no more than `rate` read capacity
    units a second (None: no bound)."""

    def __init__(self, transport: Transport, clock: Clock, limit: int | None, rate: float | None) -> None:
        self._transport = transport
        self._clock = clock
        self._limit = limit
        self._rate = rate
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    async def post(self, operation: str, body: bytes) -> Response:
        """The call, when its turn has come."""
        if self._limit is not None and operation == "Scan":
            body = orjson.dumps({**orjson.loads(body), "Limit": self._limit})
        async with self._lock:
            now = self._clock.monotonic()
            if self._free_at > now:
                self._clock.sleep(self._free_at - now)
            answer = await self._transport.post(operation, body)
            if self._rate is not None:
                used = _UNITS.search(answer.body)
                units = float(used[1]) if used else 1.0
                self._free_at = self._clock.monotonic() + units / self._rate
            return answer


def look_at(
    session: Session,
    table: SourceTable,
    visit: Callable[[Item], None],
    *,
    clock: Clock,
    count: int | None,
    rate: float | None,
) -> int:
    """Calls `visit` with about `count` items from all over the table, or with every item (None). Gives how many."""
    segments = 1 if count is None else min(SEGMENTS, count)
    limit = None if count is None else min(_FULL_PAGE, _SPREAD * -(-count // segments))

    async def look() -> int:
        transport = DynamoTransport(session, connections=1)
        reader = ScanReader(GentleTransport(transport, clock, limit, rate), table)
        try:
            return await sample(reader, segments, visit, count, random.SystemRandom())
        finally:
            transport.close()

    return asyncio.run(look())


async def sample(
    reader: ItemReader, segments: int, visit: Callable[[Item], None], count: int | None, dice: random.Random
) -> int:
    """Visits `count` items (None: all), as evenly from the segments as these allow. Gives how many there were.

    Of a table that is hardly larger than `count` it may be a few less: what a page has over its share is passed by.
    """
    seen = 0
    order = list(range(segments))
    dice.shuffle(order)
    waiting: dict[int, Item | None] = dict.fromkeys(order)
    while waiting and (count is None or seen < count):
        turns = list(waiting)
        for turn, segment in enumerate(turns):
            left = None if count is None else count - seen
            if left == 0:
                break
            share = None if left is None else -(-left // (len(turns) - turn))
            pages = reader.pages(segment, segments, waiting.pop(segment))
            taken, cursor = await _take(pages, visit, share, dice)
            seen += taken
            if cursor is not None:
                waiting[segment] = cursor
    return seen


async def _take(
    pages: AsyncGenerator[Page, None], visit: Callable[[Item], None], share: int | None, dice: random.Random
) -> tuple[int, Item | None]:
    """Up to `share` items of the pages; gives how many, and where to go on, None at the segment's end."""
    taken = 0
    async with aclosing(pages):
        async for page in pages:
            items = page.items
            if share is not None and len(items) > share - taken:
                items = dice.sample(items, share - taken)
            for item in items:
                visit(orjson.loads(item))
            taken += len(items)
            if page.cursor is None or (share is not None and taken >= share):
                return taken, page.cursor
    return taken, None
