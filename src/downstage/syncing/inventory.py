"""An S3 Inventory as the listing of a source: checked, and put into key order on this machine's disk.

The data files of an inventory are in no order and too many for memory: SQLite sorts them within bounded memory into a
file, from which pages are read as from a bucket. The file holds keys of production's objects, so it is readable by its
owner alone, and is deleted when the sync has ended; lost before, it is made anew from the same manifest.

An inventory tells what to copy, never what to delete: it is hours old, and may lack objects (see `listing.stretches`).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from downstage.domain.inventory import InventoryPlan
from downstage.domain.refs import SourceBucket
from downstage.errors import AwsError, GuardRefused, NotFound
from downstage.ports import ExportFiles, ObjectFacts, ObjectPage, Piece
from downstage.wire.export import Lines, Unpacking
from downstage.wire.inventory import CHECKSUM, MANIFEST, InventoryFile, Manifest, Rows, is_checksum_of, parse_manifest

PIECE = 8 * 1024 * 1024
_LARGEST_MANIFEST = 64 * 1024 * 1024
_CACHE_KIB = 16 * 1024
_CLOCKS_APART = 15 * 60.0
_STAMP = r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z"
_OBJECTS = "(key text not null, etag text not null, size integer not null, modified real not null, class text not null)"


@dataclass(frozen=True, slots=True)
class Inventory:
    """One inventory, checked: which manifest, and when S3 began to make it (seconds since the epoch)."""

    key: str
    etag: str
    manifest: Manifest


def find(files: ExportFiles, plan: InventoryPlan, source: SourceBucket) -> str:
    """The key of the manifest that is meant: the one that is named, or the newest that is complete."""
    if plan.manifest:
        return plan.manifest
    found: dict[str, set[str]] = {}
    form = re.compile(rf"{re.escape(plan.prefix)}/({_STAMP})/({re.escape(MANIFEST)}|{re.escape(CHECKSUM)})")
    for file in files.files(plan.bucket, f"{plan.prefix}/2"):  # the folders of dates, and not those of data
        match = form.fullmatch(file.key)
        if match is not None:
            found.setdefault(match[1], set()).add(match[2])
    complete = [stamp for stamp, names in found.items() if len(names) == 2]
    if not complete:
        raise _refusal(source, f"there is none below s3://{plan.bucket.name}/{plan.prefix}; correct 'inventory.prefix'")
    return f"{plan.prefix}/{max(complete)}/{MANIFEST}"


def read(files: ExportFiles, plan: InventoryPlan, source: SourceBucket, key: str) -> Inventory:
    """The manifest at `key`, checked. Raises GuardRefused if it is damaged, or of anything else than the source."""
    content, etag = _whole(files, plan, source, key)
    checksum, _ = _whole(files, plan, source, key.removesuffix(MANIFEST) + CHECKSUM)
    if not is_checksum_of(checksum, content):
        raise _refusal(source, f"{MANIFEST} is not what {CHECKSUM} says; wait for the next inventory")
    try:
        manifest = parse_manifest(content)
    except ValueError as error:
        raise _refusal(source, str(error)) from None
    if manifest.source != source.name or manifest.destination != plan.bucket.name:
        raise _refusal(source, "it is of another bucket, or lies in another; correct 'inventory'")
    return Inventory(key, etag, manifest)


def check_age(inventory: Inventory, plan: InventoryPlan, source: SourceBucket, now: float) -> float:
    """How old it is, in seconds. Raises GuardRefused if that is more than it may be, or less than nothing."""
    age = now - inventory.manifest.created
    if age > plan.max_age:
        raise _refusal(
            source,
            f"it is {aged(age)} old, and 'inventory.max_age' is {aged(plan.max_age)}; wait for the next one, raise "
            "max_age, or remove 'inventory'",
        )
    if age < -_CLOCKS_APART:
        raise _refusal(source, "it is from the future; set this machine's clock")
    return max(age, 0.0)


def aged(seconds: float) -> str:
    """An age for people."""
    return f"{seconds / 3600:,.1f} h"


def build(
    path: Path,
    files: ExportFiles,
    plan: InventoryPlan,
    source: SourceBucket,
    inventory: Inventory,
    *,
    go_on: Callable[[int], None] = lambda objects: None,
    piece: int = PIECE,
) -> int:
    """Writes the objects in key order to `path`; gives their number. `go_on` is told how many there are so far, and may
    raise. Raises GuardRefused for a data file that is not what the manifest says; then there is no file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    making = path.with_name(f"{path.name}.{os.getpid()}.part")
    making.unlink(missing_ok=True)
    os.close(os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(making, isolation_level=None)) as database:
            for setting in ("journal_mode=off", "synchronous=off", "temp_store=file", f"cache_size=-{_CACHE_KIB}"):
                database.execute(f"pragma {setting}")
            database.execute(f"create temp table found {_OBJECTS}")
            rows, count = Rows(inventory.manifest), 0
            database.execute("begin")
            for file in inventory.manifest.files:
                for objects in _objects(files, plan, source, file, rows, piece):
                    database.executemany("insert into found values (?, ?, ?, ?, ?)", (entry[:5] for entry in objects))
                    count += len(objects)
                    go_on(count)
            database.execute("create table objects " + _OBJECTS.replace(")", ", primary key (key)) without rowid"))
            database.execute("insert into objects select * from found order by key")
            database.execute("commit")
        making.replace(path)
    except sqlite3.IntegrityError:
        raise _refusal(source, "it names an object twice; have it list current versions only") from None
    finally:
        making.unlink(missing_ok=True)
    return count


