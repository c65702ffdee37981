"""The transport of the hot path against a real socket: it signs, checks what arrives, renews credentials, learns the
time. The server is a few lines of our own; that real engines take what it sends is shown elsewhere."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from downstage.aws.http import DynamoTransport
from downstage.domain.environment import Environment
from downstage.errors import Unreachable
from downstage.wire.dynamodb import Response

Answers = Callable[[dict[str, str], bytes], bytes]


@dataclass
class Keys:
    """Credentials as botocore gives them."""

    access_key: str
    secret_key: str = "secret"
    token: str | None = None


class FakeSession:
    """A session whose credentials are a list: each look takes the next one, the last stays."""

    def __init__(self, endpoint: str, *keys: Keys) -> None:
        self.environment = Environment("test", "222222222222", "eu-west-1", endpoint=endpoint)
        self._keys = list(keys)
        self.asked = 0

    def credentials(self) -> Any:
        self.asked += 1
        return self._keys[min(self.asked, len(self._keys)) - 1]


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refused(code: str, *headers: str, message: str = "") -> bytes:
    return http(orjson.dumps({"__type": f"com.amazon#{code}", "message": message}), 400, *headers)


def served(answers: Answers, use: Callable[[str], Awaitable[None]]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                writer.write(answers(headers, await reader.readexactly(int(headers["content-length"]))))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)

    asyncio.run(main())


def post(answers: Answers, *keys: Keys, times: int = 1, clock: Callable[[], float] = time.time) -> list[Response]:
    found = []

    async def use(url: str) -> None:
        transport = DynamoTransport(FakeSession(url, *keys or (Keys("AKID"),)), clock=clock)  # type: ignore[arg-type]
        try:
            for _ in range(times):
                found.append(await transport.post("Scan", b'{"TableName":"t"}'))
        finally:
            transport.close()

    served(answers, use)
    return found


def test_a_request_says_what_it_is_and_is_signed() -> None:
    seen: list[dict[str, str]] = []

    def answers(headers: dict[str, str], body: bytes) -> bytes:
        seen.append(headers)
        return http(b"{}")

    assert post(answers, Keys("AKID", token="a-token")) == [Response(200, b"{}")]
    assert seen[0]["x-amz-target"] == "DynamoDB_20120810.Scan"
    assert seen[0]["x-amz-security-token"] == "a-token"
    assert seen[0]["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "/eu-west-1/dynamodb/aws4_request" in seen[0]["authorization"]


def test_what_arrives_damaged_is_not_taken() -> None:
    right = f"x-amz-crc32: {zlib.crc32(b'{}')}"
    assert post(lambda headers, body: http(b"{}", 200, right))[0].body == b"{}"
    with pytest.raises(Unreachable, match="damaged"):
        post(lambda headers, body: http(b"{]", 200, right))


def test_credentials_that_have_expired_are_asked_for_anew() -> None:
    def answers(headers: dict[str, str], body: bytes) -> bytes:
        return refused("ExpiredTokenException") if "=OLD/" in headers["authorization"] else http(b"{}")

    assert [found.status for found in post(answers, Keys("OLD"), Keys("NEW"), times=3)] == [200, 200, 200]


def test_credentials_that_stay_expired_are_told() -> None:
    asked = []

    def answers(headers: dict[str, str], body: bytes) -> bytes:
        asked.append(1)
        return refused("ExpiredTokenException")

    assert post(answers, Keys("OLD"))[0].status == 400
    assert len(asked) == 1


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_off_is_put_right_by_what_aws_says(minutes: int) -> None:
    signed: list[str] = []
    now = 1_800_000_000.0
    moment = "20270115T0800"

    def answers(headers: dict[str, str], body: bytes) -> bytes:
        signed.append(headers["x-amz-date"])
        if headers["x-amz-date"].startswith(moment):
            return http(b"{}")
        said = "Signature expired: …" if minutes < 0 else "Signature not yet current: …"
        return refused("InvalidSignatureException", f"Date: {formatdate(now, usegmt=True)}", message=said)

    found = post(answers, times=3, clock=lambda: now + minutes * 60)
    assert [answer.status for answer in found] == [200, 200, 200]
    assert len(signed) == 4, "only the first request was signed with the wrong time"


def test_a_wrong_secret_is_not_taken_for_a_wrong_clock() -> None:
    asked = []

    def answers(headers: dict[str, str], body: bytes) -> bytes:
        asked.append(1)
        date = f"Date: {formatdate(usegmt=True)}"
        return refused("InvalidSignatureException", date, message="The request signature we calculated does not match")

    assert post(answers)[0].status == 400
    assert len(asked) == 1
