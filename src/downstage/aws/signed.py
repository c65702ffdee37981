"""Signed requests to one endpoint over the pool of our own connections: what DynamoDB and S3 have in common.

Two faults are mended here, once a request, because they are not the request's: credentials that have expired (they are
asked for anew) and a clock that is off (AWS tells the time in its answer; what follows is signed with it). Credentials
are asked for in a thread, at most once a minute. Which answer is which fault, the service's own transport says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from downstage.aws.connections import ConnectionPool
from downstage.aws.session import Session
from downstage.errors import Unreachable
from downstage.wire.http1 import Answer
from downstage.wire.sigv4 import Credentials, Signer

_ASK_AGAIN = 60.0


class SignedPool:
    """One session's requests to one service at one endpoint, on the event loop that it is first used on."""

    def __init__(
        self,
        session: Session,
        service: str,
        region: str,
        endpoint: str,
        *,
        connections: int = 16,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._name = session.environment.name
        self._service = service
        self._region = region
        self._pool = ConnectionPool(endpoint, limit=connections)
        self._clock = clock
        self._ahead = 0.0
        self._signer: Signer | None = None
        self._asked = 0.0
        self._asking = asyncio.Lock()
        self._second = 0
        self._moment = ""

    @property
    def host(self) -> str:
        """The Host header of every request."""
        return self._pool.host

    async def request(
        self,
        signer: Signer,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        payload_hash: str,
        within: float | None = None,
    ) -> Answer:
        """One request, signed by `signer`, and its whole answer. `path` and `query` are encoded as they are sent;
        `headers` are without the host. Raises Unreachable if no whole answer came `within` so many seconds."""
        signed = signer.headers(
            method, path, query, {"host": self._pool.host, **headers}, payload_hash, self._signing_moment()
        )
        try:
            return await self._pool.request(method, f"{path}?{query}" if query else path, signed, body, within=within)
        except Unreachable as error:
            raise Unreachable(f"environment {self._name}: {error}") from None

    async def sign_in(self, *, anew: bool = False) -> Signer:
        """The signer of the current credentials; the same object while they are the same. Raises CredentialsError."""
        if self._signer is not None and not anew and time.monotonic() - self._asked < _ASK_AGAIN:
            return self._signer
        known = self._signer
        async with self._asking:
            if self._signer is not None and self._signer is not known:
                return self._signer  # renewed while we waited
            found = await asyncio.to_thread(self._session.credentials)
            self._asked = time.monotonic()
            credentials = Credentials(found.access_key or "", found.secret_key or "", found.token or "")
            if self._signer is None or self._signer.credentials != credentials:
                self._signer = Signer(replace(credentials), self._region, self._service)
            return self._signer

    def learn_time(self, answer: Answer) -> bool:
        """Takes the time that AWS tells; False if it tells none."""
        try:
            told = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return False
        self._ahead = told - self._clock()
        return True

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()

    def _signing_moment(self) -> str:
        """Now, as it is signed; made once a second."""
        second = int(self._clock() + self._ahead)
        if second != self._second:
            self._second = second
            self._moment = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
        return self._moment
