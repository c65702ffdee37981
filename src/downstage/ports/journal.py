"""Where progress lives, who may write it, and what seals a cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the journal knows it; `epoch` fences zombies.

    `state` is queued, running, interrupted, parked (its time-box ended), waiting (for an approval), failed: these can
    be resumed; or finished, cancelled, superseded (a newer run has finished): these have ended for good.
    """

    run_id: str
    environment: str
    kind: str
    state: str
    epoch: int
    started: str
    ended: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run. `intent` was written before the first side effect, `result` after the last."""

    name: str
    state: str
    seconds: float
    detail: str
    intent: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one segment of one task is: saved only after what it counts was acknowledged.

    `cursor` is sealed (authenticated encryption). `digest` is the sum mod 2**128 over what was written or found.
    One that holds nothing (`Checkpoint(segment, total_segments)`) is the segment's beginning: no lane saves it, for a
    lane has counted something; a step saves it to have the segment done anew.
    """

    segment: int
    total_segments: int
    cursor: str | None = None
    done: bool = False
    digest: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def ends_or_begins(self) -> bool:
        """Whether it may take the place of one that is `done`: it is done itself, or the segment's beginning."""
        return self.done or (self.cursor is None and not self.digest and not self.counters)


class Recorded(Protocol):
    """What is read of journals to tell what runs have done to an environment: of one, or of several as one. Runs are
    given oldest first."""

    def runs(self) -> Sequence[RunRecord]: ...
    def step(self, run_id: str, name: str) -> StepRecord | None: ...
    def steps(self, run_id: str) -> Sequence[StepRecord]: ...
    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]: ...


class Journal(Protocol):
    """The only truth about runs. Every write is conditional on the run's epoch and is durable when it returns.

    A writer with an old epoch gets `RunConflict`: its successor owns the run. Two writers of one epoch at one segment
    (an attempt that its engine has given up, and which lives on, and the one in its place) are told apart by what they
    save: a checkpoint that is `done` is replaced only by one that `ends_or_begins`; any other save gets
    `SegmentEnded`, and changes nothing. Before that the last save stands, though it may be the older one: cursor,
    digest and counters are one record, so that whoever goes on from it redoes pages and counts each once. Canaries
    (keyed digests, no data) are kept by task and segment; saving replaces the segment's. `forget_step` takes a step
    back as if it had never begun, with all checkpoints, canaries and quarantined items of the tasks whose names begin
    with one of `tasks`; without a name, only those.
    """

    def create_run(self, record: RunRecord) -> None: ...
    def run(self, run_id: str) -> RunRecord | None: ...
    def runs(self) -> Sequence[RunRecord]: ...
    def take_over(self, run_id: str) -> RunRecord: ...
    def end_run(self, run_id: str, epoch: int, state: str, ended: str) -> None: ...
    def step(self, run_id: str, name: str) -> StepRecord | None: ...
    def steps(self, run_id: str) -> Sequence[StepRecord]: ...
    def save_step(self, run_id: str, epoch: int, step: StepRecord) -> None: ...
    def forget_step(self, run_id: str, epoch: int, name: str | None, tasks: Sequence[str]) -> None: ...
    def checkpoint(self, run_id: str, task: str, segment: int) -> Checkpoint | None: ...
    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]: ...
    def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None: ...
    def quarantine(self, run_id: str, epoch: int, task: str, key_hash: str, reason: str) -> None: ...
    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]: ...
    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None: ...
    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]: ...
    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None: ...
    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]: ...
    def segment_canaries(self, run_id: str, task: str, segment: int) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class LastLoad:
    """The run that was the last to load an environment, by its lease, and the number of that load: the same run may
    load again after it was resumed. Empty if none is known to have."""

    run_id: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has an environment. `state` is held (a process renews it), parked (its run waits to be resumed) or free.

    `who` is a host or caller name, `renewed` the ISO instant of the last renewal, `silent` whether that is so long ago
    that nobody can be renewing it any more. `last_load` is the last load of the environment by a run that held it.
    """

    run_id: str
    who: str
    state: str
    renewed: str
    silent: bool
    last_load: LastLoad


class Lease(Protocol):
    """One environment belongs to one run at a time, whatever machine it is on.

    `acquire` raises RunConflict, naming the holder, if another run has it (`take_over`: unless that one is parked or
    has long been silent), or if the run itself is alive elsewhere; with `settle` what the run itself had under way when
    it was parked is waited out too. `check` raises LeaseLost when it could have expired: from then on nothing may be
    written. `park` keeps it for the run, `release` gives it up; both are no error if it is lost. `loading` enters the
    run as the last that has loaded the environment, before it does; `last_load` is that, as it was known when the lease
    was got or last renewed. `ask_to_stop` is heard by the run's process at its next
    renewal; it gives False if nobody holds the lease for that run.
    """

    @property
    def last_load(self) -> LastLoad: ...

    def acquire(self, run_id: str, *, take_over: bool = False, settle: bool = False) -> None: ...
    def check(self) -> None: ...
    def park(self) -> None: ...
    def release(self) -> None: ...
    def loading(self) -> None: ...
    def holder(self) -> Holder | None: ...
    def ask_to_stop(self, run_id: str) -> bool: ...


class Sealer(Protocol):
    """Authenticated encryption for cursors. `context` binds a sealed value to its run, task and segment."""

    def seal(self, plain: bytes, context: str) -> str: ...
    def open(self, sealed: str, context: str) -> bytes: ...
