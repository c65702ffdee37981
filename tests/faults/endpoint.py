"""A DynamoDB-like endpoint on a real socket that keeps items and misbehaves on demand.

It speaks what a copy needs (Scan, BatchWriteItem, DescribeTable, GetCallerIdentity, AssumeRole), and a repair (GetItem,
and PutItem and DeleteItem on the conditions that we set), over HTTP/1.1 with kept-alive connections, in a thread of its
own. It is as strict as DynamoDB where a copy could go wrong: at most 25 items a batch, no two with one key, no empty
key, none over 400 KB; CRC32 of what it answers; no request signed 15 minutes away from its own clock; no token that it
has declared expired.

`Mischief` says how often which fault strikes; `fired` counts those that really did, so that a test can insist on it.
A fault that damages an answer strikes after the effect as well as before: done, and nobody knows.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qs

import orjson

Item = dict[str, Any]

PROD, TEST = "111111111111", "222222222222"
ACCOUNTS = {"AKIAPROD": PROD, "AKIATEST": TEST}
"""Which account an access key belongs to."""

_SKEW = 15 * 60
_LARGEST = 400 * 1024
_DRIBBLE = 0.02
_BACKLOG = 64
_SOON = 0.3
_SIGNED = re.compile(r"Credential=([^/]+)/")


class Table:
    """Items in an order that follows no key. `puts` counts how often each was put, `pages` how often one was read."""

    def __init__(self, name: str, keys: tuple[str, ...], *, page_items: int = 100, account: str = TEST) -> None:
        self.name = name
        self.keys = keys
        self.page_items = page_items
        self.account = account
        self.items: dict[bytes, Item] = {}
        self.puts: Counter[bytes] = Counter()
        self.pages: Counter[tuple[int, int, bytes]] = Counter()

    def key_of(self, item: Item) -> bytes:
        """The item's key as bytes. Raises KeyError if it lacks one."""
        return orjson.dumps([item[name] for name in self.keys])

    def put(self, items: Sequence[Item]) -> None:
        """Puts items as a test does: uncounted."""
        for item in items:
            self.items[self.key_of(item)] = item

    def scan(self, request: dict[str, Any]) -> dict[str, Any]:
        """One page of one segment, after the key that the request names, whether or not that is still there."""
        segment, total = request.get("Segment", 0), request.get("TotalSegments", 1)
        start = request.get("ExclusiveStartKey")
        after = self._place(self.key_of(start)) if start else (-1, b"")
        self.pages[segment, total, after[1]] += 1
        mine = sorted(
            place for key in self.items if (place := self._place(key)) > after and place[0] % total == segment
        )
        limit = min(request.get("Limit", self.page_items), self.page_items)
        found = [self.items[key] for _, key in mine[:limit]]
        answer: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if len(mine) > limit:
            answer["LastEvaluatedKey"] = {name: found[-1][name] for name in self.keys}
        return answer

    def description(self) -> dict[str, Any]:
        """As DescribeTable has it."""
        kinds = ("HASH", "RANGE")
        return {
            "TableName": self.name,
            "TableArn": f"arn:aws:dynamodb:us-east-1:{self.account}:table/{self.name}",
            "TableId": f"id-of-{self.name}",
            "TableStatus": "ACTIVE",
            "ItemCount": len(self.items),
            "TableSizeBytes": sum(len(orjson.dumps(item)) for item in self.items.values()),
            "KeySchema": [{"AttributeName": n, "KeyType": kinds[i]} for i, n in enumerate(self.keys)],
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in self.keys],
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        }

    def _place(self, key: bytes) -> tuple[int, bytes]:
        return zlib.crc32(key), key


@dataclass(slots=True)
class Mischief:
    """How often (0 to 1) which fault strikes the hot calls. `operations` narrows it. `dice` is seeded by the test."""

    rates: dict[str, float] = field(default_factory=dict)
    operations: tuple[str, ...] = ("Scan", "BatchWriteItem")
    dice: random.Random = field(default_factory=lambda: random.Random(4))
    at_most: int | None = None
    due: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.due = list(self.rates)

    def choose(self, operation: str) -> str | None:
        """The fault that strikes this request, if any. Each kind strikes once soon, whatever the dice say."""
        if operation not in self.operations:
            return None
        sooner = [name for name in self.due if name != "partial" or operation == "BatchWriteItem"]
        if sooner and self.at_most is None and self.dice.random() < _SOON:
            self.due.remove(sooner[0])
            return sooner[0]
        roll = self.dice.random()
        for name, rate in self.rates.items():
            if name == "partial" and operation != "BatchWriteItem":
                continue
            roll -= rate
            if roll < 0:
                if self.at_most is not None:
                    if self.at_most <= 0:
                        return None
                    self.at_most -= 1
                return name
        return None


