"""A Glue job and its runs: what is wanted of the job, what AWS says of a run, and what a run costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LEAST_SECONDS: Final = 60
"""What Glue charges at least."""

ENDED: Final = frozenset(("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"))
"""The states that a run stays in. WAITING is not one, and what we do not know is not one either."""

WORKER_DPUS: Final = {
    "G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8, "G.12X": 12, "G.16X": 16, "R.1X": 1, "R.2X": 2, "R.4X": 4, "R.8X": 8,
}  # fmt: skip
"""DPUs a worker; a DPU has 4 cores."""

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
    `dpus` is None where they vary; `dpu_seconds` is what AWS has counted, where it does."""

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
    def dpu_hours(self) -> float | None:
        """What is charged so far: a minute at least, once it has begun. None if AWS does not say how much it has."""
        if self.dpu_seconds is not None:
            return self.dpu_seconds / 3600
        if self.dpus is None:
            return None
        return self.dpus * max(self.seconds, LEAST_SECONDS) / 3600 if self.seconds else 0.0
