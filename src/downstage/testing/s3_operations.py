"""What each operation of S3 does to the fake's buckets, and what it answers. `s3_server` has checked the owners."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from downstage.testing import s3_answers as answers
from downstage.testing import s3_multipart as multipart
from downstage.testing.s3_answers import Reply
from downstage.testing.s3_faults import Strike
from downstage.testing.s3_objects import (
    Kept,
    Refused,
    content_headers,
    copied,
    etag,
    user_metadata,
)
from downstage.testing.s3_signatures import account_of

if TYPE_CHECKING:
    from downstage.testing.s3_server import FakeS3

_MOST_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is as it stood on the line; the rest is decoded; `copy_source` is bucket and key."""

    method: str
    target: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: dict[str, str]
    body: bytes = field(repr=False)
    copy_source: tuple[str, str] | None = None


def operation_of(request: Request) -> str:
    """The operation's name in S3's own words."""
    query = request.query
    if not request.bucket:
        return "AssumeRole" if b"Action=AssumeRole" in request.body else "GetCallerIdentity"
    if not request.key:
        return _bucket_operation(request.method, query)
    match request.method:
        case "PUT" if "uploadId" in query:
            return "UploadPartCopy" if request.copy_source else "UploadPart"
        case "PUT" if "tagging" in query:
            return "PutObjectTagging"
        case "PUT":
            return "CopyObject" if request.copy_source else "PutObject"
        case "POST":
            return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
        case "DELETE":
            return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
        case "HEAD":
            return "HeadObject"
        case _:
            return "GetObjectTagging" if "tagging" in query else "GetObject"


def _bucket_operation(method: str, query: Mapping[str, str]) -> str:
    if method == "POST":
        return "DeleteObjects"
    if method == "HEAD":
        return "HeadBucket"
    kinds = {
        "versioning": "GetBucketVersioning",
        "location": "GetBucketLocation",
        "lifecycle": "GetBucketLifecycleConfiguration",
        "ownershipControls": "GetBucketOwnershipControls",
        "versions": "ListObjectVersions",
        "uploads": "ListMultipartUploads",
    }
    return next((kinds[name] for name in kinds if name in query), "ListObjectsV2")


def operate(fake: FakeS3, operation: str, request: Request, strike: Strike | None) -> Reply:
    """Does it. Raises Refused."""
    try:
        handler = _HANDLERS[operation]
    except KeyError:
        raise Refused(501, "NotImplemented") from None
    return handler(fake, request, strike)


