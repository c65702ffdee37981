"""The files of a DynamoDB export to S3: its two manifests, and items out of gzipped lines. No I/O.

An export is a summary, a list of data files (one JSON object a line) and the files: gzip of one `{"Item": …}` a line.
A file's items are cut out of it as bytes, a stretch of about a megabyte at a time; how much it may unpack to between
two line ends is bounded. Whatever is not so is a ValueError, whose text holds nothing of what was read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from downstage.ports import RawItem

SUMMARY, FILES = "manifest-summary.json", "manifest-files.json"

STRETCH = 1024 * 1024
"""So much is unpacked at a time, in bytes: a page of items, as large as a page of a Scan."""

LONGEST_LINE = 16 * 1024 * 1024
"""No item is so long, not even one of 400 KB that is all escapes."""

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export says of itself. `exported` is the instant that it shows, in seconds since the epoch."""

    arn: str
    table_arn: str
    table_id: str
    exported: float
    files_key: str
    items: int
    format: str
    kind: str


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file: its key, the MD5 of its bytes in hex, its ETag without quotes, how many items it holds."""

    key: str
    md5: str
    etag: str
    items: int


class _Summary(msgspec.Struct):
    exportArn: str  # noqa: N815
    tableArn: str  # noqa: N815
    exportTime: str  # noqa: N815
    itemCount: int  # noqa: N815
    outputFormat: str  # noqa: N815
    manifestFilesS3Key: str  # noqa: N815
    tableId: str = ""  # noqa: N815
    exportType: str = "FULL_EXPORT"  # noqa: N815


class _File(msgspec.Struct):
    itemCount: int  # noqa: N815
    md5Checksum: str  # noqa: N815
    dataFileS3Key: str  # noqa: N815
    etag: str = ""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    Item: msgspec.Raw


_summary = msgspec.json.Decoder(_Summary)
_file = msgspec.json.Decoder(_File)
_line = msgspec.json.Decoder(_Line)


def parse_summary(content: bytes) -> Summary:
    """The summary manifest."""
    try:
        read = _summary.decode(content)
        exported = datetime.fromisoformat(read.exportTime).timestamp()
    except (msgspec.DecodeError, ValueError):
        raise ValueError("is not the summary of an export") from None
    return Summary(
        arn=read.exportArn,
        table_arn=read.tableArn,
        table_id=read.tableId,
        exported=exported,
        files_key=read.manifestFilesS3Key,
        items=read.itemCount,
        format=read.outputFormat,
        kind=read.exportType,
    )


def parse_files(content: bytes) -> tuple[DataFile, ...]:
    """The list of data files, in its order; each is listed once."""
    try:
        read = _file.decode_lines(content)
        files = tuple(
            DataFile(entry.dataFileS3Key, _md5(entry.md5Checksum), entry.etag.strip('"'), entry.itemCount)
            for entry in read
        )
    except (msgspec.DecodeError, ValueError):
        raise ValueError("is not the list of an export's data files") from None
    if len({file.key for file in files}) != len(files) or any(file.items < 0 for file in files):
        raise ValueError("lists a data file twice, or with less than no items")
    return files


def says_otherwise(checksum: bytes, content: bytes) -> bool:
    """Whether a checksum file (base64 or hex of an MD5) is of other content. What is no MD5 says nothing."""
    try:
        return _md5(checksum.decode("ascii").strip()) != hashlib.md5(content, usedforsecurity=False).hexdigest()
    except ValueError:
        return False


def _md5(text: str) -> str:
    """An MD5 in hex, from hex or base64."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("no MD5") from None
    if len(raw) != 16:
        raise ValueError("no MD5")
    return raw.hex()


def items_of(lines: bytes) -> list[RawItem]:
    """The items of whole lines."""
    try:
        items = [bytes(line.Item) for line in _line.decode_lines(lines)]
    except msgspec.DecodeError:
        raise ValueError('holds a line that is not one {"Item": …}') from None
    if not all(item.startswith(b"{") for item in items):
        raise ValueError('holds a line that is not one {"Item": …}')
    return items


class Unpacking:
    """Gunzips pieces of one file. `md5` is that of the pieces so far, `ended` whether the file may end here."""

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)
        self._gzip: zlib._Decompress | None = None

    def unpack(self, piece: bytes) -> Iterator[bytes]:
        """What the piece unpacks to, in stretches. A file may be several gzip streams, one after the other."""
        self._digest.update(piece)
        while piece:
            if self._gzip is None:
                self._gzip = zlib.decompressobj(_GZIP)
            try:
                unpacked = self._gzip.decompress(piece, STRETCH)
            except zlib.error:
                raise ValueError("is not gzip, or is damaged") from None
            piece = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            if unpacked:
                yield unpacked
            if self._gzip.eof:
                self._gzip = None

    @property
    def md5(self) -> str:
        """The MD5 of everything that was given, in hex."""
        return self._digest.hexdigest()

    @property
    def ended(self) -> bool:
        """Whether the last gzip stream is whole."""
        return self._gzip is None


class Lines:
    """Puts unpacked stretches together to whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def whole(self, stretch: bytes) -> bytes:
        """All lines that have ended with this stretch, line ends included."""
        end = stretch.rfind(b"\n") + 1
        if not end:
            self._rest += stretch
            if len(self._rest) > LONGEST_LINE:
                raise ValueError("holds a line that is longer than any item")
            return b""
        lines, self._rest = self._rest + stretch[:end], stretch[end:]
        return lines

    def last(self) -> bytes:
        """What stands after the last line end."""
        rest, self._rest = self._rest, b""
        return rest
