"""Both engines keep the contract; the local one outlives its workers, and its workers do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from downstage.engines import local
from downstage.engines.local import LocalEngine
from downstage.engines.serial import SerialEngine
from downstage.errors import AwsError, DownstageError
from downstage.ports import Engine, Lane
from downstage.testing.contracts import EngineContract
from downstage.testing.lanework import DieAt, Endless, noted
from tests.waiting import until

LANES = [Lane("copy/t", (segment,)) for segment in range(3)]

PARENT = """
import sys
from pathlib import Path
from downstage.engines.local import LocalEngine
from downstage.ports import Lane
from downstage.testing.lanework import Endless
if __name__ == "__main__":
    list(LocalEngine(2).run(Endless(Path(sys.argv[1])), [Lane("copy/t", (0,)), Lane("copy/t", (1,))]))
"""


class TestSerialEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return SerialEngine()


class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return LocalEngine(2)


def alive(pid: int) -> bool:
    """Whether the process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers() -> list[int]:
    """The worker processes of this process that are alive, as the system sees them."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for listing in children for pid in listing.read_text().split()]
    return [pid for pid in pids if alive(pid) and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_serial_engine_keeps_the_order(tmp_path: Path) -> None:
    seen: list[Lane] = []
    assert list(SerialEngine().run(seen.append, LANES)) == seen == LANES


def test_a_lane_whose_worker_died_is_run_again(tmp_path: Path) -> None:
    done = list(LocalEngine(1).run(DieAt(tmp_path, 1), LANES))
    assert sorted(done, key=lambda lane: lane.segments) == LANES
    assert len(noted(tmp_path, "died")) == 1
    assert all(noted(tmp_path, f"lane-{segment}") for segment in range(3))


def test_workers_that_keep_dying_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(DownstageError, match=r"worker processes died .* resume the run"):
        list(LocalEngine(1).run(DieAt(tmp_path, 1, times=99), LANES))


def test_ctrl_c_is_not_a_workers_business(tmp_path: Path) -> None:
    assert list(LocalEngine(1).run(Endless(tmp_path, interrupt=True), LANES[:1])) == LANES[:1]
    assert noted(tmp_path, "survived") == noted(tmp_path, "began")


def test_whoever_stops_listening_stops_the_workers(tmp_path: Path) -> None:
    lanes = iter(LocalEngine(1).run(Endless(tmp_path, interrupt=True), LANES))
    next(lanes)
    assert workers()
    lanes.close()  # type: ignore[attr-defined]
    assert not workers()


def test_an_error_stops_lanes_that_would_go_on(tmp_path: Path) -> None:
    with pytest.raises(AwsError, match="a lane failed"):
        list(LocalEngine(2).run(Endless(tmp_path, failing=1), LANES))
    assert not workers()


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    try:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the workers begin")
        began = noted(tmp_path, "began")
        assert all(map(alive, began))
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    until(lambda: not any(map(alive, began)), "the workers end with their parent")


def test_stopped_lanes_end_at_once_and_for_good(tmp_path: Path) -> None:
    engine = LocalEngine(2)
    stopper = threading.Thread(target=_stop_when_begun, args=(engine, tmp_path))
    stopper.start()
    with pytest.raises(DownstageError, match="stopped"):
        list(engine.run(Endless(tmp_path), LANES))
    stopper.join()
    assert noted(tmp_path, "began")


def test_a_stopped_serial_engine_begins_no_further_lane() -> None:
    engine = SerialEngine()
    lanes = engine.run(lambda _lane: engine.stop(), LANES)
    assert next(lanes) == LANES[0]
    with pytest.raises(DownstageError, match="stopped"):
        next(lanes)


class HandedOut:
    """Stands for a pool of processes: the lane that was handed out last ends first. Counts who waits, and for how many.

    With `dies_at`, the pool is found broken at that wait, once.
    """

    def __init__(self, dies_at: int = 0) -> None:
        self.under_way: list[Future[None]] = []
        self.most = 0
        self.waits = 0
        self.pools = 0
        self._dies_at = dies_at

    def __call__(self, *_args: object, **_named: object) -> HandedOut:
        self.pools += 1
        self.under_way.clear()
        return self

    def submit(self, work: Callable[[Lane], None], lane: Lane) -> Future[None]:
        work(lane)
        self.under_way.append(Future())
        self.most = max(self.most, len(self.under_way))
        return self.under_way[-1]

    def wait(self, waiting: Collection[Future[None]], return_when: str) -> tuple[set[Future[None]], set[Future[None]]]:
        assert return_when == FIRST_COMPLETED
        assert set(waiting) == set(self.under_way)
        self.waits += 1
        ended = self.under_way.pop()
        if self.waits == self._dies_at:
            ended.set_exception(BrokenProcessPool())
        else:
            ended.set_result(None)
        return {ended}, set(self.under_way)

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        assert cancel_futures


class CountedLane(Lane):
    """A lane that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedLane.compared += 1
        return super().__eq__(other)

    def __hash__(self) -> int:
        return super().__hash__()


@pytest.mark.parametrize("dies_at", [0, 1, 500])
def test_thousands_of_lanes_are_handed_out_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch, dies_at: int) -> None:
    """Waiting for all of them after each, or looking for each among all, would take the square of their number."""
    pool, begun = HandedOut(dies_at), list[Lane]()
    monkeypatch.setattr(local, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(local, "wait", pool.wait)
    lanes = [CountedLane("copy/t", (segment,)) for segment in range(3000)]
    CountedLane.compared = 0
    done = list(LocalEngine(4).run(begun.append, lanes))
    assert CountedLane.compared < 10 * len(lanes)
    assert pool.most <= 8
    assert sorted(lane.segments for lane in done) == [lane.segments for lane in lanes]
    assert begun[:8] == lanes[:8], "in the order of the schedule"
    again = len(begun) - len(lanes)
    assert (pool.pools, again > 0) == ((2, True) if dies_at else (1, False))
    assert again <= 8, "those that had not ended"


def _stop_when_begun(engine: LocalEngine, folder: Path) -> None:
    while not noted(folder, "began"):
        time.sleep(0.01)
    engine.stop()
