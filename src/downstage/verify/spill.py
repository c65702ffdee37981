"""What the deep comparison keeps on the disk: one small record an item and side, in one SQLite file a table.

A record is the item's name (a keyed digest), its covered digest, and of which page of which segment it was: no item
data, no key. Only the few items that differ get their keys kept, sealed as cursors are. Records are appended as they
come; SQLite then sorts them by name within bounded memory, and the two sides are joined in one walk along that order.

A page's records and the place from which its segment goes on are one transaction, so a worker that dies costs a page
and never doubles a record; every write is conditional on the run's epoch, as in the journal. The file is deleted once
what it says is in the journal; lost before, it is made anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from downstage.errors import HeldByAnother, JournalError
from downstage.verify.spill_records import Counts, Difference, Side, Survey

_TAKEN_OVER = "this comparison was taken over by another process: this one stops"
_CACHE = "-65536"  # KiB: what sorting may take of memory
_TABLES = """
create table place (epoch integer not null) strict;
create table surveys (
    side integer not null, segment integer not null, cursor text, done integer not null, digest text not null,
    items integer not null, left_out integer not null, pages integer not null, unmaskable integer not null,
    primary key (side, segment)
) strict;
create table pages (
    side integer not null, segment integer not null, page integer not null, cursor text,
    primary key (side, segment, page)
) strict, without rowid;
create table records (
    name blob not null, side integer not null, segment integer not null, page integer not null, digest blob not null
) strict;
create table differences (
    id integer primary key, name blob not null unique, twins integer not null,
    segment integer, source_page integer, source_digest blob,
    target_segment integer, target_page integer, target_digest blob,
    source_key text, target_key text,
    reread integer not null default 0, quarantined integer not null default 0, source_now blob, target_now blob,
    verdict text not null default '', action text not null default '', expected blob, mended integer not null default 0
) strict;
"""
_JOINED = """
    select name, sum(side = 0) > 1 as twins,
        max(case side when 0 then segment end) as segment, max(case side when 0 then page end) as source_page,
        max(case side when 0 then digest end) as source_digest,
        max(case side when 1 then segment end) as target_segment, max(case side when 1 then page end) as target_page,
        max(case side when 1 then digest end) as target_digest
    from records group by name
    having not (count(*) = 2 and sum(side) = 1 and min(digest) = max(digest))
"""

_COUNTED = f"""
    select coalesce(sum(target_digest is null), 0) as missing, coalesce(sum(source_digest is null), 0) as extra,
        count(*) as total
    from ({_JOINED})
