"""Reading and writing items: Scan and BatchWriteItem with back-off, partial batches and poison items handled.

Every answer falls into one class of fault (`wire.dynamodb.classify`): throttles and passing errors wait and go on,
a refused batch is halved until the refused item stands alone, anything else ends the segment. What calls cost is paced
(`copying.rates`); the next page is read while the last one is being written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import chain
from typing import Protocol

from downstage.copying.batches import batches
from downstage.copying.pacing import Backoff
from downstage.copying.rates import Pace
from downstage.domain.refs import SourceTable, TargetTable
from downstage.errors import AwsError, CredentialsError, Unreachable
from downstage.ports import Item, Page, RawItem, Rejected
from downstage.wire import dynamodb as wire
from downstage.wire import one_item


class Transport(Protocol):
    """One signed POST and its whole answer. Raises Unreachable if none came, CredentialsError."""

    async def post(self, operation: str, body: bytes) -> wire.Response: ...


class _Caller:
    """Calls one operation until it is answered for good."""

    def __init__(self, transport: Transport, table: str, pace: Pace, backoff: Backoff, dice: random.Random) -> None:
        self._transport = transport
        self.pace = pace
        self._table = table
        self._backoff = backoff
        self._dice = dice

    def waits(self) -> Iterator[float]:
        """Fresh waits for one piece of work."""
        return self._backoff.waits(self._dice)

    async def call(self, operation: str, body: bytes) -> wire.Response:
        """A 200, or the answer that refuses the request's content. Raises AwsError, CredentialsError, Unreachable."""
        code = "no answer"
        for wait in chain(self.waits(), (None,)):
            await self.pace.ready()
            try:
                response = await self._transport.post(operation, body)
            except Unreachable:
                code = "no answer"
            else:
                if response.status == 200:
                    return response
                code = wire.fault_code(response)
                fault = wire.classify(response)
                if fault is wire.Fault.REJECTED:
                    return response
                if fault in (wire.Fault.FATAL, wire.Fault.EXPIRED, wire.Fault.SKEWED):
                    raise self._failure(operation, code, fault)
                if fault is wire.Fault.THROTTLE:
                    self.pace.throttled()
            if wait is not None:
                await asyncio.sleep(wait)
        raise Unreachable(
            f"{operation} on table {self._table} did not get through after many tries ({code}); "
            "resume the run when AWS answers again",
            code,
        )

    def _failure(self, operation: str, code: str, fault: wire.Fault) -> Exception:
        if fault is wire.Fault.EXPIRED:
            return CredentialsError(f"{operation} on table {self._table}: the credentials have expired; renew them")
        if fault is wire.Fault.SKEWED:
            return AwsError(f"{operation} on table {self._table}: this machine's clock is wrong; set it", code)
        return AwsError(f"{operation} on table {self._table}: AWS answered {code}", code)


def _caller(
    transport: Transport, table: str, pace: Pace | None, backoff: Backoff | None, dice: random.Random | None
) -> _Caller:
    return _Caller(transport, table, pace or Pace(), backoff or Backoff(), dice or random.Random())  # noqa: S311


