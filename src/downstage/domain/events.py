"""What the core tells whoever watches. Console, JSON lines and (later) the web subscribe; the core never prints.

Events carry names and numbers only, never item data.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins (or goes on, if `resumed`)."""

    run_id: str
    environment: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins."""

    step: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended well (`state` done or skipped) or not (failed), or goes on in the run's next piece (stopped).
    `detail` is one line for a person."""

    step: str
    state: str
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one part of a step is. `total` is None if unknown, and an estimate if `estimated`."""

    step: str
    subject: str
    done: int
    total: int | None
    unit: str
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ObjectSynced:
    """One object operation that has finished: `action` is copy, delete, skip or fail, `reason` why it is one of the
    last two. `key` is redacted."""

    bucket: str
    action: str
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should read, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run ended with this result."""

    run_id: str
    result: str
    exit_code: int


Event = RunStarted | StepStarted | StepFinished | Progress | ObjectSynced | Note | RunFinished
