"""The fake S3 keeps S3's rules for a client that is not ours (boto3): owners, conditions, signatures, faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unconnected

from downstage.testing import s3_faults as faults
from downstage.testing.s3_faults import Call, Strike
from downstage.testing.s3_server import FakeS3, serving

PROD, TEST = "111111111111", "222222222222"
AWKWARD = ["./z", "x/../y", "a+b", "%41", "new\nline", "end ", "folder/", "é", "&<>\"'", "\x01", "q?x=1#f", "a b", "~"]


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    with serving() as fake:
        fake.bucket("source", PROD)
        fake.bucket("target", TEST)
        yield fake


def client(s3: FakeS3, account: str = TEST, secret: str = "secret") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
    )


def copy(s3: FakeS3, key: str, **more: Any) -> Any:
    return client(s3).copy_object(
        Bucket="target",
        Key=key,
        CopySource={"Bucket": "source", "Key": key},
        ExpectedBucketOwner=TEST,
        ExpectedSourceBucketOwner=PROD,
        **more,
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_awkward_keys_are_signed_listed_copied_and_deleted(s3: FakeS3) -> None:
    for key in AWKWARD:
        s3.buckets["source"].add(key, key.encode(), metadata={"who": "x"}, tags={"a": "b"})
        copy(s3, key, TaggingDirective="COPY")
    assert s3.buckets["target"].likeness() == s3.buckets["source"].likeness()
    assert s3.forged == 0
    assert not s3.unguarded
    found = client(s3).list_objects_v2(Bucket="target", ExpectedBucketOwner=TEST)["Contents"]
    assert [entry["Key"] for entry in found] == sorted(AWKWARD, key=str.encode)
    doomed = [{"Key": key} for key in AWKWARD if key != "\x01"]
    client(s3).delete_objects(Bucket="target", Delete={"Objects": doomed}, ExpectedBucketOwner=TEST)
    assert list(s3.buckets["target"].objects) == ["\x01"]
    client(s3).delete_object(Bucket="target", Key="\x01", ExpectedBucketOwner=TEST)
    assert not s3.buckets["target"].objects


def test_the_wrong_owner_a_forged_signature_and_a_foreign_writer_are_refused(s3: FakeS3) -> None:
    s3.buckets["source"].add("k", b"1")
    with pytest.raises(ClientError) as error:
        client(s3).list_objects_v2(Bucket="target", ExpectedBucketOwner=PROD)
    assert code_of(error) == (403, "AccessDenied")
    with pytest.raises(ClientError) as error:
        client(s3, secret="another").list_objects_v2(Bucket="target")
    assert code_of(error) == (403, "SignatureDoesNotMatch")
    with pytest.raises(ClientError) as error:
        client(s3).put_object(Bucket="source", Key="k", Body=b"")
    assert code_of(error) == (403, "AccessDenied")
    assert (s3.forged, s3.trespasses) == (1, ["PutObject"])
    client(s3).list_objects_v2(Bucket="target")
    assert s3.unguarded == {"ListObjectsV2": 1, "PutObject": 1}


def test_a_copy_of_what_changed_or_is_gone_or_archived_or_too_large_is_refused(s3: FakeS3) -> None:
    kept = s3.buckets["source"].add("k", b"1")
    s3.buckets["source"].add("cold", b"1", storage_class="GLACIER")
    copy(s3, "k", CopySourceIfMatch=kept.etag)
    for key, condition, expected in (
        ("k", '"other"', (412, "PreconditionFailed")),
        ("none", kept.etag, (404, "NoSuchKey")),
        ("cold", kept.etag, (403, "InvalidObjectState")),
    ):
        with pytest.raises(ClientError) as error:
            copy(s3, key, CopySourceIfMatch=condition)
        assert code_of(error) == expected
    s3.largest_copy = 0
    with pytest.raises(ClientError) as error:
        copy(s3, "k")
    assert code_of(error) == (400, "InvalidRequest")


def test_a_multipart_copy_has_the_seed_of_its_beginning(s3: FakeS3) -> None:
    s3.buckets["source"].add("big", b"0123456789", metadata={"who": "x"})
    s3.largest_copy = 6
    ours = client(s3)
    upload = ours.create_multipart_upload(
        Bucket="target", Key="big", Metadata={"who": "x"}, Tagging="a=b%20c", ContentType="text/plain"
    )["UploadId"]
    parts = []
    for number, span in ((1, "bytes=0-5"), (2, "bytes=6-9")):
        answer = ours.upload_part_copy(
            Bucket="target",
            Key="big",
            CopySource="source/big",
            CopySourceRange=span,
            PartNumber=number,
            UploadId=upload,
        )
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    ours.complete_multipart_upload(Bucket="target", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    kept = s3.buckets["target"].objects["big"]
    assert kept.body == b"0123456789"
    assert kept.etag.endswith('-2"')
    assert (kept.metadata, kept.tags, kept.headers["content-type"]) == ({"who": "x"}, {"a": "b c"}, "text/plain")
    assert not s3.buckets["target"].uploads


def test_pages_go_on_where_the_last_one_ended(s3: FakeS3) -> None:
    for number in range(25):
        s3.buckets["source"].add(f"a/{number:02d}", b"")
    s3.buckets["source"].add("b", b"")
    s3.page_size = 10
    pages = client(s3).get_paginator("list_objects_v2").paginate(Bucket="source", Prefix="a/", StartAfter="a/03")
    found = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert found == [f"a/{number:02d}" for number in range(4, 25)]
    assert s3.calls["ListObjectsV2"] == 3


@pytest.mark.parametrize(
    ("strike", "expected", "there"),
    [
        (Strike.SLOW_DOWN, "SlowDown", False),
        (Strike.BROKEN, "InternalError", False),
        (Strike.DENIED, "AccessDenied", False),
        (Strike.RESET, "", False),
        (Strike.LOST, "", True),
        (Strike.CUT, "", True),
    ],
)
def test_a_fault_strikes_the_call_it_is_meant_for(s3: FakeS3, strike: Strike, expected: str, there: bool) -> None:
    for key in ("a", "b"):
        s3.buckets["source"].add(key, b"1")
    s3.fault = faults.at("CopyObject", 2, strike)
    copy(s3, "a")
    with pytest.raises((ClientError, HTTPClientError, Unconnected)) as error:
        copy(s3, "b")
    if expected:
        assert isinstance(error.value, ClientError)
        assert error.value.response["Error"]["Code"] == expected
    assert ("b" in s3.buckets["target"].objects) is there
    copy(s3, "b")
    assert s3.calls["CopyObject"] == 3


def test_chance_is_the_calls_own_and_no_key_is_struck_for_ever() -> None:
    shares = {("CopyObject", Strike.SLOW_DOWN): 0.3, ("CopyObject", Strike.RESET): 0.2}
    fault = faults.chance(7, shares, attempts=2)
    calls = [Call("CopyObject", "target", f"k{number}", number, attempt) for number in range(500) for attempt in (1, 2)]
    drawn = [fault(call) for call in calls]
    assert drawn == [fault(call) for call in calls]
    assert 230 < drawn.count(Strike.SLOW_DOWN) < 370
    assert 130 < drawn.count(Strike.RESET) < 270
    assert all(fault(Call("CopyObject", "target", call.key, call.number, 3)) is None for call in calls)
    assert fault(Call("ListObjectsV2", "target", "", 1, 1)) is None


def test_nothing_is_left_running() -> None:
    before = threading.active_count()
    with serving() as fake:
        assert client(fake).meta.endpoint_url == fake.endpoint
    assert threading.active_count() == before
