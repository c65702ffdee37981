"""A worker trusts nobody: before a lane's first request for data it looks who it is on both sides, which key it reads
and whose the run is. Over real sockets, through the functions that engines call; the endpoint's ledger is the witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from downstage.app import deep_lanes, index_worker, object_worker, worker
from downstage.app.orders import Order
from downstage.app.places import SqlitePlace, open_journal
from downstage.errors import DownstageError, GuardRefused, HeldByAnother, JournalError, RunConflict
from downstage.ports import Journal, Lane
from downstage.workflow.parts import DeepWork
from tests.faults.endpoint import PROD, TEST, Endpoint, Table
from tests.faults.lanes import TARGET, masked, tables_of
from tests.faults.orders import RUN, SEGMENTS, WORK, order_of

COUNT = 60


@dataclass(frozen=True)
class Place:
    """Both tables behind a socket, the run's journal, and the order that a worker would be right to carry out."""

    source: Table
    target: Table
    endpoint: Endpoint
    journal: Journal
    order: Order

    def untouched(self) -> bool:
        """Nobody has asked for more than who he is, and nothing stands anywhere."""
        asked = {name for name, times in self.endpoint.requests.items() if times}
        kept = [self.journal.checkpoints("run-1", f"{kind}/{TARGET}") for kind in ("copy", "verify")]
        return asked <= {"GetCallerIdentity"} and not self.target.items and not any(kept)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    source, target = tables_of(COUNT, page_items=5)
    with Endpoint(source, target).serving() as endpoint:
        where = SqlitePlace(tmp_path / "journal.sqlite")
        journal = open_journal(where)
        journal.create_run(RUN)
        yield Place(source, target, endpoint, journal, order_of(tmp_path, endpoint.url, where))


def copy(order: Order) -> None:
    worker.copy_lane(order, Lane(f"copy/{TARGET}", tuple(range(SEGMENTS))))


def verify(order: Order) -> None:
    worker.verify_lane(order, Lane(f"verify/{TARGET}", tuple(range(SEGMENTS))))


def sync(order: Order) -> None:
    object_worker.run_lane(object_worker.ObjectOrder(order, (), "", None), Lane("sync/docs", (0,)))


def mend(order: Order) -> None:
    work = DeepWork(WORK, Path("spill"), "run-1")
    deep_lanes.run_lane(deep_lanes.DeepOrder(order, (work,)), Lane(f"mend/{TARGET}", (0,)))


def backfill(order: Order) -> None:
    index_worker.run_lane(index_worker.IndexOrder(order, dry=False, only=None), Lane(f"backfill/{TARGET}", (0,)))


WRITING = [copy, sync, mend, backfill]


def wrong_source(order: Order) -> Order:
    return replace(order, source=replace(order.source, profile="test"))


def wrong_target(order: Order) -> Order:
    return replace(order, target=replace(order.target, profile="prod"))


def protected(order: Order) -> Order:
    return replace(order, target=replace(order.target, protected=True))


def wrong_key(order: Order) -> Order:
    Path(order.masking.key.removeprefix("file:")).write_text(bytes(range(1, 33)).hex())
    return order


def old_epoch(order: Order) -> Order:
    open_journal(order.journal).take_over(order.run_id)
    return order


def unknown(order: Order) -> Order:
    return replace(order, run_id="run-2")


Wrong = Callable[[Order], Order]
SIDES: list[tuple[Wrong, type[DownstageError], str]] = [
    (wrong_source, GuardRefused, f"credentials for 'prod' belong to account {TEST}"),
    (protected, GuardRefused, "environment test is protected: a worker refused to write to it"),
]
ALWAYS: list[tuple[Wrong, type[DownstageError], str]] = [
    (wrong_target, GuardRefused, f"credentials for 'test' belong to account {PROD}"),
    (wrong_key, RunConflict, "another masking key than the run was started with"),
    (old_epoch, HeldByAnother, "run run-1 was taken over by another process"),
    (unknown, JournalError, "run run-2 is not in the journal"),
]


@pytest.mark.parametrize("lane", WRITING)
@pytest.mark.parametrize(("wrong", "error", "said"), SIDES + ALWAYS, ids=[each[0].__name__ for each in SIDES + ALWAYS])
def test_a_lane_that_is_not_to_begin_asks_for_nothing_and_writes_nothing(
    place: Place, lane: Callable[[Order], None], wrong: Wrong, error: type[DownstageError], said: str
) -> None:
    with pytest.raises(error, match=said):
        lane(wrong(place.order))
    assert place.untouched()


@pytest.mark.parametrize(("wrong", "error", "said"), ALWAYS, ids=[each[0].__name__ for each in ALWAYS])
def test_a_proof_is_not_made_of_another_table_nor_with_another_key(
    place: Place, wrong: Wrong, error: type[DownstageError], said: str
) -> None:
    """With another key it would look for other canaries, and find none."""
    with pytest.raises(error, match=said):
        verify(wrong(place.order))
    assert place.untouched()


def test_the_order_that_is_right_is_carried_out(place: Place) -> None:
    """Else nothing above would show anything."""
    copy(place.order)
    assert place.target.items == masked(list(place.source.items.values()))
    verify(place.order)
    digests = [
        sum(each.digest for each in place.journal.checkpoints("run-1", f"{kind}/{TARGET}")) % (1 << 128)
        for kind in ("copy", "verify")
    ]
    assert digests[0] == digests[1] != 0
