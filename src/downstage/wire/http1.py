"""HTTP/1.1 as AWS speaks it: a request's bytes, and a response taken from a stream piece by piece. No I/O.

Bodies may be sized, chunked, or run to the end of the connection; interim answers (1xx) are skipped. Whatever breaks
the rules, or is larger than any answer of AWS, is a ProtocolError: the connection is then not to be used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

LARGEST_HEAD = 64 * 1024
LARGEST_BODY = 64 * 1024 * 1024
_FIRST_READ = 16 * 1024
_LARGEST_STEP = 1024 * 1024
_CHUNK_LINE = 1024


class ProtocolError(Exception):
    """What came is no HTTP answer, or broke off. Holds nothing of what came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. Header names are in lower case; of a repeated header the last counts. `reusable`: the
    connection may carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    reusable: bool


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """One request, ready to be written. `target` is path and query; a length is added to the headers."""
    head = [f"{method} {target} HTTP/1.1\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in headers.items()]
    head.append(f"content-length: {len(body)}\r\n\r\n")
    return "".join(head).encode("latin-1") + body


class _State(Enum):
    HEAD = 1
    SIZED = 2
    CHUNK_SIZE = 3
    CHUNK = 4
    TRAILER = 5
    TO_THE_END = 6


class AnswerParser:
    """Takes one answer from the bytes of a connection, without copying a sized body twice.

    `space` is where the next bytes go; `received` says how many came, and gives the answer once it is whole. `bodyless`
    answers (to HEAD) end with their head whatever length they tell.
    """

    def __init__(self, *, bodyless: bool = False) -> None:
        self._bodyless = bodyless
        self._buffer = bytearray(_FIRST_READ)
        self._filled = 0
        self._at = 0
        self._state = _State.HEAD
        self._status = 0
        self._headers: dict[str, str] = {}
        self._end = 0
        self._chunks: list[bytes] = []
        self._body_size = 0

    @property
    def started(self) -> bool:
        """Whether a byte of the answer has come."""
        return self._filled > 0

    def space(self) -> memoryview:
        """Where to put the next bytes; never empty."""
        if self._filled == len(self._buffer):
            self._grow(len(self._buffer) + min(len(self._buffer), _LARGEST_STEP))
        return memoryview(self._buffer)[self._filled :]

    def received(self, count: int) -> Answer | None:
        """Takes note of `count` bytes in `space`; the answer, if it is whole. Raises ProtocolError."""
        self._filled += count
        while True:
            if self._state is _State.HEAD:
                if not self._head():
                    return None
                if self._state is _State.HEAD:
                    continue
            if self._state is _State.SIZED:
                return self._answer(self._end) if self._filled >= self._end else None
            if self._state is _State.TO_THE_END:
                self._check_size(self._filled - self._at)
                return None
            if not self._chunked():
                return None

    def ended(self) -> Answer:
        """The connection was closed: the answer, if that is how it ends. Raises ProtocolError if it broke off."""
        if self._state is not _State.TO_THE_END:
            raise ProtocolError("the connection broke off within an answer")
        return Answer(self._status, self._headers, bytes(self._buffer[self._at : self._filled]), reusable=False)

    def _head(self) -> bool:
        """Reads status line and headers, once they are whole."""
        end = self._buffer.find(b"\r\n\r\n", self._at, self._filled)
        if end < 0:
            if self._filled - self._at > LARGEST_HEAD:
                raise ProtocolError("the head of an answer has no end")
            return False
        lines = bytes(self._buffer[self._at : end]).decode("latin-1").split("\r\n")
        self._at = end + 4
        version, _, rest = lines[0].partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
            raise ProtocolError("an answer does not begin as HTTP does")
        self._status = int(rest[:3])
        self._headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or not name:
                raise ProtocolError("a header of an answer is malformed")
            self._headers[name.lower()] = value.strip()
        if 100 <= self._status < 200:
            return True
        self._begin_body(version)
        return True

    def _begin_body(self, version: str) -> None:
        if self._bodyless or self._status in (204, 304):
            self._size(0)
        elif "chunked" in self._headers.get("transfer-encoding", "").lower():
            self._state = _State.CHUNK_SIZE
        elif "content-length" in self._headers:
            length = self._headers["content-length"]
            if not length.isdigit():
                raise ProtocolError("an answer tells no usable length")
            self._size(int(length))
        else:
            self._state = _State.TO_THE_END
        if version == "HTTP/1.0":
            self._headers.setdefault("connection", "close")

    def _size(self, length: int) -> None:
        self._check_size(length)
        self._state = _State.SIZED
        self._end = self._at + length
        if self._end > len(self._buffer):
            self._grow(self._end)

    def _chunked(self) -> bool:
        """Takes the next piece of a chunked body, if it is there."""
        if self._state is _State.CHUNK:
            if self._filled < self._end + 2:
                return False
            if self._buffer[self._end : self._end + 2] != b"\r\n":
                raise ProtocolError("a chunk of an answer has another length than it tells")
            self._chunks.append(bytes(self._buffer[self._at : self._end]))
            self._at = self._end + 2
            self._state = _State.CHUNK_SIZE
        end = self._buffer.find(b"\r\n", self._at, self._filled)
        if end < 0:
            if self._filled - self._at > _CHUNK_LINE:
                raise ProtocolError("a chunk of an answer tells no length")
            return False
        line = bytes(self._buffer[self._at : end])
        self._at = end + 2
        if self._state is _State.TRAILER:
            if not line:
                self._size(0)
            return True
        size = line.partition(b";")[0].strip()
        try:
            length = int(size, 16) if size.isalnum() else -1
        except ValueError:
            length = -1
        if length < 0:
            raise ProtocolError("a chunk of an answer tells no length")
        if length == 0:
            self._state = _State.TRAILER
            return True
        self._body_size += length
        self._check_size(self._body_size)
        self._state = _State.CHUNK
        self._end = self._at + length
        return True

    def _grow(self, size: int) -> None:
        """A larger buffer in place of this one, which whoever reads into it may still hold."""
        larger = bytearray(size)
        larger[: self._filled] = memoryview(self._buffer)[: self._filled]
        self._buffer = larger

    def _check_size(self, size: int) -> None:
        if size > LARGEST_BODY:
            raise ProtocolError("an answer is larger than any of AWS")

    def _answer(self, end: int) -> Answer:
        body = b"".join(self._chunks) if self._chunks else bytes(self._buffer[self._at : end])
        closes = self._headers.get("connection", "").lower() == "close"
        return Answer(self._status, self._headers, body, reusable=not closes and self._filled == end)