def _list(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    query = request.query
    bucket = fake.buckets[request.bucket]
    after = query.get("continuation-token") or query.get("start-after", "")
    limit = min(fake.page_size, _MOST_KEYS, int(query.get("max-keys", _MOST_KEYS)))
    keys, more = bucket.page(after, query.get("prefix", ""), limit)
    entries = [(key, bucket.objects[key]) for key in keys]
    reply = answers.listing(
        entries[::-1] if strike is Strike.UNORDERED else entries,
        bucket=request.bucket,
        prefix=query.get("prefix", ""),
        start_after=query.get("start-after", ""),
        encoded=query.get("encoding-type") == "url",
        following=keys[-1] if more else "",
        restores="RestoreStatus" in request.headers.get("x-amz-optional-object-attributes", ""),
    )
    return replace(reply, body=reply.body[: len(reply.body) // 2]) if strike is Strike.TORN else reply


def _source(fake: FakeS3, request: Request) -> Kept:
    assert request.copy_source is not None
    bucket, key = request.copy_source
    return fake.buckets[bucket].get(key)


def _copy(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    fake.copies[request.key] += 1
    kept = copied(_source(fake, request), request.headers, fake.now, fake.largest_copy)
    fake.buckets[request.bucket].put(request.key, kept)
    told = f"<LastModified>{answers.moment(kept.modified)}</LastModified><ETag>{answers.text(kept.etag)}</ETag>"
    return answers.xml("CopyObjectResult", told)


def _delete_many(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    digest = request.headers.get("content-md5")
    checksums = [name for name in request.headers if name.startswith("x-amz-checksum-")]
    sums = b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode()
    if (digest is None and not checksums) or (digest is not None and digest != sums):
        raise Refused(400, "InvalidRequest" if digest is None else "BadDigest")
    try:
        root = ElementTree.fromstring(request.body)  # noqa: S314 - what a test's own client sent
    except ElementTree.ParseError:
        raise Refused(400, "MalformedXML") from None
    keys = [element.text or "" for element in root.iterfind("{*}Object/{*}Key")]
    if not 0 < len(keys) <= _MOST_KEYS:
        raise Refused(400, "MalformedXML")
    if strike is Strike.HALF:
        keys = keys[: len(keys) // 2]
    errors = {key: fake.undeletable[key] for key in keys if key in fake.undeletable}
    gone = [key for key in keys if key not in errors]
    for key in gone:
        fake.deletes[key] += 1
        fake.buckets[request.bucket].delete(key)
    return answers.deleted(gone, errors, quiet=root.findtext("{*}Quiet") == "true")


def _delete_one(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    if request.key in fake.undeletable:
        raise Refused(403, fake.undeletable[request.key])
    fake.deletes[request.key] += 1
    fake.buckets[request.bucket].delete(request.key)
    return Reply(204, b"")


def _put(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    kept = Kept(
        request.body, etag(request.body), fake.now, content_headers(request.headers), user_metadata(request.headers)
    )
    fake.buckets[request.bucket].put(request.key, kept)
    return Reply(200, b"", {"etag": kept.etag})


def _get(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    kept = fake.buckets[request.bucket].get(request.key)
    if request.method == "GET" and kept.is_archived:
        raise Refused(403, "InvalidObjectState")
    headers = {
        "etag": kept.etag,
        "x-amz-storage-class": kept.storage_class,
        "last-modified": "Wed, 22 Nov 2023 00:00:00 GMT",
        **kept.headers,
        **{f"x-amz-meta-{name}": value for name, value in kept.metadata.items()},
        **({"x-amz-tagging-count": str(len(kept.tags))} if kept.tags else {}),
        **(
            multipart.checksums(kept) if request.headers.get("x-amz-checksum-mode") and request.method == "HEAD" else {}
        ),
    }
    return Reply(200, kept.body, headers)


def _tags(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    return answers.tag_set(fake.buckets[request.bucket].get(request.key).tags)


def _versioning(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    state = fake.buckets[request.bucket].versioning
    return answers.xml("VersioningConfiguration", f"<Status>{state}</Status>" if state else "")


def _versions(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    markers = fake.buckets[request.bucket].markers
    inner = "".join(
        f"<DeleteMarker><Key>{answers.text(key)}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
        for key in markers[:_MOST_KEYS]
    )
    return answers.xml("ListVersionsResult", f"<IsTruncated>false</IsTruncated>{inner}")


def _location(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    return answers.xml("LocationConstraint", "")


def _lifecycle(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    rules = fake.buckets[request.bucket].lifecycle
    if not rules:
        raise Refused(404, "NoSuchLifecycleConfiguration")
    inner = "".join(f"<Rule><Status>Enabled</Status><Filter/><{rule}/></Rule>" for rule in rules)
    return answers.xml("LifecycleConfiguration", inner)


def _ownership(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    rule = "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    return answers.xml("OwnershipControls", rule)


def _there(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    return Reply(200, b"", {"x-amz-bucket-region": "us-east-1"})


def _identity(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    return answers.caller(account_of(request))


_HANDLERS: dict[str, Callable[[FakeS3, Request, Strike | None], Reply]] = {
    "ListObjectsV2": _list,
    "CopyObject": _copy,
    "DeleteObjects": _delete_many,
    "DeleteObject": _delete_one,
    "PutObject": _put,
    "GetObject": _get,
    "HeadObject": _get,
    "GetObjectTagging": _tags,
    "CreateMultipartUpload": multipart.begin,
    "UploadPartCopy": multipart.part,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
    "GetBucketVersioning": _versioning,
    "ListObjectVersions": _versions,
    "ListMultipartUploads": multipart.uploads,
    "GetBucketLocation": _location,
    "GetBucketLifecycleConfiguration": _lifecycle,
    "GetBucketOwnershipControls": _ownership,
    "HeadBucket": _there,
    "GetCallerIdentity": _identity,
}
