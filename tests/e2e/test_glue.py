"""One refresh on AWS Glue that has everything happen to it, each time in the middle of its copy: AWS ends the run that
takes too long, its driver dies, somebody stops it, its launcher is killed. Resumed each time, it is proven in the end.
And one that finds the job in use, and leaves the environment as it was.

The sandbox is the AWS of both accounts; Glue's own calls are answered by a fake, which submits the real script: once to
a real Spark (which takes long to begin), else as a process. Work, parcels, claims and control table are the real ones.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

import pyspark

from downstage.app import glue as parts
from downstage.app.glue_bundle import own_files, own_wheel
from downstage.app.glue_deploy import deploy
from downstage.app.runs import Project
from downstage.engines.glue import PARCEL, RUN
from downstage.jobs import glue_main
from downstage.sandbox import layout
from downstage.sandbox.clients import Account
from tests import sparks
from tests.e2e.conftest import Answer, Cli, Place
from tests.e2e.looking import is_proven, outcome_of, started
from tests.faults.glue_lanes import mark_of
from tests.glue_server.machines import Machines
from tests.glue_server.server import FakeGlue, serving
from tests.waiting import until

pytestmark = pytest.mark.e2e

FAULTS = Path(__file__).parents[1] / "faults"
KEY = "/downstage/mask-key"
BUCKET = "downstage-files"
ROLE = f"arn:aws:iam::{layout.LAUNCHER_ACCOUNT}:role/downstage-glue"
ENDS = {"timeout": "TIMEOUT", "failed": "FAILED"}
"""How AWS ends the run in whose copy a lane stands still, by the name of the stage."""


@pytest.fixture
def glue(place: Place) -> Iterator[FakeGlue]:
    with serving() as fake:
        fake.beyond = place.endpoint
        yield fake


@pytest.fixture
def config(place: Place, elsewhere: Callable[[], Path], glue: FakeGlue) -> Path:
    """A configuration with a job, whose bucket, key and deployment are there."""
    path = elsewhere()
    text = path.read_text(encoding="utf-8")
    job = f'{{job: copy, role: "{ROLE}", bucket: {BUCKET}, workers: 2}}'
    for old, new, count in (
        (
            f"endpoint: {place.endpoint}",
            f"endpoint: {glue.endpoint}",
            1,
        ),  # production's, where the job's own is looked for
        ('key: "file:mask.key"', f'key: "ssm:{KEY}"', -1),
        (
            "engine: {default: local, workers: 2}",
            f"engine: {{default: glue, workers: 2, segments: 16, glue: {job}}}",
            -1,
        ),
    ):
        assert old in text
        text = text.replace(old, new, count)
    path.write_text(text, encoding="utf-8")
    key = path.with_name("mask.key").read_text(encoding="utf-8").strip()
    production = Account(place.endpoint, layout.PROD_ACCOUNT).ssm()
    production.put_parameter(Name=KEY, Value=key, Type="SecureString", Overwrite=True)
    Account(place.endpoint, layout.LAUNCHER_ACCOUNT).s3().create_bucket(Bucket=BUCKET)
    plan = Project.open(path).plan("test")
    jobs, parcels = parts.job_of(plan, parts.glue_of(plan))
    list(deploy(jobs, parcels, parts.glue_of(plan), own_wheel(own_files()), dict))
    return path


@pytest.fixture
def machines(here: Cli, glue: FakeGlue, tmp_path: Path) -> Machines:
    """Glue's own: they sign in as the job's role, and have no profile of the launcher's."""
    spark = Path(pyspark.__file__).parent
    over: set[str] = set()

    def command(task: str) -> list[str]:
        if task != "copy" or over:
            return [sys.executable, str(FAULTS / "glue_job.py")]
        conf = ("spark.speculation=false", *(f"{name}={value}" for name, value in sparks.ON_LOOPBACK.items()))
        words = [word for setting in conf for word in ("--conf", setting)]
        return [str(spark / "bin/spark-submit"), "--master", "local[2,8]", *words, glue_main.__file__]

    def due(task: str) -> str | None:
        for stage, state in ENDS.items():
            if task == "copy" and stage not in over and mark_of(tmp_path, stage).exists():
                over.add(stage)
                return state
        return None

    environ = here.environ(
        {
            "AWS_ACCESS_KEY_ID": layout.LAUNCHER_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "sandbox-only",
            "JAVA_HOME": sparks.java_home(),
            "SPARK_HOME": str(spark),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": sparks.pythonpath(),
        }
    )
    glue.job = made = Machines(glue, command, environ, due, tmp_path / "job.log")
    return made


