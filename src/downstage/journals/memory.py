"""The journal in memory: for tests and for trying things out. What it holds is gone with the process.

It keeps the contract of `ports.Journal` to the letter, and it stores JSON as the real ones do, so that what comes back
is what would come back from a disk (lists for tuples, nothing that JSON cannot hold).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson

from downstage.errors import HeldByAnother, JournalError, RunConflict, SegmentEnded
from downstage.ports import Checkpoint, RunRecord, StepRecord


class MemoryJournal:
    """Implements `ports.Journal`; shared by the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[str, RunRecord] = {}
        self._steps: dict[str, dict[str, StepRecord]] = {}
        self._checkpoints: dict[tuple[str, str], dict[int, Checkpoint]] = {}
        self._quarantine: dict[tuple[str, str], dict[str, str]] = {}
        self._findings: dict[str, dict[tuple[str, bytes], None]] = {}
        self._canaries: dict[str, dict[tuple[str, int], list[str]]] = {}

    def create_run(self, record: RunRecord) -> None:
        """Enters a new run. Raises RunConflict if its id is taken."""
        with self._lock:
            if record.run_id in self._runs:
                raise RunConflict(f"a run {record.run_id} exists already: name another, or resume it")
            self._runs[record.run_id] = replace(record, settings=_stored(record.settings))

    def run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""
        with self._lock:
            return self._runs.get(run_id)

    def runs(self) -> Sequence[RunRecord]:
        """All runs, oldest first."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: (run.started, run.run_id))

    def take_over(self, run_id: str) -> RunRecord:
        """Raises the run's epoch and marks it running: whoever held it before can write no more."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                raise JournalError(f"there is no run {run_id} in memory")
            self._runs[run_id] = replace(run, epoch=run.epoch + 1, state="running", ended="")
            return self._runs[run_id]

    def end_run(self, run_id: str, epoch: int, state: str, ended: str) -> None:
        """Marks how the run ended."""
        with self._fenced(run_id, epoch) as run:
            self._runs[run_id] = replace(run, state=state, ended=ended)

    def step(self, run_id: str, name: str) -> StepRecord | None:
        """One step of the run, or None if it has not begun."""
        with self._lock:
            return self._steps.get(run_id, {}).get(name)

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The steps that have begun, in the order in which they did."""
        with self._lock:
            return list(self._steps.get(run_id, {}).values())

    def save_step(self, run_id: str, epoch: int, step: StepRecord) -> None:
        """Enters or replaces a step; it keeps its place in the order."""
        with self._fenced(run_id, epoch):
            kept = replace(step, intent=_stored(step.intent), result=_stored(step.result))
            self._steps.setdefault(run_id, {})[step.name] = kept

    def forget_step(self, run_id: str, epoch: int, name: str | None, tasks: Sequence[str]) -> None:
        """Takes a step back, with what its tasks have kept; or only that."""
        with self._fenced(run_id, epoch):
            if name is not None:
                self._steps.get(run_id, {}).pop(name, None)
            for kept in (self._checkpoints, self._quarantine):
                for place in [place for place in kept if place[0] == run_id and place[1].startswith(tuple(tasks))]:
                    kept.pop(place)
            canaries = self._canaries.get(run_id, {})
            for task, segment in [place for place in canaries if place[0].startswith(tuple(tasks))]:
                canaries.pop((task, segment))

    def checkpoint(self, run_id: str, task: str, segment: int) -> Checkpoint | None:
        """The last checkpoint of one segment, or None."""
        with self._lock:
            return self._checkpoints.get((run_id, task), {}).get(segment)

    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]:
        """The last checkpoint of each segment that has one, by segment."""
        with self._lock:
            return [checkpoint for _, checkpoint in sorted(self._checkpoints.get((run_id, task), {}).items())]

    def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None:
        """Replaces the segment's checkpoint. Raises SegmentEnded if one that is done would be by one that is not."""
        with self._fenced(run_id, epoch):
            kept = self._checkpoints.setdefault((run_id, task), {})
            there = kept.get(checkpoint.segment)
            if there is not None and there.done and not checkpoint.ends_or_begins:
                raise SegmentEnded(
                    f"segment {checkpoint.segment} of {task} was ended by another attempt at it: this one stops"
                )
            kept[checkpoint.segment] = replace(checkpoint, counters=_stored(checkpoint.counters))

    def quarantine(self, run_id: str, epoch: int, task: str, key_hash: str, reason: str) -> None:
        """Enters a quarantined item by its keyed hash; entering it again changes nothing."""
        with self._fenced(run_id, epoch):
            self._quarantine.setdefault((run_id, task), {})[key_hash] = reason

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        """(keyed hash, reason) of each quarantined item."""
        with self._lock:
            return sorted(self._quarantine.get((run_id, task), {}).items())

    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None:
        """Enters a leak finding; the same one again changes nothing."""
        with self._fenced(run_id, epoch):
            self._findings.setdefault(run_id, {})[task, orjson.dumps(dict(finding), option=orjson.OPT_SORT_KEYS)] = None

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """All leak findings of the run."""
        with self._lock:
            return [orjson.loads(finding) for _, finding in sorted(self._findings.get(run_id, {}))]

    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None:
        """Replaces the segment's canaries."""
        with self._fenced(run_id, epoch):
            self._canaries.setdefault(run_id, {})[task, segment] = list(canaries)

    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]:
        """The run's canaries by task and segment."""
        with self._lock:
            return {place: list(kept) for place, kept in self._canaries.get(run_id, {}).items()}

    def segment_canaries(self, run_id: str, task: str, segment: int) -> Sequence[str]:
        """The canaries of one segment."""
        with self._lock:
            return list(self._canaries.get(run_id, {}).get((task, segment), ()))

    @contextmanager
    def _fenced(self, run_id: str, epoch: int) -> Iterator[RunRecord]:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.epoch != epoch:
                raise HeldByAnother(
                    f"run {run_id} was taken over by another process: this one stops and writes nothing more"
                )
            yield run


def _stored(value: Mapping[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = orjson.loads(orjson.dumps(dict(value)))
    return stored
