"""The lines of a sync on their way from worker processes to the one that shows them.

A socket of this machine in a folder that only this user can open; each line is one event as JSON, redacted before it
leaves the worker. Lines are told, never counted on: a worker that cannot reach the socket, or whose reader does not
read (the one who shows them is held up), goes on without after a few seconds. A worker ends its lines with a sign;
where it is missing, it is said that lines are lost.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from downstage.domain.events import Event, Note, ObjectSynced

_BATCH = 64 * 1024
_HELD = 4096
_IDLE = 0.1
_PATIENCE = 5.0
"""Seconds that a worker waits for its reader, once: then it tells nothing more."""

_END = b"end"
_LOST = (
    "some lines of this sync are lost: the process that shows them was held up, or a worker ended early; what was "
    "done, and what the report counts, does not depend on them"
)


@contextmanager
def listening(emit: Callable[[Event], None]) -> Iterator[str]:
    """A place where workers may tell their events, as a path; `emit` gets them until the block ends, each once."""
    with tempfile.TemporaryDirectory(prefix="downstage-") as folder:
        path = str(Path(folder) / "lines")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen()
        server.settimeout(_IDLE)
        readers: list[threading.Thread] = []
        ended = threading.Event()

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    if ended.is_set():
                        return  # and nobody is waiting any more
                    continue
                reader = threading.Thread(target=_read, args=(connection, emit), name="sync-lines", daemon=True)
                reader.start()
                readers.append(reader)

        accepting = threading.Thread(target=accept, name="sync-listen", daemon=True)
        accepting.start()
        try:
            yield path
        finally:
            ended.set()
            accepting.join()
            server.close()
            for reader in readers:
                reader.join(_PATIENCE)


class Teller:
    """Tells events to a path of `listening`. They are sent in batches; `close` sends the last."""

    def __init__(self, path: str) -> None:
        self._held: list[bytes] = []
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(path)
        except OSError:
            self._drop()

    def emit(self, event: Event) -> None:
        """Tells one object's operation; of other events there are none in a worker."""
        if isinstance(event, ObjectSynced):
            self._held.append(orjson.dumps([event.bucket, event.action, event.key, event.reason]) + b"\n")
            if len(self._held) >= _HELD:
                self.flush()

    def flush(self) -> None:
        """Sends what is held."""
        held, self._held = self._held, []
        if self._socket is not None and held:
            try:
                self._socket.sendall(b"".join(held))
            except OSError:
                self._drop()

    def close(self) -> None:
        """Sends what is held, and that this was all."""
        self._held.append(_END + b"\n")
        self.flush()
        self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _read(connection: socket.socket, emit: Callable[[Event], None]) -> None:
    left = b""
    with connection, suppress(OSError):
        while received := connection.recv(_BATCH):
            *lines, left = (left + received).split(b"\n")
            for line in lines:
                if line == _END:
                    return
                emit(ObjectSynced(*orjson.loads(line)))
    emit(Note(_LOST))
