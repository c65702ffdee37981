"""The pool of the hot calls: kept-alive HTTP/1.1 connections on asyncio, plain or TLS, through a proxy if one is set.

One pool belongs to one event loop and one endpoint. A request takes an idle connection or opens one, up to the limit;
it has one deadline for its whole answer, so that a server that dribbles cannot hold a lane. A kept connection that the
server closed in the meantime is replaced once, silently; every other failure is Unreachable and the caller's to retry.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib import request
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.httpsession import get_cert_path

from downstage.errors import Unreachable
from downstage.wire.http1 import Answer, AnswerParser, ProtocolError, request_bytes

_SCRATCH = 4096
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait: for a connection, TLS included, and for a whole answer."""

    connect: float = 5.0
    answer: float = 60.0


class ConnectionPool:
    """Connections to one endpoint, such as `https://dynamodb.us-east-1.amazonaws.com`."""

    def __init__(self, endpoint: str, *, limit: int = 16, patience: Patience | None = None) -> None:
        self._url = urlsplit(endpoint)
        self._patience = patience or Patience()
        self._free = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        self._closed = False
        self._tls = _tls_context() if self._url.scheme == "https" else None

    @property
    def host(self) -> str:
        """The Host header: a port only where it is not the scheme's own."""
        return self._url.netloc.rpartition("@")[2]

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        bodyless: bool = False,
        within: float | None = None,
    ) -> Answer:
        """One request and its whole answer. Raises Unreachable if no whole answer came in time: `within` so many
        seconds, or the pool's own."""
        message = request_bytes(method, target, headers, body)
        async with self._free:
            while True:
                reused = bool(self._idle)
                connection = self._idle.pop() if reused else await self._connect()
                if reused and connection.closed:
                    continue
                try:
                    async with asyncio.timeout(self._patience.answer if within is None else within):
                        answer = await connection.exchange(message, bodyless=bodyless)
                except (OSError, ProtocolError, TimeoutError) as error:
                    connection.close()
                    if reused and not connection.answered and not isinstance(error, TimeoutError):
                        continue
                    raise self._unreachable() from None
                except asyncio.CancelledError:
                    connection.close()
                    raise
                if answer.reusable and not self._closed:
                    self._idle.append(connection)
                else:
                    connection.close()
                return answer

    def close(self) -> None:
        """Closes every idle connection, and those in use when they are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        name = self._url.hostname or ""
        port = self._url.port or (443 if self._tls else 80)
        proxy = _proxy_for(self._url)
        try:
            async with asyncio.timeout(self._patience.connect):
                if proxy is None:
                    _, connection = await loop.create_connection(
                        _Connection, name, port, ssl=self._tls, server_hostname=name if self._tls else None
                    )
                    return connection
                _, connection = await loop.create_connection(_Connection, proxy.hostname or "", proxy.port or 80)
                await self._tunnel(connection, proxy, f"{name}:{port}")
                return connection
        except (OSError, ProtocolError, TimeoutError):
            raise self._unreachable() from None

    async def _tunnel(self, connection: _Connection, proxy: SplitResult, target: str) -> None:
        """Asks the proxy for a way through, and speaks TLS in it."""
        headers = {"host": target}
        if proxy.username:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            headers["proxy-authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        answer = await connection.exchange(request_bytes("CONNECT", target, headers, b""), bodyless=True)
        if answer.status != 200:
            raise ProtocolError("the proxy lets nothing through")
        if self._tls is not None:
            await connection.secure(self._tls, self._url.hostname or "")

    def _unreachable(self) -> Unreachable:
        return Unreachable(f"{self._url.scheme}://{self.host} does not answer, or broke off")


class _Connection(asyncio.BufferedProtocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: AnswerParser | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._scratch = bytearray(_SCRATCH)
        self.closed = False
        self.answered = False

    async def exchange(self, message: bytes, *, bodyless: bool) -> Answer:
        """Sends one request and waits for its answer. Raises OSError, ProtocolError."""
        if self._transport is None or self.closed:
            raise ProtocolError("the connection is closed")
        self.answered = False
        self._parser = AnswerParser(bodyless=bodyless)
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        try:
            return await self._waiting
        finally:
            self._parser = self._waiting = None

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Goes on in TLS on this connection."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(self._transport, self, context, server_hostname=name)
        assert secured is not None
        self._transport = secured

    def close(self) -> None:
        """Ends the connection at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._parser.space() if self._parser is not None else memoryview(self._scratch)

    def buffer_updated(self, nbytes: int) -> None:
        if self._parser is None or self._waiting is None:  # nobody asked: not a server to go on with
            self.close()
            return
        self.answered = True
        try:
            answer = self._parser.received(nbytes)
        except ProtocolError as error:
            self._fail(error)
        else:
            if answer is not None and not self._waiting.done():
                self._parser = None
                self._waiting.set_result(answer)

    def eof_received(self) -> bool:
        self.closed = True
        if self._parser is not None and self._waiting is not None and not self._waiting.done():
            try:
                self._waiting.set_result(self._parser.ended())
            except ProtocolError as error:
                self._fail(error)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail(exc or ProtocolError("the connection broke off"))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def _tls_context() -> ssl.SSLContext:
    """As botocore trusts: AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE if set, else its own list."""
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=bundle or get_cert_path(True))


def _proxy_for(url: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for this endpoint, if any; never one for this machine itself."""
    proxies = request.getproxies_environment()
    chosen = proxies.get(url.scheme)
    host = url.netloc.rpartition("@")[2]
    if not chosen or url.hostname in _LOOPBACK:
        return None
    if request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]
        return None
    return urlsplit(chosen if "://" in chosen else f"http://{chosen}")
