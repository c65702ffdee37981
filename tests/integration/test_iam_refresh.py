"""A whole refresh of the sandbox, every call taken down: each is one that its side's role allows, and none may change
production. The emulator enforces no policy; the judge is `tests.permissions.evaluator`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from downstage.app import policies
from downstage.app.runs import Project
from downstage.app.wiring import Sides
from downstage.cli.main import app
from downstage.sandbox import Sandbox, layout
from tests.permissions.evaluator import Request, allowed
from tests.permissions.operations import changes
from tests.permissions.recording import Recorder, recording

pytestmark = pytest.mark.integration

FURTHER = "us-west-1"
SIDES = {"prod": "source", "test": "target"}
BUCKETS = {layout.PROD_BUCKET: layout.PROD_ACCOUNT, layout.TEST_BUCKET: layout.TEST_ACCOUNT}
COMMANDS = (
    ["check", "test"],
    ["plan", "test"],
    ["refresh", "test"],
    ["tables", "diff", "test"],
    ["streams", "status", "test"],
    ["sync", "test", "--dry-run"],
    ["discover", "test"],
)


def make_a_replica(config: Path) -> None:
    """A table that is wiped has a copy in a further region."""
    client = Sides.of(Project.open(config).plan("test")).target.client("dynamodb")
    client.update_table(TableName=layout.TEST_TABLE, ReplicaUpdates=[{"Create": {"RegionName": FURTHER}}])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small sandbox whose run keeps its journal in the control table: those calls count too."""
    box = Sandbox(tmp_path_factory.mktemp("box"))
    try:
        record = box.up(cases=20)
        path = record.config_path
        text = path.read_text(encoding="utf-8").replace("journal: sqlite", "journal: dynamodb")
        path.write_text(text.replace("      wipe:\n", f"      wipe:\n        regions: [{layout.REGION}, {FURTHER}]\n"))
        make_a_replica(path)
        yield path
    finally:
        box.down()


@pytest.fixture(scope="module")
def recorder(config: Path) -> Recorder:
    """What every command called."""
    taken = Recorder(BUCKETS)
    in_this_process = {"DOWNSTAGE__ENGINE__DEFAULT": "serial"}
    with recording(taken):
        for command in COMMANDS:
            answer = CliRunner().invoke(app, [*command, "--config", str(config)], env=in_this_process)
            assert answer.exit_code == 0, (command, answer.output, answer.exception)
    return taken


@pytest.fixture(scope="module")
def documents(config: Path) -> dict[str, list[dict[str, Any]]]:
    found, _ = policies.roles(Project.open(config), "test")
    return {str(role.name): list(role.record["policies"].values()) for role in found}


def test_every_call_of_a_refresh_is_allowed(recorder: Recorder, documents: dict[str, list[dict[str, Any]]]) -> None:
    denied = [
        (side, request)
        for side, role in SIDES.items()
        for request in recorder.requests[side]
        if not allowed(documents[role], request)
    ]
    assert denied == []


def test_the_refresh_called_what_matters(recorder: Recorder) -> None:
    """Otherwise the test above shows nothing."""
    assert {("dynamodb", "Scan"), ("dynamodb", "ListTagsOfResource"), ("es", "GET")} <= recorder.called["prod"]
    assert {
        ("dynamodb", "BatchWriteItem"),
        ("dynamodb", "DeleteTable"),
        ("dynamodb", "TransactWriteItems"),
        ("lambda", "UpdateEventSourceMapping"),
        ("lambda", "CreateEventSourceMapping"),
        ("opensearch", "CreateDomain"),
        ("ssm", "PutParameter"),
        ("s3", "CopyObject"),
        ("s3", "DeleteObjects"),
        ("s3", "ListObjectsV2"),
        ("es", "POST"),
    } <= recorder.called["test"]
    removed = [request for request in recorder.requests["test"] if request.action == "dynamodb:DeleteTableReplica"]
    assert [FURTHER in request.resource for request in removed] == [True]


def test_nothing_that_was_called_in_production_changes_anything(recorder: Recorder) -> None:
    assert [request.action for request in recorder.requests["prod"] if changes(request.action)] == []


def test_what_was_written_could_not_have_been_written_to_production(
    recorder: Recorder, documents: dict[str, list[dict[str, Any]]]
) -> None:
    """The target's calls that change something, as they would be if production stood where the target does."""
    mutating = [request for request in recorder.requests["test"] if changes(request.action)]
    assert len(mutating) > 20
    for request in map(in_production, mutating):
        assert not allowed(documents["source"], request), request
        assert not allowed(documents["target"], request), request


def in_production(request: Request) -> Request:
    """The same with everything of the target's replaced by what is production's."""
    names = {
        layout.TEST_ACCOUNT: layout.PROD_ACCOUNT,
        layout.TEST_TABLE: layout.PROD_TABLE,
        layout.TEST_USERS_TABLE: layout.PROD_USERS_TABLE,
        layout.TEST_BUCKET: layout.PROD_BUCKET,
        layout.TEST_DOMAIN: layout.PROD_DOMAIN,
    }

    def moved(text: str) -> str:
        for ours, theirs in names.items():
            text = text.replace(ours, theirs)
        return text

    context = {
        key: moved(value) if isinstance(value, str) else tuple(map(moved, value))
        for key, value in request.context.items()
    }
    return Request(request.action, moved(request.resource), {**context, "aws:ResourceAccount": layout.PROD_ACCOUNT})
