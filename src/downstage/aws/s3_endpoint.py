"""One bucket's address and the signed requests to it. Where a bucket lies in another region than its environment's, S3
says so once, and what follows goes there.

Bucket names stand in the host (`BUCKET.s3.REGION.amazonaws.com`), or in the path where they cannot (a dot in the name
breaks TLS) or must not (an endpoint of one's own).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping

from downstage.aws.session import Session
from downstage.aws.signed import SignedPool
from downstage.wire import s3 as wire
from downstage.wire.http1 import Answer
from downstage.wire.s3 import Fault
from downstage.wire.sigv4 import EMPTY_PAYLOAD, Signer

_CHINA = "cn-"


class BucketEndpoint:
    """Requests to one bucket with one session's credentials."""

    def __init__(
        self,
        session: Session,
        bucket: str,
        region: str,
        *,
        connections: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._bucket = bucket
        self._region = region
        self._connections = connections
        self._clock = clock
        self._open(region)

    def _open(self, region: str) -> None:
        own = self._session.environment.endpoint
        suffix = "amazonaws.com.cn" if region.startswith(_CHINA) else "amazonaws.com"
        in_path = own is not None or "." in self._bucket
        self.root = f"/{self._bucket}" if in_path else ""
        host = f"s3.{region}.{suffix}"
        endpoint = own or (f"https://{host}" if in_path else f"https://{self._bucket}.{host}")
        self._region = region
        self._pool = SignedPool(self._session, "s3", region, endpoint, connections=self._connections, clock=self._clock)

    @property
    def host(self) -> str:
        """The host that is asked. `root` is what stands before a key in the path."""
        return self._pool.host

    async def request(
        self,
        method: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        within: float | None = None,
    ) -> Answer:
        """One request for the object `key` (for the bucket itself if it is empty). Raises Unreachable,
        CredentialsError."""
        path = f"{self.root}/{wire.encoded_path(key)}"
        payload = hashlib.sha256(body).hexdigest() if body else EMPTY_PAYLOAD
        pool = self._pool
        signer = await pool.sign_in()

        async def send(pool: SignedPool, signer: Signer) -> Answer:
            return await pool.request(signer, method, path, query, headers, body, payload, within)

        answer = await send(pool, signer)
        if answer.status < 300:
            return answer
        fault = wire.classify(answer.status, answer.body)
        if fault is Fault.EXPIRED:
            renewed = await pool.sign_in(anew=True)
            if renewed is not signer:
                return await send(pool, renewed)
        elif fault is Fault.SKEWED and pool.learn_time(answer):
            return await send(pool, signer)
        elif fault is Fault.ELSEWHERE and self._go_to(answer):
            return await send(self._pool, await self._pool.sign_in())
        return answer

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()

    def _go_to(self, answer: Answer) -> bool:
        """Goes to the region that S3 names; False if it names none, or there is but one endpoint."""
        told = wire.region_told(answer.headers, answer.body)
        if not told or self._session.environment.endpoint is not None:
            return False
        if told != self._region:
            self._pool.close()
            self._open(told)
        return True
