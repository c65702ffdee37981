"""The journal that is not in use here, asked before consumers are switched on by hand.

A run in CI keeps its journal in the control table, one on a laptop in a file, and both load the same environment. Where
the configuration names a control table, or CI would use one (`journal: auto`), whoever uses the file sees what stands
there too; the other way round nobody can look, for the file is on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downstage.app.places import CONTROL_TABLE, ControlPlace, open_journal
from downstage.app.runs import Project
from downstage.errors import AwsError
from downstage.planning.build import environment_of
from downstage.ports import RunRecord, StepRecord
from downstage.workflow.history import Recorded
from downstage.workflow.proven import doubts_of, refuse


class Both:
    """Two journals read as one, as far as `history` asks. A run is in one of them only."""

    def __init__(self, first: Recorded, second: Recorded) -> None:
        self._first = first
        self._second = second
        self._second_has = {run.run_id for run in second.runs()}

    def runs(self) -> Sequence[RunRecord]:
        """All runs of both, oldest first."""
        ours = [run for run in self._first.runs() if run.run_id not in self._second_has]
        return sorted([*ours, *self._second.runs()], key=lambda run: (run.started, run.run_id))

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The run's steps, wherever they are."""
        return self._of(run_id).steps(run_id)

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """What the run has found."""
        return self._of(run_id).findings(run_id)

    def _of(self, run_id: str) -> Recorded:
        return self._second if run_id in self._second_has else self._first


def refuse_unproven_elsewhere(project: Project, environment: str, accepted: Sequence[str]) -> None:
    """Raises GuardRefused if what both journals know of together leaves a doubt that nobody has taken upon himself.

    Nothing is asked where this machine uses the control table, or `journal: sqlite` says that nobody does. One that
    only `journal: auto` implies may not be there for us: if it cannot be read, it is passed over.
    """
    config = project.config.config
    implied = CONTROL_TABLE if config.journal == "auto" else None
    table = config.control_table or implied
    if project.kind != "sqlite" or table is None:
        return
    there = open_journal(ControlPlace(environment_of(config, environment, base=project.config.base), table))
    try:
        known = any(run.environment == environment for run in there.runs())
    except AwsError:
        if config.control_table is not None:
            raise
        return
    if known:
        asking = RunRecord("", environment, "streams", "queued", 0, "", "", {})
        both = Both(project.journal(environment), there)
        refuse(doubts_of(both, asking, project.plan(environment)), accepted)