"""  # noqa: S608  our own text


class Spill:
    """The file of one table, open. Use it as a context manager, from one thread."""

    def __init__(self, path: Path, epoch: int) -> None:
        self._path = path
        self._epoch = epoch
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=30, isolation_level=None
            )
        except sqlite3.Error as error:
            raise JournalError(f"the comparison's file {path.name} cannot be used: {error}; start again") from None
        self._connection.row_factory = sqlite3.Row

    @classmethod
    def begin(cls, path: Path, epoch: int, *, anew: bool = False) -> Spill:
        """Makes the file, or takes over the one that an earlier attempt of this run has left, emptied if `anew`. Raises
        HeldByAnother if it is a later attempt's: nobody is taken over by who was before them."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if anew and path.exists():
                with suppress(JournalError):  # one that cannot be read is nobody's
                    cls.begin(path, epoch).__exit__(None, None, None)
                cls.discard(path)
            if not path.exists():
                _make(path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the comparison's file {path.name} cannot be made: {error}") from None
        spill = cls(path, epoch)
        with spill._using() as connection:
            taken = connection.execute("update place set epoch = ? where epoch <= ?", (epoch, epoch)).rowcount
        if not taken:
            connection.close()
            raise HeldByAnother(_TAKEN_OVER)
        return spill

    @staticmethod
    def discard(path: Path) -> None:
        """Deletes the file, and what SQLite keeps beside it."""
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    # -- reading both sides

    def survey(self, side: Side, segment: int) -> Survey:
        """How far a segment is."""
        rows = self._rows("select * from surveys where side = ? and segment = ?", side, segment)
        return _survey(rows[0]) if rows else Survey()

    def surveys(self, side: Side) -> dict[int, Survey]:
        """Every segment that has begun."""
        return {row["segment"]: _survey(row) for row in self._rows("select * from surveys where side = ?", side)}

    def items(self, side: Side) -> int:
        """How many items of that side have been read so far: one row, whatever the segments."""
        return int(self._rows("select coalesce(sum(items), 0) as items from surveys where side = ?", side)[0]["items"])

    def save_page(
        self, side: Side, segment: int, began: str | None, survey: Survey, records: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """One page: its (name, covered digest) records, the sealed cursor it began at, and how far the segment is."""
        page = survey.pages
        with self._fenced() as connection:
            connection.execute("insert into pages values (?, ?, ?, ?)", (side, segment, page, began))
            connection.executemany(
                "insert into records values (?, ?, ?, ?, ?)",
                ((name, side, segment, page, covered) for name, covered in records),
            )
            connection.execute(
                "insert or replace into surveys values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    side,
                    segment,
                    survey.cursor,
                    int(survey.done),
                    f"{survey.digest:032x}",
                    survey.items,
                    survey.left_out,
                    page,
                    survey.unmaskable,
                ),
            )

    # -- joining them

    def count(self) -> Counts:
        """Joins both sides and counts what differs."""
        with self._using() as connection:
            connection.execute(f"pragma cache_size = {_CACHE}")
            connection.execute("create index if not exists by_name on records (name, side, segment, page, digest)")
        (row,) = self._rows(_COUNTED)
        return Counts(row["missing"], row["extra"], row["total"] - row["missing"] - row["extra"])

    def keep_differences(self) -> None:
        """Enters what differs, once."""
        with self._fenced() as connection:
            if connection.execute("select 1 from differences limit 1").fetchone() is None:
                connection.execute(
                    "insert into differences (name, twins, segment, source_page, source_digest, target_segment, "
                    f"target_page, target_digest) {_JOINED}"
                )
                connection.execute("create index if not exists by_source on differences (segment)")
                connection.execute("create index if not exists by_target on differences (target_segment)")

    def differences(self, chunk: int = 0, chunks: int = 1) -> Iterator[Difference]:
        """All of them, or one of so many equal parts, by id."""
        query = "select * from differences where id % ? = ? order by id"
        for row in self._rows(query, chunks, chunk):
            yield Difference(
                row["id"],
                row["name"],
                bool(row["twins"]),
                row["segment"],
                row["source_digest"],
                row["target_digest"],
                row["source_key"],
                row["target_key"],
                bool(row["reread"]),
                bool(row["quarantined"]),
                row["source_now"],
                row["target_now"],
                row["verdict"],
                row["action"],
                row["expected"],
                bool(row["mended"]),
            )

    # -- looking again

    def wanted(self, side: Side, segments: Collection[int] | None = None) -> dict[int, dict[int, set[bytes]]]:
        """The names whose keys are still to be found on that side, by segment and page: of all segments, or of those
        named alone."""
        segment, page, key = _PLACES[side]
        found: dict[int, dict[int, set[bytes]]] = {}
        only = "" if segments is None else f" and {segment} in ({', '.join('?' * len(segments))})"
        for row in self._rows(
            f"select name, {segment} as segment, {page} as page from differences "  # noqa: S608  names of columns
            f"where {page} is not null and {key} is null and reread = 0 and twins = 0{only}",
            *(segments or ()),
        ):
            found.setdefault(row["segment"], {}).setdefault(row["page"], set()).add(row["name"])
        return found

    def page_start(self, side: Side, segment: int, page: int) -> str | None:
        """The sealed cursor at which a page began."""
        query = "select cursor from pages where side = ? and segment = ? and page = ?"
        cursor: str | None = self._rows(query, side, segment, page)[0]["cursor"]
        return cursor

    def page_of(self, side: Side, name: bytes) -> int | None:
        """The page that an item was recorded on."""
        rows = self._rows("select page from records where name = ? and side = ? limit 1", name, side)
        return int(rows[0]["page"]) if rows else None

    def keep_keys(self, name: bytes, source_key: str | None, target_key: str | None) -> None:
        """The sealed keys of one item, as far as they are known."""
        self._change(
            "update differences set source_key = coalesce(?, source_key), target_key = coalesce(?, target_key) "
            "where name = ?",
            source_key,
            target_key,
            name,
        )

    def keep_second_look(
        self, id_: int, source_now: bytes | None, target_now: bytes | None, *, quarantined: bool
    ) -> None:
        """What is there now, by key."""
        self._change(
            "update differences set reread = 1, source_now = ?, target_now = ?, quarantined = ? where id = ?",
            source_now,
            target_now,
            int(quarantined),
            id_,
        )

    # -- judging and mending

    def keep_verdicts(self, verdicts: Iterable[tuple[int, str]]) -> None:
        """(id, verdict) of each that was judged."""
        with self._fenced() as connection:
            connection.executemany(
                "update differences set verdict = ? where id = ?", ((verdict, id_) for id_, verdict in verdicts)
            )

    def keep_action(self, id_: int, action: str, expected: bytes | None) -> None:
        """Before the target is touched: what is about to be done, and what will then be there."""
        self._change("update differences set action = ?, expected = ? where id = ?", action, expected, id_)

    def keep_mended(self, id_: int, expected: bytes | None) -> None:
        """The target now holds what it should."""
        self._change("update differences set mended = 1, expected = ? where id = ?", expected, id_)

    # -- inside

    def _rows(self, query: str, *values: object) -> Sequence[sqlite3.Row]:
        with self._using() as connection:
            return connection.execute(query, values).fetchall()

    def _change(self, query: str, *values: object) -> None:
        with self._fenced() as connection:
            connection.execute(query, values)

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise JournalError(f"the comparison's file {self._path.name} cannot be used: {error}") from None

    @contextmanager
    def _fenced(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("begin immediate")
            try:
                if connection.execute("select epoch from place").fetchone()["epoch"] != self._epoch:
                    raise HeldByAnother(_TAKEN_OVER)
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise


_PLACES = {
    Side.SOURCE: ("segment", "source_page", "source_key"),
    Side.TARGET: ("target_segment", "target_page", "target_key"),
}


def _make(path: Path) -> None:
    """Makes the file apart and gives it its name when it is whole."""
    unfinished = path.with_name(f"{path.name}.new")
    Spill.discard(unfinished)
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.executescript(f"begin; {_TABLES} commit;")
        connection.execute("insert into place values (0)")
    os.replace(unfinished, path)


def _survey(row: sqlite3.Row) -> Survey:
    return Survey(
        row["cursor"],
        bool(row["done"]),
        int(row["digest"], 16),
        row["items"],
        row["left_out"],
        row["pages"],
        row["unmaskable"],
    )
