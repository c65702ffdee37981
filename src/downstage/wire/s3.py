"""S3's REST protocol for the two hot writes, CopyObject and DeleteObjects: requests out, results in, faults classified.

No I/O and no logs; an error's text never quotes the service's message or a key. A CopyObject answers 200 before it has
copied, and may then say `<Error>` in that 200: only `<CopyObjectResult>` is a yes. Of a DeleteObjects every key is
accounted for, or the answer is refused. Source: Amazon S3 API Reference.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from urllib.parse import quote

from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.ports import ObjectFacts
from downstage.wire import xml_text

LARGEST_COPY = 5 * 1024**3
"""The largest object that one CopyObject takes, in bytes."""

MOST_DELETED = 1000
"""Keys that one DeleteObjects takes."""

NO_KEY = "EmptyKey"
"""Our own word, beside those of S3, for an object that would have no key."""


class Fault(Enum):
    """What an error response asks for."""

    SLOW_DOWN = "slow down"
    RETRY = "retry"
    CHANGED = "changed"
    GONE = "gone"
    DENIED = "denied"
    REFUSED = "refused"
    EXPIRED = "expired"
    SKEWED = "skewed"
    ELSEWHERE = "elsewhere"
    FATAL = "fatal"


_FAULTS = {
    "SlowDown": Fault.SLOW_DOWN,
    "ServiceUnavailable": Fault.SLOW_DOWN,
    "Busy": Fault.SLOW_DOWN,
    "RequestLimitExceeded": Fault.SLOW_DOWN,
    "BandwidthLimitExceeded": Fault.SLOW_DOWN,
    "ThrottlingException": Fault.SLOW_DOWN,
    "Throttling": Fault.SLOW_DOWN,
    "TooManyRequests": Fault.SLOW_DOWN,
    "InternalError": Fault.RETRY,
    "RequestTimeout": Fault.RETRY,
    "OperationAborted": Fault.RETRY,
    "PreconditionFailed": Fault.CHANGED,
    "ConditionalRequestConflict": Fault.CHANGED,
    "NoSuchKey": Fault.GONE,
    "NoSuchVersion": Fault.GONE,
    "AccessDenied": Fault.DENIED,
    "KMS.AccessDeniedException": Fault.DENIED,
    "ObjectNotInActiveTierError": Fault.REFUSED,
    "InvalidObjectState": Fault.REFUSED,
    "KeyTooLongError": Fault.REFUSED,
    "EntityTooLarge": Fault.REFUSED,
    "InvalidRequest": Fault.REFUSED,
    "ExpiredToken": Fault.EXPIRED,
    "ExpiredTokenException": Fault.EXPIRED,
    "TokenRefreshRequired": Fault.EXPIRED,
    "RequestTimeTooSkewed": Fault.SKEWED,
    "RequestExpired": Fault.SKEWED,
    "PermanentRedirect": Fault.ELSEWHERE,
    "TemporaryRedirect": Fault.ELSEWHERE,
    "AuthorizationHeaderMalformed": Fault.ELSEWHERE,
    "IllegalLocationConstraintException": Fault.ELSEWHERE,
}
_STATUSES = {
    301: Fault.ELSEWHERE,
    307: Fault.ELSEWHERE,
    403: Fault.DENIED,
    404: Fault.GONE,
    409: Fault.RETRY,
    412: Fault.CHANGED,
    429: Fault.SLOW_DOWN,
    503: Fault.SLOW_DOWN,
}
BAD_CREDENTIALS = frozenset(("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"))
"""What S3 says where the credentials are not to be mended by asking again."""

_EVERYBODYS = BAD_CREDENTIALS | {
    "NoSuchBucket",
    "InvalidBucketName",
    "AllAccessDisabled",
    "AccountProblem",
    "NotSignedUp",
}
"""Codes that are no single object's: what is wrong with one request is wrong with all."""

_CODE = re.compile(rb"<Code>\s*([A-Za-z.]{1,80})\s*</Code>")
_ETAG = re.compile(rb"<ETag>([^<]*)</ETag>")
_COPIED = re.compile(rb"<(?:\w+:)?CopyObjectResult[\s>]")
_DELETED = re.compile(r"<Deleted>((?s:.*?))</Deleted>")
_FAILED = re.compile(r"<Error>((?s:.*?))</Error>")
_KEY = re.compile(r"<Key>([^<]*)</Key>")
_TOLD_REGION = re.compile(rb"<Region>([a-z0-9-]+)</Region>")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+){2,4}")
_SAFE_PATH = re.compile(r"[A-Za-z0-9/\-_.~]*")


def encoded_path(key: str) -> str:
    """A key as it stands in a request's path, and is signed: no dot segment is ever folded, `+` is no space."""
    return key if _SAFE_PATH.fullmatch(key) else quote(key, safe="/-_.~")


