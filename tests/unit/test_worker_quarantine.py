"""One process counts what a table quarantines over all the lanes it carries: a lane of a table that is cut into tens of
thousands of segments must not read all the entries for its first item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from downstage.app import worker
from downstage.app.orders import Order
from downstage.app.places import JournalPlace, SqlitePlace
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates
from downstage.errors import TooManyQuarantined
from downstage.journals.memory import MemoryJournal
from downstage.ports import Lane, RawItem, RunRecord
from downstage.workflow.parts import TableWork

PROD = Environment("prod", "111111111111", "us-east-1", protected=True)
TEST = Environment("test", "222222222222", "us-east-1")
LIMIT = 10_000


class Counted(MemoryJournal):
    """A journal that counts how often it is asked for the entries."""

    asked = 0

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        self.asked += 1
        return super().quarantined(run_id, task)


@pytest.fixture(autouse=True)
def kept_apart() -> Iterator[None]:
    worker._quarantine.cache_clear()
    yield
    worker._quarantine.cache_clear()


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """What a copying lane meets, without AWS: each segment quarantines one item of its own."""
    made = Counted()
    made.create_run(RunRecord("run-1", "test", "refresh", "running", 1, "", "", {}))
    pseudonyms = SimpleNamespace(key_hash=lambda text: f"hash of {text}")

    @asynccontextmanager
    async def transports(*environments: Environment) -> Any:
        yield environments

    async def copy(
        _task: object, segment: int, *, quarantine: Callable[[RawItem, str], None], **_named: object
    ) -> None:
        quarantine(b'{"pk": {"S": "case|%d"}}' % segment, "it cannot be masked")

    nothing: Callable[..., None] = lambda *_args, **_named: None  # noqa: E731
    for name in ("guard", "watch_lease", "compile_masker", "ScanReader", "BatchWriter", "CanaryKeeper", "shared_pace"):
        monkeypatch.setattr(worker, name, nothing)
    monkeypatch.setattr(worker, "canary_key", nothing)
    monkeypatch.setattr(worker, "session", lambda environment: SimpleNamespace(environment=environment))
    monkeypatch.setattr(worker, "keys", lambda *_args: ("key",))
    monkeypatch.setattr(worker, "masking", lambda *_args: (pseudonyms, None))
    monkeypatch.setattr(worker, "transports", transports)
    monkeypatch.setattr(worker, "open_journal", lambda _place: made)
    monkeypatch.setattr(worker, "_start", lambda _journal, _order, _lane, segment, _total: segment)
    monkeypatch.setattr(worker, "copy_segment", copy)
    return made


def order(folder: Path, *, epoch: int = 1, limit: int = LIMIT) -> Order:
    tables = tuple(
        TableWork("app-prod", target, ("pk",), 40_000, None, 0.0, max_quarantine=limit) for target in ("app", "other")
    )
    place: JournalPlace = SqlitePlace(folder / "journal.sqlite")
    masking = MaskingPlan("env:KEY", "sink.example.org", "test")
    return Order(PROD, TEST, masking, "mask", None, Rates(), 4, place, None, "elsewhere", "run-1", epoch, tables)


def test_many_lanes_of_one_process_ask_the_journal_a_few_times(tmp_path: Path, journal: Counted) -> None:
    for first in range(0, LIMIT, 4):
        worker.copy_lane(order(tmp_path), Lane("copy/app", tuple(range(first, first + 4))))
    assert len(journal.quarantined("run-1", "copy/app")) == LIMIT
    assert journal.asked <= 60, "2,500 lanes"


def test_the_limit_holds_over_lanes_and_each_table_has_its_own(tmp_path: Path, journal: Counted) -> None:
    small = order(tmp_path, limit=10)
    for segment in range(10):
        worker.copy_lane(small, Lane("copy/app", (segment,)))
        worker.copy_lane(small, Lane("copy/other", (segment,)))
    for _ in range(2):
        with pytest.raises(TooManyQuarantined, match="table app: 11 items"):
            worker.copy_lane(small, Lane("copy/app", (10,)))
    journal.take_over("run-1")
    worker.copy_lane(order(tmp_path, epoch=2, limit=11), Lane("copy/app", (10,)))