def test_a_refresh_that_finds_the_job_in_use_has_begun_no_step_and_deleted_nothing(
    here: Cli, place: Place, config: Path, glue: FakeGlue
) -> None:
    def tables() -> dict[str, Any]:
        """Each with what a table that is made anew has another of."""
        target = Account(place.endpoint, layout.TEST_ACCOUNT).dynamodb()
        names = set(target.list_tables()["TableNames"]) & {layout.TEST_TABLE, layout.TEST_BETA_TABLE}
        return {name: target.describe_table(TableName=name)["Table"]["CreationDateTime"] for name in names}

    before = tables()
    assert len(before) == 2
    glue.begin({RUN: "other-1"}, ["RUNNING"])
    ended = here("refresh", "test", "--config", config, "--json")
    assert ended.code == 3, ended.out[-2000:] + ended.err[-2000:]
    assert "has an active run, jr_0000, of downstage run other-1: wait for its end" in ended.out + ended.err
    assert started(ended) == []
    assert not any(step["state"] == "done" for step in outcome_of(ended)["steps"])
    assert tables() == before
    assert (glue.calls["StartJobRun"], glue.stopped) == (0, [])


def test_a_refresh_to_which_all_of_it_happens_is_proven_and_nothing_of_it_was_started_twice(
    here: Cli, place: Place, config: Path, glue: FakeGlue, machines: Machines, tmp_path: Path
) -> None:
    def launched(stage: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(FAULTS / "glue_driver.py"), *arguments, "--config", str(config), "--json"],
            env=here.environ({"PYTHONPATH": sparks.pythonpath(), "MARKS": str(tmp_path), "STAGE": stage}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer_of(launcher: subprocess.Popen[str]) -> Answer:
        out, err = launcher.communicate(timeout=240)
        return Answer(launcher.returncode, out, err)

    def caught(launcher: subprocess.Popen[str], stage: str) -> None:
        until(lambda: mark_of(tmp_path, stage).exists() or launcher.poll() is not None, stage, 90)
        assert launcher.poll() is None, answer_of(launcher).err[-2000:]

    def failed_as(state: str, ended: Answer) -> bool:
        said = ended.out[-2000:] + ended.err[-2000:]
        assert ended.code == 1, said + machines.log.read_text()[-2000:]
        assert f" ended as {state}: AWS gives no reason; its log: https://" in said, said
        return True

    ended = answer_of(launched("timeout", "refresh", "test"))
    assert failed_as("TIMEOUT", ended)
    run = outcome_of(ended)["run_id"]
    ended = answer_of(launched("failed", "resume", run))
    assert failed_as("FAILED", ended)
    again = started(ended)

    launcher = launched("stopped", "resume", run)
    caught(launcher, "stopped")
    assert here("glue", "stop", "test", run, "--config", config).code == 0
    assert failed_as("STOPPED", answer_of(launcher))

    launcher = launched("killed", "resume", run)
    caught(launcher, "killed")
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()
    left = [one.run_id for one in glue.runs if one.states == ["RUNNING"]]
    assert left, "the launcher took its Glue run with it"
    ended = answer_of(launched("", "resume", run))
    assert ended.code == 0, ended.out[-2000:] + ended.err[-2000:] + machines.log.read_text()[-2000:]
    assert set(left) <= set(glue.stopped)
    assert not {"wipe", "deploy"} & {*again, *started(ended)}
    assert not any(psutil.pid_exists(pid) for pid in machines.family)

    assert is_proven(outcome_of(ended), place)
    assert set(machines.most.values()) == {1}, "two runs were at work on one task at one time"
    started_once(glue, place, run)


def started_once(glue: FakeGlue, place: Place, run: str) -> None:
    """A parcel a run, claimed by that run; and each start stands in the list of its epoch, with its time."""
    s3 = Account(place.endpoint, layout.LAUNCHER_ACCOUNT).s3()
    folder = f"downstage/parcels/{run}/"
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=folder)
    files = {one["Key"]: s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed["Contents"]}
    claims = {key.removesuffix(".claim"): made.decode() for key, made in files.items() if key.endswith(".claim")}
    carried = {one.arguments[PARCEL].removeprefix(f"s3://{BUCKET}/"): one.run_id for one in glue.runs}
    assert len(carried) == len(glue.runs) == glue.calls["StartJobRun"]
    assert claims.keys() == {key for key in files if key.endswith(".parcel")} == carried.keys()
    for parcel, claimed in claims.items():
        assert claimed == carried[parcel] or claimed.startswith("withdrawn by epoch "), "before the run could claim it"
    lists = [json.loads(content) for key, content in files.items() if key.endswith(".starts.json")]
    assert len(lists) == 5
    told = {start["parcel"]: start["glue_run"] for each in lists for start in each}
    assert told == carried
    assert all(start["asked"].endswith("Z") for each in lists for start in each)
    assert Counter(one.states[-1] for one in glue.runs)["TIMEOUT"] == 1
