"""Compressed streams: gzip, zlib, raw deflate and zstd, undone within a limit and made again the same way.

Raw deflate has no mark of its own: it counts only if the stream ends where the bytes end. A stream is made again only
if something in it was replaced; the result is the same on every machine (no time, no name in the header).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from downstage.masking import zstd

MAXIMUM_INFLATED = 4 * 1024 * 1024
_GZIP, _ZLIB, _DEFLATE = 31, 15, -15
_GZIP_MAGIC = b"\x1f\x8b\x08"
_NAMED = 0x1C
_CHECKED, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_STEP = 64
_LONGEST_HEADER = 1024
_SHORTEST_DEFLATE = 24
_MAXIMUM_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: its `content`, and the `rest` of the bytes after its end.

    `complete`: its end was there. `exceeded`: it holds more than may be looked into. `header`: what may stand in it
    besides the content (the name that gzip keeps of a file), `skipped` what zstd skips; neither is made again.
    """

    compressor: Callable[[bytes], bytes]
    content: bytes
    rest: bytes
    complete: bool
    exceeded: bool
    header: bytes
    skipped: bytes = b""

    def compress(self, content: bytes) -> bytes:
        """`content` as a stream of the same kind."""
        return self.compressor(content)


def inflate(raw: bytes) -> Stream | None:
    """The stream with which `raw` begins, or None if it begins with none."""
    if raw[:3] == _GZIP_MAGIC:
        return _members(raw)
    if zstd.begins(raw):
        frames = zstd.decompress(raw, MAXIMUM_INFLATED, _MAXIMUM_MEMBERS)
        return Stream(zstd.compress, frames.content, frames.rest, True, frames.exceeded, b"", frames.skipped)
    if len(raw) >= 8 and raw[0] & 0x8F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
        stream = _inflate(raw, _ZLIB, MAXIMUM_INFLATED)
        if stream is not None:
            return stream
    if len(raw) >= _SHORTEST_DEFLATE and raw[0] & 7 in (2, 3, 4, 5):
        stream = _inflate(raw, _DEFLATE, MAXIMUM_INFLATED)
        if stream is not None and not stream.rest and (stream.complete or stream.exceeded):
            return stream
    return None


def damaged(raw: bytes) -> bytes:
    """What can be read of a gzip or zlib stream that `inflate` does not take: its checksum may be wrong, or it breaks
    off into something else. Empty if nothing can."""
    if raw[:3] == _GZIP_MAGIC:
        start = _gzip_body(raw)
    elif len(raw) >= 8 and raw[0] & 0x8F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
        start = 2
    else:
        return b""
    inflater = zlib.decompressobj(_DEFLATE)
    contents: list[bytes] = []
    left = MAXIMUM_INFLATED
    for at in range(start, len(raw), _STEP):
        try:
            contents.append(inflater.decompress(raw[at : at + _STEP], left + 1))
        except zlib.error:
            break
        left -= len(contents[-1])
        if left < 0 or inflater.eof:
            break
    return b"".join(contents)


def may_be_compressed(raw: bytes) -> bool:
    """Whether anything can be read of `raw` as a compressed stream, whole or damaged."""
    return inflate(raw) is not None or damaged(raw) != b""


def _gzip_body(raw: bytes) -> int:
    """Where the deflated content of a gzip member starts."""
    flags, start = raw[3] if len(raw) > 3 else 0, 10
    if flags & _EXTRA:
        start += 2 + int.from_bytes(raw[start : start + 2], "little")
    for named in (_NAME, _COMMENT):
        if flags & named:
            end = raw.find(b"\x00", start)
            start = len(raw) if end < 0 else end + 1
    return start + 2 * bool(flags & _CHECKED)


def _deflate(window: int, content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=window)
    return deflater.compress(content) + deflater.flush()


def _members(raw: bytes) -> Stream | None:
    """All members of a gzip file. Together they are one content: an address may begin in one and end in the next."""
    first = stream = _inflate(raw, _GZIP, MAXIMUM_INFLATED)
    if first is None or stream is None:
        return None
    contents = [first.content]
    left = MAXIMUM_INFLATED - len(first.content)
    members = 1
    while left >= 0 and stream.rest[:3] == _GZIP_MAGIC:
        following = _inflate(stream.rest, _GZIP, left) if members < _MAXIMUM_MEMBERS else None
        if following is None:
            left = -1
            break
        stream = following
        contents.append(stream.content)
        left -= len(stream.content)
        members += 1
    return Stream(first.compressor, b"".join(contents), stream.rest, stream.complete, left < 0, first.header)


def _inflate(raw: bytes, window: int, limit: int) -> Stream | None:
    inflater = zlib.decompressobj(window)
    try:
        content = inflater.decompress(raw, limit + 1)
    except zlib.error:
        return None
    named = window == _GZIP and len(raw) > 3 and raw[3] & _NAMED
    return Stream(
        partial(_deflate, window),
        content,
        inflater.unused_data,
        inflater.eof,
        len(content) > limit,
        raw[:_LONGEST_HEADER] if named else b"",
    )
