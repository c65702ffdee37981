"""Compressed streams: gzip, zlib and raw deflate, undone within a limit and made again the same way.

Raw deflate has no mark of its own: it counts only if the stream ends where the bytes end. A stream is made again only
if something in it was replaced; the result is the same on every machine (no time, no name in the header).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

MAXIMUM_INFLATED = 4 * 1024 * 1024
_GZIP, _ZLIB, _DEFLATE = 31, 15, -15
_GZIP_MAGIC = b"\x1f\x8b\x08"
_NAMED = 0x1C
_LONGEST_HEADER = 1024
_SHORTEST_DEFLATE = 24
_MAXIMUM_MEMBERS = 64


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: its `content`, and the `rest` of the bytes after its end.

    `complete`: its end was there. `exceeded`: it holds more than may be looked into. `header`: what may stand in it
    besides the content (the name that gzip keeps of a file).
    """

    window: int
    content: bytes
    rest: bytes
    complete: bool
    exceeded: bool
    header: bytes

    def compress(self, content: bytes) -> bytes:
        """`content` as a stream of the same kind."""
        deflater = zlib.compressobj(wbits=self.window)
        return deflater.compress(content) + deflater.flush()


def inflate(raw: bytes) -> Stream | None:
    """The stream with which `raw` begins, or None if it begins with none."""
    if raw[:3] == _GZIP_MAGIC:
        return _members(raw)
    if len(raw) >= 8 and raw[0] & 0x8F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0:
        stream = _inflate(raw, _ZLIB, MAXIMUM_INFLATED)
        if stream is not None:
            return stream
    if len(raw) >= _SHORTEST_DEFLATE and raw[0] & 7 in (2, 3, 4, 5):
        stream = _inflate(raw, _DEFLATE, MAXIMUM_INFLATED)
        if stream is not None and not stream.rest and (stream.complete or stream.exceeded):
            return stream
    return None


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
    return Stream(_GZIP, b"".join(contents), stream.rest, stream.complete, left < 0, first.header)


def _inflate(raw: bytes, window: int, limit: int) -> Stream | None:
    inflater = zlib.decompressobj(window)
    try:
        content = inflater.decompress(raw, limit + 1)
    except zlib.error:
        return None
    named = window == _GZIP and len(raw) > 3 and raw[3] & _NAMED
    return Stream(
        window,
        content,
        inflater.unused_data,
        inflater.eof,
        len(content) > limit,
        raw[:_LONGEST_HEADER] if named else b"",
    )