class ScanReader:
    """Implements `ports.ItemReader` on a table. `consistent` costs twice the read capacity."""

    def __init__(
        self,
        transport: Transport,
        table: SourceTable | TargetTable,
        *,
        consistent: bool = False,
        pace: Pace | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._table = table.name
        self._consistent = consistent
        self._caller = _caller(transport, table.name, pace, backoff, dice)

    async def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
        """Pages in order; one is read ahead."""
        ahead: asyncio.Task[Page] | None = asyncio.create_task(self._page(segment, total_segments, cursor))
        try:
            while ahead is not None:
                page = await ahead
                following = page.cursor
                ahead = (
                    asyncio.create_task(self._page(segment, total_segments, following))
                    if following is not None
                    else None
                )
                yield page
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.wait([ahead])
                if not ahead.cancelled():
                    ahead.exception()  # looked at: nobody waits for this page any more

    async def _page(self, segment: int, total_segments: int, cursor: Item | None) -> Page:
        body = wire.scan_body(self._table, segment, total_segments, cursor, consistent=self._consistent)
        response = await self._caller.call("Scan", body)
        if response.status != 200:
            code = wire.fault_code(response)
            raise AwsError(f"table {self._table} cannot be scanned: AWS answered {code}", code)
        try:
            scanned = wire.parse_scan(response.body)
        except ValueError:
            raise AwsError(f"table {self._table}: a page of the scan is not whole; resume the run") from None
        self._caller.pace.spent(scanned.units)
        return Page(scanned.items, scanned.cursor)


class BatchWriter:
    """Implements `ports.ItemWriter` on a target table. At most `parallel` batches of one call are under way."""

    def __init__(
        self,
        transport: Transport,
        table: TargetTable,
        *,
        parallel: int = 4,
        pace: Pace | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._table = table.name
        self._parallel = parallel
        self._caller = _caller(transport, table.name, pace, backoff, dice)

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]:
        """Puts all items; the answer names those that DynamoDB refuses."""
        places = asyncio.Semaphore(self._parallel)

        async def put(batch: list[RawItem]) -> list[Rejected]:
            async with places:
                return await self._put(batch)

        tasks = [asyncio.create_task(put(batch)) for batch in batches(items)]
        try:
            answers = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return [rejected for answer in answers for rejected in answer]

    async def _put(self, batch: list[RawItem]) -> list[Rejected]:
        waits = self._caller.waits()
        left = batch
        while left:
            response = await self._caller.call("BatchWriteItem", wire.batch_body(self._table, left))
            if response.status != 200:
                return await self._halves(left, response)
            try:
                taken = wire.parse_taken(response.body, self._table)
            except ValueError:
                raise AwsError(
                    f"table {self._table}: what a write took cannot be told from its answer; resume the run"
                ) from None
            self._caller.pace.spent(taken.units)
            if len(taken.unprocessed) < len(left):
                waits = self._caller.waits()
            left = taken.unprocessed
            if left:
                self._caller.pace.throttled()
                wait = next(waits, None)
                if wait is None:
                    raise Unreachable(
                        f"table {self._table} takes no more items (throttled); raise its capacity, then resume the run"
                    )
                await asyncio.sleep(wait)
        return []

    async def _halves(self, batch: list[RawItem], response: wire.Response) -> list[Rejected]:
        """A refused batch: the item that stands alone is the poison, the others go on."""
        if len(batch) == 1:
            return [Rejected(batch[0], wire.rejection_reason(response))]
        middle = len(batch) // 2
        return [*await self._put(batch[:middle]), *await self._put(batch[middle:])]


class ItemReaderByKey:
    """Implements `ports.ItemGetter` on a table. What a call cost is paced."""

    def __init__(
        self,
        transport: Transport,
        table: SourceTable | TargetTable,
        *,
        pace: Pace | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._table = table.name
        self._caller = _caller(transport, table.name, pace, backoff, dice)

    async def get(self, key: Item) -> RawItem | None:
        """The item as it is now."""
        response = await self._caller.call("GetItem", one_item.get_body(self._table, key))
        if response.status != 200:
            code = wire.fault_code(response)
            raise AwsError(f"an item of table {self._table} cannot be read: AWS answered {code}", code)
        try:
            found = one_item.parse_item(response.body)
        except ValueError:
            raise AwsError(f"table {self._table}: an item did not arrive whole; start again") from None
        self._caller.pace.spent(found.units)
        return found.item


class ItemMenderByKey(ItemReaderByKey):
    """Implements `ports.ItemMender` on a target table."""

    def __init__(
        self,
        transport: Transport,
        table: TargetTable,
        key_name: str,
        *,
        pace: Pace | None = None,
        backoff: Backoff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        super().__init__(transport, table, pace=pace, backoff=backoff, dice=dice)
        self._key_name = key_name

    async def put(self, item: RawItem, *, new: bool) -> bool:
        """Puts it in place of nothing (`new`), or of what has its key."""
        return await self._change("PutItem", one_item.put_body(self._table, item, self._key_name, new=new))

    async def delete(self, key: Item) -> bool:
        """Deletes what has this key."""
        return await self._change("DeleteItem", one_item.delete_body(self._table, key, self._key_name))

    async def _change(self, operation: str, body: bytes) -> bool:
        try:
            response = await self._caller.call(operation, body)
        except AwsError as error:
            if error.code == one_item.CONDITION_FAILED:
                return False
            raise
        if response.status != 200:
            return False
        self._caller.pace.spent(one_item.units_of(response.body))
        return True
