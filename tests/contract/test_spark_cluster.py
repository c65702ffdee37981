"""Spark as real processes, driver and cluster: whichever of them dies, lanes are run again or end with one clear line,
and no worker outlives the driver that it was begun for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.testing.lanework import noted
from tests import sparks
from tests.sparks import gone
from tests.waiting import until

pytestmark = pytest.mark.integration

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
