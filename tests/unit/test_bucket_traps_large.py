"""Traps of copying objects above 5 GiB, against the strict S3 of our own: where one CopyObject ends and parts begin,
and all that a multipart upload loses unless it is told. docs/bucket-traps.md lists them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from downstage.aws import multipart
from downstage.aws.multipart import LargeCopies
from downstage.domain.plan import MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.ports import ObjectFacts
from downstage.testing.s3_answers import error_reply
from downstage.testing.s3_objects import LARGEST_COPY as S3S_LARGEST_COPY
from downstage.testing.s3_operations import Request, operation_of
from tests.faults.sync_world import PROD, TEST, World, world

LIMIT, PART = 6 * 1024**2, 5 * 1024**2
SMALL_LIMITS = {"largest_copy": LIMIT, "part_size": PART}
BODY = b"".join(b"%09d\n" % number for number in range(1_100_000))
KEY = "large/é +%41 &<>.bin"
HEADERS = {
    "cache-control": "max-age=60",
    "content-disposition": 'attachment; filename="a b.pdf"',
    "content-encoding": "identity",
    "content-language": "en",
    "content-type": "application/pdf",
}
METADATA = {"case": "101-24", "note": "two  spaces, comma; and =+%41"}
TAGS = {"kind": "brief", "a b": "c+d/e=f@g:h_-."}


@dataclass
class Asked:
    """A world, and the requests that its S3 was sent."""

    world: World
    requests: list[Request] = field(default_factory=list)

    def of(self, operation: str) -> list[Request]:
        """Those of one operation."""
        return [request for request in self.requests if operation_of(request) == operation]

    def sync(self, **options: Any) -> Any:
        """A sync for which 6 MiB are what 5 GiB are for S3."""
        chosen = SyncOptions(max_delete=MaxDelete(share=1.0), **options)
        return self.world.sync(settings=SMALL_LIMITS, options=chosen)


@contextmanager
def large(**kept: Any) -> Iterator[Asked]:
    """A world with one object beyond the limit, and what hangs on it."""
    with world() as found:
        found.fake.largest_copy = LIMIT
        found.source.add(KEY, BODY, headers=HEADERS, metadata=METADATA, tags=TAGS, **kept)
        yield noting(found)


def noting(found: World) -> Asked:
    asked = Asked(found)
    respond = found.fake.respond

    def note(request: Request) -> Any:
        asked.requests.append(request)
        return respond(request)

    found.fake.respond = note  # type: ignore[method-assign]
    return asked


class Vast(bytes):
    """A body that says it is larger than it is: 5 GiB in a test's memory are too much."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, where: Any) -> Any:
        part = Vast(b"content")
        part.size = where.stop - where.start
        return part


@pytest.mark.parametrize(("beyond", "parts"), [(-1, 0), (0, 0), (1, 6)])
def test_five_gib_are_one_copy_and_a_byte_more_is_copied_in_parts(beyond: int, parts: int) -> None:
    with world() as found:
        assert found.fake.largest_copy == S3S_LARGEST_COPY == 5 * 1024**3
        body = Vast(b"content")
        body.size = 5 * 1024**3 + beyond
        found.source.add("vast", body)
        asked = noting(found)
        result = found.sync()
        assert (result.counters["copied"], result.counters["bytes_copied"]) == (1, body.size)
        assert len(asked.of("CopyObject")) == (0 if parts else 1)
        ranges = [request.headers["x-amz-copy-source-range"] for request in asked.of("UploadPartCopy")]
        bounds = sorted(tuple(map(int, each.removeprefix("bytes=").split("-"))) for each in ranges)
        assert len(bounds) == parts
        if parts:
            assert bounds[0][0] == 0
            assert bounds[-1][1] == body.size - 1
            assert [last + 1 for _, last in bounds[:-1]] == [first for first, _ in bounds[1:]], "no gap, no overlap"
            assert all(last - first < 5 * 1024**3 for first, last in bounds)


def test_in_parts_an_object_keeps_its_metadata_headers_and_tags() -> None:
    with large() as asked:
        result = asked.sync()
        assert result.counters["copied"] == 1
        assert asked.world.arrived()
        kept = asked.world.target.objects[KEY]
        assert (kept.metadata, kept.tags, kept.headers) == (METADATA, TAGS, HEADERS)
        assert kept.etag.endswith('-3"')
        assert not asked.of("CopyObject")


def test_in_parts_an_object_gets_what_the_configuration_says() -> None:
    with large() as asked:
        asked.sync(storage_class="STANDARD_IA", acl="bucket-owner-full-control", kms_key="alias/k", tags="skip")
        kept = asked.world.target.objects[KEY]
        assert kept.asked == {
            "x-amz-storage-class": "STANDARD_IA",
            "x-amz-acl": "bucket-owner-full-control",
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "alias/k",
        }
        assert (kept.storage_class, kept.tags) == ("STANDARD_IA", {})
        assert not asked.of("GetObjectTagging"), "a right that is not used is not needed"


