"""A stream that a long run may write to: it never raises, whatever became of the terminal behind it.

A closed terminal, a broken pipe or a character that the encoding lacks must not end a refresh at hour nine. The
first two silence the stream for good, the third is written as an escape. Lines are written whole, by any thread.
"""

from __future__ import annotations

import threading
from typing import TextIO


class SteadyStream:
    """Wraps a text stream; has what `rich.console.Console` asks of a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._silent = False
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether ticks, dots and arrows can be written."""
        return self.encoding.lower().replace("-", "").startswith("utf")

    def write(self, text: str) -> int:
        """Writes what can be written; gives the length of `text` in any case."""
        safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        with self._lock:
            if not self._silent:
                try:
                    self._stream.write(safe)
                except (OSError, ValueError):
                    self._silent = True
        return len(text)

    def flush(self) -> None:
        """Flushes, if the stream is still there."""
        with self._lock:
            if not self._silent:
                try:
                    self._stream.flush()
                except (OSError, ValueError):
                    self._silent = True

    def line(self, text: str) -> None:
        """One whole line, seen at once."""
        self.write(f"{text}\n")
        self.flush()

    def isatty(self) -> bool:
        """Whether a person sits in front of it."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """The descriptor beneath, for the size of the terminal."""
        return self._stream.fileno()
