"""A lane of a real copy in which something strikes, in the middle: after a page was written, before that is recorded.

What strikes is handed out in turn, to a lane each; a lane that is run again gets its own again. Picklable: a worker of
Spark runs this, and finds it by PYTHONPATH.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from downstage.aws.http import DynamoTransport
from downstage.ports import Lane
from downstage.testing.lanework import note, noted

SECRET = "ada@court.example.org"
STRIKES = {"stumble": 2, "worker": 1, "executor": 1, "driver": 1, "hang": 1}
"""How often: an error that is none of ours, which quotes an item; SIGKILL of the Python worker; of the Java that
has begun it, and of the process that carries the run, each with the worker; a lane that goes on for ever."""


@dataclass(frozen=True)
class Faulty:
    """Runs `work` on lanes; `faults` strike at the `at`-th write of a lane. `marks` is a folder for what has struck."""

    work: Callable[[Lane], None]
    marks: Path
    faults: tuple[str, ...]
    driver: int
    at: int = 3

    def __call__(self, lane: Lane) -> None:
        """Does the lane, or dies of it."""
        note(self.marks, f"attempt-{lane.segments[0]}")
        post, writes = DynamoTransport.post, 0

        async def trapped(transport: DynamoTransport, operation: str, *args: Any, **named: Any) -> Any:
            nonlocal writes
            answer = await post(transport, operation, *args, **named)
            writes += operation == "BatchWriteItem"
            if operation == "BatchWriteItem" and writes == self.at:
                fault = next((name for name in self.faults if self._has(name, lane)), None)
                if fault is not None and len(noted(self.marks, f"struck-{fault}")) < STRIKES[fault]:
                    note(self.marks, f"struck-{fault}")
                    self._strike(fault)
            return answer

        with mock.patch.object(DynamoTransport, "post", trapped):
            self.work(lane)

    def _has(self, fault: str, lane: Lane) -> bool:
        """Whether the fault is this lane's: it is the first that comes so far."""
        claim = self.marks / f"{fault}.lane"
        mine = f"{lane.task}/{lane.segments[0]}"
        try:
            with claim.open("x") as made:
                made.write(mine)
        except FileExistsError:
            return claim.read_text() == mine
        return True

    def _strike(self, fault: str) -> None:
        if fault == "stumble":
            raise ValueError(SECRET)
        if fault == "hang":
            threading.Event().wait()
        if fault == "executor":
            java = next(parent for parent in psutil.Process().parents() if "java" in parent.name())
            java.kill()
        if fault == "driver":
            os.kill(self.driver, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
