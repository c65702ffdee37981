"""SigV4 as a server reads it: from the request as it came, by other code than the one that signs.

Without this a fake would take what S3 refuses: a key that is encoded one way on the line and another in the signature.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, unquote

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/"
    r"(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request), ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST_SIGN = ("host", "x-amz-date")


class Signed(Protocol):
    """What of a request is signed. `target` is path and query as they stand on the line."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...


def account_of(request: Signed) -> str:
    """The access key that signed; the fake's access keys are account ids."""
    found = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    return found["key"] if found else ""


def region_of(request: Signed) -> str:
    """The region that the signature is for."""
    found = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    return found["region"] if found else ""


def moment_of(request: Signed) -> float:
    """When the client says that it signed, in seconds since the epoch."""
    told = datetime.strptime(request.headers.get("x-amz-date", "19700101T000000Z"), "%Y%m%dT%H%M%SZ")
    return told.replace(tzinfo=UTC).timestamp()


def signed(request: Signed, secret: str) -> bool:
    """Whether the signature is right, and covers each `x-amz-` header and the body."""
    found = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    if not found:
        return False
    names = found["names"].split(";")
    needed = {*_MUST_SIGN, *(name for name in request.headers if name.startswith("x-amz-"))}
    claimed = request.headers.get("x-amz-content-sha256", hashlib.sha256(request.body).hexdigest())
    if names != sorted(names) or not needed <= set(names):
        return False
    if claimed != "UNSIGNED-PAYLOAD" and claimed != hashlib.sha256(request.body).hexdigest():
        return False
    path, _, query = request.target.partition("?")
    pairs = sorted(_pair(part) for part in query.split("&") if part)
    canonical = "\n".join(
        (
            request.method,
            quote(unquote(path), safe="/~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in names),
            "",
            ";".join(names),
            claimed,
        )
    )
    date = request.headers["x-amz-date"]
    to_sign = "\n".join(
        ("AWS4-HMAC-SHA256", date, found["scope"], hashlib.sha256(canonical.encode("latin-1")).hexdigest())
    )
    key = f"AWS4{secret}".encode()
    for step in (found["day"], found["region"], found["service"], "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), found["signature"])


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return quote(unquote(name), safe="~"), quote(unquote(value), safe="~")
