"""The Spark engine keeps the contract of engines: what dies is run again where it was, what fails stops the rest and is
waited for, who interrupts waits for nothing, and every worker has the driver's own code."""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.app.glue_bundle import own_files, zipped
from downstage.engines import spark as spark_engine
from downstage.engines.own_code import code_mark
from downstage.engines.spark import LaneDied, SparkEngine, carry_out
from downstage.engines.spark_session import SparkSettings
from downstage.errors import AwsError, ConfigError, DownstageError, SegmentEnded
from downstage.ports import Engine, Lane
from downstage.testing.contracts import EngineContract
from downstage.testing.lanework import DieAt, Endless, Mark, StumbleAt, noted
from tests import sparks
from tests.sparks import gone
from tests.waiting import until

# py4j and pyspark leave connections to the garbage collector
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

LANES = [Lane("copy/t", (segment,)) for segment in range(4)]
SECRET = "ada@court.example.org"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What Spark leaves is collected here, and not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    """The application begins and ends with these tests."""
    sparks.end_application()
    yield
    sparks.end_application()


def engine() -> SparkEngine:
    return SparkEngine(2, SparkSettings())


class Waits(threading.Event):
    """What the engine is stopped by, which keeps for how long it was to be waited for while nobody had stopped it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Waits."""
        if not self.is_set():
            self.seconds.append(timeout)
        return super().wait(timeout)


def watched() -> tuple[SparkEngine, Waits]:
    """An engine, and how long it has waited for workers that were cut off."""
    made, waits = engine(), Waits()
    made._stopped = waits
    return made, waits


class TestSparkEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return engine()


def test_a_lane_whose_worker_is_killed_is_run_again(tmp_path: Path) -> None:
    done = list(engine().run(DieAt(tmp_path, 1, times=2), LANES))
    assert sorted(lane.segments[0] for lane in done) == [0, 1, 2, 3]
    assert len(noted(tmp_path, "died")) == 2
    assert all(len(noted(tmp_path, f"lane-{segment}")) == 1 for segment in range(4))


def test_a_lane_that_stumbles_in_attempts_0_and_1_is_run_again(tmp_path: Path) -> None:
    done = list(engine().run(StumbleAt(tmp_path, 2, SECRET, times=2), LANES))
    assert len(done) == 4
    assert len(noted(tmp_path, "stumbled")) == 2


def test_a_lane_that_keeps_stumbling_ends_the_run_and_what_it_said_stays_where_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        DownstageError, match=r"died again and again on Spark \(ValueError; .* resume the run"
    ) as caught:
        list(engine().run(StumbleAt(tmp_path, 1, SECRET, times=99), LANES))
    assert len(noted(tmp_path, "stumbled")) == 8
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(capfd.readouterr())


def test_an_error_of_ours_is_not_tried_again_and_what_it_stops_is_waited_for(tmp_path: Path) -> None:
    failing, waits = watched()
    with pytest.raises(AwsError, match="a lane failed"):
        list(failing.run(Endless(tmp_path, failing=1), LANES))
    assert waits.seconds == [pytest.approx(3.1)], "the run did not wait for what it had cut off"
    until(lambda: gone(noted(tmp_path, "began")), "a cancelled lane's worker outlives the run", 10)


