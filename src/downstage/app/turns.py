"""Whose turn it is: the right to change one environment, held by one run at a time.

On one machine and state directory it is a lock file, which the kernel lets go of however the process ends. With a
control table it is a lease in the target's account as well, which other machines see; it outlives the process, so that
a run that is parked or was killed keeps the environment until it is resumed or cancelled.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from downstage.errors import DownstageError, HeldByAnother, UsageError
from downstage.ports import LastLoad, Lease

_LOOKING = 1.0
"""Whoever looks at a run holds its lock for an instant: that must not pass for another run."""


class Turn:
    """The turn while it is held. With `keeps` set the environment stays the run's when the block has ended."""

    def __init__(self, lease: Lease | None) -> None:
        self.lease = lease
        self.keeps = False

    @property
    def last_load(self) -> LastLoad:
        """The last load of the environment by a run that held the lease; empty if nobody can know."""
        return LastLoad() if self.lease is None else self.lease.last_load

    def loading(self) -> None:
        """To be called before the run loads the environment. Raises LeaseLost."""
        if self.lease is not None:
            self.lease.loading()

    def check(self) -> None:
        """Raises LeaseLost if it could be another's turn by now."""
        if self.lease is not None:
            self.lease.check()

    def end(self) -> None:
        """Lets go of the lease, or parks it. If it cannot be told now, whoever comes next finds a silent holder."""
        if self.lease is None:
            return
        with suppress(DownstageError):
            if self.keeps:
                self.lease.park()
            else:
                self.lease.release()


class LockFile:
    """The lock of one environment in one state directory."""

    def __init__(self, state: Path, environment: str) -> None:
        self.environment = environment
        self._state = state
        self.path = state / f"{environment}.lock"

    def holder(self, run_id: str | None = None) -> int | None:
        """The process that holds the lock (for `run_id`, if that is given), or None. Only looks: the file stays as it
        is."""
        try:
            with self.path.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _number(lock) if run_id in (None, _run_of(lock)) else None
        except FileNotFoundError:
            return None
        return None

    def process(self, run_id: str) -> int | None:
        """The process that holds the lock for the run, if its number means the same here: in a container on the same
        disk, though it has the host's name, that would be another's."""
        with suppress(FileNotFoundError), self.path.open() as lock:
            if self.holder(run_id) and _fields(lock)[2] == numbered():
                return _number(lock)
        return None

    @contextmanager
    def held(self, patience: float = _LOOKING, run_id: str = "") -> Iterator[str]:
        """Holds the lock, and gives a name for this place that no other process can have at the same time.

        Raises HeldByAnother if another process has it for longer than `patience` seconds.
        """
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            lock = self.path.open("a+")
        except OSError as error:
            raise UsageError(
                f"the state directory {self._state} cannot be used ({error.strerror}): correct 'state' in the "
                "configuration"
            ) from None
        with lock:
            deadline = time.monotonic() + patience
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise HeldByAnother(
                        f"another run of {self.environment} is going on (process {_number(lock) or 'unknown'}): wait "
                        "for it, or end it with 'downstage cancel RUN' (nothing was written)"
                    )
                time.sleep(_LOOKING / 20)
            lock.truncate(0)
            lock.write(f"{os.getpid()} {run_id} {numbered()}" if run_id else str(os.getpid()))
            lock.flush()
            yield _place_of(lock)


def who() -> str:
    """How this process is named to whoever else wants the environment: host and process."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def numbered() -> str:
    """Where a process's number means that process: on this host, in this namespace of numbers. Containers with the
    host's network have its name, and numbers of their own."""
    try:
        return f"{socket.gethostname()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux: no such namespaces
        return socket.gethostname()


def _locked(file: TextIO) -> bool:
    """Takes the lock, if it is free."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _number(lock: TextIO) -> int:
    text = _fields(lock)[0]
    return int(text) if text.isdigit() else 0


def _run_of(lock: TextIO) -> str:
    return _fields(lock)[1]


def _fields(lock: TextIO) -> tuple[str, str, str]:
    """Process, run and where the process has that number, as far as they are there."""
    lock.seek(0)
    process, run_id, where, *_ = [*lock.read().split(), "", "", ""]
    return process, run_id, where


def _place_of(lock: TextIO) -> str:
    """A hash of the machine, since it was started, and of the lock file on it; empty where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    file = os.fstat(lock.fileno())
    text = f"{boot}/{socket.gethostname()}/{file.st_dev}/{file.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
