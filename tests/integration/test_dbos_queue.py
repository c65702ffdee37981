"""The queue of runs on DBOS: what it carries survives kill -9, and DBOS's known sharp edges stay covered.

DBOS is one a process, so each life of a runner here is a process of its own. On SQLite, and on Postgres (from PyPI's
`pgserver`) with two machines."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.postgres import running_postgres

pytest.importorskip("dbos", reason="dbos is not installed: pip install 'downstage[runner]'")
pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

LIFE = r"""
import os, socket, sys, threading
from downstage.durable import dbos
from downstage.durable.dbos import DbosQueue
database, executor, hold = sys.argv[1:4]
for word in sys.argv[4:]:
    if word.startswith("flow-"):
        dbos.FLOW = word
if "offline" in sys.argv:
    def refuse(self, address):
        raise AssertionError(f"connects to {address}")
    socket.socket.connect = refuse
def say(*words):
    os.write(1, (" ".join(words) + "\n").encode())  # print of two threads can mix their lines
def carry(run_id):
    say("begins", run_id)
    if run_id.startswith(hold):
        threading.Event().wait()
    say("ends", run_id)
    return "finished"
with DbosQueue(database, executor, carry) as queue:
    say("left-behind", *queue.left_behind)
    say("up")
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "put":
            queue.hand_over(*rest)
            say("put")
        elif word == "look":
            say("under-way", *sorted(queue.under_way()))
        elif word == "leave":
            os._exit(0)
"""


class Life:
    """One process of a runner."""

    def __init__(self, database: str, executor: str = "machine-a", hold: str = "none", *more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIFE, database, executor, hold, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.heard: list[str] = []
        self.until("up")

    def until(self, *words: str) -> None:
        """Reads on until it has said all of them."""
        assert self.process.stdout is not None
        while not set(words) <= set(self.heard):
            line = self.process.stdout.readline()
            assert line, self.heard
            self.heard.append(line.strip())

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def under_way(self) -> list[str]:
        """What it says is under way."""
        self.tell("look")
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline().strip()
            if line.startswith("under-way"):
                return line.split()[1:]
            self.heard.append(line)

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate()


@contextmanager
def life(database: str, *more: str) -> Iterator[Life]:
    one = Life(database, *more)
    try:
        yield one
    finally:
        one.end()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runner.sqlite'}"


def test_what_a_killed_runner_carried_and_what_waited_behind_it_is_carried_by_the_next(database: str) -> None:
    with life(database, "machine-a", "test-1") as first:
        first.tell("put test-1 test")
        first.tell("put test-2 test")
        first.until("begins test-1")
        assert first.under_way() == ["test-1", "test-2"]
        first.end()
    with life(database) as second:
        second.until("ends test-1", "ends test-2")
        assert second.heard.index("ends test-1") < second.heard.index("begins test-2")


def test_one_run_an_environment_at_a_time_and_environments_do_not_wait(database: str) -> None:
    with life(database, "machine-a", "test-1") as runner:
        for line in ("put test-1 test", "put test-2 test", "put mig-1 mig"):
            runner.tell(line)
        runner.until("begins test-1", "ends mig-1")
        while "mig-1" in (under_way := runner.under_way()):
            pass  # its end is told before it is recorded
        assert "begins test-2" not in runner.heard
        assert under_way == ["test-1", "test-2"]


def test_nothing_of_it_is_pickled_and_the_version_is_pinned(database: str, tmp_path: Path) -> None:
    with life(database) as runner:
        runner.tell("put test-1 test")
        runner.until("ends test-1")
        while runner.under_way():
            pass
    with sqlite3.connect(tmp_path / "runner.sqlite") as connection:
        rows = connection.execute(
            "select status, serialization, application_version, executor_id from workflow_status"
        ).fetchall()
        everything = "\n".join(connection.iterdump())
    assert rows == [("SUCCESS", "portable_json", "flow-1", "machine-a")]
    assert "test-1" in everything
    assert "gASV" not in everything  # how every pickle begins in base64


def test_it_connects_to_nothing(database: str) -> None:
    with life(database, "machine-a", "none", "offline") as runner:
        runner.tell("put test-1 test")
        runner.until("ends test-1")


def test_a_lost_state_costs_nothing_but_the_queue(database: str, tmp_path: Path) -> None:
    with life(database, "machine-a", "test-1") as first:
        first.tell("put test-1 test")
        first.until("begins test-1")
        first.end()
    for path in tmp_path.glob("runner.sqlite*"):
        path.unlink()
    with life(database) as second:
        assert second.under_way() == []
        second.tell("put test-1 test")  # as the runner does, which finds it in the journal
        second.until("ends test-1")


def test_what_another_version_had_under_way_holds_up_nothing_and_may_be_handed_over_again(
    database: str, tmp_path: Path
) -> None:
    """DBOS itself would leave it pending for ever, and count it against its environment's turn."""
    with life(database, "machine-a", "test-1") as first:
        first.tell("put test-1 test")
        first.tell("put test-2 test")
        first.until("begins test-1")
        assert first.heard[0] == "left-behind"
        first.end()
    with life(database, "machine-a", "none", "flow-2") as second:
        assert "left-behind test-1 test-2" in second.heard
        assert second.under_way() == []
        second.tell("put test-1 test")  # as the runner does, which finds it in the journal
        second.until("ends test-1")
        while second.under_way():
            pass  # its end is told before it is recorded
    with life(database, "machine-a", "none", "flow-2") as third:
        assert "left-behind" in third.heard  # it is said once
    with sqlite3.connect(tmp_path / "runner.sqlite") as connection:
        rows = connection.execute("select application_version, status from workflow_status order by 1, 2").fetchall()
    assert rows == [("flow-1", "CANCELLED"), ("flow-1", "CANCELLED"), ("flow-2", "SUCCESS")]


