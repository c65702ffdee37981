"""A run that is gone on with elsewhere has one owner: a lane of the process before does not begin, wherever it is begun
again, and one that was under way ends at its first record. The control table is a server's, the tables are sockets'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

pytest.importorskip("moto.server", reason="moto's server is not installed: pip install 'downstage[dev]'")

from moto.server import ThreadedMotoServer

from downstage.app import worker
from downstage.app.orders import Order
from downstage.app.places import ControlPlace, open_journal
from downstage.aws.control_table import ControlTable
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.engines.own_code import code_mark
from downstage.engines.spark import carry_out
from downstage.errors import HeldByAnother, RunConflict
from downstage.journals.dynamodb import DynamoJournal
from downstage.ports import Lane
from tests.faults.endpoint import Endpoint, Table
from tests.faults.lanes import TARGET, masked, tables_of
from tests.faults.orders import RUN, SEGMENTS, order_of

pytestmark = pytest.mark.integration

MOTOS = "123456789012"
"""Moto's own account."""

COUNT, PAGE = 120, 5
ALL = Lane(f"copy/{TARGET}", tuple(range(SEGMENTS)))
HOT = ("Scan", "BatchWriteItem")


@dataclass(frozen=True)
class Place:
    """The tables, whoever resumes the run (another machine: a journal of its own), and the first attempt's order."""

    source: Table
    target: Table
    endpoint: Endpoint
    successor: DynamoJournal
    order: Order

    def hot(self) -> int:
        return sum(self.endpoint.requests[name] for name in HOT)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """A moto that listens on a port of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def place(tmp_path: Path, aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    credentials = tmp_path / "control"
    credentials.write_text("[control]\naws_access_key_id = AKIATEST\naws_secret_access_key = none\n")
    lower = Environment("test", MOTOS, "us-east-1", profile="control", credentials_file=str(credentials), endpoint=aws)
    where = ControlPlace(lower, f"downstage-{tmp_path.name}")
    source, target = tables_of(COUNT, page_items=PAGE)
    with Endpoint(source, target).serving() as endpoint:
        open_journal(where).create_run(RUN)
        successor = DynamoJournal(ControlTable(Session(lower), where.table))
        yield Place(source, target, endpoint, successor, order_of(tmp_path, endpoint.url, where))


def test_a_lane_that_is_begun_again_after_its_run_was_resumed_reads_and_writes_nothing(place: Place) -> None:
    """As Spark does it: the worker died with its lease, and the next attempt at the lane is in a new process."""
    began, *left = (Lane(ALL.task, (segment,)) for segment in ALL.segments)
    worker.copy_lane(place.order, began)
    before, there = place.hot(), dict(place.target.items)
    assert before > 0

    taken = place.successor.take_over("run-1")
    for lane in (began, *left):
        with pytest.raises(
            HeldByAnother, match="run run-1 was taken over by another process: this lane does not begin"
        ):
            worker.copy_lane(place.order, lane)
    assert (place.hot(), place.target.items) == (before, there)

    for lane in (began, *left):
        worker.copy_lane(replace(place.order, epoch=taken.epoch), lane)
    assert place.target.items == masked(list(place.source.items.values()))
    assert max(place.target.puts.values()) == 1


def test_spark_is_told_so_and_does_not_try_it_again(place: Place) -> None:
    place.successor.take_over("run-1")

    def work(lane: Lane) -> None:
        worker.copy_lane(place.order, lane)

    (said,) = carry_out(work, iter([ALL]), code=code_mark())
    assert b"HeldByAnother" in said
    assert place.hot() == 0


def test_a_lane_that_was_under_way_ends_at_its_first_record(place: Place) -> None:
    """No more than the page of each open segment, which the successor reads anew."""

    def resumed(operation: str) -> None:
        if operation == "BatchWriteItem" and place.endpoint.requests[operation] == 1:
            place.successor.take_over("run-1")

    place.endpoint.on_request = resumed
    with pytest.raises(RunConflict, match="was taken over by another process: this one stops"):
        worker.copy_lane(place.order, ALL)
    assert 0 < len(place.target.items) <= SEGMENTS * PAGE
    assert not place.successor.checkpoints("run-1", ALL.task)

    worker.copy_lane(replace(place.order, epoch=2), ALL)
    assert place.target.items == masked(list(place.source.items.values()))
