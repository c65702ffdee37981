"""Both journals keep the contract; the one on disk survives kill -9 and is shared by processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from downstage.errors import JournalError, RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import Checkpoint, Journal
from downstage.testing.contracts import RUN, JournalContract

WRITER = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import Checkpoint
journal, segment = SqliteJournal(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for count in range(1, int(sys.argv[3]) + 1):
    journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 2, None, False, count, {"read": count}))
    print(count, flush=True)
sys.stdin.readline()
"""


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return MemoryJournal()


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        return SqliteJournal(tmp_path / "state" / "journal.sqlite")


def writer(path: Path, segment: int, count: int) -> subprocess.Popen[str]:
    """A process that saves checkpoints once it is told to, and tells each that is saved."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(segment), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_one_file_and_what_is_saved_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    journal.create_run(RUN)
    writers = [writer(path, 0, 30), writer(path, 1, 30)]
    for process in writers:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in writers:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(30)][-1] == "30"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    found = SqliteJournal(path).checkpoints("run-1", "copy/t")
    assert list(found) == [Checkpoint(segment, 2, None, False, 30, {"read": 30}) for segment in (0, 1)]


def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    ready = threading.Barrier(8)

    def open_one(_: int) -> bool:
        ready.wait()
        return not SqliteJournal(path).runs()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(open_one, range(8)))


def test_a_zombie_on_another_connection_is_fenced(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    zombie, successor = SqliteJournal(path), SqliteJournal(path)
    zombie.create_run(RUN)
    assert successor.take_over("run-1").epoch == 2
    with pytest.raises(RunConflict, match="taken over"):
        zombie.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1))


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalError, match="cannot be used"):
        SqliteJournal(path)


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="format 99"):
        SqliteJournal(path)


def test_a_journal_of_format_1_gets_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    SqliteJournal(path).create_run(RUN)
    connection = sqlite3.connect(path)
    connection.executescript("drop table canaries; pragma user_version = 1")
    connection.close()
    for _ in range(2):
        journal = SqliteJournal(path)
        assert journal.run("run-1") == RUN
        journal.save_canaries("run-1", 1, "copy/t", 0, ["ab"])
        assert journal.canaries("run-1") == {("copy/t", 0): ["ab"]}


def test_a_place_where_nothing_can_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(JournalError, match="cannot be made") as caught:
        SqliteJournal(tmp_path / "state" / "below" / "journal.sqlite")
    assert "\n" not in str(caught.value)


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    SqliteJournal(path).create_run(RUN)
    assert SqliteJournal(path).run("run-1") == RUN