class CopyRequests:
    """The headers of one pair's copies: what is the same for all of them is made once."""

    def __init__(self, source: SourceBucket, target: TargetBucket, options: SyncOptions) -> None:
        self._source = f"/{source.name}/"
        self._keeps_class = options.storage_class == "same"
        self._fixed = {
            "x-amz-expected-bucket-owner": target.account,
            "x-amz-source-expected-bucket-owner": source.account,
            "x-amz-metadata-directive": "COPY",
            "x-amz-tagging-directive": "COPY" if options.tags == "copy" else "REPLACE",
        }
        if options.storage_class is not None and not self._keeps_class:
            self._fixed["x-amz-storage-class"] = options.storage_class
        if options.acl is not None:
            self._fixed["x-amz-acl"] = options.acl
        if options.kms_key is not None:
            self._fixed["x-amz-server-side-encryption"] = "aws:kms"
            self._fixed["x-amz-server-side-encryption-aws-kms-key-id"] = options.kms_key

    def headers(self, item: ObjectFacts) -> dict[str, str]:
        """The headers that copy `item`, if it still is the one that was listed."""
        headers = {
            **self._fixed,
            "x-amz-copy-source": self._source + encoded_path(item.key),
            "x-amz-copy-source-if-match": item.etag,
        }
        if self._keeps_class:
            headers["x-amz-storage-class"] = item.storage_class
        return headers


def copied_etag(body: bytes) -> str | None:
    """The new object's ETag, or None if the answer is no CopyObjectResult."""
    if _COPIED.search(body) is None:
        return None
    found = _ETAG.search(body)
    return xml_text.read(found.group(1).decode("latin-1")) if found is not None else ""


def delete_body(keys: Sequence[str]) -> bytes:
    """The body of a DeleteObjects of up to 1,000 keys, all of which XML can hold (`deletable`)."""
    objects = "".join([f"<Object><Key>{xml_text.written(key)}</Key></Object>" for key in keys])
    return f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()


def delete_headers(target: TargetBucket, body: bytes) -> dict[str, str]:
    """The headers of a DeleteObjects with that body."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {
        "content-type": "application/xml",
        "content-md5": base64.b64encode(digest).decode(),
        "x-amz-expected-bucket-owner": target.account,
    }


def not_deleted(body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The keys that were not deleted, and S3's word for why. Raises ValueError if a key is not accounted for."""
    text = body.decode()
    if "DeleteResult" not in text:
        raise ValueError("an answer is no result of deletes")
    gone = {xml_text.read(match.group(1)) for entry in _DELETED.findall(text) if (match := _KEY.search(entry))}
    failed: dict[str, str] = {}
    for entry in _FAILED.findall(text):
        key, code = _KEY.search(entry), _CODE.search(entry.encode())
        if key is not None:
            failed[xml_text.read(key.group(1))] = code.group(1).decode() if code is not None else "unknown"
    if any(key not in gone and key not in failed for key in keys):
        raise ValueError("an answer leaves out keys that were to be deleted")
    return {key: failed[key] for key in keys if key in failed}


def deletable(key: str) -> bool:
    """Whether DeleteObjects can name the key; one that it cannot is deleted by a request of its own."""
    return xml_text.holds(key)


def fault_code(status: int, body: bytes) -> str:
    """The error's short name, such as `SlowDown`; `HTTP 503` if the body names none."""
    found = _CODE.search(body)
    return found.group(1).decode() if found is not None else f"HTTP {status}"


def fault_of(code: str) -> Fault | None:
    """What S3's word for an error asks for; None if it is none that we know."""
    return _FAULTS.get(code)


def classify(status: int, body: bytes) -> Fault:
    """What to do about an error response (or about a 200 that holds an error)."""
    known = _FAULTS.get(fault_code(status, body))
    if known is not None:
        return known
    if fault_code(status, body) in _EVERYBODYS:
        return Fault.FATAL
    if status in _STATUSES:
        return _STATUSES[status]
    return Fault.RETRY if status >= 500 or status < 300 else Fault.REFUSED


def region_told(headers: Mapping[str, str], body: bytes) -> str:
    """The region where the bucket lies, if an error response names one. It becomes part of the host that the next
    request goes to, so what is no region's name is none."""
    found = _TOLD_REGION.search(body)
    told = headers.get("x-amz-bucket-region") or (found.group(1).decode() if found is not None else "")
    return told if _REGION.fullmatch(told) else ""


def passes(code: str) -> bool:
    """Whether a single key's error in a result of deletes may pass by itself."""
    return _FAULTS.get(code) in (Fault.SLOW_DOWN, Fault.RETRY)


def is_encrypted(headers: Mapping[str, str]) -> bool:
    """Whether the answer's headers say that a key of KMS, or the customer's own, encrypts the object."""
    return (
        headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        or "x-amz-server-side-encryption-customer-algorithm" in headers
    )
