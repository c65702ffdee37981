"""A real copy on Spark, in which attempts fail, workers die and the driver is killed: it is proven afterwards, and
counted once. What cannot be masked is left out, and rates are kept, as with the other engines.

One application in this process; a second one dies with its driver. The cluster's share is in tests/e2e/test_spark.py.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from typer.testing import CliRunner

from downstage.cli.main import app
from downstage.copying.rates import BURST
from downstage.errors import DownstageError
from downstage.journals.sqlite import SqliteJournal
from downstage.planning.schedule import INTERLEAVED
from downstage.testing.lanework import noted
from downstage.workflow.sums import summed
from tests import sparks
from tests.faults import chaos
from tests.faults.endpoint import PROD, TEST, Endpoint, Item, Table
from tests.faults.lanes import KEYS, SOURCE, TARGET, items_of
from tests.faults.spark_driver import faulty, journal_of_here
from tests.faults.spark_lanes import SECRET
from tests.waiting import until

# py4j and pyspark leave connections to the garbage collector
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

ENGINES = ("serial", "local", "spark")
COUNT = 800
WORKERS = 2
PAGE = 10


@pytest.fixture(autouse=True, scope="module")
def application() -> Iterator[None]:
    """One for all of these tests, begun by the first that needs it; its workers find the tests' lanes."""
    sparks.end_application()
    with pytest.MonkeyPatch.context() as here, journal_of_here():
        here.setenv("PYTHONPATH", sparks.pythonpath())
        here.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
    sparks.end_application()


def world(items: list[Item]) -> tuple[Table, Table]:
    source = Table(SOURCE, KEYS, page_items=PAGE, account=PROD)
    source.put(items)
    return source, Table(TARGET, KEYS, page_items=PAGE, account=TEST)


def project(folder: Path, endpoint: Endpoint, *, segments: int, more: str = "") -> Path:
    """A configuration with so many segments, of which a lane has `INTERLEAVED`."""
    config = chaos.project(folder, endpoint, workers=WORKERS, more=more)
    config.write_text(config.read_text().replace("engine: {", f"engine: {{segments: {segments}, "))
    return config


