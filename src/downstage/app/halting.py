"""Stopping a run from outside: its time-box has ended, somebody cancels it, or its lease can no longer be renewed.

As with Ctrl-C the main thread is interrupted where it stands, worker processes are ended and every step goes on from
its checkpoint when the run is resumed: whatever a run does may be cut off anywhere, so nothing has to be asked to
finish. Signals reach the main thread only; a run that is carried by another thread stops before its next step or write.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from downstage.errors import DownstageError, UsageError


class Halted(KeyboardInterrupt):
    """The run stops here; `reason` is the error that is told."""

    def __init__(self, reason: DownstageError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Brake:
    """Stops the main thread once. `pull` may be called from any thread; after `release` it does nothing more."""

    def __init__(self) -> None:
        self._reason: DownstageError | None = None
        self._armed = False
        self._main = False

    def pull(self, reason: DownstageError) -> None:
        """Interrupts the run."""
        if self._reason is None:
            self._reason = reason
            if self._main:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def check(self) -> None:
        """Raises Halted if the brake was pulled."""
        if self._armed and self._reason is not None:
            raise Halted(self._reason)

    def release(self) -> None:
        """From here on the run is being ended, and is not interrupted any more."""
        self._armed = False

    @contextmanager
    def ready(self, time_box: float | None, over: DownstageError) -> Iterator[None]:
        """Lets the run be stopped in the block; by itself, for the reason `over`, after `time_box` seconds."""
        self._main = threading.current_thread() is threading.main_thread()
        self._armed = True
        if not self._main:
            if time_box is not None:
                raise UsageError("a time-box needs the main thread: run one process a run")
            try:
                yield
            finally:
                self._armed = False
            return

        def stop(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGALRM and self._reason is None:
                self._reason = over
            self.check()

        numbers = (signal.SIGUSR1, *((signal.SIGALRM,) if time_box is not None else ()))
        before = {number: signal.signal(number, stop) for number in numbers}
        if time_box is not None:
            signal.setitimer(signal.ITIMER_REAL, time_box)
        try:
            yield
        finally:
            self._armed = False
            if time_box is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
