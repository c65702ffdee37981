"""Stopping a run from outside: its time-box has ended, somebody cancels it, or its lease can no longer be renewed.

As with Ctrl-C the main thread is interrupted where it stands, worker processes are ended and every step goes on from
its checkpoint when the run is resumed: whatever a run does may be cut off anywhere, so nothing has to be asked to
finish. Signals reach the main thread only; a run that is carried by another thread has its lanes ended and its longer
waits cut short, and stops before its next step or write at the latest.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from downstage.app.clock import SystemClock
from downstage.errors import DownstageError
from downstage.ports import Engine, Lane


class Halted(KeyboardInterrupt):
    """The run stops here; `reason` is the error that is told."""

    def __init__(self, reason: DownstageError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Brake:
    """Stops the main thread once. `pull` may be called from any thread; after `release` it does nothing more."""

    def __init__(self, end_lanes: Callable[[], None] = lambda: None) -> None:
        self._reason: DownstageError | None = None
        self._armed = False
        self._main = False
        self._ready = False
        self._turn = threading.Lock()
        self._pulled = threading.Event()
        self._end_lanes = end_lanes

    def pull(self, reason: DownstageError) -> None:
        """Interrupts the run. In another thread than the main one its lanes are ended: who waits for them hears it."""
        with self._turn:  # once nobody handles the signal it would end the process
            if self._reason is not None:
                return
            self._reason = reason
            if self._main and self._ready:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        if not self._main and self._armed:
            self._pulled.set()
            self._end_lanes()

    def check(self) -> None:
        """Raises Halted if the brake was pulled."""
        if self._armed and self._reason is not None:
            raise Halted(self._reason)

    def sleep(self, seconds: float) -> None:
        """Waits, but no longer than until the brake is pulled. Raises Halted then."""
        if self._main:
            time.sleep(seconds)  # which a signal interrupts
        elif self._pulled.wait(seconds):
            self.check()

    def release(self) -> None:
        """From here on the run is being ended, and is not interrupted any more."""
        self._armed = False

    @contextmanager
    def ready(self, time_box: float | None, over: DownstageError) -> Iterator[None]:
        """Lets the run be stopped in the block; by itself, for the reason `over`, after `time_box` seconds. Raises
        Halted if the brake was pulled before."""
        self._main = threading.current_thread() is threading.main_thread()
        self._armed = True
        if not self._main:
            timer = threading.Timer(time_box or 0.0, self.pull, (over,))
            timer.daemon = True
            if time_box is not None:
                timer.start()
            try:
                self.check()
                yield
            finally:
                self._armed = False
                timer.cancel()
            return

        def stop(number: int, _frame: FrameType | None) -> None:
            if number == signal.SIGALRM and self._reason is None:
                self._reason = over
            self.check()

        numbers = (signal.SIGUSR1, *((signal.SIGALRM,) if time_box is not None else ()))
        before = {number: signal.signal(number, stop) for number in numbers}
        self._ready = True
        if time_box is not None:
            signal.setitimer(signal.ITIMER_REAL, time_box)
        try:
            self.check()
            yield
        finally:
            self._armed = False
            with self._turn:
                self._ready = False
            if time_box is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)


class BrakedClock(SystemClock):
    """The machine's clock, on which nobody sleeps longer than the run may go on."""

    def __init__(self, brake: Brake) -> None:
        self._brake = brake

    def sleep(self, seconds: float) -> None:
        """Waits. Raises Halted if the brake is pulled meanwhile."""
        self._brake.sleep(seconds)


class BrakedEngine:
    """Implements `ports.Engine`: lanes that the brake or `stop` has ended are no failure of the step that waits for
    them."""

    def __init__(self, engine: Engine, brake: Brake) -> None:
        self._engine = engine
        self._brake = brake
        self._stopped = False

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Lanes as they end. Raises Halted if the brake was pulled, or the lanes were stopped."""
        try:
            yield from self._engine.run(work, lanes)
        except Exception:
            self._brake.check()
            if self._stopped:
                raise Halted(DownstageError("the lanes were stopped: resume the run")) from None
            raise

    def stop(self) -> None:
        """Ends every lane at once."""
        self._stopped = True
        self._engine.stop()
