"""A canned DynamoDB endpoint that costs almost nothing, so that a benchmark measures the client.

It answers Scan with pages made beforehand, whole or cut into segments (the page's number is read from
ExclusiveStartKey, so any client comes to an end; a Limit is kept), and BatchWriteItem with "all taken", each with the
CRC32 that botocore checks; DescribeTable and GetCallerIdentity as a table and a caller that exist. A source table named
`few` has its first two pages only: to warm up with. It verifies no signature and keeps nothing, but counts what was
written, and the addresses in it that are not at the sink.

Beyond the pages made beforehand a table goes on (`--cycles`) with the same ones, whose digits 4 to 9 change places,
differently in each cycle: hardly an identifier or an address comes twice, and dates stay dates.

`--delay` holds every answer back by that many milliseconds and `--rate` caps what one connection may read or write a
second: a table that is slower than the client. Plain or TLS.

    python bench/endpoint.py --pages 60 --page-items 900          prints its URL, serves until it is killed
    GET /_/counts                                                 what was written since the last such question
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import ssl
import zlib
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import orjson
from corpus import Corpus

SINK = b"@test.example.com"
_START = re.compile(rb'"ExclusiveStartKey":\s*\{"page":\s*\{"N":\s*"(\d+)')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SEGMENT = re.compile(rb'"Segment":\s*(\d+)')
_SEGMENTS = re.compile(rb'"TotalSegments":\s*(\d+)')
_LIMIT = re.compile(rb'"Limit":\s*(\d+)')
_FEW = re.compile(rb'"TableName":\s*"few"')
_CALLER = re.compile(rb"Credential=(\d{12})/")
_FEW_PAGES = 2
_DIGITS = b"456789"
_COST = b'{"TableName":"source","CapacityUnits":128.5}'


def answer(body: bytes, kind: str = "application/x-amz-json-1.0") -> bytes:
    """One HTTP answer as DynamoDB gives it."""
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Pages:
    """One table's pages: `made` ones of `items` items, `cycles` times over."""

    def __init__(self, made: Sequence[Sequence[bytes]], cycles: int) -> None:
        self._items = [b",".join(items) for items in made]
        self._counts = [len(items) for items in made]
        orders = list(permutations(_DIGITS))
        self._orders = [orders[0], *random.Random(1).sample(orders[1:], cycles - 1)]
        self._nothing = answer(b'{"Items":[],"Count":0,"ScannedCount":0}')

    def __len__(self) -> int:
        return len(self._items) * len(self._orders)

    def page(self, start: int | None, segment: int, segments: int, few: bool) -> tuple[bytes, int]:
        """The answer to a Scan, and how many items are in it; the last page of a segment names no key to go on from."""
        pages = min(_FEW_PAGES, len(self)) if few else len(self)
        first, end = segment * pages // segments, (segment + 1) * pages // segments
        number = first if start is None else start
        if number >= end:
            return self._nothing, 0
        cycle, place = divmod(number, len(self._items))
        items, count = self._items[place], self._counts[place]
        if cycle:
            items = items.translate(bytes.maketrans(_DIGITS, bytes(self._orders[cycle])))
        key = b',"LastEvaluatedKey":{"page":{"N":"%d"}}' % (number + 1) if number + 1 < end else b""
        body = b'{"Items":[%b],"Count":%d,"ScannedCount":%d,"ConsumedCapacity":%b%b}' % (
            items,
            count,
            count,
            _COST,
            key,
        )
        return answer(body), count


