"""The machines that the fake Glue runs jobs on: real processes, which it ends as AWS does, all of them and at once."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import psutil

from downstage.engines.glue import PARCEL
from tests.glue_server.server import FakeGlue


@dataclass
class Machines:
    """Carries runs out: `command` says how for a task (copy, sync, …), and `due` which state AWS ends it with, if it
    is time for that. `most` is how many runs of a task were at work at one time, `family` who they were."""

    glue: FakeGlue
    command: Callable[[str], Sequence[str]]
    environ: Mapping[str, str]
    due: Callable[[str], str | None]
    log: Path
    most: Counter[str] = field(default_factory=Counter)
    family: list[int] = field(default_factory=list)
    _now: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, arguments: list[str]) -> int | str:
        """The exit code, or the state that AWS put an end to it with."""
        told = dict(zip(arguments[::2], arguments[1::2], strict=True))
        task = told[PARCEL].rpartition("/")[2].split("-")[1]
        with self._lock:
            self._now[task] += 1
            self.most[task] = max(self.most[task], self._now[task])
        try:
            with self.log.open("ab") as log, _begun([*self.command(task), *arguments], self.environ, log) as process:
                while True:
                    state = "STOPPED" if told["--JOB_RUN_ID"] in self.glue.stopped else self.due(task)
                    if state is not None:
                        self.family += _end(process.pid)
                        return state
                    try:
                        return process.wait(0.05)
                    except subprocess.TimeoutExpired:
                        continue
        finally:
            with self._lock:
                self._now[task] -= 1


def _begun(command: Sequence[str], environ: Mapping[str, str], log: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # type: ignore[call-overload, no-any-return]


def _end(pid: int) -> list[int]:
    """Kills a process and all that it has begun; gives their ids when they are gone."""
    root = psutil.Process(pid)
    family = [root, *root.children(recursive=True)]
    for one in family:
        one.kill()
    psutil.wait_procs(family, timeout=20)
    return [one.pid for one in family]
