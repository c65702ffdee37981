"""A fake S3, stricter than the stand-ins: it keeps the rules that a sync's safety rests on, and it fails to order.

It answers 403 if `x-amz-expected-bucket-owner` names the wrong account (and notes every call that names none), 412 if a
copy's source is not the one that was listed, 403 to whoever writes to a bucket of another account, and it checks each
signature by its own reading of SigV4, and against `clock` if it has one. A bucket that lies in a region sends whoever
signs for another one there. It runs on loopback in a thread of the test, so that the client may be another
process, and may be killed. `calls` counts by operation, `copies` and `deletes` by key of the target, `trespasses` are
writes to others' buckets; `undeletable` keys keep their place, with a code.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from urllib.parse import parse_qsl, unquote, unquote_plus

from downstage.testing.s3_answers import Reply, error_reply
from downstage.testing.s3_faults import Call, Fault, Strike, none
from downstage.testing.s3_objects import LARGEST_COPY, Bucket, Refused
from downstage.testing.s3_operations import Request, operate, operation_of
from downstage.testing.s3_signatures import account_of, moment_of, region_of, signed

_MOST_SKEW = 15 * 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class FakeS3:
    """The state, the rules and the counts; `serving` gives one that listens. Set `fault` and `before` at any time."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    fault: Fault = none
    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    secret: str = "secret"  # noqa: S105 - the fake's own
    largest_copy: int = LARGEST_COPY
    undeletable: dict[str, str] = field(default_factory=dict)
    page_size: int = 1000
    delay: float = 0.0
    endpoint: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    deletes: Counter[str] = field(default_factory=Counter)
    unguarded: Counter[str] = field(default_factory=Counter)
    trespasses: list[str] = field(default_factory=list)
    forged: int = 0
    under_way: int = 0
    most_under_way: int = 0
    now: float = 1_800_000_000.0
    clock: Callable[[], float] | None = None
    elsewhere: tuple[int, str] = (301, "PermanentRedirect")
    _numbers: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def bucket(self, name: str, owner: str, *, versioning: str = "", region: str = "") -> Bucket:
        """Makes an empty bucket."""
        self.buckets[name] = Bucket(owner, versioning=versioning, region=region)
        return self.buckets[name]

    def forget(self) -> None:
        """Counts calls anew. Buckets and faults stay, and so does whatever a client did wrong."""
        for counter in (self.calls, self.copies, self.deletes, self._numbers):
            counter.clear()
        self.most_under_way = 0

    def respond(self, request: Request) -> tuple[Reply, Strike | None]:
        """Answers one request, or says what befalls it."""
        operation = operation_of(request)
        self.calls[operation] += 1
        call = self._call(operation, request)
        self.before(call)
        strike = self.fault(call)
        reply = _struck(strike)
        if reply is None:
            self.now += 0.001
            reply = self._answer(operation, request, strike)
        self.after(call)
        return reply, strike

    def _call(self, operation: str, request: Request) -> Call:
        spot = request.key or request.query.get("continuation-token") or request.query.get("start-after", "")
        self._numbers[operation, request.bucket] += 1
        self._numbers[operation, request.bucket, spot] += 1
        return Call(
            operation,
            request.bucket,
            spot,
            self._numbers[operation, request.bucket],
            self._numbers[operation, request.bucket, spot],
        )

    def _answer(self, operation: str, request: Request, strike: Strike | None) -> Reply:
        if self.clock is not None and abs(moment_of(request) - self.clock()) > _MOST_SKEW:
            skewed = error_reply(403, "RequestTimeTooSkewed", bodyless=request.method == "HEAD")
            return replace(skewed, headers={**skewed.headers, "date": formatdate(self.clock(), usegmt=True)})
        there = self.buckets.get(request.bucket)
        if there is not None and there.region not in ("", region_of(request)):
            return self._sent_on(request, there.region)
        if not signed(request, self.secret):
            self.forged += 1
            return error_reply(403, "SignatureDoesNotMatch")
        try:
            self._guard(operation, request)
            return operate(self, operation, request, strike)
        except Refused as refusal:
            return error_reply(refusal.status, refusal.code, bodyless=request.method == "HEAD")

    def _sent_on(self, request: Request, region: str) -> Reply:
        """The bucket lies in another region: a redirect names it in a header, an error in its text."""
        status, code = self.elsewhere
        reply = error_reply(status, code, bodyless=request.method == "HEAD")
        if status < 400:
            return replace(reply, headers={**reply.headers, "x-amz-bucket-region": region})
        return replace(reply, body=reply.body.replace(b"</Code>", f"</Code><Region>{region}</Region>".encode()))

    def _guard(self, operation: str, request: Request) -> None:
        """Owners, as S3 checks them: of the bucket, and of a copy's source."""
        if not request.bucket:
            return
        named = {request.bucket: request.headers.get("x-amz-expected-bucket-owner")}
        if request.copy_source is not None:
            named[request.copy_source[0]] = request.headers.get("x-amz-source-expected-bucket-owner")
        for name, owner in named.items():
            if name not in self.buckets:
                raise Refused(404, "NoSuchBucket")
            if owner is None:
                self.unguarded[operation] += 1
            elif owner != self.buckets[name].owner:
                raise Refused(403, "AccessDenied")
        if request.method != "GET" and request.method != "HEAD":
            caller, owner = account_of(request), self.buckets[request.bucket].owner
            if caller != owner:
                self.trespasses.append(operation)
                raise Refused(403, "AccessDenied")


