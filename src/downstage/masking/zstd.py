"""Zstandard: its frames undone within a limit, and made again.

The four bytes that a frame starts with are no accident (1 in 4 * 10^9), so what has them and cannot be looked into is
refused: a frame that needs a dictionary, asks for a larger window than a value can fill, is cut off or is damaged.
What a frame claims to hold is not believed: memory is taken for what comes out, a few input bytes at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import zstandard

from downstage.errors import MaskingError

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPED_MAGIC = b"\x2a\x4d\x18"
_SKIPPED_HEADER = 8
_LARGEST_WINDOW = 8 * 1024 * 1024
_STEP = 128
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Frames:
    """The content of all frames together, what stood in frames that are skipped, and the `rest` after the last."""

    content: bytes
    skipped: bytes
    rest: bytes
    exceeded: bool


def begins(raw: bytes) -> bool:
    """Whether `raw` begins with a frame, or with a skipped one before it."""
    return raw[:4] == MAGIC or (_is_skipped(raw) and _after_skipped(raw)[:4] == MAGIC)


def decompress(raw: bytes, limit: int, most: int) -> Frames:
    """The frames with which `raw` begins, of `most` frames at most. Raises MaskingError if one cannot be read."""
    contents: list[bytes] = []
    skipped: list[bytes] = []
    left = limit
    for _ in range(most):
        if _is_skipped(raw):
            rest = _after_skipped(raw)
            skipped.append(raw[_SKIPPED_HEADER : len(raw) - len(rest)])
            raw = rest
        elif raw[:4] == MAGIC:
            content, raw = _frame(raw, left)
            contents.append(content)
            left -= len(content)
        else:
            return Frames(b"".join(contents), b"\n".join(skipped), raw, False)
        if left < 0:
            break
    more = left < 0 or _is_skipped(raw) or raw[:4] == MAGIC
    return Frames(b"".join(contents), b"\n".join(skipped), raw, more)


def compress(content: bytes) -> bytes:
    """`content` in one frame."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(content)


def _frame(raw: bytes, limit: int) -> tuple[bytes, bytes]:
    """The content of the first frame, not much more than `limit` of it, and what follows."""
    inflater = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
    contents: list[bytes] = []
    left = limit
    for at in range(0, len(raw), _STEP):
        try:
            contents.append(inflater.decompress(raw[at : at + _STEP]))
        except zstandard.ZstdError:
            raise MaskingError("a zstd value cannot be looked into: it is refused") from None
        left -= len(contents[-1])
        if inflater.eof:
            return b"".join(contents), inflater.unused_data + raw[at + _STEP :]
        if left < 0:
            return b"".join(contents), b""
    raise MaskingError("a zstd value is cut off: it is refused")


def _is_skipped(raw: bytes) -> bool:
    return len(raw) >= _SKIPPED_HEADER and raw[0] & 0xF0 == 0x50 and raw[1:4] == _SKIPPED_MAGIC


def _after_skipped(raw: bytes) -> bytes:
    return raw[_SKIPPED_HEADER + int.from_bytes(raw[4:_SKIPPED_HEADER], "little") :]
