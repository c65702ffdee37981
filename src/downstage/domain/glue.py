"""A Glue job and its runs: what is wanted of the job, what AWS says of a run, and what a run costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

TOGETHER: Final = 2
"""Runs at one time: of a refresh's tables, and of its buckets."""

LEAST_SECONDS: Final = 60
"""What Glue charges at least."""

ENDED: Final = frozenset(("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"))
"""The states that a run stays in. WAITING is not one, and what we do not know is not one either."""

WORKER_DPUS: Final = {
    "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16, "R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8,
}  # fmt: skip
"""DPUs a worker; a DPU has 4 cores. R.* have the cores of G.* and twice the memory, and AWS may ask more for them."""

_UNCHARGED: Final = frozenset(("STARTING", "WAITING"))

_CORES: Final = 4


@dataclass(frozen=True, slots=True)
class GluePlan:
    """The job as it is configured. `prefix` ends with '/' or is empty; `role` is of the account that it runs in."""

    job: str
    role: str
    bucket: str
    region: str
    prefix: str = "downstage/"
    version: str = "5.0"
    worker_type: str = "G.1X"
    workers: int = 10
    timeout_minutes: int = 2880

    @property
    def account(self) -> str:
        """The account that the job runs in."""
        return self.role.split(":")[4]

    @property
    def slots(self) -> int:
        """How many lanes find a core of their own: one worker is the driver's."""
        return (self.workers - 1) * WORKER_DPUS[self.worker_type] * _CORES

    @property
    def dpus(self) -> int:
        """What is charged while it runs, the driver's worker too."""
        return self.workers * WORKER_DPUS[self.worker_type]


@dataclass(frozen=True, slots=True)
class GlueRun:
    """One run of a job, as AWS tells of it. `message` is why it failed, `detail` why it waits; both are AWS's words.
    `started` is the ISO instant at which it was asked for, `seconds` what it has run by AWS's count, which may stay 0
    until it has ended. `dpus` is None where they vary; `dpu_seconds` is what AWS has counted, where it does."""

    run_id: str
    state: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    detail: str = ""
    started: str = ""
    seconds: int = 0
    dpus: float | None = None
    dpu_seconds: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in ENDED

    @property
    def is_counted(self) -> bool:
        """Whether AWS has counted its time. It may not while a run goes on."""
        return bool(self.dpu_seconds) or bool(self.seconds) or self.ended or self.state in _UNCHARGED

    def dpu_hours(self, now: datetime) -> float | None:
        """What is charged so far: a minute at least, once it has begun. None if AWS does not say how much it has.

        For a run that is not `is_counted` it is the most that can be: as if it had run ever since it was asked for.
        """
        seconds: float = self.seconds
        if not self.is_counted and self.started:
            seconds = max((now - datetime.fromisoformat(self.started)).total_seconds(), LEAST_SECONDS)
        elif self.dpu_seconds is not None:
            return self.dpu_seconds / 3600
        if self.dpus is None:
            return None
        return self.dpus * max(seconds, LEAST_SECONDS) / 3600 if seconds else 0.0