class Refused(Exception):
    """An error that DynamoDB would answer with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


class Endpoint:
    """The server. `fired` counts faults, `requests` operations; `delay` holds every hot answer back (seconds)."""

    def __init__(self, *tables: Table, mischief: Mischief | None = None) -> None:
        self.tables = {table.name: table for table in tables}
        self.mischief = mischief or Mischief()
        self.fired: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.delay = 0.0
        self.ahead = 0.0
        self.deaf = False
        self.token_lasts = math.inf
        self.tokens: Counter[str] = Counter()
        self.on_request: Callable[[str], None] = lambda _operation: None
        self.url = ""
        self._listening: Any = None
        self._plugs: list[socket.socket] = []
        self._open: set[asyncio.StreamWriter] = set()

    def now(self) -> float:
        """The time that this server believes it is."""
        return time.time() + self.ahead

    def jam(self) -> None:
        """From now on nobody gets a connection: whoever asks for one waits. To be called by `on_request`."""
        asyncio.get_running_loop().remove_reader(self._listening.fileno())
        for _ in range(_BACKLOG + 2):
            plug = socket.socket()
            plug.setblocking(False)
            with suppress(BlockingIOError):
                plug.connect(self._listening.getsockname())
            self._plugs.append(plug)

    @contextmanager
    def serving(self) -> Iterator[Endpoint]:
        """Listens on a free port of this machine while the block runs."""
        loop = asyncio.new_event_loop()
        started = threading.Event()
        ended = asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 25, backlog=_BACKLOG)
            self._listening = server.sockets[0]
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            started.set()
            await ended.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            for writer in self._open:
                writer.transport.abort()
            for plug in self._plugs:
                plug.close()

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())

        thread = threading.Thread(target=run, name="endpoint", daemon=True)
        thread.start()
        started.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join(10)

    # -- HTTP

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.split(":", 1) for line in head[1:] if line)
                headers = {name.lower(): value.strip() for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if not await self._respond(headers, body, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _respond(
        self, headers: dict[str, str], body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answers one request; False if the connection is done for."""
        operation = headers.get("x-amz-target", "").partition(".")[2]
        if not operation:
            self._send(writer, 200, self._sts(body, headers), "text/xml")
            return True
        self.requests[operation] += 1
        self.on_request(operation)
        hot = operation in ("Scan", "BatchWriteItem")
        if self.deaf and hot:
            await reader.read()  # until the client gives up
            return False
        if hot and self.delay:
            await asyncio.sleep(self.delay)
        fault = self.mischief.choose(operation)
        if fault is not None:
            self.fired[fault] += 1
        try:
            self._admit(headers)
            if fault == "throttle" or (fault in _INSTEAD and self.mischief.dice.random() < 0.5):
                raise Refused(*_INSTEAD[fault])
            answer = self._do(operation, orjson.loads(body), partial=fault == "partial")
            if fault in _INSTEAD:
                raise Refused(*_INSTEAD[fault])
        except Refused as refused:
            said = (
                b""
                if refused.status == 503
                else orjson.dumps(
                    {"__type": f"com.amazonaws.dynamodb.v20120810#{refused.code}", "message": refused.message}
                )
            )
            self._send(writer, refused.status, said)
            return True
        return await self._deliver(writer, orjson.dumps(answer), fault)

    async def _deliver(self, writer: asyncio.StreamWriter, body: bytes, fault: str | None) -> bool:
        """Sends an answer, as damaged as the fault wants it."""
        middle = max(1, len(body) // 2)
        if fault == "lost":
            writer.transport.abort()
        elif fault == "reset":
            writer.write(self._head(200, body) + body[:middle])
            await writer.drain()
            sock = writer.get_extra_info("socket")
            sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif fault == "truncated":
            writer.write(self._head(200, body) + body[:middle])
            writer.write_eof()
        elif fault == "truncated chunks":
            writer.write(self._head(200, body, chunked=True) + b"%x\r\n%b\r\n" % (middle, body[:middle]))
            writer.write_eof()
        elif fault == "corrupt":
            place = self.mischief.dice.randrange(len(body))
            damaged = body[:place] + bytes([body[place] ^ 0x01]) + body[place + 1 :]
            writer.write(self._head(200, body) + damaged)
            return True
        elif fault == "slow":
            head = self._head(200, body)
            for at in range(len(head) + len(body)):
                writer.write((head + body)[at : at + 1])
                await writer.drain()
                await asyncio.sleep(_DRIBBLE)
        else:
            if self.mischief.dice.random() < 0.3:
                writer.write(self._head(200, body, chunked=True))
                writer.write(
                    b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (middle, body[:middle], len(body) - middle, body[middle:])
                )
            else:
                writer.write(self._head(200, body) + body)
            await writer.drain()
            return True
        return False

    def _send(self, writer: asyncio.StreamWriter, status: int, body: bytes, kind: str = "") -> None:
        writer.write(self._head(status, body, kind=kind) + body)

    def _head(self, status: int, body: bytes, *, chunked: bool = False, kind: str = "") -> bytes:
        size = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
        return (
            f"HTTP/1.1 {status} X\r\n{size}\r\ncontent-type: {kind or 'application/x-amz-json-1.0'}\r\n"
            f"x-amz-crc32: {zlib.crc32(body)}\r\ndate: {formatdate(self.now(), usegmt=True)}\r\n\r\n"
        ).encode()

    # -- what is done

    def _admit(self, headers: dict[str, str]) -> None:
        moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        if abs(moment - self.now()) > _SKEW:
            self.fired["skewed"] += 1
            late = "Signature expired: it is now earlier" if moment < self.now() else "Signature not yet current"
            raise Refused("InvalidSignatureException", late)
        token = headers.get("x-amz-security-token")
        if token is not None:
            self.tokens[token] += 1
            if self.tokens[token] > self.token_lasts:
                self.fired["expired"] += 1
                raise Refused("ExpiredTokenException", "The security token included in the request is expired")

    def _do(self, operation: str, request: dict[str, Any], *, partial: bool) -> dict[str, Any]:
        if operation == "BatchWriteItem":
            return self._write(request, partial=partial)
        table = self._table(request["TableName"])
        if operation == "Scan":
            return table.scan(request) | {"ConsumedCapacity": {"TableName": table.name, "CapacityUnits": 1.0}}
        if operation == "GetItem":
            found = table.items.get(table.key_of(request["Key"]))
            return {"Item": found} if found is not None else {}
        if operation in ("PutItem", "DeleteItem"):
            self._change(table, operation, request)
            return {"ConsumedCapacity": {"TableName": table.name, "CapacityUnits": 1.0}}
        if operation == "DescribeTable":
            return {"Table": table.description()}
        if operation == "DescribeTimeToLive":
            return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
        raise Refused("UnknownOperationException")

    def _write(self, request: dict[str, Any], *, partial: bool) -> dict[str, Any]:
        ((name, requests),) = request["RequestItems"].items()
        table = self._table(name)
        items = [one["PutRequest"]["Item"] for one in requests]
        if len(items) > 25:
            raise Refused("ValidationException", "Too many items requested for the BatchWriteItem call")
        for item in items:
            if any(name not in item or "" in item[name].values() for name in table.keys):
                raise Refused("ValidationException", "One or more parameter values were invalid: empty string value")
            if len(orjson.dumps(item)) > _LARGEST:
                raise Refused("ValidationException", "Item size has exceeded the maximum allowed size")
        keys = [table.key_of(item) for item in items]
        if len(set(keys)) < len(keys):
            raise Refused("ValidationException", "Provided list of item keys contains duplicates")
        left = [one for one in requests if partial and self.mischief.dice.random() < 0.5]
        for key, item, one in zip(keys, items, requests, strict=True):
            if not any(one is other for other in left):
                table.items[key] = item
                table.puts[key] += 1
        taken = [{"TableName": name, "CapacityUnits": float(len(items) - len(left))}]
        return {"UnprocessedItems": {name: left} if left else {}, "ConsumedCapacity": taken}

    def _change(self, table: Table, operation: str, request: dict[str, Any]) -> None:
        key = table.key_of(request["Item" if operation == "PutItem" else "Key"])
        wanted, there = request["ConditionExpression"], key in table.items
        assert request["ExpressionAttributeNames"] == {"#key": table.keys[0]}
        if wanted != ("attribute_exists(#key)" if there else "attribute_not_exists(#key)"):
            raise Refused("ConditionalCheckFailedException", "The conditional request failed")
        if operation == "PutItem":
            table.items[key] = request["Item"]
            table.puts[key] += 1
        else:
            del table.items[key]

    def _table(self, name: str) -> Table:
        if name not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    def _sts(self, body: bytes, headers: dict[str, str]) -> bytes:
        asked = parse_qs(body.decode())
        found = _SIGNED.search(headers.get("authorization", ""))
        account = ACCOUNTS[found[1]] if found else ""
        action = asked["Action"][0]
        self.requests[action] += 1
        self.on_request(action)
        if action == "AssumeRole":
            ends = datetime.fromtimestamp(self.now(), UTC) + timedelta(minutes=5)  # due for renewal at once
            said = (
                f"<Credentials><AccessKeyId>{found[1] if found else ''}</AccessKeyId><SecretAccessKey>secret"
                f"</SecretAccessKey><SessionToken>token-{self.requests[action]}</SessionToken>"
                f"<Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            )
        else:
            said = f"<Arn>arn:aws:iam::{account}:user/u</Arn><UserId>u</UserId><Account>{account}</Account>"
        return (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{said}'
            f"</{action}Result></{action}Response>"
        ).encode()


_INSTEAD: dict[str | None, tuple[str, str, int]] = {
    "throttle": ("ProvisionedThroughputExceededException", "The level of configured throughput was exceeded", 400),
    "500": ("InternalServerError", "", 500),
    "503": ("", "", 503),
}
