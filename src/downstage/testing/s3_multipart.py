"""Multipart uploads of the fake S3: what CreateMultipartUpload was not told is lost, as with S3.

An upload that was begun with a checksum asks for that of every part when it is completed, and a size that was named is
compared. The checksums are the fake's own, not those of the algorithms they are called by: a client hands them on.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from downstage.testing import s3_answers as answers
from downstage.testing.s3_answers import Reply
from downstage.testing.s3_faults import Strike
from downstage.testing.s3_objects import (
    Kept,
    Refused,
    Upload,
    asked_for,
    check_source,
    content_headers,
    etag,
    joined_etag,
    user_metadata,
)

if TYPE_CHECKING:
    from downstage.testing.s3_operations import Request
    from downstage.testing.s3_server import FakeS3

_PART = re.compile(r"<Part>((?s:.*?))</Part>")
_NUMBER = re.compile(r"<PartNumber>(\d+)</PartNumber>")


def begin(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    """CreateMultipartUpload."""
    headers = request.headers
    bucket = fake.buckets[request.bucket]
    identifier = f"upload-{sum(fake.calls.values())}"
    algorithm = headers.get("x-amz-checksum-algorithm")
    seed = Kept(
        b"",
        "",
        fake.now,
        content_headers(headers),
        user_metadata(headers),
        dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)),
        headers.get("x-amz-storage-class", "STANDARD"),
        asked_for(headers),
        checksum=(algorithm, headers.get("x-amz-checksum-type", "COMPOSITE")) if algorithm else None,
    )
    bucket.uploads[identifier] = Upload(request.key, seed)
    key = f"<Bucket>{request.bucket}</Bucket><Key>{answers.text(request.key)}</Key>"
    return answers.xml("InitiateMultipartUploadResult", f"{key}<UploadId>{identifier}</UploadId>")


def part(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    """UploadPartCopy."""
    upload = _upload(fake, request)
    assert request.copy_source is not None
    bucket, key = request.copy_source
    source = fake.buckets[bucket].get(key)
    check_source(source, request.headers)
    first, _, last = request.headers["x-amz-copy-source-range"].removeprefix("bytes=").partition("-")
    if int(last) >= len(source.body) or int(last) - int(first) >= fake.largest_copy:
        raise Refused(400, "InvalidArgument")
    body = source.body[int(first) : int(last) + 1]
    upload.parts[int(request.query["partNumber"])] = body
    told = f"<LastModified>{answers.moment(fake.now)}</LastModified><ETag>{answers.text(etag(body))}</ETag>"
    return answers.xml("CopyPartResult", told + _checksum_element(upload, body))


def complete(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    """CompleteMultipartUpload."""
    upload = _upload(fake, request)
    _check_parts(upload, request.body.decode())
    parts = [upload.parts[number] for number in sorted(upload.parts)]
    kept = replace(upload.seed, body=b"".join(parts), etag=joined_etag(parts), modified=fake.now)
    size = request.headers.get("x-amz-mp-object-size")
    if size is not None and int(size) != sum(len(each) for each in parts):
        raise Refused(400, "InvalidRequest")
    bucket = fake.buckets[request.bucket]
    bucket.put(request.key, kept)
    del bucket.uploads[request.query["uploadId"]]
    return answers.xml("CompleteMultipartUploadResult", f"<ETag>{answers.text(kept.etag)}</ETag>")


def abort(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    """AbortMultipartUpload."""
    _upload(fake, request)
    bucket = fake.buckets[request.bucket]
    del bucket.uploads[request.query["uploadId"]]
    bucket.aborted += 1
    return Reply(204, b"")


def uploads(fake: FakeS3, request: Request, strike: Strike | None) -> Reply:
    """ListMultipartUploads."""
    inner = "".join(
        f"<Upload><Key>{answers.text(upload.key)}</Key><UploadId>{name}</UploadId></Upload>"
        for name, upload in fake.buckets[request.bucket].uploads.items()
    )
    return answers.xml("ListMultipartUploadsResult", f"<IsTruncated>false</IsTruncated>{inner}")


def checksums(kept: Kept) -> Mapping[str, str]:
    """The headers that tell the checksum, to who asks for it."""
    if kept.checksum is None:
        return {}
    algorithm, kind = kept.checksum
    return {f"x-amz-checksum-{algorithm.lower()}": _digest(algorithm, kept.body), "x-amz-checksum-type": kind}


def _upload(fake: FakeS3, request: Request) -> Upload:
    try:
        return fake.buckets[request.bucket].uploads[request.query["uploadId"]]
    except KeyError:
        raise Refused(404, "NoSuchUpload") from None


def _check_parts(upload: Upload, body: str) -> None:
    """Every part is named with what was told of it. Raises Refused."""
    named = {}
    for element in _PART.findall(body):
        found = _NUMBER.search(element)
        if found is None:
            raise Refused(400, "MalformedXML")
        named[int(found.group(1))] = element
    if set(named) != set(upload.parts):
        raise Refused(400, "InvalidPart")
    for number, element in named.items():
        if etag(upload.parts[number]).strip('"') not in element:
            raise Refused(400, "InvalidPart")
        if _checksum_element(upload, upload.parts[number]) not in element:
            raise Refused(400, "InvalidRequest")


def _checksum_element(upload: Upload, body: bytes) -> str:
    if upload.seed.checksum is None:
        return ""
    algorithm = upload.seed.checksum[0]
    return f"<Checksum{algorithm}>{_digest(algorithm, body)}</Checksum{algorithm}>"


def _digest(algorithm: str, body: bytes) -> str:
    return b64encode(hashlib.sha256(algorithm.encode() + body).digest()).decode()
