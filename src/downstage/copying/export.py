"""A table read from an export to S3: the `ItemReader` whose segments are data files instead of a Scan's.

A segment takes every n-th data file. A file is streamed: fetched in ranges, unpacked, cut into pages of items. Because
nobody keeps a file to check it first, three rules keep a damaged one from passing:

* a range is only taken of the object whose ETag the manifest lists;
* the last page of a file is held back until its MD5, its number of items and the end of its gzip stream are right;
* a cursor holds a hash of everything before it. Whoever goes on in the middle of a file unpacks what came before once
  more (without masking it), and stops if it is not what the earlier attempt has read.

So a file that is not what the manifest says is never done, and what was written of it can never become part of a proof.
Files are named in errors: their keys are DynamoDB's own and hold no data.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass

from downstage.copying.pacing import Backoff
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, ExportDamaged, NotFound, Unreachable
from downstage.ports import ExportFiles, Item, Page, Piece, RawItem
from downstage.wire.export import DataFile, Lines, Unpacking, items_of

RANGE = 4 * 1024 * 1024
"""So many bytes of a file are fetched at a time."""

ANOTHER_OBJECT = "412"

_BACKOFF = Backoff(first=0.1, ceiling=20.0, tries=10)
_REMEDY = "start a new refresh, with a new export"


@dataclass(slots=True)
class _Position:
    """How far a segment is: which of its files, and how many items and unpacked bytes (with this hash) of it."""

    file: int = 0
    items: int = 0
    size: int = 0
    digest: str = ""

    @classmethod
    def of(cls, cursor: Item | None) -> _Position:
        """The position that a cursor names; the beginning without one."""
        return cls(**cursor) if cursor is not None else cls()

    def cursor(self) -> Item:
        """The position as the copy loop seals it."""
        return {"file": self.file, "items": self.items, "size": self.size, "digest": self.digest}


class ExportReader:
    """Implements `ports.ItemReader` on the data files of one export."""

    def __init__(
        self,
        bucket: ExportBucket,
        files: Sequence[DataFile],
        store: ExportFiles,
        *,
        backoff: Backoff = _BACKOFF,
        dice: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._files = files
        self._store = store
        self._backoff = backoff
        self._dice = dice or random.Random()  # noqa: S311
        self._sleep = sleep

    async def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
        """Pages in the order of the files; one is read ahead, in a thread."""
        stopped = threading.Event()
        pages = self._pages(self._files[segment::total_segments], _Position.of(cursor), stopped)
        ahead: asyncio.Task[Page | None] = asyncio.create_task(asyncio.to_thread(next, pages, None))
        try:
            while (page := await asyncio.shield(ahead)) is not None:
                ahead = asyncio.create_task(asyncio.to_thread(next, pages, None))
                yield page
        finally:
            stopped.set()
            await asyncio.wait([ahead])  # a thread cannot be interrupted: it ends with the range it is fetching
            if not ahead.cancelled():
                ahead.exception()  # looked at: nobody waits for this page any more

    def _pages(self, files: Sequence[DataFile], start: _Position, stopped: threading.Event) -> Iterator[Page]:
        """Every page from `start` on; the last one, which may be empty, has no cursor."""
        for number in range(start.file, len(files)):
            items: list[RawItem] = []
            at = start if number == start.file else _Position(number)
            for stretch, after in self._stretches(files[number], at, stopped):
                if items:
                    yield Page(items, at.cursor())
                items, at = stretch, after
            if number + 1 == len(files):
                yield Page(items, None)
            elif items:
                yield Page(items, _Position(number + 1).cursor())
        if start.file >= len(files):
            yield Page((), None)

    def _stretches(
        self, file: DataFile, start: _Position, stopped: threading.Event
    ) -> Iterator[tuple[list[RawItem], _Position]]:
        """(items, position after them) of the rest of a file. Ends only if the whole file is as it must be."""
        unpacking, lines, read = Unpacking(), Lines(), hashlib.blake2b(digest_size=16)
        skip, count, size = start.size, start.items, start.size
        try:
            for piece in self._pieces(file, stopped):
                for stretch in unpacking.unpack(piece):
                    rest = stretch
                    if skip:
                        read.update(stretch[:skip])
                        rest, skip = stretch[skip:], max(0, skip - len(stretch))
                        if not skip and read.hexdigest() != start.digest:
                            raise ValueError("is not the file that was read before")
                    whole = lines.whole(rest)
                    if whole:
                        items = items_of(whole)
                        read.update(whole)
                        size, count = size + len(whole), count + len(items)
                        yield items, _Position(start.file, count, size, read.hexdigest())
            if skip or not unpacking.ended:
                raise ValueError("is cut off")
            last = items_of(lines.last())
            count += len(last)
            if unpacking.md5 != file.md5:
                raise ValueError("has another MD5 than the manifest says")
            if count != file.items:
                raise ValueError(f"holds {count:,} items, and the manifest says {file.items:,}")
            if last:
                yield last, _Position(start.file, count, size, "")
        except ValueError as error:
            raise ExportDamaged(f"export file {file.key} {error}: nothing of it counts as copied; {_REMEDY}") from None

    def _pieces(self, file: DataFile, stopped: threading.Event) -> Iterator[bytes]:
        """The file's bytes, range by range."""
        start, etag = 0, file.etag or None
        while True:
            piece = self._fetch(file, start, etag, stopped)
            start, etag = start + len(piece.content), etag or piece.etag
            yield piece.content
            if start >= piece.total:
                return
            if not piece.content:
                raise ValueError("is cut off")

    def _fetch(self, file: DataFile, start: int, etag: str | None, stopped: threading.Event) -> Piece:
        for wait in (*self._backoff.waits(self._dice), None):
            if stopped.is_set():
                break
            try:
                return self._store.read(self._bucket, file.key, start, RANGE, etag)
            except NotFound:
                raise ValueError("is listed in the manifest, but is not there") from None
            except Unreachable:
                if wait is not None:
                    self._sleep(wait)
            except AwsError as error:
                if error.code == ANOTHER_OBJECT:
                    raise ValueError("is not the object that the manifest lists: it was written again") from None
                raise
        raise Unreachable(f"export file {file.key} does not come through: resume the run when AWS answers again")