_PAGE = {sign: f"select * from objects where key {sign} ? order by key limit ?" for sign in (">", ">=")}  # noqa: S608
"""One bound each: of two, SQLite may seek by the lower one, and read all that lies between them for every page."""


class InventoryPages:
    """Implements `listing.SourcePages` over a file that `build` has made."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

    async def page(self, *, prefix: str = "", start_after: str | None = None, limit: int = 1000) -> ObjectPage:
        """One page, in UTF-8 byte order of keys."""
        if start_after is None or start_after < prefix:
            begin, comparison = prefix, ">="
        else:
            begin, comparison = start_after, ">"
        rows = self._database.execute(_PAGE[comparison], (begin, limit + 1))
        found = [ObjectFacts(*row) for row in rows if row[0].startswith(prefix)]
        return ObjectPage(found[:limit], more=len(found) > limit)

    def names(self, key: str) -> bool:
        """Whether the inventory names the object."""
        return self._database.execute("select 1 from objects where key = ?", (key,)).fetchone() is not None

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


def delete(path: Path) -> None:
    """Deletes the file, if it is there."""
    with suppress(FileNotFoundError):
        path.unlink()


def _objects(
    files: ExportFiles, plan: InventoryPlan, source: SourceBucket, file: InventoryFile, rows: Rows, piece: int
) -> Iterator[list[ObjectFacts]]:
    """The objects of one data file, some at a time; it is checked to its end before the last of them are given."""
    unpacking, lines, at = Unpacking(), Lines(), 0
    etag: str | None = None
    try:
        while at < file.size:
            part = _read(files, plan, source, file.key, at, min(piece, file.size - at), etag)
            if part.total != file.size or not part.content:
                raise ValueError("has another size than the manifest says")
            etag, at = part.etag, at + len(part.content)
            for stretch in unpacking.unpack(part.content):
                yield rows.objects(lines.whole(stretch))
        if unpacking.md5 != file.md5:
            raise ValueError("has another MD5 than the manifest says")
        if not unpacking.ended:
            raise ValueError("breaks off")
        yield rows.objects(lines.last())
    except ValueError as error:
        raise _refusal(source, f"data file {file.key} {error}; wait for the next inventory") from None


def _whole(files: ExportFiles, plan: InventoryPlan, source: SourceBucket, key: str) -> tuple[bytes, str]:
    part = _read(files, plan, source, key, 0, _LARGEST_MANIFEST, None)
    if part.total != len(part.content):
        raise _refusal(source, f"{key} is too large for what it is")
    return part.content, part.etag


def _read(
    files: ExportFiles, plan: InventoryPlan, source: SourceBucket, key: str, start: int, length: int, etag: str | None
) -> Piece:
    try:
        return files.read(plan.bucket, key, start, length, etag)
    except NotFound:
        raise _refusal(source, f"there is no {key} in bucket {plan.bucket.name}; name another manifest") from None
    except AwsError as error:
        if error.code == "412":
            raise _refusal(source, f"{key} was replaced while it was read; sync again") from None
        raise


def _refusal(source: SourceBucket, why: str) -> GuardRefused:
    return GuardRefused(f"refused: the inventory of bucket '{source.name}': {why}")