def test_importing_the_command_line_does_not_import_dbos() -> None:
    code = (
        "import sys, downstage.cli.main, downstage.app.runs, downstage.app.background; assert 'dbos' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- several machines


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


def test_two_machines_share_one_limit_and_nothing_is_taken_from_a_dead_one_unasked(postgres: str) -> None:
    """What machine a was carrying goes on when machine a is back, on whichever of the two; or by `downstage resume`."""
    with ExitStack() as machines:
        a = machines.enter_context(life(postgres, "machine-a", "test-1"))
        a.tell("put test-1 test")
        a.until("begins test-1")  # before there is another that could take it
        b = machines.enter_context(life(postgres, "machine-b"))
        b.tell("put test-2 test")
        b.tell("put mig-1 mig")
        a.end()
        while "ends mig-1" not in [*a.heard, *b.heard]:
            b.under_way()
        assert not {"begins test-1", "begins test-2"} & set(b.heard)
        again = machines.enter_context(life(postgres, "machine-a"))
        while again.under_way() or b.under_way():
            pass
        heard = [*b.heard, *again.heard, *a.heard]
    assert [heard.count(f"ends {run_id}") for run_id in ("test-1", "test-2", "mig-1")] == [1, 1, 1]


def test_a_machine_of_a_new_version_leaves_the_live_queue_of_an_old_one_alone(postgres: str) -> None:
    """A rolling upgrade: machine a's own old queue is given up by machine a alone, when it comes back anew."""
    with life(postgres, "machine-a", "old-1") as a:
        a.tell("put old-1 old")
        a.tell("put old-2 old")
        a.until("begins old-1")
        with life(postgres, "machine-b", "none", "flow-2") as b:
            assert "left-behind" in b.heard
            assert b.under_way() == []
            b.tell("put new-1 new")
            b.until("ends new-1")
            assert a.under_way() == ["old-1", "old-2"]
            a.end()
            with life(postgres, "machine-a", "none", "flow-2") as again:
                assert "left-behind old-1 old-2" in again.heard
                again.tell("put old-1 old")  # as the runner does, which finds it in the journal
                while "ends old-1" not in [*again.heard, *b.heard]:
                    b.under_way()
                    again.under_way()


def test_a_database_that_is_not_there_is_one_clear_line() -> None:
    code = (
        "from downstage.durable.dbos import DbosQueue\n"
        "from downstage.errors import ConfigError\n"
        "try:\n"
        "    DbosQueue('postgresql://user:hidden@127.0.0.1:1/x', 'a', str).__enter__()\n"
        "except ConfigError as error:\n"
        "    assert 'hidden' not in str(error), error\n"
        "    print(error)\n"
        "import os; import sys; sys.stdout.flush(); os._exit(0)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env={**os.environ}
    )
    assert "durable.database" in answer.stdout
    assert "hidden" not in answer.stderr
