"""The transport of the hot path: signed POSTs over a pool of kept-alive connections.

It carries bytes and knows status codes, nothing of DynamoDB. Blocking; callers put it in a thread. The signer is
botocore's, the pool urllib3's; both stand behind `post` alone, so that a faster pair can take their place.
"""

from __future__ import annotations

import zlib

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from downstage.aws.session import Session
from downstage.errors import Unreachable
from downstage.wire.dynamodb import CONTENT_TYPE, TARGET, Response


class JsonTransport:
    """POSTs to one environment's DynamoDB. Safe to share between threads."""

    def __init__(self, session: Session, connections: int = 16) -> None:
        environment = session.environment
        self._session = session
        self._url = environment.endpoint or f"https://dynamodb.{environment.region}.amazonaws.com"
        self._pool = urllib3.PoolManager(
            maxsize=connections, timeout=urllib3.Timeout(connect=5, read=60), retries=False
        )

    def post(self, operation: str, body: bytes) -> Response:
        """One request and its whole answer. Raises Unreachable if no whole answer came."""
        request = AWSRequest(
            "POST",
            self._url + "/",
            headers={
                "Content-Type": CONTENT_TYPE,
                "X-Amz-Target": TARGET + operation,
                "Accept-Encoding": "identity",
            },
            data=body,
        )
        frozen = self._session.credentials()
        credentials = Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)
        SigV4Auth(credentials, "dynamodb", self._session.environment.region).add_auth(request)
        try:
            answer = self._pool.request("POST", self._url + "/", body=body, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError:
            raise Unreachable(
                f"environment {self._session.environment.name}: {self._url} does not answer, or broke off"
            ) from None
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and int(checksum) != zlib.crc32(answer.data):
            raise Unreachable(f"environment {self._session.environment.name}: an answer arrived damaged")
        return Response(answer.status, answer.data)

    def close(self) -> None:
        """Closes every connection."""
        self._pool.clear()
