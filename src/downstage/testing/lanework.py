"""Work for engines that leaves marks in a folder, so that a test in another process can tell what ran where.

Picklable, and light to import: worker processes are spawned and import this.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from downstage.errors import AwsError
from downstage.ports import Lane


@dataclass(frozen=True, slots=True)
class Mark:
    """Writes one file a call, named after the lane's first segment, with the process id in it."""

    folder: Path

    def __call__(self, lane: Lane) -> None:
        """Marks the lane."""
        note(self.folder, f"lane-{lane.segments[0]}")


@dataclass(frozen=True, slots=True)
class FailAt:
    """Marks lanes, but raises AwsError (code `Boom`) in the lane of `segment`."""

    folder: Path
    segment: int

    def __call__(self, lane: Lane) -> None:
        """Marks, or raises."""
        if lane.segments[0] == self.segment:
            raise AwsError(f"lane {self.segment} failed", "Boom")
        note(self.folder, f"lane-{lane.segments[0]}")


@dataclass(frozen=True, slots=True)
class DieAt:
    """Marks lanes, but kills its own process in the lane of `segment`: the first `times` times."""

    folder: Path
    segment: int
    times: int = 1

    def __call__(self, lane: Lane) -> None:
        """Marks, or dies."""
        if lane.segments[0] == self.segment and len(list(self.folder.glob("died-*"))) < self.times:
            note(self.folder, "died")
            os.kill(os.getpid(), signal.SIGKILL)
        note(self.folder, f"lane-{lane.segments[0]}")


@dataclass(frozen=True, slots=True)
class StumbleAt:
    """Marks lanes, but raises ValueError, which quotes `text`, in the lane of `segment`: the first `times` times."""

    folder: Path
    segment: int
    text: str
    times: int = 1

    def __call__(self, lane: Lane) -> None:
        """Marks, or stumbles."""
        if lane.segments[0] == self.segment and len(list(self.folder.glob("stumbled-*"))) < self.times:
            note(self.folder, "stumbled")
            raise ValueError(self.text)
        note(self.folder, f"lane-{lane.segments[0]}")


@dataclass(frozen=True, slots=True)
class Endless:
    """Marks that it has begun and never ends by itself; but the lane of segment `failing` raises AwsError.

    `interrupt`: sends itself Ctrl-C, marks that it is still there, and ends.
    """

    folder: Path
    interrupt: bool = False
    failing: int | None = None

    def __call__(self, lane: Lane) -> None:
        """Goes on and on."""
        if lane.segments[0] == self.failing:
            raise AwsError("a lane failed", "Boom")
        note(self.folder, "began")
        if self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            note(self.folder, "survived")
            return
        while True:
            time.sleep(60)


@dataclass(frozen=True, slots=True)
class Slowly:
    """Marks that it has begun, and ends as soon as there is a file `go`."""

    folder: Path

    def __call__(self, lane: Lane) -> None:
        """Waits for the file."""
        note(self.folder, "began")
        while not (self.folder / "go").exists():
            time.sleep(0.05)


def note(folder: Path, name: str) -> None:
    """Leaves a file `NAME-PID-NANOSECONDS`, whole or not at all."""
    path = folder / f".{name}-{os.getpid()}-{time.monotonic_ns()}"
    path.write_text(str(os.getpid()))
    path.rename(folder / path.name.removeprefix("."))


def noted(folder: Path, name: str) -> list[int]:
    """The process ids of the files of that name."""
    return [int(path.read_text()) for path in sorted(folder.glob(f"{name}-*"))]
