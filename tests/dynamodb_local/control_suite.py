"""The control table on Amazon's own engine: transactions, conditions and TTL settings are the real ones.

Run by `namespace`, where the engine listens; it is not collected otherwise. Its STS is not there, so the caller's
identity is not asked; its account is always 000000000000.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from downstage.app.clock import SystemClock
from downstage.aws.control_table import EXPIRES, ControlTable
from downstage.aws.lease import EnvironmentLease
from downstage.aws.session import Session
from downstage.domain.environment import Caller, Environment
from downstage.errors import RunConflict
from downstage.journals.dynamodb import DynamoJournal
from downstage.ports import Journal
from downstage.testing.contracts import RUN, JournalContract

ACCOUNT = "000000000000"


@pytest.fixture
def lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[here]\naws_access_key_id = {uuid.uuid4().hex[:16]}\naws_secret_access_key = none\n", encoding="utf-8"
    )
    monkeypatch.setattr(Session, "caller", lambda _session: Caller(ACCOUNT, "arn:aws:iam::000000000000:root"))
    return Environment(
        "test",
        ACCOUNT,
        "us-east-1",
        profile="here",
        credentials_file=str(credentials),
        endpoint=os.environ["DYNAMODB_LOCAL"],
    )


class TestOnDynamoDbLocal(JournalContract):
    @pytest.fixture
    def journal(self, lower: Environment) -> Journal:
        return DynamoJournal(ControlTable(Session(lower), "downstage-control"))


def test_a_finished_run_expires_and_the_table_lets_it(lower: Environment) -> None:
    session = Session(lower)
    journal = DynamoJournal(ControlTable(session, "downstage-control"))
    journal.create_run(RUN)
    journal.end_run("run-1", 1, "finished", "now")
    client = session.client("dynamodb")
    items = client.scan(TableName="downstage-control")["Items"]
    assert items
    assert all(EXPIRES in item for item in items)
    described = client.describe_time_to_live(TableName="downstage-control")["TimeToLiveDescription"]
    assert described["AttributeName"] == EXPIRES


def test_the_lease(lower: Environment) -> None:
    def lease(place: str) -> EnvironmentLease:
        table = ControlTable(Session(lower), "downstage-control")
        return EnvironmentLease(table, "test", clock=SystemClock(), who="a host", place=place)

    first = lease("p")
    first.acquire("run-1")
    first.beat()
    with pytest.raises(RunConflict):
        lease("q").acquire("run-2")
    first.park()
    with pytest.raises(RunConflict, match="parked"):
        lease("q").acquire("run-2")
    second = lease("q")
    second.acquire("run-1")
    second.release()
    lease("r").acquire("run-2")
