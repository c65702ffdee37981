"""The files of an S3 Inventory: its manifest and checksum, and objects out of lines of CSV. No I/O.

Every copy names the ETag of what was listed, and size and age decide whether it is made: an inventory without those
columns is refused, as is one of all versions that does not say which is the newest. Keys are URL-encoded as in a
listing, a space as '+'. Whatever is not as it should be is a ValueError, whose text holds nothing of a line.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_to_bytes

import msgspec

from downstage.ports import ObjectFacts

MANIFEST, CHECKSUM = "manifest.json", "manifest.checksum"

_NEEDED = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One data file: its key, its size, the MD5 of its bytes in hex."""

    key: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an inventory says of itself. `created` is when S3 began to make it, in seconds since the epoch."""

    source: str
    destination: str
    created: float
    columns: tuple[str, ...]
    files: tuple[InventoryFile, ...]


class _File(msgspec.Struct):
    key: str
    size: int
    MD5checksum: str


class _Manifest(msgspec.Struct):
    sourceBucket: str  # noqa: N815
    destinationBucket: str  # noqa: N815
    creationTimestamp: str  # noqa: N815
    fileFormat: str  # noqa: N815
    fileSchema: str  # noqa: N815
    files: list[_File]


_manifest = msgspec.json.Decoder(_Manifest)


def parse_manifest(content: bytes) -> Manifest:
    """The manifest of an inventory in CSV whose columns tell enough."""
    try:
        read = _manifest.decode(content)
        created = int(read.creationTimestamp) / 1000
    except (msgspec.DecodeError, ValueError):
        raise ValueError("its manifest is not that of an inventory") from None
    if read.fileFormat != "CSV":
        known = read.fileFormat if read.fileFormat in ("Parquet", "ORC") else "an unknown format"
        raise ValueError(f"it is in {known}; only CSV can be read: set the inventory's output format to CSV")
    columns = tuple(column.strip() for column in read.fileSchema.split(","))
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}; add the field to the inventory's configuration")
    if len(set(columns)) != len(columns):
        raise ValueError("it has two columns of one name")
    if "VersionId" in columns and not {"IsLatest", "IsDeleteMarker"} <= set(columns):
        raise ValueError("it lists versions and does not say which is the newest; have it list current versions only")
    files = tuple(InventoryFile(file.key, file.size, file.MD5checksum.lower()) for file in read.files)
    if any(_MD5.fullmatch(file.md5) is None or file.size < 0 for file in files):
        raise ValueError("a data file of it has no MD5")
    if len({file.key for file in files}) != len(files):
        raise ValueError("it names a data file twice")
    destination = read.destinationBucket.rpartition(":")[2]
    return Manifest(read.sourceBucket, destination, created, columns, files)


def is_checksum_of(checksum: bytes, manifest: bytes) -> bool:
    """Whether `manifest.checksum` is that of the manifest."""
    return checksum.strip() == hashlib.md5(manifest, usedforsecurity=False).hexdigest().encode()


class Rows:
    """Turns lines into objects. One of it for each inventory."""

    def __init__(self, manifest: Manifest) -> None:
        places = {name: place for place, name in enumerate(manifest.columns)}
        self._source = manifest.source
        self._width = len(manifest.columns)
        self._bucket, self._key, self._size, self._modified, self._etag = (places[name] for name in _NEEDED)
        self._class = places.get("StorageClass")
        self._latest = places.get("IsLatest")
        self._marker = places.get("IsDeleteMarker")

    def objects(self, lines: bytes) -> list[ObjectFacts]:
        """The objects of whole lines that are there now: no older versions, no delete markers."""
        try:
            rows = list(csv.reader(lines.decode("ascii").splitlines(keepends=True), strict=True))
            return [self._object(row) for row in rows if self._is_there(row)]
        except (csv.Error, ValueError):
            raise ValueError("holds a line that is not an object in CSV") from None

    def _is_there(self, row: Sequence[str]) -> bool:
        if len(row) != self._width or row[self._bucket] != self._source:
            raise ValueError
        latest = self._latest is None or _truth(row[self._latest])
        return latest and not (self._marker is not None and _truth(row[self._marker]))

    def _object(self, row: Sequence[str]) -> ObjectFacts:
        if not row[self._key].isprintable():
            raise ValueError
        key = unquote_to_bytes(row[self._key].replace("+", " ")).decode("utf-8")
        moment = datetime.fromisoformat(row[self._modified])
        etag = row[self._etag].strip('"')
        if not key or not etag or moment.tzinfo is None:
            raise ValueError
        storage = row[self._class] if self._class is not None else ""
        return ObjectFacts(key, f'"{etag}"', int(row[self._size]), moment.timestamp(), storage or "STANDARD")


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
