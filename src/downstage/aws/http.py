"""The transport of the hot path: signed POSTs to DynamoDB over the pool of our own connections, on asyncio.

It carries bytes and knows status codes. Two faults it mends by itself, once a request, because they are not the
request's: credentials that have expired (they are asked for anew) and a clock that is off (AWS tells the time in its
answer; what follows is signed with it). Credentials are asked for in a thread, at most once a minute.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from downstage.aws.connections import ConnectionPool
from downstage.aws.session import Session
from downstage.errors import Unreachable
from downstage.wire.dynamodb import CONTENT_TYPE, TARGET, Fault, Response, classify
from downstage.wire.http1 import Answer
from downstage.wire.sigv4 import Credentials, Signer

_ASK_AGAIN = 60.0


class DynamoTransport:
    """POSTs to one environment's DynamoDB, on the event loop it is first used on."""

    def __init__(self, session: Session, connections: int = 16, clock: Callable[[], float] = time.time) -> None:
        environment = session.environment
        self._session = session
        self._name = environment.name
        self._region = environment.region
        endpoint = environment.endpoint or f"https://dynamodb.{environment.region}.amazonaws.com"
        self._pool = ConnectionPool(endpoint, limit=connections)
        self._clock = clock
        self._ahead = 0.0
        self._signer: Signer | None = None
        self._asked = 0.0

    async def post(self, operation: str, body: bytes) -> Response:
        """One request and its whole answer. Raises Unreachable if no whole answer came, CredentialsError."""
        signer = await self._sign_in()
        answer, response = await self._once(signer, operation, body)
        if response.status == 200:
            return response
        fault = classify(response)
        if fault is Fault.EXPIRED:
            renewed = await self._sign_in(anew=True)
            if renewed is not signer:
                return (await self._once(renewed, operation, body))[1]
        elif fault is Fault.SKEWED and self._learn_time(answer):
            return (await self._once(signer, operation, body))[1]
        return response

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()

    async def _once(self, signer: Signer, operation: str, body: bytes) -> tuple[Answer, Response]:
        moment = datetime.fromtimestamp(self._clock() + self._ahead, UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": CONTENT_TYPE, "host": self._pool.host, "x-amz-target": TARGET + operation}
        signed = signer.headers("POST", "/", "", headers, hashlib.sha256(body).hexdigest(), moment)
        try:
            answer = await self._pool.request("POST", "/", signed, body)
        except Unreachable as error:
            raise Unreachable(f"environment {self._name}: {error}") from None
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(zlib.crc32(answer.body)):
            raise Unreachable(f"environment {self._name}: an answer arrived damaged")
        return answer, Response(answer.status, answer.body)

    async def _sign_in(self, *, anew: bool = False) -> Signer:
        """The signer of the current credentials; the same object while they are the same."""
        now = time.monotonic()
        if self._signer is not None and not anew and now - self._asked < _ASK_AGAIN:
            return self._signer
        found = await asyncio.to_thread(self._session.credentials)
        self._asked = now
        credentials = Credentials(found.access_key or "", found.secret_key or "", found.token or "")
        if self._signer is None or self._signer.credentials != credentials:
            self._signer = Signer(replace(credentials), self._region, "dynamodb")
        return self._signer

    def _learn_time(self, answer: Answer) -> bool:
        """Takes the time that AWS tells; False if it tells none."""
        try:
            told = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return False
        self._ahead = told - self._clock()
        return True
