"""The journal in the control table keeps the contract of every journal, and what is its own: it is spread over
partitions, refuses zombies on each of them, and expires only what has ended. On moto here; on other engines in
tests/integration."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.client import BaseClient
from moto import mock_aws

from downstage.aws.control_table import EXPIRES, ControlTable
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.errors import GuardRefused, JournalError, RunConflict
from downstage.journals.control_items import SHARDS
from downstage.journals.dynamodb import KEEP_DAYS, DynamoJournal
from downstage.ports import Checkpoint, Item, Journal, StepRecord
from downstage.testing.contracts import RUN, JournalContract
from downstage.workflow.anew import begin_anew

ACCOUNT = "123456789012"  # moto's only account
TABLE = "downstage-control"
LOWER = Environment("test", ACCOUNT, "us-east-1")


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    one_at_a_time = threading.Lock()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def called(client: Any, *arguments: Any) -> Any:
        with one_at_a_time:  # moto's updates are not atomic, DynamoDB's are
            return call(client, *arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", called)
    with mock_aws():
        yield


def control(environment: Environment = LOWER) -> ControlTable:
    return ControlTable(Session(environment), TABLE, sleep=lambda _seconds: None)


def items() -> list[dict[str, Any]]:
    """Every item of the control table, looked at without the code under test."""
    found: list[dict[str, Any]] = Session(LOWER).client("dynamodb").scan(TableName=TABLE, ConsistentRead=True)["Items"]
    return found


class TestDynamoJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return DynamoJournal(control())


def test_looking_makes_no_table() -> None:
    journal = DynamoJournal(control())
    assert journal.runs() == []
    assert journal.run("run-1") is None
    assert journal.checkpoints("run-1", "copy/t") == []
    assert Session(LOWER).client("dynamodb").list_tables()["TableNames"] == []


def test_the_table_is_made_once_protected_and_expires_its_items() -> None:
    for run_id in ("run-1", "run-2"):
        DynamoJournal(control()).create_run(replace(RUN, run_id=run_id))
    client = Session(LOWER).client("dynamodb")
    described = client.describe_table(TableName=TABLE)["Table"]
    assert described["DeletionProtectionEnabled"] is True
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = client.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", EXPIRES)


@pytest.mark.parametrize("wrong", [replace(LOWER, account="999999999999"), replace(LOWER, protected=True)])
def test_another_account_or_a_protected_one_is_never_written(wrong: Environment) -> None:
    with pytest.raises(GuardRefused):
        DynamoJournal(control(wrong)).create_run(RUN)
    assert Session(LOWER).client("dynamodb").list_tables()["TableNames"] == []


def test_lanes_are_spread_over_partitions() -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    for segment in range(8 * SHARDS):
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 8 * SHARDS))
    counted: dict[str, int] = {}
    for item in items():
        if item["sk"]["S"].startswith("point#"):
            counted[item["pk"]["S"]] = counted.get(item["pk"]["S"], 0) + 1
    assert len(counted) == SHARDS
    assert max(counted.values()) < 3 * 8


def test_a_zombie_is_refused_on_every_partition() -> None:
    zombie, successor = DynamoJournal(control()), DynamoJournal(control())
    zombie.create_run(RUN)
    assert successor.take_over("run-1").epoch == 2
    for segment in range(8 * SHARDS):
        with pytest.raises(RunConflict, match="taken over"):
            zombie.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 8 * SHARDS))
    assert not successor.checkpoints("run-1", "copy/t")


def test_a_successor_that_died_while_taking_over_is_taken_over_in_its_turn() -> None:
    class Dying(ControlTable):
        left = SHARDS // 2

        def update(self, *args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().update(*args, **named)

    first = DynamoJournal(control())
    first.create_run(RUN)
    with pytest.raises(KeyboardInterrupt):
        DynamoJournal(Dying(Session(LOWER), TABLE)).take_over("run-1")
    last = DynamoJournal(control())
    assert last.take_over("run-1").epoch == 3
    for segment in range(4 * SHARDS):
        last.save_checkpoint("run-1", 3, "copy/t", Checkpoint(segment, 1))
        for old in (1, 2):
            with pytest.raises(RunConflict):
                first.save_checkpoint("run-1", old, "copy/t", Checkpoint(segment, 1, done=True))


@pytest.mark.parametrize("state", ["failed", "interrupted", "parked"])
def test_nothing_expires_that_can_be_resumed(state: str) -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1))
    journal.end_run("run-1", 1, state, "2027-02")
    assert not [item for item in items() if EXPIRES in item]


@pytest.mark.parametrize("state", ["finished", "cancelled", "superseded"])
def test_all_of_a_run_that_has_ended_expires(state: str) -> None:
    journal = DynamoJournal(control(), now=lambda: 1_800_000_000.5)
    journal.create_run(RUN)
    journal.save_step("run-1", 1, StepRecord("copy", "done", 1.0, ""))
    journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1))
    journal.save_canaries("run-1", 1, "copy/t", 0, ["ab"])
    journal.quarantine("run-1", 1, "copy/t", "ab", "too large")
    journal.create_run(replace(RUN, run_id="run-2"))
    journal.end_run("run-1", 1, state, "2027-02")
    of_run = [item for item in items() if item["pk"]["S"].startswith("run-1") or item["sk"]["S"] == "run-1"]
    assert len(of_run) == 1 + 1 + SHARDS + 3
    assert {item[EXPIRES]["N"] for item in of_run} == {str(1_800_000_000 + KEEP_DAYS * 86_400)}
    assert not [item for item in items() if item not in of_run and EXPIRES in item]


def test_a_run_that_has_found_personal_data_is_never_forgotten() -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    journal.save_step("run-1", 1, StepRecord("verify-tables", "failed", 1.0, ""))
    journal.add_finding("run-1", 1, "verify/t", {"where": "t"})
    journal.end_run("run-1", 1, "cancelled", "2027-02")
    assert not [item for item in items() if EXPIRES in item]


class Stopped(ControlTable):
    """A table that dies after so many items were given their time; `asked` are the partitions that were read."""

    def __init__(self, left: int) -> None:
        super().__init__(Session(LOWER), TABLE, sleep=lambda _seconds: None)
        self.left = left
        self.asked: list[str] = []

    def query(self, pk: str, prefix: str = "") -> Iterator[Item]:
        self.asked.append(pk)
        return super().query(pk, prefix)

    def update(self, pk: str, sk: str, change: str, *args: Any, **named: Any) -> Item | None:
        if change.startswith("SET expires"):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return super().update(pk, sk, change, *args, **named)


@pytest.mark.parametrize("left", [0, 1, SHARDS // 2, SHARDS + 2])
def test_what_was_cut_off_while_it_was_given_its_time_is_given_it_by_the_next_run_that_ends(left: int) -> None:
    dying = DynamoJournal(Stopped(left))
    dying.create_run(RUN)
    dying.save_step("run-1", 1, StepRecord("copy", "done", 1.0, ""))
    dying.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1))
    with pytest.raises(KeyboardInterrupt):
        dying.end_run("run-1", 1, "finished", "2027-02")
    assert [item for item in items() if EXPIRES not in item], "nothing was cut off"
    journal = DynamoJournal(control())
    journal.create_run(replace(RUN, run_id="run-2"))
    journal.create_run(replace(RUN, run_id="run-3"))
    journal.end_run("run-2", 1, "finished", "2027-03")
    assert {item["sk"]["S"] for item in items() if EXPIRES not in item and item["pk"]["S"] == "runs"} == {"run-3"}
    assert not [item for item in items() if EXPIRES not in item and "run-3" not in item["pk"]["S"] + item["sk"]["S"]]


def test_what_is_settled_is_not_looked_at_again() -> None:
    """Neither what expires, nor what stays because it has found personal data."""
    journal = DynamoJournal(control())
    for number in range(4):
        journal.create_run(replace(RUN, run_id=f"run-{number}"))
    journal.add_finding("run-0", 1, "verify/t", {"where": "t"})
    for number in range(3):
        journal.end_run(f"run-{number}", 1, "cancelled", "2027-02")
    looking = Stopped(1000)
    DynamoJournal(looking).end_run("run-3", 1, "finished", "2027-02")
    assert {pk.partition("#")[0] for pk in looking.asked} == {"runs", "run-3"}
    assert not [item for item in items() if EXPIRES in item and item["pk"]["S"].startswith("run-0")]


def test_a_run_has_ended_though_what_another_left_cannot_be_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)

    def unreachable(_journal: DynamoJournal) -> None:
        raise JournalError("the control table cannot be reached")

    monkeypatch.setattr(DynamoJournal, "_settle_others", unreachable)
    journal.end_run("run-1", 1, "finished", "2027-02")
    assert not [item for item in items() if EXPIRES not in item]


def test_a_record_that_no_item_can_hold_is_told_in_one_line() -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    with pytest.raises(JournalError, match="does not fit") as caught:
        journal.save_step("run-1", 1, StepRecord("copy", "running", 0.0, "", {"noise": secrets.token_hex(500_000)}))
    assert "\n" not in str(caught.value)
    assert journal.step("run-1", "copy") is None


def test_a_lost_answer_to_create_run_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    table = control()
    create = table.create

    def twice(item: dict[str, Any]) -> bool:  # as botocore does when the first answer is lost
        create(item)
        return create(item)

    monkeypatch.setattr(table, "create", twice)
    DynamoJournal(table).create_run(RUN)
    assert DynamoJournal(control()).run("run-1") == RUN


def test_one_checkpoint_is_two_requests_at_most_whatever_the_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    for segment in range(100):
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 100))
    session = Session(LOWER)
    calls: list[str] = []
    session.client("dynamodb").meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    counted = DynamoJournal(ControlTable(session, TABLE))
    counted.checkpoint("run-1", "copy/t", 5)
    counted.segment_canaries("run-1", "copy/t", 5)
    assert calls == ["GetItem", "GetItem"]
    counted.save_checkpoint("run-1", 1, "copy/t", Checkpoint(5, 100))
    assert calls[2:] == ["TransactWriteItems"]
    counted.checkpoints("run-1", "copy/t")
    assert calls[3:] == ["Query"] * SHARDS


def test_a_step_without_tasks_is_taken_back_without_reading_what_lanes_have_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)
    journal.save_step("run-1", 1, StepRecord("wipe", "done", 1.0, ""))
    journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1))
    session = Session(LOWER)
    calls: list[str] = []
    session.client("dynamodb").meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    DynamoJournal(ControlTable(session, TABLE)).forget_step("run-1", 1, "wipe", ())
    assert "Query" not in calls
    assert calls.count("TransactWriteItems") == 1
    assert journal.step("run-1", "wipe") is None
    assert len(journal.checkpoints("run-1", "copy/t")) == 1


def test_partitions_are_emptied_side_by_side_and_the_step_goes_last() -> None:
    """Tens of thousands of checkpoints, each a transaction of its own."""

    deleted: list[tuple[str, str]] = []
    one_at_a_time = threading.Lock()

    class Watched(ControlTable):
        meet = threading.Barrier(8, timeout=60)  # raises unless eight are under way at one time
        met = 0

        def delete_while(self, item: Item, pk: str, sk: str, epoch: int) -> bool:
            if item["sk"]["S"].startswith("point#") and pk not in {place for place, _ in deleted}:
                with one_at_a_time:
                    first, Watched.met = Watched.met < 8, Watched.met + 1
                if first:
                    self.meet.wait()
            done = super().delete_while(item, pk, sk, epoch)
            deleted.append((pk, item["sk"]["S"]))
            return done

    journal = DynamoJournal(Watched(Session(LOWER), TABLE))
    journal.create_run(RUN)
    journal.save_step("run-1", 1, StepRecord("copy", "done", 1.0, ""))
    for segment in range(8 * SHARDS):
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 8 * SHARDS))
    journal.forget_step("run-1", 1, "copy", ["copy/"])
    assert len(deleted) == 8 * SHARDS + 1
    assert deleted[-1] == ("runs", "step#copy")
    assert not journal.checkpoints("run-1", "copy/t")
    for place in {pk for pk, _ in deleted[:-1]}:
        names = [sk for pk, sk in deleted if pk == place]
        assert names == sorted(names), "one thread a partition: no two deletes meet at one epoch"


def test_segments_are_begun_anew_side_by_side() -> None:
    class Watched(DynamoJournal):
        meet = threading.Barrier(8, timeout=60)

        def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None:
            if checkpoint.ends_or_begins and not checkpoint.done and checkpoint.segment < 8:
                self.meet.wait()
            super().save_checkpoint(run_id, epoch, task, checkpoint)

    journal = Watched(control())
    journal.create_run(RUN)
    done = [Checkpoint(segment, 24, done=True, digest=7) for segment in range(24)]
    for checkpoint in done:
        journal.save_checkpoint("run-1", 1, "verify/t", checkpoint)
    begin_anew(journal, RUN, "verify/t", done)
    assert list(journal.checkpoints("run-1", "verify/t")) == [Checkpoint(segment, 24) for segment in range(24)]
    journal.take_over("run-1")
    with pytest.raises(RunConflict):
        begin_anew(DynamoJournal(control()), RUN, "verify/t", done)


def test_many_lanes_that_meet_wait_for_each_other() -> None:
    journal = DynamoJournal(control())
    journal.create_run(RUN)

    def save(segment: int) -> None:
        for digest in range(3):
            journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 24, digest=digest))

    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(save, range(24)))
    assert [point.digest for point in journal.checkpoints("run-1", "copy/t")] == [2] * 24
