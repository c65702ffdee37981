"""The connection pool against real sockets: kept connections, limits, deadlines, broken answers, a proxy, TLS.

A small server on loopback plays each part; what a test waits for is an event, never time.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from downstage.aws.connections import ConnectionPool, Patience
from downstage.errors import Unreachable
from downstage.wire.http1 import Answer

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of one request; b"" at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    return await reader.readexactly(length) or b"-"


async def against(
    handler: Handler, use: Callable[[str], Awaitable[None]], host: str = "127.0.0.1", scheme: str = "http"
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await use(f"{scheme}://{host}:{port}")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while body := await read_request(reader):
        writer.write(answer(body))


def post(pool: ConnectionPool, body: bytes) -> Awaitable[Answer]:
    return pool.request("POST", "/", {"host": pool.host}, body)


def test_one_connection_carries_many_requests() -> None:
    opened = []

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(1)
        await echo(reader, writer)

    async def use(url: str) -> None:
        pool = ConnectionPool(url)
        for number in range(20):
            assert (await post(pool, b"%d" % number)).body == b"%d" % number
        pool.close()

    asyncio.run(against(counting, use))
    assert len(opened) == 1


def test_no_more_connections_than_the_limit_and_no_answer_goes_astray() -> None:
    opened = []

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(1)
        await echo(reader, writer)

    async def use(url: str) -> None:
        pool = ConnectionPool(url, limit=3)
        answers = await asyncio.gather(*(post(pool, b"%d" % number) for number in range(200)))
        assert [found.body for found in answers] == [b"%d" % number for number in range(200)]
        pool.close()

    asyncio.run(against(counting, use))
    assert len(opened) <= 3


def test_a_kept_connection_that_the_server_closed_is_replaced_silently() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await read_request(reader)))

    async def use(url: str) -> None:
        pool = ConnectionPool(url)
        for _ in range(5):
            assert (await post(pool, b"x")).body == b"x"
        pool.close()

    asyncio.run(against(once, use))


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", b"nonsense\r\n\r\n", answer(b"x")[:-1]]
)
def test_an_answer_that_breaks_off_is_unreachable_and_the_next_request_goes_on(raw: bytes) -> None:
    served: list[int] = []

    async def broken_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_request(reader)
        writer.write(answer(body) if served else raw)
        served.append(1)

    async def use(url: str) -> None:
        pool = ConnectionPool(url)
        with pytest.raises(Unreachable, match="does not answer, or broke off"):
            await post(pool, b"x")
        assert (await post(pool, b"y")).body == b"y"
        pool.close()

    asyncio.run(against(broken_once, use))


def test_a_server_that_dribbles_is_left_at_the_deadline() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await reader.read()  # until the client gives up

    async def use(url: str) -> None:
        pool = ConnectionPool(url, patience=Patience(answer=0.05))
        with pytest.raises(Unreachable):
            await post(pool, b"x")

    asyncio.run(against(dribble, use))


def test_nobody_listening_is_unreachable() -> None:
    async def use(url: str) -> None:
        pass

    async def main() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(Unreachable):
            await post(ConnectionPool(f"http://127.0.0.1:{port}"), b"x")

    asyncio.run(main())


def test_a_request_that_is_cancelled_leaves_no_half_used_connection() -> None:
    asked = asyncio.Event()
    hold: list[int] = []

    async def silent_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_request(reader)
        if not hold:
            hold.append(1)
            asked.set()
            await reader.read()
        writer.write(answer(body))

    async def use(url: str) -> None:
        pool = ConnectionPool(url, limit=1)
        task = asyncio.ensure_future(post(pool, b"first"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await post(pool, b"second")).body == b"second"
        pool.close()

    asyncio.run(against(silent_once, use))


def test_a_proxy_is_asked_for_a_way_and_told_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await echo(reader, writer)

    async def use(url: str) -> None:
        monkeypatch.setenv("HTTP_PROXY", url.replace("://", "://me:p%40ss@"))
        monkeypatch.setenv("http_proxy", url.replace("://", "://me:p%40ss@"))
        monkeypatch.setenv("no_proxy", "")
        pool = ConnectionPool("http://dynamodb.invalid")
        assert (await post(pool, b"x")).body == b"x"
        pool.close()

    asyncio.run(against(proxy, use))
    assert heads[0].startswith(b"CONNECT dynamodb.invalid:80 HTTP/1.1\r\n")
    assert base64.b64encode(b"me:p@ss") in heads[0]


def test_a_proxy_that_refuses_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async def use(url: str) -> None:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(Unreachable):
            await post(ConnectionPool("http://dynamodb.invalid"), b"x")

    asyncio.run(against(proxy, use))


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of our own for `localhost`, as a bundle to trust and as a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_password))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return bundle, context


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_spoken_only_with_whom_the_bundle_trusts(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, context = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))

    async def main() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await echo(reader, writer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        async with server:
            pool = ConnectionPool(f"https://localhost:{server.sockets[0].getsockname()[1]}")
            if trusted:
                assert (await post(pool, b"x" * 3_000_000)).body == b"x" * 3_000_000
            else:
                with pytest.raises(Unreachable):
                    await post(pool, b"x")
            pool.close()

    asyncio.run(main())