def test_in_parts_an_object_keeps_its_storage_class_if_it_is_to() -> None:
    with large(storage_class="GLACIER_IR") as asked:
        asked.sync(storage_class="same")
        assert asked.world.target.objects[KEY].storage_class == "GLACIER_IR"


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC32", "COMPOSITE"), ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT"), ("SHA256", "COMPOSITE")],
)
def test_in_parts_an_object_keeps_the_kind_of_its_checksum(algorithm: str, kind: str) -> None:
    with large(checksum=(algorithm, kind)) as asked:
        asked.sync()
        assert asked.world.arrived()
        assert asked.world.target.objects[KEY].checksum == (algorithm, kind)
        (completed,) = asked.of("CompleteMultipartUpload")
        assert completed.body.count(f"<Checksum{algorithm}>".encode()) == 3, "S3 refuses to end without them"


def test_every_call_for_a_part_names_the_owners_and_the_object_that_was_listed() -> None:
    with large() as asked:
        etag = asked.world.source.objects[KEY].etag
        asked.sync()
        parts = asked.of("UploadPartCopy")
        assert len(parts) == 3
        for request in parts:
            assert request.headers["x-amz-copy-source-if-match"] == etag
            assert request.headers["x-amz-source-expected-bucket-owner"] == PROD
        for operation in ("CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"):
            assert {request.headers["x-amz-expected-bucket-owner"] for request in asked.of(operation)} == {TEST}
        for operation in ("HeadObject", "GetObjectTagging"):
            assert {request.headers["x-amz-expected-bucket-owner"] for request in asked.of(operation)} == {PROD}
        assert asked.of("HeadObject")[0].headers["if-match"] == etag


def test_an_upload_ends_only_as_an_object_of_the_size_that_was_listed() -> None:
    with large() as asked:
        found = asked.world
        copies = LargeCopies(found.session(), SyncOptions(), PART)
        listed = found.source.objects[KEY]
        item = ObjectFacts(KEY, listed.etag, len(BODY), listed.modified)
        assert copies.copy(SourceBucket(PROD, "prod-docs"), TargetBucket(TEST, "test-docs"), item, KEY).refusal == ""
        (completed,) = asked.of("CompleteMultipartUpload")
        assert completed.headers["x-amz-mp-object-size"] == str(len(BODY))


@pytest.mark.parametrize(
    ("operation", "status", "code", "refusal"),
    [
        ("CompleteMultipartUpload", 400, "InvalidRequest", "refused"),
        ("CompleteMultipartUpload", 404, "NoSuchUpload", "busy"),
        ("UploadPartCopy", 403, "KMS.AccessDeniedException", "refused"),
        ("UploadPartCopy", 403, "InvalidObjectState", "refused"),
        ("UploadPartCopy", 412, "PreconditionFailed", "changed"),
        ("UploadPartCopy", 503, "SlowDown", "busy"),
        ("CreateMultipartUpload", 400, "KeyTooLongError", "refused"),
        ("HeadObject", 412, "412", "changed"),
        ("GetObjectTagging", 403, "AccessDenied", "refused"),
    ],
)
def test_what_is_one_large_objects_own_is_a_value_and_leaves_no_upload(
    operation: str, status: int, code: str, refusal: str
) -> None:
    with large() as asked:
        found = asked.world
        respond = found.fake.respond

        def refusing(request: Request) -> Any:
            if operation_of(request) == operation:
                return error_reply(status, code, bodyless=request.method == "HEAD"), None
            return respond(request)

        found.fake.respond = refusing  # type: ignore[method-assign]
        listed = found.source.objects[KEY]
        item = ObjectFacts(KEY, listed.etag, len(BODY), listed.modified)
        copies = LargeCopies(found.session(), SyncOptions(), PART)
        answer = copies.copy(SourceBucket(PROD, "prod-docs"), TargetBucket(TEST, "test-docs"), item, KEY)
        assert (answer.refusal, answer.code) == (refusal, code)
        assert not found.target.uploads
        assert not found.target.objects


def test_a_large_object_is_never_put_to_no_key() -> None:
    with large() as asked:
        copies = LargeCopies(asked.world.session(), SyncOptions(), PART)
        item = ObjectFacts(KEY, '"e"', len(BODY), 0.0)
        refused = copies.copy(SourceBucket(PROD, "prod-docs"), TargetBucket(TEST, "test-docs"), item, "")
        assert (refused.refusal, refused.code) == ("refused", "EmptyKey")
        assert not asked.requests


def test_the_largest_object_of_s3_fits_into_ten_thousand_parts_of_five_gib() -> None:
    largest = 48 * 1024**4
    size = multipart.part_size(largest)
    assert -(-largest // size) <= 10_000
    assert size <= 5 * 1024**3
    assert multipart.part_size(5 * 1024**3 + 1) == 1024**3