def _struck(strike: Strike | None) -> Reply | None:
    """The answer of a call that is refused before it has an effect."""
    match strike:
        case Strike.SLOW_DOWN:
            return error_reply(503, "SlowDown")
        case Strike.BROKEN:
            return error_reply(500, "InternalError")
        case Strike.ERROR_IN_200:
            return error_reply(200, "InternalError")
        case Strike.DENIED:
            return error_reply(403, "AccessDenied")
        case Strike.EXPIRED:
            return error_reply(400, "ExpiredToken")
        case Strike.RESET | Strike.SILENT:
            return Reply(0, b"")
        case _:
            return None


class _Connection(asyncio.Protocol):
    """One connection: requests in, answers out, in turn."""

    def __init__(self, fake: FakeS3, connections: set[_Connection]) -> None:
        self._fake = fake
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, end + 2)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._held) < whole:
                if b"100-continue" in self._held[:end] and self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            request = parse(bytes(self._held[:end]), bytes(self._held[end + 4 : whole]))
            del self._held[:whole]
            self._serve(request)

    def _serve(self, request: Request) -> None:
        fake = self._fake
        fake.under_way += 1
        fake.most_under_way = max(fake.most_under_way, fake.under_way)
        reply, strike = fake.respond(request)
        if fake.delay:
            asyncio.get_running_loop().call_later(fake.delay, self._send, reply, strike, request.method)
        else:
            self._send(reply, strike, request.method)

    def _send(self, reply: Reply, strike: Strike | None, method: str) -> None:
        self._fake.under_way -= 1
        assert self._transport is not None
        if strike is Strike.SILENT:
            return
        if strike in (Strike.RESET, Strike.LOST):
            self._transport.abort()
            return
        message = reply.message(bodyless=method == "HEAD")
        if strike is Strike.CUT:
            self._transport.write(message[: len(message) - len(reply.body) // 2 - 1])
            self._transport.close()
            return
        self._transport.write(message)


def parse(head: bytes, body: bytes) -> Request:
    """A request from its bytes; header names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    path, _, query = target.partition("?")
    bucket, _, key = path[1:].partition("/")
    copy_source = None
    if "x-amz-copy-source" in headers:
        # S3 reads this header as a query: a plus sign is a space, and a question mark begins the version.
        named, _, source_key = unquote_plus(headers["x-amz-copy-source"].partition("?")[0]).lstrip("/").partition("/")
        copy_source = (named, source_key)
    return Request(
        method,
        target,
        unquote(bucket),
        unquote(key),
        dict(parse_qsl(query, keep_blank_values=True)),
        headers,
        body,
        copy_source,
    )


@contextmanager
def serving(fake: FakeS3 | None = None) -> Iterator[FakeS3]:
    """A fake that listens on a free port of loopback until the block ends. Its state may be changed while it serves."""
    found = fake or FakeS3()
    loop = asyncio.new_event_loop()
    connections: set[_Connection] = set()
    server = loop.run_until_complete(loop.create_server(lambda: _Connection(found, connections), "127.0.0.1", 0))
    found.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, name="fake-s3", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for connection in list(connections):
            connection.abort()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
