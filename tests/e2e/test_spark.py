"""One sandbox, refreshed by each engine: serial, local and spark end with the same digests, counts and report; so does
a cluster that loses an executor in the middle of the copy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.aws.lease_item import PK
from downstage.sandbox import layout
from downstage.sandbox.clients import Account
from downstage.testing.lanework import noted
from tests import sparks
from tests.e2e.conftest import Answer, Cli, Place
from tests.e2e.looking import emptied, essence, is_proven, once, outcome_of, started, state_of
from tests.waiting import until

pytestmark = pytest.mark.e2e

ENGINES = ("serial", "local", "spark")
DRIVER = Path(__file__).parents[1] / "faults" / "spark_driver.py"
KEY = "/downstage/mask-key"
GRACE = "2.5"
USERS = layout.PROD_USERS_TABLE


def test_every_engine_ends_with_the_same_environment(
    here: Cli, place: Place, elsewhere: Callable[[], Path], growing: list[dict[str, Any]]
) -> None:
    """And leaves the same items out: those that masking makes too large. The whole reports are compared."""
    reports: dict[str, dict[str, Any]] = {}
    for engine in ENGINES:
        emptied(place)
        config = elsewhere()
        answer = here("refresh", "test", "--config", config, "--engine", engine, "--json")
        assert answer.code == 6, answer.err
        report = here("report", outcome_of(answer)["run_id"], "--config", config, "--json")
        assert report.code == 0, report.err
        reports[engine] = essence(json.loads(report.out))
    told = reports["serial"]
    assert told["result"] == "incomplete"
    by_table = {table["source"]: table for table in told["tables"]}
    assert sum(table["quarantined"] for table in told["tables"]) == by_table[USERS]["quarantined"] == len(growing)
    for name, table in by_table.items():
        assert table["proven"] is (name != USERS)
        assert table["digest_written"] == table["digest_target"] != ""
        assert table["read"] == place.truth["items"][name]["total"] + (len(growing) if name == USERS else 0)
    assert reports["serial"] == reports["local"] == reports["spark"]


@pytest.fixture
def growing(place: Place) -> Iterator[list[dict[str, Any]]]:
    """Items of production that a table takes as they are, and no longer with their addresses replaced."""
    production = Account(place.endpoint, layout.PROD_ACCOUNT).dynamodb()
    text = "p@a.example " * 33_000
    items = [{"pk": {"S": f"list|{number}"}, "sk": {"S": "0"}, "text": {"S": text}} for number in range(3)]
    for item in items:
        production.put_item(TableName=USERS, Item=item)
    yield items
    for item in items:
        production.delete_item(TableName=USERS, Key={name: item[name] for name in ("pk", "sk")})


def test_what_a_killed_driver_began_another_engine_ends(here: Cli, place: Place, elsewhere: Callable[[], Path]) -> None:
    """The journal is the control table's: what Spark copied is not copied again, and nothing of Spark is left."""
    driver = here.start("refresh", "test", "--config", elsewhere(), "--engine", "spark")
    config = elsewhere()
    try:
        run_id = once(here, config, lambda: state_of(here, config, "copy") == "running" and bool(java_of(driver.pid)))
        family = java_of(driver.pid)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    answer = here("resume", run_id, "--config", config, "--engine", "local", "--json")
    assert answer.code == 0, answer.err
    assert outcome_of(answer)["result"] == "proven"
    assert not {"wipe", "deploy"} & set(started(answer))
    assert not any(psutil.pid_exists(pid) for pid in family)


