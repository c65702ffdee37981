"""Keeping a lease, and watching that it is kept: in threads, because what a run does may hang anywhere.

Rules: a beat that fails is tried again at once, with calls that give up within seconds, for as long as the lease
holds; who cannot know any more that it holds ends the process, and never the other way round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from downstage.aws.control_table import ControlTable
from downstage.aws.lease import BEAT, MARGIN, SECONDS, EnvironmentLease
from downstage.aws.lease_item import PK, Seen
from downstage.errors import DownstageError, LeaseLost
from downstage.ports import Clock


class Heart:
    """Renews a lease from a thread of its own, and watches from another that it does not run out.

    `losing` is called once, when the lease will soon expire or somebody has asked for a stop: there is time to end in
    an orderly way. `lost` is called when there is none: the process must be gone when it returns.
    """

    def __init__(self, lease: EnvironmentLease, *, losing: Callable[[], None], lost: Callable[[], None]) -> None:
        self._lease = lease
        self._losing = losing
        self._lost = lost
        self._told = False
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._renew, name="lease-beat", daemon=True),
            threading.Thread(target=self._watch, name="lease-watch", daemon=True),
        ]

    def __enter__(self) -> Heart:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """No more beats. One that is under way may still end: what was let go of meanwhile it does not renew."""
        self._ended.set()

    def _renew(self) -> None:
        wait = BEAT
        while not self._ended.wait(wait):
            wait = BEAT
            try:
                self._lease.beat()
            except LeaseLost:
                return  # the watch says what follows
            except DownstageError:
                wait = 1.0  # asked again at once: there is time until it expires
            except Exception:  # noqa: BLE001  a mistake of ours: the watch says what follows
                return

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self.look()

    def look(self) -> None:
        """One look at how long the lease still holds."""
        left = self._lease.left()
        if left <= 1.0 and not self._ended.is_set():
            self._lost()
        elif not self._told and (left <= MARGIN or self._lease.stop_wanted):
            self._told = True
            self._losing()


class LeaseWatch:
    """What a worker process knows of the lease that another process renews: it looks itself, and ends in time.

    Each look that finds the beat moved shows that it was renewed after the look before; from then on it holds for
    `SECONDS`. `lost` is called when that is over, or another has the lease: the process must be gone when it returns.
    """

    def __init__(
        self, table: ControlTable, environment: str, run_id: str, *, clock: Clock, lost: Callable[[], None]
    ) -> None:
        self._table = table
        self._environment = environment
        self._run_id = run_id
        self._clock = clock
        self._lost = lost
        self._seen: tuple[str, int] | None = None
        self._looked = clock.monotonic()
        self._valid_until = self._looked + SECONDS / 2  # who started this process had it then

    def start(self) -> None:
        """Looks and watches from now on, in threads."""
        for name, each, pause in (("lease-look", self.look, BEAT / 2), ("lease-end", self.check, 0.5)):
            threading.Thread(target=_again_and_again, args=(each, pause), name=name, daemon=True).start()

    def look(self) -> None:
        """Reads the lease. One that cannot be read is looked at again: there is time until it expires."""
        sent = self._clock.monotonic()
        try:
            item = self._table.get(PK, self._environment)
        except DownstageError:
            return
        seen = None if item is None else Seen.of(item)
        if seen is None or (seen.run_id, seen.state) != (self._run_id, "held"):
            self._lost()
            return
        if self._seen is None:
            self._seen = (seen.mark, seen.beat)
        elif seen.mark != self._seen[0]:
            self._lost()
        elif seen.beat != self._seen[1]:
            self._seen = (seen.mark, seen.beat)
            self._valid_until = self._looked + SECONDS
        self._looked = sent

    def check(self) -> None:
        """Ends the process if the lease could have expired."""
        if self._clock.monotonic() > self._valid_until - 1.0:
            self._lost()


def _again_and_again(each: Callable[[], None], pause: float) -> None:
    while True:
        each()
        threading.Event().wait(pause)
