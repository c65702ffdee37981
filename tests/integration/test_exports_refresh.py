"""A whole refresh of the sandbox from exports, by the command: started, cut off, found again, proven, and gone.

ministack starts and describes exports, keeps their tokens, and writes no files: the test lays them where DynamoDB
would, from a scan of the table. That a bucket's owner is compared is not shown: ministack ignores it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from downstage.sandbox import Sandbox, SandboxRecord, layout
from downstage.sandbox.clients import Account
from downstage.testing.exports import data_file, export_text

pytestmark = pytest.mark.integration

BUCKET = "efcms-exports-prod"
TABLES = (layout.PROD_TABLE, layout.PROD_USERS_TABLE)
FILES = 5


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxRecord]:
    """A sandbox whose production has a bucket for exports, and recovery on."""
    sandbox = Sandbox(tmp_path_factory.mktemp("box"))
    try:
        found = sandbox.up(cases=12)
        production = Account(found.endpoint, layout.PROD_ACCOUNT)
        production.s3().create_bucket(Bucket=BUCKET)
        for table in TABLES:
            production.dynamodb().update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
        yield found
    finally:
        sandbox.down()


def downstage(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOWNSTAGE_", "CI"))}
    return subprocess.run(
        [sys.executable, "-m", "downstage", *arguments, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environ,
        check=False,
    )


def configured(record: SandboxRecord, name: str, export: str) -> Path:
    """The sandbox's configuration with an `export`, and a state directory of its own."""
    text = record.config_path.read_text(encoding="utf-8")
    text = text.replace("      from: prod\n", f"      from: prod\n      export: {export}\n", 1)
    path = record.config_path.with_name(f"{name}.yaml")
    path.write_text(re.sub(r"(?m)^state: \S+", f"state: state-{name}", text), encoding="utf-8")
    return path


def items_of(record: SandboxRecord, table: str) -> list[dict[str, Any]]:
    pages = Account(record.endpoint, layout.PROD_ACCOUNT).dynamodb().get_paginator("scan").paginate(TableName=table)
    written = orjson.dumps(
        [item for page in pages for item in page["Items"]], default=lambda raw: base64.b64encode(raw).decode()
    )
    items: list[dict[str, Any]] = orjson.loads(written)
    return items


def exports_of(record: SandboxRecord, table: str) -> list[str]:
    arn = f"arn:aws:dynamodb:{layout.REGION}:{layout.PROD_ACCOUNT}:table/{table}"
    found = Account(record.endpoint, layout.PROD_ACCOUNT).dynamodb().list_exports(TableArn=arn)
    return [export["ExportArn"] for export in found["ExportSummaries"]]


def lay(record: SandboxRecord, arn: str, prefix: str) -> None:
    """The files of an export, uploaded in one part each as DynamoDB does, so that the ETags are of its kind."""
    table = arn.split("/")[1]
    items = items_of(record, table)
    parts = [items[number::FILES] for number in range(FILES)]
    production = Account(record.endpoint, layout.PROD_ACCOUNT)
    table_id = production.dynamodb().describe_table(TableName=table)["Table"].get("TableId", "")
    text = export_text(arn, prefix, [(data_file(part), len(part)) for part in parts], table_id=table_id)
    client = production.s3()
    for key, content in text.objects.items():
        upload = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        etag = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=content)["ETag"]
        client.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
        )


def keys(record: SandboxRecord) -> list[str]:
    listed = Account(record.endpoint, layout.PROD_ACCOUNT).s3().list_objects_v2(Bucket=BUCKET)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def report(config: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(downstage(config, "report", "--json").stdout)
    return answer


def test_a_refresh_from_exports_that_it_started(record: SandboxRecord) -> None:
    before = {table: items_of(record, table) for table in TABLES}
    config = configured(record, "started", f"{{bucket: {BUCKET}, prefix: downstage}}")
    assert downstage(config, "check", "test").returncode == 0
    planned = downstage(config, "plan", "test").stdout
    assert (
        f"read from an export to s3://{BUCKET}/downstage, about $0.00 at $0.10 a GB, deleted once verified" in planned
    )

    cut_off = downstage(config, "refresh", "test")
    assert cut_off.returncode == 1
    assert "manifest-summary.json is not there" in cut_off.stderr
    assert "Traceback" not in cut_off.stderr
    report_then = report(config)
    assert [step["name"] for step in report_then["steps"] if step["state"] == "done"] == ["preflight"]
    assert any("still stands at s3://" in statement for statement in report_then["statements"])

    started = [arn for table in TABLES for arn in exports_of(record, table)]
    assert len(started) == len(TABLES)
    for arn in started:
        lay(record, arn, "downstage")
    stranger = "downstage/AWSDynamoDB/of-somebody-else/data/x.json.gz"
    Account(record.endpoint, layout.PROD_ACCOUNT).s3().put_object(Bucket=BUCKET, Key=stranger, Body=b"x")

    resumed = downstage(config, "resume", report_then["run_id"])
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    done = report(config)
    assert done["result"] == "proven"
    assert [(table["source"], table["read"]) for table in done["tables"]] == [
        (table, len(before[table])) for table in TABLES
    ]
    assert all(export["deleted"] and export["exported"] and export["ours"] for export in done["exports"])
    assert any(
        "exported at 15 Jan 2027, 07:55:00 UTC: a point in time" in statement for statement in done["statements"]
    )
    assert keys(record) == [stranger]
    assert [arn for table in TABLES for arn in exports_of(record, table)] == started
    assert {table: items_of(record, table) for table in TABLES} == before


def test_a_damaged_file_of_an_export_by_arn_stops_with_its_name(record: SandboxRecord) -> None:
    table = layout.PROD_USERS_TABLE
    client = Account(record.endpoint, layout.PROD_ACCOUNT)
    arn = client.dynamodb().export_table_to_point_in_time(
        TableArn=f"arn:aws:dynamodb:{layout.REGION}:{layout.PROD_ACCOUNT}:table/{table}",
        S3Bucket=BUCKET,
        S3Prefix="given",
    )["ExportDescription"]["ExportArn"]
    lay(record, arn, "given")
    config = configured(record, "given", f"{{bucket: {BUCKET}, prefix: downstage}}")
    text = config.read_text(encoding="utf-8")
    text = re.sub(
        r"\{from: (\S+), to: (\S+)\}\n(\s+)- \{from: (\S+), to: (\S+)\}",
        rf'{{from: \1, to: \2, live: true}}\n\3- {{from: \4, to: \5, export: {{bucket: {BUCKET}, arn: "{arn}"}}}}',
        text,
        count=1,
    )
    config.write_text(text, encoding="utf-8")
    assert downstage(config, "check", "test").returncode == 0

    damaged = next(key for key in keys(record) if key.startswith("given/") and "/data/" in key)
    client.s3().put_object(Bucket=BUCKET, Key=damaged, Body=data_file([]))
    answer = downstage(config, "refresh", "test")
    assert answer.returncode == 1
    assert f"export file {damaged} is not the object that the manifest lists: it was written again" in answer.stderr
    assert "flags" in [step["name"] for step in report(config)["steps"] if step["state"] == "pending"]
    assert damaged in keys(record)
