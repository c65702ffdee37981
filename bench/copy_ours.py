"""Our copy loop as a row of the benchmark: whole, and with one part after the other left out.

python bench/copy_ours.py "ours" http://127.0.0.1:PORT      one row in this process; for a profiler too
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from unittest.mock import patch

from peers import measure

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.aws.http import DynamoTransport
from downstage.aws.session import Session
from downstage.copying import segment
from downstage.domain.environment import Environment
from downstage.domain.refs import SourceTable, TargetTable
from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, ItemReader, ItemWriter, Page, RawItem, Rejected
from downstage.proof import digest as digests

_REGION = "us-east-1"
_KEY = MaskKey(bytes(range(7, 71)))


class _NoMask:
    """Passes every item on."""

    replaced = kept = opaque = unknown = 0

    def mask_bytes(self, item: RawItem) -> RawItem:
        return item


class _NoWriter:
    """Takes every item and keeps none."""

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]:
        return ()


class _Repeated:
    """Gives the same pages, read beforehand."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages

    async def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
        for page in self._pages:
            yield page


def _no_digest() -> AbstractContextManager[object]:
    """The loop, as long as it lasts, adds up nothing."""
    return patch.object(digests, "raw_digest", lambda raw: 0)


@lru_cache
def _session(endpoint: str) -> Session:
    """Signed in, once a process, as in a worker."""
    return Session(Environment("bench", "111111111111", _REGION, endpoint=endpoint))


async def _copy(reader: ItemReader, writer: ItemWriter, *, mask: bool) -> int:
    done = await segment.copy_segment(
        segment.CopyTask("run/copy/t", ("pk", "sk")),
        Checkpoint(0, 1),
        reader=reader,
        mask=ItemMasker(EmailPseudonyms(_KEY, "test", "u-{token}@test.example.com")) if mask else _NoMask(),
        writer=writer,
        sealer=KeySealer(_KEY),
        save=lambda checkpoint: None,
        quarantine=lambda item, reason: sys.exit(reason),
    )
    return done.counters["written"]


def whole(endpoint: str, table: str, *, mask: bool = True, digest: bool = True) -> int:
    """Copies the table with the product's own loop; gives the number of items."""

    async def copy() -> int:
        session = _session(endpoint)
        read, write = DynamoTransport(session), DynamoTransport(session)
        try:
            reader = ScanReader(read, SourceTable("1", _REGION, table))
            return await _copy(reader, BatchWriter(write, TargetTable("2", _REGION, "target")), mask=mask)
        finally:
            read.close()
            write.close()

    with nullcontext() if digest else _no_digest():
        return asyncio.run(copy())


async def _read_all(endpoint: str, pages: list[Page]) -> None:
    transport = DynamoTransport(_session(endpoint))
    try:
        reader = ScanReader(transport, SourceTable("1", _REGION, "source"))
        pages += [page async for page in reader.pages(0, 1, None)]
    finally:
        transport.close()


def read_only(endpoint: str, table: str) -> int:
    """Pages read and cut into items, nothing else."""

    async def read() -> int:
        transport = DynamoTransport(_session(endpoint))
        try:
            count = 0
            async for page in ScanReader(transport, SourceTable("1", _REGION, table)).pages(0, 1, None):
                count += len(page.items)
            return count
        finally:
            transport.close()

    return asyncio.run(read())


@lru_cache
def _read_beforehand(endpoint: str) -> Sequence[Page]:
    """The whole table, read once a process: in the run that warms up."""
    pages: list[Page] = []
    asyncio.run(_read_all(endpoint, pages))
    return pages


def write_only(endpoint: str, table: str) -> int:
    """Items read beforehand, put into batches, signed and written."""
    pages = _read_beforehand(endpoint)

    async def write() -> int:
        transport = DynamoTransport(_session(endpoint))
        try:
            writer = BatchWriter(transport, TargetTable("2", _REGION, "target"))
            for page in pages:
                await writer.put(page.items)
            return sum(len(page.items) for page in pages)
        finally:
            transport.close()

    return asyncio.run(write())


def loop_only(endpoint: str, table: str, *, mask: bool, digest: bool) -> int:
    """The loop alone: items read beforehand, nothing written."""
    pages = _read_beforehand(endpoint)
    with nullcontext() if digest else _no_digest():
        return asyncio.run(_copy(_Repeated(pages), _NoWriter(), mask=mask))


ROWS: dict[str, Callable[[str, str], int]] = {
    "ours": whole,
    "ours, no digest": lambda endpoint, table: whole(endpoint, table, digest=False),
    "ours, no mask": lambda endpoint, table: whole(endpoint, table, mask=False),
    "ours, no mask, no digest": lambda endpoint, table: whole(endpoint, table, mask=False, digest=False),
    "read only": read_only,
    "write only": write_only,
    "mask only": lambda endpoint, table: loop_only(endpoint, table, mask=True, digest=False),
    "digest only": lambda endpoint, table: loop_only(endpoint, table, mask=False, digest=True),
    "loop only": lambda endpoint, table: loop_only(endpoint, table, mask=False, digest=False),
}
"""`mask only` and `digest only` have the loop in them."""


if __name__ == "__main__":
    measure(ROWS)
