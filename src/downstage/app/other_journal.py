"""Two journals of one environment read as one: the file of this machine, and the control table that a CI's runs use.

What they know together decides what may be gone on with, wiped, or switched on: the data do not know who loaded them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downstage.ports import Recorded, RunRecord, StepRecord


class Both:
    """Implements `ports.Recorded` over two journals. A run is in one of them only."""

    def __init__(self, first: Recorded, second: Recorded) -> None:
        self._first = first
        self._second = second
        self._second_has = {run.run_id for run in second.runs()}

    def runs(self) -> Sequence[RunRecord]:
        """All runs of both, oldest first."""
        ours = [run for run in self._first.runs() if run.run_id not in self._second_has]
        return sorted([*ours, *self._second.runs()], key=lambda run: (run.started, run.run_id))

    def step(self, run_id: str, name: str) -> StepRecord | None:
        """One step of the run, wherever it is."""
        return self._of(run_id).step(run_id, name)

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The run's steps, wherever they are."""
        return self._of(run_id).steps(run_id)

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """What the run has found."""
        return self._of(run_id).findings(run_id)

    def _of(self, run_id: str) -> Recorded:
        return self._second if run_id in self._second_has else self._first