class Table:
    """The pages of the source in every size that is asked for, and what was written."""

    def __init__(self, mix: str, pages: int, items: int, cycles: int) -> None:
        draws = [getattr(Corpus(100_000 + page), mix) for page in range(pages)]
        self._made = [[orjson.dumps(item) for item in draw(items)] for draw in draws]
        self._cycles = cycles
        self._by_limit = {0: Pages(self._made, cycles)}
        self.written = self.addresses = 0

    def pages(self, limit: int) -> Pages:
        """As DynamoDB pages (`limit` 0), or by so many items."""
        if limit not in self._by_limit:
            parts = [page[at : at + limit] for page in self._made for at in range(0, len(page), limit)]
            self._by_limit[limit] = Pages(parts, self._cycles)
        return self._by_limit[limit]

    def counts(self) -> bytes:
        """What was written, and how many addresses in it were not at the sink; begins to count anew."""
        found = orjson.dumps({"written": self.written, "addresses": self.addresses})
        self.written = self.addresses = 0
        return found


_TAKEN = answer(b'{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"target","CapacityUnits":25.0}]}')
_DESCRIBED = answer(
    orjson.dumps(
        {
            "Table": {
                "TableName": "source",
                "TableStatus": "ACTIVE",
                "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "ProvisionedThroughput": {"ReadCapacityUnits": 1000, "WriteCapacityUnits": 1000},
            }
        }
    )
)
_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::{0}:user/bench</Arn><UserId>bench</UserId><Account>{0}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)


class Endpoint(asyncio.Protocol):
    """One connection."""

    def __init__(self, table: Table, delay: float, rate: float) -> None:
        self._table = table
        self._delay = delay
        self._rate = rate
        self._free = 0.0
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while True:
            if not self._needed:
                end = self._held.find(b"\r\n\r\n")
                if end < 0:
                    return
                length = _LENGTH.search(self._held, 0, end)
                self._needed = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._held) < self._needed:
                return
            request = bytes(self._held[: self._needed])
            del self._held[: self._needed]
            self._needed = 0
            self._send(*self._respond(request))

    def _send(self, found: bytes, items: int) -> None:
        """At once, or when the connection's rate allows it."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        due = now = loop.time()
        if self._rate and items:
            due = self._free = max(now, self._free) + items / self._rate
        due += self._delay
        if due > now:
            loop.call_at(due, self._transport.write, found)
        else:
            self._transport.write(found)

    def _respond(self, request: bytes) -> tuple[bytes, int]:
        """The answer, and how many items it carries or took."""
        head = request[:2000]
        if b"_20120810.BatchWriteItem" in head:
            taken = request.count(b'"PutRequest"')
            self._table.written += taken
            self._table.addresses += request.count(b"@") - request.count(SINK)
            return _TAKEN, taken
        if b"_20120810.Scan" in head:
            limit, start = _LIMIT.search(request), _START.search(request)
            segment, segments = _SEGMENT.search(request), _SEGMENTS.search(request)
            return self._table.pages(int(limit.group(1)) if limit else 0).page(
                int(start.group(1)) if start else None,
                int(segment.group(1)) if segment else 0,
                int(segments.group(1)) if segments else 1,
                _FEW.search(request) is not None,
            )
        if b"_20120810.DescribeTable" in head:
            return _DESCRIBED, 0
        if head.startswith(b"GET /_/counts "):
            return answer(self._table.counts()), 0
        caller = _CALLER.search(head)
        return answer(_IDENTITY.format(caller.group(1).decode() if caller else "").encode(), kind="text/xml"), 0


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until it is killed."""
    table = Table(arguments.mix, arguments.pages, arguments.page_items, arguments.cycles)
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
    loop = asyncio.get_running_loop()
    for secured in (None, context) if context else (None,):
        server = await loop.create_server(
            lambda: Endpoint(table, arguments.delay / 1000, arguments.rate), "127.0.0.1", arguments.port, ssl=secured
        )
        scheme = "https" if secured else "http"
        print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.create_future()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--page-items", type=int, default=900)
    parser.add_argument("--mix", choices=("plain", "dense"), default="plain", help="which items of corpus.py")
    parser.add_argument("--cycles", type=int, default=1, help="how often the pages come again, each time as others")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds to hold each answer back")
    parser.add_argument("--rate", type=float, default=0.0, help="items a second that one connection may read or write")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", type=Path, help="serve TLS too, on a second port, whose URL is printed second")
    parser.add_argument("--key", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