def said(folder: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, message and outcome of a command in this process."""
    answer = CliRunner().invoke(app, [*arguments, "--json", "--config", str(folder / "downstage.yaml")])
    error = answer.exception
    if isinstance(error, DownstageError):
        code, why = error.exit_code, str(error)
    else:
        assert error is None or isinstance(error, SystemExit), error
        code, why = answer.exit_code, ""
    assert SECRET not in answer.output
    told = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
    return code, why, next((line["outcome"] for line in told if line["event"] == "outcome"), {})


def newest(folder: Path) -> str:
    return SqliteJournal(folder / "state" / "journal.sqlite").runs()[-1].run_id


def redone(target: Table) -> int:
    return sum(target.puts.values()) - len(target.items)


def test_a_copy_whose_lanes_stumble_and_whose_workers_die_is_whole_and_counted_once(tmp_path: Path) -> None:
    """One lane fails in attempts 0 and 1, the worker of another is killed; each after a page that is not recorded."""
    marks = tmp_path / "marks"
    marks.mkdir()
    source, target = world(chaos.poisoned(COUNT))
    with Endpoint(source, target).serving() as endpoint:
        project(tmp_path, endpoint, segments=16)
        with faulty(marks, "stumble", "worker"):
            code, _, outcome = said(tmp_path, "copy", "test", "--engine", "spark")
        assert code == 6
        chaos.check(tmp_path, source, target)
        (table,) = outcome["tables"]
        assert (table["read"], table["written"], table["quarantined"]) == (COUNT + chaos.POISON, COUNT, chaos.POISON)
        assert (len(noted(marks, "struck-stumble")), len(noted(marks, "struck-worker"))) == (2, 1)
        lanes = {path.name.split("-")[1] for path in marks.glob("attempt-*")}
        assert len(noted(marks, "attempt")) == len(lanes) + 3, "another lane than those struck was run again"
        assert 0 < redone(target) <= 3 * INTERLEAVED * PAGE
        code, _, verified = said(tmp_path, "verify", "test", "--engine", "serial")
        assert code == 6, "the items that were left out are all that is missing"
        (table,) = verified["tables"]
        assert table["digest_written"] == table["digest_target"] != ""
        assert table["in_target"] == COUNT


def test_a_killed_driver_is_submitted_again_and_goes_on_where_it_was(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    source, target = world(items_of(COUNT))
    with Endpoint(source, target).serving() as endpoint:
        project(tmp_path, endpoint, segments=16)
        script = Path(__file__).with_name("spark_driver.py")
        killed = subprocess.run(
            [sys.executable, str(script), "copy", "test", "--engine", "spark"],
            cwd=tmp_path,
            env=chaos.environ(FAULTS="driver", MARKS=str(marks), HERE="1", AT="12"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
        before = len(target.items)
        assert 0 < before < COUNT
        code, _, outcome = said(tmp_path, "resume", newest(tmp_path), "--engine", "spark")
        assert code == 0
        (table,) = outcome["tables"]
        assert (table["read"], table["written"]) == (COUNT, COUNT)
        assert 0 < redone(target) <= WORKERS * INTERLEAVED * PAGE
        assert max(target.puts.values()) == 2
        code, _, verified = said(tmp_path, "verify", "test", "--engine", "serial")
        assert code == 0
        assert verified["tables"][0]["in_target"] == COUNT


def test_a_signal_in_mid_copy_leaves_the_journal_and_a_report_in_order(tmp_path: Path) -> None:
    """Spark ends a lane that is cut off within three seconds: what a signal leaves is less, and is for other things."""
    marks = tmp_path / "marks"
    marks.mkdir()
    with Endpoint(*world(items_of(COUNT))).serving() as endpoint:
        project(tmp_path, endpoint, segments=16)
        script = Path(__file__).with_name("spark_driver.py")
        driver = subprocess.Popen(
            [sys.executable, str(script), "copy", "test", "--engine", "spark"],
            cwd=tmp_path,
            env=chaos.environ(FAULTS="hang", MARKS=str(marks), HERE="1", GRACE="2.5"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: driver.poll() is not None or bool(noted(marks, "struck-hang")), "a lane is under way", 120)
            driver.send_signal(signal.SIGTERM)
            _, why = driver.communicate(timeout=60)
        finally:
            driver.kill()
            driver.wait()
    assert driver.returncode == 128 + signal.SIGTERM, why[-2000:]
    (run,) = SqliteJournal(tmp_path / "state" / "journal.sqlite").runs()
    assert run.state == "interrupted"
    assert (tmp_path / "state" / "reports" / f"{run.run_id}.html").exists()
    until(lambda: sparks.gone(noted(marks, "struck-hang")), "the lane ends with the command")


def unmaskable(count: int) -> list[Item]:
    """Items with an address under more layers than anybody looks through."""
    text = SECRET
    for _ in range(12):
        text = base64.b64encode(text.encode()).decode()
    return [{"pk": {"S": f"deep|{n}"}, "sk": {"S": "a"}, "note": {"S": text}} for n in range(count)]


def test_every_engine_leaves_out_the_same_items_and_stops_at_the_same_limit(tmp_path: Path) -> None:
    items = [*items_of(120), *unmaskable(4), *chaos.poisoned(0)]
    stopped: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for engine in ENGINES:
        folder = tmp_path / engine
        folder.mkdir()
        source, target = world(items)
        with Endpoint(source, target).serving() as endpoint:
            project(folder, endpoint, segments=8, more="      max_quarantine: 6")
            code, why, _ = said(folder, "copy", "test", "--engine", engine)
            stopped[engine] = (code, why)
            project(folder, endpoint, segments=8, more="      max_quarantine: 7")
            code, _, outcome = said(folder, "resume", newest(folder), "--engine", engine)
        journal = SqliteJournal(folder / "state" / "journal.sqlite")
        (table,) = outcome["tables"]
        left[engine] = {
            "exit": (code, outcome["exit_code"], outcome["result"]),
            "entries": journal.quarantined(newest(folder), f"copy/{TARGET}"),
            "counted": summed(journal.checkpoints(newest(folder), f"copy/{TARGET}")),
            "told": {name: table[name] for name in ("read", "written", "quarantined", "digest_written")},
            "there": target.items,
        }
    assert stopped["serial"][0] == 1
    assert "7 items were quarantined, more than the 6 of 'max_quarantine'" in stopped["serial"][1]
    assert stopped["serial"] == stopped["local"] == stopped["spark"]
    assert left["serial"]["exit"][0] == 6
    assert len(left["serial"]["entries"]) == left["serial"]["told"]["quarantined"] == 7
    assert left["serial"] == left["local"] == left["spark"]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_all_lanes_take_together_is_no_more_than_the_rate(engine: str, tmp_path: Path) -> None:
    """The endpoint's own ledger: from the first write to the last. Being slower is allowed."""
    rate, lanes = 100.0, 2
    source, target = world(items_of(500))
    with Endpoint(source, target).serving() as endpoint:
        config = project(tmp_path, endpoint, segments=lanes * INTERLEAVED)
        config.write_text(config.read_text().replace("write: 1000000", f"write: {rate:.0f}"))
        at: list[float] = []
        endpoint.on_request = lambda operation: at.append(time.monotonic()) if operation == "BatchWriteItem" else None
        code, _, _ = said(tmp_path, "copy", "test", "--engine", engine)
    assert code == 0
    taken = len(target.items)
    assert taken == 500
    one_lane = rate / (1 if engine == "serial" else WORKERS)
    # a lane may begin with what `BURST` seconds bring, and its last calls are paid for by nobody that waits
    unpaid = lanes * (one_lane * BURST + INTERLEAVED * PAGE)
    assert taken - unpaid > rate, "too little is copied to show anything"
    assert taken - unpaid <= rate * (at[-1] - at[0])
