"""The export adapters over a scripted client: what is asked for to the letter, and what every answer becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, IncompleteReadError

from downstage.aws.exports import ExportControl, ExportObjects
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.export import ExportOrder
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, NotFound, Unreachable
from tests.unit.test_aws_adapters import Client

ACCOUNT = "123456789012"
PRODUCTION = Environment("prod", ACCOUNT, "us-east-1", protected=True)
TABLE_ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/app-prod"
ARN = f"{TABLE_ARN}/export/01800000000000-0a1b2c3d"
BUCKET = ExportBucket(ACCOUNT, "raw-prod")
ORDER = ExportOrder(TABLE_ARN, BUCKET, "raw", None, 1_800_000_000.0, "run-1/app-prod")


def scripted(*script: tuple[str, Any]) -> tuple[Client, Session]:
    client = Client(*script)

    class Signed:
        environment = PRODUCTION

        def client(self, service: str, region: str | None = None) -> Client:
            return client

    return client, cast("Session", Signed())


def refusal(code: str, operation: str = "x") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret"}}, operation)


def test_an_order_is_asked_for_to_the_letter() -> None:
    client, session = scripted(("export_table_to_point_in_time", {"ExportDescription": {"ExportArn": ARN}}))
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    assert ExportControl(session).start(ExportOrder(TABLE_ARN, BUCKET, "raw", key, 1_800_000_000.0, "token")) == ARN
    assert client.calls[0][1] == {
        "TableArn": TABLE_ARN,
        "S3Bucket": "raw-prod",
        "S3BucketOwner": ACCOUNT,
        "S3Prefix": "raw",
        "S3SseAlgorithm": "KMS",
        "S3SseKmsKeyId": key,
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "FULL_EXPORT",
        "ExportTime": datetime(2027, 1, 15, 8, tzinfo=UTC),
        "ClientToken": "token",
    }


def test_the_export_of_a_token_is_found_without_looking_at_all_that_are_older() -> None:
    old = f"{TABLE_ARN}/export/01700000000000-00000000"
    other = f"{TABLE_ARN}/export/01800000000001-0a1b2c3d"
    page = {"ExportSummaries": [{"ExportArn": arn} for arn in (old, other, ARN)]}
    described = {"ClientToken": "run-0/app-prod"}, {"ClientToken": ORDER.token}
    client, session = scripted(
        ("list_exports", [page]), *(("describe_export", {"ExportDescription": one}) for one in described)
    )
    assert ExportControl(session).find(ORDER) == ARN
    assert client.asked == ["list_exports", "describe_export", "describe_export"]
    assert client.calls[0][1] == {"TableArn": TABLE_ARN}
    _, session = scripted(("list_exports", [{"ExportSummaries": []}]))
    assert ExportControl(session).find(ORDER) is None


def test_an_export_is_described_with_the_reason_of_its_failure() -> None:
    said = {
        "ExportStatus": "FAILED",
        "TableArn": TABLE_ARN,
        "S3Bucket": "raw-prod",
        "FailureCode": "AccessDenied",
        "FailureMessage": "no\n put",
    }
    _, session = scripted(("describe_export", {"ExportDescription": said}))
    facts = ExportControl(session).facts(ARN)
    assert (facts.status, facts.failure, facts.prefix, facts.format) == (
        "FAILED",
        "AccessDenied no put",
        "",
        "DYNAMODB_JSON",
    )
    _, session = scripted(("describe_export", refusal("ExportNotFoundException")))
    with pytest.raises(NotFound, match="there is no export"):
        ExportControl(session).facts(ARN)


def test_every_call_on_the_bucket_names_its_owner() -> None:
    versions = {"Versions": [{"Key": "k", "VersionId": "1"}], "DeleteMarkers": [{"Key": "k", "VersionId": "2"}]}
    body = type("Body", (), {"read": lambda self: b"x"})()
    client, session = scripted(
        ("head_bucket", {}),
        ("list_objects_v2", [{"Contents": [{"Key": "k", "ETag": '"e"', "Size": 1}]}]),
        ("get_object", {"Body": body, "ContentRange": "bytes 4-4/9", "ETag": '"e"'}),
        ("list_object_versions", [versions]),
        ("delete_objects", {}),
    )
    objects = ExportObjects(session)
    objects.check(BUCKET)
    assert [found.etag for found in objects.files(BUCKET, "root/")] == ["e"]
    assert objects.read(BUCKET, "k", 4, 1, "e").total == 9
    assert list(objects.versions(BUCKET, "root/")) == [("k", "1"), ("k", "2")]
    objects.delete(BUCKET, [("k", "1"), ("k", "2")])
    assert all(arguments["ExpectedBucketOwner"] == ACCOUNT for _, arguments in client.calls)
    read, delete = client.calls[2][1], client.calls[4][1]
    assert (read["Range"], read["IfMatch"]) == ("bytes=4-4", '"e"')
    assert delete["Delete"]["Objects"] == [{"Key": "k", "VersionId": "1"}, {"Key": "k", "VersionId": "2"}]
    assert {arguments["Prefix"] for name, arguments in client.calls if name.startswith("list")} == {"root/"}


def test_another_accounts_bucket_is_said_to_be_so() -> None:
    _, session = scripted(("head_bucket", refusal("403", "HeadBucket")))
    with pytest.raises(AwsError, match=f"does not belong to account {ACCOUNT}, or the role may not list it"):
        ExportObjects(session).check(BUCKET)


def test_an_object_without_a_byte_and_an_answer_that_breaks_off() -> None:
    class Torn:
        def read(self) -> bytes:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=4)

    _, session = scripted(("get_object", refusal("InvalidRange")), ("get_object", {"Body": Torn(), "ETag": '"e"'}))
    assert ExportObjects(session).read(BUCKET, "k", 0, 4, "e").total == 0
    with pytest.raises(Unreachable, match="broke off"):
        ExportObjects(session).read(BUCKET, "k", 0, 4, "e")


def test_what_s3_does_not_delete_is_an_error() -> None:
    _, session = scripted(("delete_objects", {"Errors": [{"Key": "k", "Code": "AccessDenied"}]}))
    with pytest.raises(AwsError, match=r"1 files of the export .* AccessDenied; allow s3:DeleteObjectVersion"):
        ExportObjects(session).delete(BUCKET, [("k", "1")])
