"""A canned DynamoDB endpoint that costs almost nothing, so that a benchmark measures the client.

It answers Scan with pages made beforehand (the page's number is read from ExclusiveStartKey, so any client comes to an
end) and BatchWriteItem with "all taken", each with the CRC32 that botocore checks. It verifies no signature and keeps
nothing. `--delay` holds every answer back by that many milliseconds and `--rate` caps what one connection may read or
write a second: a table that is slower than the client. Plain or TLS.

    python bench/endpoint.py --pages 60 --page-items 900          prints its URL, serves until it is killed
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import zlib
from pathlib import Path

import orjson
from corpus import Corpus

_START = re.compile(rb'"ExclusiveStartKey":\s*\{"page":\s*\{"N":\s*"(\d+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SEGMENT = re.compile(rb'"Segment":\s*(\d+)')


def answer(body: bytes) -> bytes:
    """One HTTP answer as DynamoDB gives it."""
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def pages(count: int, items: int, seed: int = 1) -> list[bytes]:
    """The answers to Scan, in order; the last one names no key to go on from."""
    made = []
    for number in range(count):
        page: dict[str, object] = {
            "Items": Corpus(seed * 100_000 + number).plain(items),
            "Count": items,
            "ScannedCount": items,
            "ConsumedCapacity": {"TableName": "source", "CapacityUnits": 128.5},
        }
        if number < count - 1:
            page["LastEvaluatedKey"] = {"page": {"N": str(number + 1)}}
        made.append(answer(orjson.dumps(page)))
    return made


TAKEN = answer(b'{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"target","CapacityUnits":25.0}]}')


class Endpoint(asyncio.Protocol):
    """One connection."""

    def __init__(self, answers: list[bytes], delay: float, segments: int) -> None:
        self._answers = answers
        self._delay = delay
        self._share = max(1, len(answers) // segments)
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
            self._respond(request)

    def _respond(self, request: bytes) -> None:
        assert self._transport is not None
        if b".Scan" in request[:1500]:
            start = _START.search(request)
            found = self._answers[int(start.group(1)) if start else 0]
        else:
            found = TAKEN
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, found)
        else:
            self._transport.write(found)


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until it is killed."""
    answers = pages(arguments.pages, arguments.page_items)
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
    server = await asyncio.get_running_loop().create_server(
        lambda: Endpoint(answers, arguments.delay / 1000, 1), "127.0.0.1", arguments.port, ssl=context
    )
    scheme = "https" if context else "http"
    print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--page-items", type=int, default=900)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds to hold each answer back")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
