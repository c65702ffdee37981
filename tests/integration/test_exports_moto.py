"""Exports on moto: real gzipped files of a real table, ranges and ETags of real objects, versions that go for good.

moto ignores ClientToken, ExpectedBucketOwner and the export's id in its keys, and writes no manifests: these are laid
beside its own data file as DynamoDB would, and the rest is shown over a scripted client (tests/unit).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Iterator

import boto3
import orjson
import pytest
from moto import mock_aws

from downstage.aws.exports import ExportControl, ExportObjects
from downstage.aws.session import Session
from downstage.copying.export import ExportReader
from downstage.domain.environment import Environment
from downstage.domain.export import ExportOrder, ExportPlan, ExportSource
from downstage.domain.plan import TablePair
from downstage.domain.refs import ExportBucket, SourceTable, TargetTable
from downstage.errors import AwsError, ConfigError, NotFound
from downstage.planning.exports import check_facts, listed_files, read_files, read_summary
from downstage.ports import RestoreWindow
from downstage.testing.exports import export_text

ACCOUNT = "123456789012"
PRODUCTION = Environment("prod", ACCOUNT, "us-east-1", protected=True)
TABLE_ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/app-prod"
ARN = f"{TABLE_ARN}/export/01800000000000-0a1b2c3d"
BUCKET = ExportBucket(ACCOUNT, "raw-prod")
ORDER = ExportOrder(TABLE_ARN, BUCKET, "raw", None, 1_800_000_000.0, "run-1/app-prod")


pytestmark = pytest.mark.integration


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """An account with a table of 500 items, recovery on, and a bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="app-prod",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for number in range(500):
            item = {"pk": {"S": f"é|{number}"}, "n": {"N": "1.50"}, "ss": {"SS": ["b", "a"]}, "b": {"B": b"\x00\xff"}}
            client.put_item(TableName="app-prod", Item=item)  # type: ignore[arg-type]
        client.update_continuous_backups(
            TableName="app-prod", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET.name)
        yield Session(PRODUCTION)


def put(session: Session, objects: dict[str, bytes]) -> None:
    """Uploads in one part each, so that the ETags are those of DynamoDB's own uploads."""
    client = session.client("s3")
    for key, content in objects.items():
        upload = client.create_multipart_upload(Bucket=BUCKET.name, Key=key)["UploadId"]
        where = {"Bucket": BUCKET.name, "Key": key, "UploadId": upload}
        part = {"PartNumber": 1, "ETag": client.upload_part(**where, PartNumber=1, Body=content)["ETag"]}
        client.complete_multipart_upload(**where, MultipartUpload={"Parts": [part]})


def test_a_real_export_is_read_to_the_last_type(production: Session) -> None:
    control, objects = ExportControl(production), ExportObjects(production)
    arn = control.start(ORDER)
    while (facts := control.facts(arn)).status == "IN_PROGRESS":
        pass
    (data,) = [found for found in objects.files(BUCKET, "raw/") if "/data/" in found.key]
    written = objects.read(BUCKET, data.key, 0, 1 << 20, data.etag).content
    assert len(gzip.decompress(written).splitlines()) == 500

    text = export_text(arn, "raw", [(written, 500)], tableArn=facts.table_arn)
    put(production, dict(text.objects))
    root = text.data[0].rpartition("data/")[0]
    pair = TablePair(SourceTable(ACCOUNT, "us-east-1", "app-prod"), TargetTable("222222222222", "us-east-1", "x"))
    check_facts(pair, ExportPlan(BUCKET, "raw"), facts)
    files = {
        name: objects.read(BUCKET, root + name, 0, 1 << 20, None).content
        for name in ("manifest-summary.json", "manifest-files.json")
    }
    summary = read_summary(pair, "", facts, files["manifest-summary.json"], None)
    manifests = read_files(root, summary, files["manifest-files.json"], None, objects.files(BUCKET, root))
    assert (manifests.summary.items, manifests.size) == (500, len(written))

    digest = hashlib.sha256(files["manifest-files.json"]).hexdigest()
    source = ExportSource(BUCKET, root, f"{root}manifest-files.json", digest, 1, 500, 0.0)

    async def read() -> list[bytes]:
        reader = ExportReader(BUCKET, listed_files(objects, source), objects)
        return [item async for page in reader.pages(0, 1, None) for item in page.items]

    items = [orjson.loads(item) for item in asyncio.run(read())]
    assert {item["pk"]["S"] for item in items} == {f"é|{number}" for number in range(500)}
    assert all((item["n"], item["b"]) == ({"N": "1.50"}, {"B": "AP8="}) for item in items)
    assert all(sorted(item["ss"]["SS"]) == ["a", "b"] for item in items)


def test_the_window_is_what_recovery_can_show_and_none_if_it_is_off(production: Session) -> None:
    control = ExportControl(production)
    window = control.window("app-prod")
    assert isinstance(window, RestoreWindow)
    assert window.earliest <= window.latest
    production.client("dynamodb").update_continuous_backups(
        TableName="app-prod", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    assert control.window("app-prod") is None
    with pytest.raises(ConfigError, match="table app-prod: point-in-time recovery is off, and an export needs it"):
        control.start(ORDER)


def test_a_bucket_that_is_not_there_is_said(production: Session) -> None:
    ExportObjects(production).check(BUCKET)
    with pytest.raises(NotFound, match="the export bucket raw-elsewhere"):
        ExportObjects(production).check(ExportBucket(ACCOUNT, "raw-elsewhere"))


def test_ranges_of_an_object_and_only_of_the_one_that_is_meant(production: Session) -> None:
    put(production, {"a": b"0123456789", "empty": b""})
    objects = ExportObjects(production)
    etag = next(found.etag for found in objects.files(BUCKET, "a"))
    assert etag.endswith("-1")
    pieces = [objects.read(BUCKET, "a", start, 4, etag) for start in (0, 4, 8)]
    assert [(piece.content, piece.total) for piece in pieces] == [(b"0123", 10), (b"4567", 10), (b"89", 10)]
    with pytest.raises(NotFound):
        objects.read(BUCKET, "b", 0, 4, None)
    put(production, {"a": b"another one"})
    with pytest.raises(AwsError) as caught:
        objects.read(BUCKET, "a", 0, 4, etag)
    assert caught.value.code == "412"


def test_every_version_goes_and_nothing_else(production: Session) -> None:
    client = production.client("s3")
    client.put_bucket_versioning(Bucket=BUCKET.name, VersioningConfiguration={"Status": "Enabled"})
    for key in ("root/a", "root/a", "root/b", "rootless", "other/a"):
        client.put_object(Bucket=BUCKET.name, Key=key, Body=b"raw")
    client.delete_object(Bucket=BUCKET.name, Key="root/b")
    objects = ExportObjects(production)
    doomed = list(objects.versions(BUCKET, "root/"))
    assert sorted(key for key, _ in doomed) == ["root/a", "root/a", "root/b", "root/b"]
    objects.delete(BUCKET, doomed)
    assert not list(objects.versions(BUCKET, "root/"))
    assert [found.key for found in objects.files(BUCKET, "")] == ["other/a", "rootless"]
