"""A small sandbox for real: up, looked at, killed, taken down; its consumer at work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from downstage.errors import SandboxError
from downstage.sandbox import Sandbox, SandboxRecord, layout, seed_tables
from downstage.sandbox.clients import Account
from downstage.sandbox.generator import generate, indexed
from downstage.sandbox.processes import alive, marked, open_to_the_network, own_processes

pytestmark = pytest.mark.integration
CASES = 40


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("box"))
    try:
        sandbox.up(cases=CASES)
        yield sandbox
    finally:
        sandbox.down()


@pytest.fixture(scope="module")
def record(box: Sandbox) -> SandboxRecord:
    found = box.status()
    assert found is not None
    return found


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Poll until `holds`, or give up."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def documents(url: str, index: str) -> int:
    with urllib.request.urlopen(f"{url}/{index}/_count", timeout=5) as answer:
        return int(json.load(answer)["count"])


def truth_of(record: SandboxRecord) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(record.truth_path.read_text(encoding="utf-8"))
    return told


def scan(endpoint: str, account: str, table: str) -> list[dict[str, Any]]:
    pages = Account(endpoint, account).dynamodb().get_paginator("scan").paginate(TableName=table)
    return [dict(item) for page in pages for item in page["Items"]]


def test_production_holds_exactly_what_was_generated(record: SandboxRecord) -> None:
    for table, made in generate(CASES, 7).tables.items():
        found = scan(record.endpoint, layout.PROD_ACCOUNT, table)
        held = {(item["pk"]["S"], item["sk"]["S"]): unordered(item) for item in found}
        assert held == {(item["pk"]["S"], item["sk"]["S"]): unordered(item) for item in made}
        assert truth_of(record)["items"][table]["total"] == len(found)


def unordered(value: Any) -> Any:
    """A typed value in which sets have one order."""
    if isinstance(value, dict):
        return {k: sorted(v) if k in ("SS", "NS", "BS") else unordered(v) for k, v in value.items()}
    return [unordered(member) for member in value] if isinstance(value, list) else value


def test_production_search_and_buckets_hold_what_the_truth_says(record: SandboxRecord) -> None:
    told = truth_of(record)
    for index, expected in told["indexes"].items():
        assert documents(record.search_urls[layout.PROD_DOMAIN], index) == expected["count"]
    for account, bucket in ((layout.PROD_ACCOUNT, layout.PROD_BUCKET), (layout.TEST_ACCOUNT, layout.TEST_BUCKET)):
        listed = Account(record.endpoint, account).s3().list_objects_v2(Bucket=bucket)
        assert listed["KeyCount"] == told["buckets"]["objects"][bucket]


def test_the_test_account_reads_the_documents_through_its_role_and_may_not_write(record: SandboxRecord) -> None:
    import boto3
    from botocore.exceptions import ClientError

    sts = boto3.client(
        "sts", endpoint_url=record.endpoint, region_name=layout.REGION,
        aws_access_key_id=layout.LAUNCHER_ACCOUNT, aws_secret_access_key="x",
    )  # fmt: skip
    given = sts.assume_role(
        RoleArn=f"arn:aws:iam::{layout.TEST_ACCOUNT}:role/{layout.WRITE_ROLE}", RoleSessionName="test"
    )["Credentials"]
    s3 = boto3.client(
        "s3", endpoint_url=record.endpoint, region_name=layout.REGION, aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given["SessionToken"],
    )  # fmt: skip
    key = "with space.pdf"
    pairs = ((layout.PROD_BUCKET, key), (layout.TEST_BUCKET, "copied"))
    assert s3.list_objects_v2(Bucket=layout.PROD_BUCKET)["KeyCount"] > 100
    assert s3.get_object_tagging(Bucket=layout.PROD_BUCKET, Key=key)["TagSet"]
    s3.copy_object(Bucket=layout.TEST_BUCKET, Key="copied", CopySource={"Bucket": layout.PROD_BUCKET, "Key": key})
    copied = s3.get_object(Bucket=layout.TEST_BUCKET, Key="copied")
    original = s3.get_object(Bucket=layout.PROD_BUCKET, Key=key)
    with copied["Body"], original["Body"]:
        assert copied["Body"].read() == original["Body"].read()
    assert copied["Metadata"] == original["Metadata"]
    tags = [s3.get_object_tagging(Bucket=b, Key=k)["TagSet"] for b, k in pairs]
    assert tags[0] == tags[1] != []
    s3.delete_object(Bucket=layout.TEST_BUCKET, Key="copied")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=layout.PROD_BUCKET, Key="intruder", Body=b"")


def test_up_again_returns_the_running_one(box: Sandbox, record: SandboxRecord) -> None:
    said: list[str] = []
    assert box.up(cases=CASES, say=said.append) == record
    assert "already up" in said[0]


def test_nothing_listens_beyond_loopback_and_nothing_is_written_outside(record: SandboxRecord) -> None:
    own = own_processes(record.directory, record.pids)
    assert {process.pid for process in own} >= {identity.pid for identity in record.pids}
    assert open_to_the_network(own) == []
    aws = next(identity for identity in record.pids if identity.role == "aws")
    assert Path(psutil.Process(aws.pid).cwd()).is_relative_to(record.directory)


def test_the_consumer_indexes_what_a_recreated_table_gets(record: SandboxRecord) -> None:
    account = Account(record.endpoint, layout.TEST_ACCOUNT)
    tables, functions, url = account.dynamodb(), account.functions(), record.search_urls[layout.TEST_DOMAIN]
    old = functions.list_event_source_mappings(FunctionName=layout.INDEXER_FUNCTION)["EventSourceMappings"]
    assert {mapping["State"] for mapping in old} == {"Enabled"}
    before = documents(url, "efcms-case")
    tables.delete_table(TableName=layout.TEST_TABLE)
    for mapping in old:
        if layout.TEST_TABLE in mapping["EventSourceArn"]:
            functions.delete_event_source_mapping(UUID=mapping["UUID"])
    stream = seed_tables.create(tables, seed_tables.main_table(layout.TEST_TABLE, "test"))
    new = functions.create_event_source_mapping(
        EventSourceArn=stream, FunctionName=layout.INDEXER_FUNCTION, Enabled=False, StartingPosition="TRIM_HORIZON"
    )
    items = generate(CASES, 7).tables[layout.PROD_TABLE]
    seed_tables.fill(tables, {layout.TEST_TABLE: items})
    assert not eventually(lambda: documents(url, "efcms-case") > before, seconds=1.5)  # held off: nothing arrives
    functions.update_event_source_mapping(UUID=new["UUID"], Enabled=True, BatchSize=500)
    expected = {index: len(found) for index, found in indexed(items).items() if index != "efcms-user"}
    assert expected["efcms-docket-entry"] > CASES
    assert eventually(lambda: documents(url, "efcms-message") == expected["efcms-message"])
    assert eventually(lambda: documents(url, "efcms-case") == before + expected["efcms-case"])
    tables.delete_item(TableName=layout.TEST_TABLE, Key={"pk": {"S": "case|101-20"}, "sk": {"S": "case|101-20"}})
    assert eventually(lambda: documents(url, "efcms-case") == before + expected["efcms-case"] - 1)


def test_a_second_sandbox_lives_beside_and_each_down_ends_its_own(
    box: Sandbox, record: SandboxRecord, tmp_path: Path
) -> None:
    other = Sandbox(tmp_path)
    try:
        beside = other.up(cases=5, seed=8)
        assert beside.endpoint != record.endpoint
        assert other.status() == beside
    finally:
        assert other.down() is True
    assert other.down() is False
    assert other.status() is None
    assert not any(alive(identity) for identity in beside.pids)
    assert marked(tmp_path) == []
    assert box.status() == record


def test_what_a_killed_supervisor_left_is_reaped_by_the_next_up(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    try:
        first = sandbox.up(cases=5)
        by_role = {identity.role: identity for identity in first.pids}
        os.kill(by_role["supervisor"].pid, signal.SIGKILL)
        assert eventually(lambda: alive(by_role[layout.PROD_DOMAIN]) is None)
        assert alive(by_role["aws"]) is not None  # orphaned
        assert sandbox.status() is None
        (tmp_path / "state.json").unlink()  # the record is lost too: the marker finds it
        said: list[str] = []
        second = sandbox.up(cases=5, say=said.append)
        assert "ended the servers of an earlier life" in said[0]
        assert alive(by_role["aws"]) is None
        assert sandbox.status() == second
        os.kill(next(i.pid for i in second.pids if i.role == "aws"), signal.SIGKILL)
        assert eventually(lambda: not any(alive(identity) for identity in second.pids))  # one dies, all end
    finally:
        with contextlib.suppress(psutil.Error):
            sandbox.down()
    assert marked(tmp_path) == []


def test_what_an_up_that_was_killed_half_way_left_is_ended_by_down(tmp_path: Path) -> None:
    code = "import sys, pathlib, downstage.sandbox as s; s.Sandbox(pathlib.Path(sys.argv[1])).up(cases=3000)"
    sandbox = Sandbox(tmp_path)
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL) as caller:
        try:
            assert eventually(lambda: any("emulator" in " ".join(process.cmdline()) for process in marked(tmp_path)))
            caller.kill()
            caller.wait(5)
            assert sandbox.status() is None
        finally:
            caller.kill()
            assert sandbox.down() is True
    assert marked(tmp_path) == []


def test_two_ups_at_once_share_one_sandbox(tmp_path: Path) -> None:
    said: list[str] = []
    try:
        with ThreadPoolExecutor(2) as pool:
            ups = [pool.submit(Sandbox(tmp_path).up, 3, 7, said.append) for _ in range(2)]
            first, second = (up.result() for up in ups)
        assert first == second
        assert any("waiting for it" in line for line in said)
        assert any("already up" in line for line in said)
    finally:
        Sandbox(tmp_path).down()


def test_a_failure_on_the_way_up_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSMEM_SERVER_BIN", str(tmp_path / "missing"))
    with pytest.raises(SandboxError, match=r"did not start: .*missing.* \(log: .*supervisor.log\)"):
        Sandbox(tmp_path).up(cases=3)
    assert marked(tmp_path) == []
    assert Sandbox(tmp_path).down() is False
