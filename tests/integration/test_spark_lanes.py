"""Every kind of lane on Spark, in one application: copies (of tables and of an export), sync ranges, verification, leak
scan, backfill. What shares a file with the launching machine is done by processes of that machine: the comparison item
by item, mending, the sync of a bucket that an inventory lists.

The sandbox is set up as a cluster needs it: roles, the journal in the control table, the masking key as a secret that
the source's role reads.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.app.choosing import choose_steps
from downstage.app.runs import Finished, Project
from downstage.app.syncing import sync
from downstage.domain.events import Note
from downstage.engines.local import LocalEngine
from downstage.engines.spark import SparkEngine
from downstage.ports import Lane, ObjectFacts
from downstage.sandbox import Sandbox, SandboxRecord, layout
from downstage.sandbox.clients import Account
from downstage.testing.inventories import inventory_files, row
from downstage.testing.simple import Recorder
from tests.integration.test_exports_refresh import BUCKET, items_of, lay
from tests.sparks import end_application

# py4j and pyspark leave connections to the garbage collector
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

TABLES = (layout.PROD_TABLE, layout.PROD_USERS_TABLE)
SECRET = "downstage/mask-key"
PROOF = ("verify-tables", "verify-buckets")
ELSEWHERE, HERE = "spark", "this machine"


@dataclass
class Place:
    """A sandbox, and what its engines were handed since `handed` was cleared: where, and what kind of lane."""

    record: SandboxRecord
    project: Project
    handed: set[tuple[str, str]] = field(default_factory=set)

    def start(self, kind: str, *steps: str, **settings: Any) -> tuple[Finished, list[str]]:
        """Carries a run through; gives the notes as well."""
        self.handed.clear()
        events = Recorder()
        done = self.project.start(
            "test", kind, choose_steps([], []) if kind == "refresh" else steps, events, **settings
        )
        return done, [event.text for event in events.events if isinstance(event, Note)]

    def on(self, where: str) -> set[str]:
        """The kinds of lanes that were handed to engines there."""
        return {kind for place, kind in self.handed if place == where}

    def target(self) -> Any:
        return Account(self.record.endpoint, layout.TEST_ACCOUNT).dynamodb()


def export_of(record: SandboxRecord, table: str) -> str:
    """A finished export of a table of production, by its ARN."""
    production = Account(record.endpoint, layout.PROD_ACCOUNT)
    production.s3().create_bucket(Bucket=BUCKET)
    production.dynamodb().update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    arn = production.dynamodb().export_table_to_point_in_time(
        TableArn=f"arn:aws:dynamodb:{layout.REGION}:{layout.PROD_ACCOUNT}:table/{table}",
        S3Bucket=BUCKET,
        S3Prefix="given",
    )["ExportDescription"]["ExportArn"]
    lay(record, arn, "given")
    return arn


def keep_secret(record: SandboxRecord) -> None:
    """Puts the masking key where workers of a cluster read it."""
    secrets = boto3.client(
        "secretsmanager",
        endpoint_url=record.endpoint,
        region_name=layout.REGION,
        aws_access_key_id=layout.PROD_ACCOUNT,
        aws_secret_access_key="sandbox-only",
    )
    secrets.create_secret(Name=SECRET, SecretString=record.config_path.with_name("mask.key").read_text())


def configured(record: SandboxRecord, arn: str) -> Path:
    """The sandbox's configuration for a cluster: users come from an export, documents can be made from the tables."""
    text = record.config_path.read_text(encoding="utf-8")
    changes = {
        "journal: sqlite": "journal: dynamodb",
        'key: "file:mask.key"': f'key: "secretsmanager:{SECRET}"',
        "engine: {default: local, workers: 2}": "engine: {default: spark, workers: 2, segments: 4}",
        '{from: efcms-prod-users, to: efcms-test-users}': '{from: efcms-prod-users, to: efcms-test-users, '
        f'export: {{bucket: {BUCKET}, arn: "{arn}"}}}}',
        'id: "{pk}_{sk}"\n': 'id: "{pk}_{sk}"\n        backfill: {attributes: [pk, sk, entityName]}\n',
    }  # fmt: skip
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = record.config_path.with_name("cluster.yaml")
    path.write_text(re.sub(r"(?m)^state: \S+", "state: state-cluster", text), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    sandbox = Sandbox(tmp_path_factory.mktemp("box"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name, raising=False)
        try:
            record = sandbox.up(cases=12)
            keep_secret(record)
            config = configured(record, export_of(record, layout.PROD_USERS_TABLE))
            found = Place(record, Project.open(config))
            for engine, where in ((SparkEngine, ELSEWHERE), (LocalEngine, HERE)):
                patch.setattr(engine, "run", noting(found, where, engine.run))
            yield found
        finally:
            sandbox.down()
            end_application()


def noting(place: Place, where: str, run: Callable[..., Iterator[Lane]]) -> Callable[..., Iterator[Lane]]:
    """An engine's `run` that takes note of what it is handed."""

    def noted(self: Any, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        place.handed |= {(where, lane.task.partition("/")[0]) for lane in lanes}
        return run(self, work, lanes)

    return noted


@pytest.fixture(scope="module")
def refreshed(place: Place) -> tuple[Finished, set[tuple[str, str]]]:
    """A refresh, and what its engines were handed."""
    done, _ = place.start("refresh")
    return done, set(place.handed)


def test_a_refresh_copies_tables_and_an_export_syncs_and_verifies_on_spark(
    place: Place, refreshed: tuple[Finished, set[tuple[str, str]]]
) -> None:
    done, handed = refreshed
    assert done.exit_code == 0, done.error
    assert done.outcome.result.value == "proven"
    assert handed == {(ELSEWHERE, kind) for kind in ("copy", "sync", "verify")}
    assert [export.table for export in done.outcome.exports] == [layout.PROD_USERS_TABLE]
    tables = {table.source: table.read for table in done.outcome.tables}
    assert tables == {table: len(items_of(place.record, table)) for table in TABLES}


@pytest.mark.usefixtures("refreshed")
def test_the_leak_scan_reads_tables_on_spark(place: Place) -> None:
    key = {"pk": {"S": "case|leak"}, "sk": {"S": "leak"}}
    place.target().put_item(TableName=layout.TEST_TABLE, Item=key | {"note": {"S": "ada@court.example.org"}})
    try:
        found, _ = place.start("leaks", "scan")
    finally:
        place.target().delete_item(TableName=layout.TEST_TABLE, Key=key)
    assert found.exit_code == 5
    assert "findings: 1," in str(found.error)
    assert place.handed == {(ELSEWHERE, "verify")}
    again, _ = place.start("leaks", "scan")  # it is gone: the next look says so, and whoever asks goes by that one
    assert again.error is None


@pytest.mark.usefixtures("refreshed")
def test_a_backfill_makes_documents_on_spark(place: Place) -> None:
    done, _ = place.start("backfill", "backfill", "index", "verify-index")
    assert done.error is None
    assert place.on(ELSEWHERE) == {"backfill"}
    assert place.on(HERE) == set()
    (said,) = [step.detail for step in done.outcome.steps if step.name == "backfill"]
    assert re.match(r"0 documents made, [1-9][\d,]* were there already", said)


@pytest.mark.usefixtures("refreshed")
def test_what_is_wrong_is_compared_and_mended_by_this_machine(place: Place) -> None:
    found = place.target().scan(TableName=layout.TEST_TABLE)["Items"]
    altered, lost = [item for item in found if item["pk"]["S"].startswith("case|")][:2]
    place.target().put_item(TableName=layout.TEST_TABLE, Item=altered | {"status": {"S": "altered"}})
    place.target().delete_item(TableName=layout.TEST_TABLE, Key={name: lost[name] for name in ("pk", "sk")})

    done, notes = place.start("verify", *PROOF)
    assert done.exit_code == 4
    assert "1 item missing, 1 item differing; mend it with 'downstage verify test --repair'" in str(done.error)
    (said,) = [note for note in notes if "this machine" in note]
    assert said.endswith("at a time), not on spark")
    assert place.on(ELSEWHERE) == {"verify"}
    assert place.on(HERE) == {"target", "source"}  # what differs, two items, is read again by this very process

    done, _ = place.start("repair", "repair-tables", *PROOF)
    assert done.exit_code == 0, done.error
    mended = next(table.repaired for table in done.outcome.tables if table.target == layout.TEST_TABLE)
    assert mended is not None
    assert (mended.put, mended.deleted, mended.left) == (2, 0, 0)
    assert place.on(ELSEWHERE) == {"verify"}
    there = place.target().get_item(TableName=layout.TEST_TABLE, Key={name: lost[name] for name in ("pk", "sk")})
    assert there["Item"] == lost
    assert not list((place.project.state / "deep").glob("*"))


@pytest.mark.usefixtures("refreshed")
def test_a_bucket_that_an_inventory_lists_is_synced_by_this_machine(place: Place) -> None:
    production = Account(place.record.endpoint, layout.PROD_ACCOUNT).s3()
    production.create_bucket(Bucket="lists")
    listed = production.list_objects_v2(Bucket=layout.PROD_BUCKET)["Contents"]
    facts = [ObjectFacts(one["Key"], one["ETag"], one["Size"], one["LastModified"].timestamp()) for one in listed]
    rows = [row(layout.PROD_BUCKET, one) for one in facts]
    files = inventory_files(layout.PROD_BUCKET, rows, bucket="lists", prefix="daily/all", created=time.time(), most=500)
    for key, content in files.items():
        production.put_object(Bucket="lists", Key=key, Body=content)
    gone = next(one.key for one in facts if one.size)
    other = Account(place.record.endpoint, layout.TEST_ACCOUNT).s3()
    other.delete_object(Bucket=layout.TEST_BUCKET, Key=gone)
    text = place.project.config.path.read_text(encoding="utf-8")
    path = place.project.config.path.with_name("listed.yaml")
    path.write_text(text.replace("delete: true,", "delete: true, inventory: {bucket: lists, prefix: daily/all},"))

    place.handed.clear()
    events = Recorder()
    done = sync(Project.open(path), "test", events)
    assert done.exit_code == 0, done.error
    assert place.handed == {(HERE, "sync")}
    assert [event for event in events.events if isinstance(event, Note) and "synced from here" in event.text]
    assert other.head_object(Bucket=layout.TEST_BUCKET, Key=gone)["ContentLength"] > 0
    assert not list((place.project.state / "inventories").glob("*"))
