"""Ctrl-C and SIGTERM: the process is gone within two seconds, whatever it is doing, and can be resumed.

Both raise where the main thread stands, so that worker processes are stopped and the journal is told how the run ended.
But Python runs its handlers only between two of its own steps: a name that is being resolved, or a thread that is
waited for, would make the user wait. So a thread of its own is woken by the system itself and, when the grace is over,
ends the process as it is: nothing is held that the journal does not hold, and workers end with their parent.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 1.5
"""Seconds in which the process may end in an orderly way."""

BY_TYPER: int = 128 + signal.SIGINT
"""The exit code that typer makes of any interrupt."""

_SHOW_CURSOR = "\x1b[?25h"


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: whatever handles Ctrl-C handles this in the same way."""

    exit_code = 128 + signal.SIGTERM


class Interruption:
    """What a block was interrupted by, as the exit code that shells have for it; Ctrl-C unless SIGTERM came."""

    def __init__(self) -> None:
        self.exit_code = BY_TYPER

    def terminate(self, number: int, _frame: FrameType | None) -> None:
        """The handler of SIGTERM."""
        self.exit_code = 128 + number
        raise Terminated


@contextmanager
def bounded(last_words: Callable[[int], None], grace: float = GRACE) -> Iterator[Interruption]:
    """While the block runs, a signal interrupts it; a block that has not ended `grace` seconds later is cut off.

    `last_words` is then called with the exit code, in another thread. To be entered in the main thread only.
    """
    interruption = Interruption()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, interruption.terminate)
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_cut_off, args=(reader, ended, last_words, grace), name="end-in-time", daemon=True)
    watch.start()
    try:
        yield interruption
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        ended.set()
        writer.close()
        watch.join()
        reader.close()


def _cut_off(reader: socket.socket, ended: threading.Event, last_words: Callable[[int], None], grace: float) -> None:
    while received := reader.recv(1):
        if received[0] in (signal.SIGINT, signal.SIGTERM):
            if ended.wait(grace):
                return
            code = 128 + received[0]
            if sys.stderr.isatty():
                sys.stderr.write(_SHOW_CURSOR)
            last_words(code)
            os._exit(code)
