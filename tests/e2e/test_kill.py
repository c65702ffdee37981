"""kill -9 in the middle: nothing is lost, no finished step is done again, and the next command cleans up."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Cli, Place

pytestmark = pytest.mark.e2e

PATIENCE = 60.0


def _journal(config: Path, query: str) -> list[tuple[object, ...]]:
    path = config.parent / "state" / "journal.sqlite"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def _kill_when(process: subprocess.Popen[str], config: Path, query: str) -> None:
    """Kills the process as soon as the journal answers `query` with a row."""
    deadline = time.monotonic() + PATIENCE
    while not _journal(config, query):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


RUNNING_STEP = "select 1 from steps s join runs r using (run_id) where r.state = 'running' and s.name = '{}'"
RUNNING_LANE = "select 1 from checkpoints c join runs r using (run_id) where r.state = 'running' and c.task like '{}/%'"


@pytest.mark.parametrize(
    ("moment", "query"),
    [
        ("wiping", RUNNING_STEP.format("wipe")),
        ("deploying", RUNNING_STEP.format("deploy")),
        ("copying", RUNNING_LANE.format("copy")),
        ("verifying", RUNNING_LANE.format("verify")),
        ("indexing", RUNNING_STEP.format("index")),
    ],
)
def test_a_killed_refresh_goes_on_where_it_was(cli: Cli, place: Place, moment: str, query: str) -> None:
    process = cli.start("refresh", "test", "--config", place.config)
    _kill_when(process, place.config, query)
    ((run_id, state),) = [
        (line["run_id"], line["state"])
        for line in cli("runs", "--json", "--config", place.config).lines
        if line["state"] != "finished"
    ]
    assert state == "cut off"
    done = _journal(place.config, f"select name, seconds from steps where run_id = '{run_id}' and state = 'done'")

    answer = cli("resume", run_id, "--config", place.config, "--json")

    assert answer.code == 0, answer.err
    outcome = answer.lines[-1]["outcome"]
    assert outcome["result"] == "proven"
    seconds = {step["name"]: step["seconds"] for step in outcome["steps"]}
    for name, took in done:
        assert seconds[str(name)] == took, f"{name} was done again"
    for table in outcome["tables"]:
        assert table["read"] == place.truth["items"][table["source"]]["total"]
    again = cli("resume", run_id, "--config", place.config)
    assert again.code == 2
    assert "Traceback" not in again.err


def test_a_killed_demo_is_cleaned_up_by_the_next(cli: Cli, tmp_path: Path) -> None:
    process = cli.start("demo", "--directory", tmp_path, "--cases", "40")
    _kill_when(process, tmp_path / "downstage.yaml", "select 1 from steps where name = 'copy'")
    assert _left_of(tmp_path), "the sandbox should have outlived the killed demo"

    answer = cli("demo", "--directory", tmp_path, "--cases", "40")

    assert answer.code == 0, answer.err
    assert "PROVEN" in answer.out
    assert not _left_of(tmp_path)


def _left_of(directory: Path) -> list[int]:
    """Processes that carry the sandbox's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DOWNSTAGE_SANDBOX_DIR") == str(directory.resolve()):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