def test_who_interrupts_does_not_wait_for_what_is_cut_off(tmp_path: Path) -> None:
    """A process that a signal ends has a second and a half: journal, lease and report come first."""
    interrupted, waits = watched()

    def struck(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    def strike() -> None:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the lanes begin")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, struck)
    striking = threading.Thread(target=strike)
    striking.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            list(interrupted.run(Endless(tmp_path), LANES))
    finally:
        signal.signal(signal.SIGTERM, before)
        striking.join()
    assert not waits.seconds
    until(lambda: gone(noted(tmp_path, "began")), "Spark does not end an interrupted lane's worker", 10)


def test_an_attempt_that_was_outrun_ends_and_the_next_goes_on_with_what_is_left() -> None:
    """Spark must not take it for the lane's end, nor for an error of the run."""

    def outrun(_lane: Lane) -> None:
        raise SegmentEnded("segment 1 of copy/t was ended by another attempt at it")

    with pytest.raises(LaneDied, match=r"^SegmentEnded$"):
        list(carry_out(outrun, iter(LANES), code=code_mark()))


def test_a_worker_with_other_code_carries_no_lane_out(tmp_path: Path) -> None:
    """Only one worker is looked at before the lanes: another machine may have another Downstage."""
    (said,) = carry_out(Mark(tmp_path), iter(LANES[:1]), code="0.0.9 (0123456789ab)")
    error = pickle.loads(said)
    assert isinstance(error, ConfigError)
    assert str(error).startswith(
        f"a worker of Spark has downstage {code_mark()}, this is 0.0.9 (0123456789ab): install"
    )
    assert not noted(tmp_path, "lane")


def test_the_mark_of_the_code_is_that_of_every_copy_of_it_and_of_no_other(tmp_path: Path) -> None:
    def mark_of(archive: Path) -> str:
        code = "from downstage.engines.own_code import code_mark\nprint(code_mark())"
        environ = {**os.environ, "PYTHONPATH": str(archive)}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    files = own_files()
    changed = {**files, "downstage/ports/__init__.py": files["downstage/ports/__init__.py"] + b"\n"}
    for name, held in (("same.zip", files), ("other.zip", changed)):
        (tmp_path / name).write_bytes(zipped(held))
    assert mark_of(tmp_path / "same.zip") == code_mark()
    other = mark_of(tmp_path / "other.zip")
    assert other.split()[0] == code_mark().split()[0]
    assert other != code_mark()


def test_a_worker_without_our_code_is_not_taken_for_one_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is the driver's alone, as Downstage is where a machine was forgotten."""
    module = types.ModuleType("not_on_every_machine")
    work = type("Work", (), {"__call__": lambda _self, _lane: None, "__module__": module.__name__})
    module.Work = work  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(ConfigError, match=r"^a worker of Spark has no module not_on_every_machine: install downstage"):
        list(engine().run(work(), LANES[:1]))


def test_no_archive_is_left_to_be_read_anew_before_the_next_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark has Python forget its places of import before each task: those that are zip files are then read anew."""
    archive = tmp_path / "made-up.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("made_up_module.py", "found = True")
    monkeypatch.syspath_prepend(str(archive))

    def imports(_lane: Lane) -> None:
        assert importlib.import_module("made_up_module").found
        assert str(archive) in sys.path_importer_cache

    for _ in range(2):  # and it can be imported from again
        assert list(carry_out(imports, iter(LANES[:1]), code=code_mark())) == [b""]
        assert str(archive) not in sys.path_importer_cache
        del sys.modules["made_up_module"]


def test_stop_ends_the_lanes_for_good(tmp_path: Path) -> None:
    stopped, waits = watched()

    def stop() -> None:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the lanes begin")
        stopped.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(DownstageError, match="the lanes were stopped: resume the run"):
        list(stopped.run(Endless(tmp_path), LANES))
    stopping.join()
    assert not waits.seconds, "who stops waits for nothing"
    until(lambda: gone(noted(tmp_path, "began")), "Spark does not end a stopped lane's worker", 10)
    with pytest.raises(DownstageError, match="the lanes were stopped"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert not noted(tmp_path, "lane"), "a stopped engine handed a lane out"


def test_an_engine_that_is_stopped_while_it_looks_at_the_workers_hands_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, handed = engine(), list[Lane]()
    monkeypatch.setattr(spark_engine, "_same_code", lambda *_args: stopped.stop())
    monkeypatch.setattr(spark_engine, "_NOTICED", 0.0)  # `stop` is called by the thread that it would wait for
    monkeypatch.setattr(spark_engine._Share, "_one", lambda _share, lane: handed.append(lane))
    with pytest.raises(DownstageError, match="the lanes were stopped"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert not handed