def test_a_refresh_that_a_signal_ends_in_mid_copy_leaves_journal_and_lease_in_order(
    here: Cli, place: Place, elsewhere: Callable[[], Path], tmp_path: Path
) -> None:
    """Within the grace that a signal leaves, which is shorter than Spark takes to end a lane that is cut off. The
    report is looked for where the journal is a file: tests/faults/test_spark_faults.py."""
    marks = tmp_path / "marks"
    marks.mkdir()
    config = elsewhere()
    command = [sys.executable, str(DRIVER), "refresh", "test", "--config", str(config), "--engine", "spark"]
    more = {"FAULTS": "hang", "AT": "1", "GRACE": GRACE, "MARKS": str(marks), "PYTHONPATH": sparks.pythonpath()}
    driver = subprocess.Popen(
        command, env=here.environ(more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: driver.poll() is not None or bool(noted(marks, "struck-hang")), "a lane is under way", 120)
        family = java_of(driver.pid)
        driver.send_signal(signal.SIGTERM)
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == 143, said[-2000:]
    assert family
    until(lambda: sparks.gone([*family, *noted(marks, "struck-hang")]), "Spark ends with the command")
    run = here("runs", "--json", "--config", config).lines[-1]
    assert run["state"] == "interrupted"
    lease = lease_of(place)
    assert (lease["run_id"]["S"], lease["state"]["S"]) == (run["run_id"], "parked")
    answer = here("resume", run["run_id"], "--config", config, "--engine", "local", "--json")
    assert answer.code == 0, answer.err
    assert outcome_of(answer)["result"] == "proven"


def test_a_cluster_that_loses_an_executor_in_the_middle_of_the_copy_is_proven(
    here: Cli, place: Place, elsewhere: Callable[[], Path], tmp_path: Path
) -> None:
    """SIGKILL of the Java, and of its Python worker, after a page was written and before that is recorded."""
    marks = tmp_path / "marks"
    marks.mkdir()
    config = elsewhere()
    key = config.with_name("mask.key").read_text(encoding="utf-8").strip()
    production = Account(place.endpoint, layout.PROD_ACCOUNT).ssm()
    production.put_parameter(Name=KEY, Value=key, Type="SecureString", Overwrite=True)
    with sparks.cluster(tmp_path) as spark:
        answer = Answer(*_faulty(here, _for_cluster(config, spark.url), marks))
    assert answer.code == 0, answer.out[-2000:] + answer.err[-2000:]
    assert len(noted(marks, "struck-executor")) == 1
    lanes = {path.name.split("-")[1] for path in marks.glob("attempt-*")}
    assert len(noted(marks, "attempt")) > len(lanes), "no lane was run again"
    assert is_proven(outcome_of(answer), place)


def _for_cluster(config: Path, url: str) -> Path:
    """The configuration for a cluster, and the key where its workers read it."""
    text = config.read_text(encoding="utf-8")
    settings = json.dumps(sparks.SMALL | sparks.ON_LOOPBACK)
    for old, new in (
        ('key: "file:mask.key"', f'key: "ssm:{KEY}"'),
        ("workers: 2}", f'workers: 2, segments: 8, spark: {{master: "{url}", conf: {settings}}}}}'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    return config


def _faulty(here: Cli, config: Path, marks: Path) -> tuple[int, str, str]:
    """A refresh by the command line behind the trap: exit code, standard output and error."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), "refresh", "test", "--config", str(config), "--engine", "spark", "--json"],
        env=here.environ(
            {
                "FAULTS": "executor",
                "AT": "2",
                "MARKS": str(marks),
                "PYTHONPATH": sparks.pythonpath(),
                "PYSPARK_PYTHON": sys.executable,
                "SPARK_LOCAL_IP": "127.0.0.1",
            }
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def lease_of(place: Place) -> dict[str, Any]:
    """The item that says whose the environment is."""
    control = Account(place.endpoint, layout.TEST_ACCOUNT).dynamodb()
    item: dict[str, Any] = control.get_item(
        TableName="downstage-control", Key={"pk": {"S": PK}, "sk": {"S": "test"}}, ConsistentRead=True
    )["Item"]
    return item


def java_of(pid: int) -> list[int]:
    """The process ids of a driver's Spark."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True) if "java" in child.name()]
