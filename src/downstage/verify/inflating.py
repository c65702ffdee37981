"""Compressed streams, undone within a bound: the caller says how much, and is told when it was not enough."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import zstandard

from downstage.verify.readable import CONTROL, readable

_MIN_DEFLATE = 24
_MAX_MEMBERS = 64

_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ZSTD_WINDOW = 1 << 27  # as much as the zstd program itself takes without being told
_SLICE = 64  # bytes; they can hold 2 MB


@dataclass(frozen=True, slots=True)
class Inflated:
    """One stream undone. `layer` is gzip, zlib, zstd or deflate; `exceeded`: it holds more than the limit
    allowed."""

    layer: str
    data: bytes
    exceeded: bool


def may_inflate(data: bytes) -> bool:
    """Whether `data` begins as gzip, zlib, zstd or (at 24 bytes or more) raw deflate may begin."""
    if len(data) < 8:
        return False
    return data[:3] == _GZIP or _is_zstd(data) or _is_zlib(data) or (_may_deflate(data) and readable(data) is None)


def _is_zstd(data: bytes) -> bool:
    return data[:4] == _ZSTD or _ZSTD_SKIPPABLE.match(data) is not None


def _is_zlib(data: bytes) -> bool:
    return data[0] & 0x8F == 0x08 and (data[0] << 8 | data[1]) % 31 == 0


def _may_deflate(data: bytes) -> bool:
    return len(data) >= _MIN_DEFLATE and data[0] & 7 in (2, 3, 4, 5)


def inflate(data: bytes, limit: int) -> Inflated | None:
    """Undo the compression of `data`, `limit` bytes at most; None if it is not compressed.

    Raw deflate has no mark of its own: it counts only if the stream ends where the data ends and gives a
    text.
    """
    if data[:3] == _GZIP:
        return _members(data, limit)
    if _is_zstd(data):
        return _frames(data, limit)
    if len(data) >= 8 and _is_zlib(data):
        whole = _stream(data, 15, limit)
        if whole is not None:
            return Inflated("zlib", whole[0], len(whole[0]) > limit)
    if _may_deflate(data):
        whole = _stream(data, -15, limit)
        if whole is not None and whole[1] == b"":
            exceeded = len(whole[0]) > limit
            if CONTROL.search(whole[0].decode("latin-1")) is None if exceeded else readable(whole[0]):
                return Inflated("deflate", whole[0], exceeded)
    return None


def _stream(data: bytes, window: int, limit: int) -> tuple[bytes, bytes | None] | None:
    """(content, what follows the stream or None if it is cut off), or None if it is no such stream."""
    stream = zlib.decompressobj(window)
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error:
        return None
    return content, stream.unused_data if stream.eof else (b"" if len(content) > limit else None)


def _members(data: bytes, limit: int) -> Inflated | None:
    """All members of a gzip file, one after the other."""
    content = bytearray()
    rest: bytes | None = data
    for _ in range(_MAX_MEMBERS):
        member = _stream(rest, 31, limit - len(content)) if rest and rest[:3] == _GZIP else None
        if member is None:
            return Inflated("gzip", bytes(content), exceeded=False) if content else None
        content += member[0]
        rest = member[1]
        if len(content) > limit:
            break
    return Inflated("gzip", bytes(content), exceeded=True)


def _frames(data: bytes, limit: int) -> Inflated | None:
    """All frames of a zstd file, as far as they can be read; None if nothing can.

    A frame that needs a dictionary, or a larger window than anybody takes by default, cannot be proven clean: it
    counts as one that holds too much.
    """
    content = bytearray()
    rest = data
    for _ in range(_MAX_MEMBERS):
        if not _is_zstd(rest):
            return Inflated("zstd", bytes(content), exceeded=False) if content else None
        if _is_out_of_reach(rest):
            break
        frame, following = (
            _frame(rest, limit - len(content), _SLICE) or _frame(rest, limit - len(content), 1) or (b"", b"")
        )
        content += frame
        rest = following
        if len(content) > limit:
            break
    return Inflated("zstd", bytes(content), exceeded=True)


def _frame(data: bytes, limit: int, size: int) -> tuple[bytes, bytes] | None:
    """(content, what follows) of one frame, fed in slices, since a few bytes may hold very much; a frame that breaks
    off or breaks has what came before. None if it breaks and smaller slices might show more."""
    content = bytearray()
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for start in range(0, len(data), size):
        try:
            content += stream.decompress(data[start : start + size])
        except zstandard.ZstdError:
            return (bytes(content), b"") if size == 1 else None
        if stream.eof:
            return bytes(content), stream.unused_data + data[start + size :]
        if len(content) > limit:
            break
    return bytes(content), b""


def _is_out_of_reach(data: bytes) -> bool:
    """Whether a sound frame begins here that yet cannot be read."""
    try:
        header = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError:
        return False
    return bool(header.dict_id) or header.window_size > _ZSTD_WINDOW
