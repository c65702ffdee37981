"""The transport of the hot path: signed POSTs to DynamoDB over the pool of our own connections, on asyncio.

It carries bytes and knows status codes. Expired credentials and a clock that is off it mends by itself, once a request,
with what `signed` has for it; an answer that arrived damaged is none.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable

from downstage.aws.session import Session
from downstage.aws.signed import SignedPool
from downstage.errors import Unreachable
from downstage.wire.dynamodb import CONTENT_TYPE, TARGET, Fault, Response, classify
from downstage.wire.http1 import Answer
from downstage.wire.sigv4 import Signer


class DynamoTransport:
    """POSTs to one environment's DynamoDB, on the event loop it is first used on."""

    def __init__(
        self,
        session: Session,
        connections: int = 16,
        clock: Callable[[], float] = time.time,
        within: float | None = None,
    ) -> None:
        """`within` so many seconds a whole answer must be there (default: as the pool has it)."""
        environment = session.environment
        self._name = environment.name
        self._within = within
        endpoint = environment.endpoint or f"https://dynamodb.{environment.region}.amazonaws.com"
        self._pool = SignedPool(session, "dynamodb", environment.region, endpoint, connections=connections, clock=clock)

    async def post(self, operation: str, body: bytes) -> Response:
        """One request and its whole answer. Raises Unreachable if no whole answer came, CredentialsError."""
        signer = await self._pool.sign_in()
        answer, response = await self._once(signer, operation, body)
        if response.status == 200:
            return response
        fault = classify(response)
        if fault is Fault.EXPIRED:
            renewed = await self._pool.sign_in(anew=True)
            if renewed is not signer:
                return (await self._once(renewed, operation, body))[1]
        elif fault is Fault.SKEWED and self._pool.learn_time(answer):
            return (await self._once(signer, operation, body))[1]
        return response

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()

    async def _once(self, signer: Signer, operation: str, body: bytes) -> tuple[Answer, Response]:
        headers = {"content-type": CONTENT_TYPE, "x-amz-target": TARGET + operation}
        digest = hashlib.sha256(body).hexdigest()
        answer = await self._pool.request(signer, "POST", "/", "", headers, body, digest, self._within)
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(zlib.crc32(answer.body)):
            raise Unreachable(f"environment {self._name}: an answer arrived damaged")
        return answer, Response(answer.status, answer.body)
