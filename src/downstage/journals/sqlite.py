"""The journal in one SQLite file: durable, shared by the processes of one machine, and enough to resume from.

Rules: every write is one transaction and is on the disk when the call returns (WAL, synchronous=FULL); every write
is conditional on the run's epoch, so a worker that outlived its run changes nothing; nothing here is item data
(cursors arrive sealed, keys arrive hashed). Each process and thread opens its own connection.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from downstage.errors import HeldByAnother, JournalError, RunConflict, SegmentEnded
from downstage.ports import Checkpoint, RunRecord, StepRecord

_VERSION = 2
_TABLES = """
create table if not exists runs (
    run_id text primary key, environment text not null, kind text not null, state text not null,
    epoch integer not null, started text not null, ended text not null, settings text not null
) strict;
create table if not exists steps (
    run_id text not null, name text not null, place integer not null, state text not null, seconds real not null,
    detail text not null, intent text not null, result text not null, primary key (run_id, name)
) strict;
create table if not exists checkpoints (
    run_id text not null, task text not null, segment integer not null, total_segments integer not null,
    cursor text, done integer not null, digest text not null, counters text not null,
    primary key (run_id, task, segment)
) strict;
create table if not exists quarantine (
    run_id text not null, task text not null, key_hash text not null, reason text not null,
    primary key (run_id, task, key_hash)
) strict;
create table if not exists findings (
    run_id text not null, task text not null, finding text not null, primary key (run_id, task, finding)
) strict;
"""
_SINCE_2 = """
create table if not exists canaries (
    run_id text not null, task text not null, segment integer not null, canaries text not null,
    primary key (run_id, task, segment)
) strict;
"""


class SqliteJournal:
    """Implements `ports.Journal` in the file `path`, which is made if it is not there.

    Raises JournalError if the file is not a journal of this version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _make(path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the journal {path} cannot be made: {error}") from None
        with self._reading() as connection:
            version = connection.execute("pragma user_version").fetchone()[0]
            if version == 1:
                connection.executescript(f"begin immediate; {_SINCE_2} pragma user_version = {_VERSION}; commit;")
                version = _VERSION
        if version != _VERSION:
            raise JournalError(f"{path} is no journal, or of another version of Downstage (journal format {version})")

    # -- runs

    def create_run(self, record: RunRecord) -> None:
        """Enters a new run. Raises RunConflict if its id is taken."""
        with self._reading() as connection:
            try:
                connection.execute(
                    "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        record.run_id,
                        record.environment,
                        record.kind,
                        record.state,
                        record.epoch,
                        record.started,
                        record.ended,
                        _dump(record.settings),
                    ),
                )
            except sqlite3.IntegrityError:
                raise RunConflict(f"a run {record.run_id} exists already: name another, or resume it") from None

    def run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""
        with self._reading() as connection:
            row = connection.execute("select * from runs where run_id = ?", (run_id,)).fetchone()
        return _run(row) if row else None

    def runs(self) -> Sequence[RunRecord]:
        """All runs, oldest first."""
        with self._reading() as connection:
            return [_run(row) for row in connection.execute("select * from runs order by started, run_id")]

    def take_over(self, run_id: str) -> RunRecord:
        """Raises the run's epoch and marks it running: whoever held it before can write no more."""
        with self._reading() as connection:  # one statement, so that two successors never get the same epoch
            rows = connection.execute(
                "update runs set epoch = epoch + 1, state = 'running', ended = '' where run_id = ? returning *",
                (run_id,),
            ).fetchall()
        if not rows:
            raise JournalError(f"there is no run {run_id} in {self._path.name}: see 'downstage runs'")
        return _run(rows[0])

    def end_run(self, run_id: str, epoch: int, state: str, ended: str) -> None:
        """Marks how the run ended."""
        with self._fenced(run_id, epoch) as connection:
            connection.execute("update runs set state = ?, ended = ? where run_id = ?", (state, ended, run_id))

    # -- steps

    def step(self, run_id: str, name: str) -> StepRecord | None:
        """One step of the run, or None if it has not begun."""
        with self._reading() as connection:
            row = connection.execute("select * from steps where run_id = ? and name = ?", (run_id, name)).fetchone()
        return _step(row) if row else None

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The steps that have begun, in the order in which they did."""
        with self._reading() as connection:
            rows = connection.execute("select * from steps where run_id = ? order by place", (run_id,))
            return [_step(row) for row in rows]

    def save_step(self, run_id: str, epoch: int, step: StepRecord) -> None:
        """Enters or replaces a step; it keeps its place in the order."""
        with self._fenced(run_id, epoch) as connection:
            connection.execute(
                "insert into steps values (?, ?, "
                "(select coalesce(max(place), -1) + 1 from steps where run_id = ?), ?, ?, ?, ?, ?) "
                "on conflict (run_id, name) do update set state = excluded.state, seconds = excluded.seconds, "
                "detail = excluded.detail, intent = excluded.intent, result = excluded.result",
                (
                    run_id,
                    step.name,
                    run_id,
                    step.state,
                    step.seconds,
                    step.detail,
                    _dump(step.intent),
                    _dump(step.result),
                ),
            )

    def forget_step(self, run_id: str, epoch: int, name: str | None, tasks: Sequence[str]) -> None:
        """Takes a step back, with what its tasks have kept; or only that."""
        with self._fenced(run_id, epoch) as connection:
            if name is not None:
                connection.execute("delete from steps where run_id = ? and name = ?", (run_id, name))
            for table in ("checkpoints", "quarantine", "canaries"):
                for prefix in tasks:
                    connection.execute(
                        f"delete from {table} where run_id = ? and substr(task, 1, ?) = ?",  # noqa: S608
                        (run_id, len(prefix), prefix),
                    )

    # -- lanes

    def checkpoint(self, run_id: str, task: str, segment: int) -> Checkpoint | None:
        """The last checkpoint of one segment, or None."""
        with self._reading() as connection:
            row = connection.execute(
                "select * from checkpoints where run_id = ? and task = ? and segment = ?", (run_id, task, segment)
            ).fetchone()
        return _checkpoint(row) if row else None

    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]:
        """The last checkpoint of each segment that has one, by segment."""
        with self._reading() as connection:
            rows = connection.execute(
                "select * from checkpoints where run_id = ? and task = ? order by segment", (run_id, task)
            )
            return [_checkpoint(row) for row in rows]

    def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None:
        """Replaces the segment's checkpoint. Raises SegmentEnded if one that is done would be by one that is not."""
        with self._fenced(run_id, epoch) as connection:
            saved = connection.execute(
                "insert into checkpoints values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (run_id, task, segment) do update "
                "set total_segments = excluded.total_segments, cursor = excluded.cursor, done = excluded.done, "
                "digest = excluded.digest, counters = excluded.counters where not checkpoints.done or ?",
                (
                    run_id,
                    task,
                    checkpoint.segment,
                    checkpoint.total_segments,
                    checkpoint.cursor,
                    int(checkpoint.done),
                    f"{checkpoint.digest:032x}",
                    _dump(checkpoint.counters),
                    int(checkpoint.ends_or_begins),
                ),
            )
            if not saved.rowcount:
                raise SegmentEnded(
                    f"segment {checkpoint.segment} of {task} was ended by another attempt at it: this one stops"
                )

    def quarantine(self, run_id: str, epoch: int, task: str, key_hash: str, reason: str) -> None:
        """Enters a quarantined item by its keyed hash; entering it again changes nothing."""
        with self._fenced(run_id, epoch) as connection:
            connection.execute(
                "insert or replace into quarantine values (?, ?, ?, ?)", (run_id, task, key_hash, reason)
            )

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        """(keyed hash, reason) of each quarantined item."""
        with self._reading() as connection:
            rows = connection.execute(
                "select key_hash, reason from quarantine where run_id = ? and task = ? order by key_hash",
                (run_id, task),
            )
            return [(row["key_hash"], row["reason"]) for row in rows]

    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None:
        """Enters a leak finding; the same one again changes nothing."""
        with self._fenced(run_id, epoch) as connection:
            connection.execute("insert or ignore into findings values (?, ?, ?)", (run_id, task, _dump(finding)))

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """All leak findings of the run."""
        with self._reading() as connection:
            rows = connection.execute("select finding from findings where run_id = ? order by task, finding", (run_id,))
            return [orjson.loads(row["finding"]) for row in rows]

    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None:
        """Replaces the segment's canaries."""
        with self._fenced(run_id, epoch) as connection:
            connection.execute(
                "insert or replace into canaries values (?, ?, ?, ?)",
                (run_id, task, segment, orjson.dumps(list(canaries)).decode()),
            )

    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]:
        """The run's canaries by task and segment."""
        with self._reading() as connection:
            rows = connection.execute("select task, segment, canaries from canaries where run_id = ?", (run_id,))
            return {(row["task"], row["segment"]): orjson.loads(row["canaries"]) for row in rows}

    def segment_canaries(self, run_id: str, task: str, segment: int) -> Sequence[str]:
        """The canaries of one segment."""
        with self._reading() as connection:
            row = connection.execute(
                "select canaries from canaries where run_id = ? and task = ? and segment = ?", (run_id, task, segment)
            ).fetchone()
        canaries: list[str] = orjson.loads(row["canaries"]) if row else []
        return canaries

    # -- inside

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            connection.execute("pragma synchronous = full")
            self._local.connection = connection
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} cannot be used: {error}") from None

    @contextmanager
    def _fenced(self, run_id: str, epoch: int) -> Iterator[sqlite3.Connection]:
        """A transaction that begins by making sure that the run is still ours."""
        with self._reading() as connection:
            connection.execute("begin immediate")
            try:
                row = connection.execute("select epoch from runs where run_id = ?", (run_id,)).fetchone()
                if row is None or row["epoch"] != epoch:
                    raise HeldByAnother(
                        f"run {run_id} was taken over by another process: this one stops and writes nothing more"
                    )
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back already
                    connection.execute("rollback")
                raise


def _make(path: Path) -> None:
    """Makes the file apart and gives it its name when it is whole, so that many may open a new journal at once.

    (To turn an open database to WAL fails at once if another connection looks at it, whatever the timeout.)
    """
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(_TABLES + _SINCE_2 + f"pragma user_version = {_VERSION};")
        with suppress(FileExistsError):
            os.link(unfinished, path)


def _dump(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS).decode()


def _run(row: sqlite3.Row) -> RunRecord:
    return RunRecord(
        row["run_id"],
        row["environment"],
        row["kind"],
        row["state"],
        row["epoch"],
        row["started"],
        row["ended"],
        orjson.loads(row["settings"]),
    )


def _step(row: sqlite3.Row) -> StepRecord:
    return StepRecord(
        row["name"],
        row["state"],
        row["seconds"],
        row["detail"],
        orjson.loads(row["intent"]),
        orjson.loads(row["result"]),
    )


def _checkpoint(row: sqlite3.Row) -> Checkpoint:
    return Checkpoint(
        row["segment"],
        row["total_segments"],
        row["cursor"],
        bool(row["done"]),
        int(row["digest"], 16),
        orjson.loads(row["counters"]),
    )
