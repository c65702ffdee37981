"""The runs of a configuration, wherever they are recorded: which there are, in what state, and who has an environment.

A run in CI keeps its journal in the control table, one on a laptop in a file, and both load the same environment. The
lease is in the control table for both, and says who was the last to load. Rules: looking makes nothing, neither a
journal nor a table; whoever uses the file is told of what stands in the control table too, for what runs have done to
the environment counts wherever it was recorded; the other way round nobody can look: the file is on another machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from downstage.app.clock import SystemClock
from downstage.app.other_journal import Both
from downstage.app.places import (
    ControlPlace,
    JournalPlace,
    SqlitePlace,
    beating_table,
    control_table,
    control_table_of,
    kind_of,
    open_journal,
)
from downstage.app.precedence import CHANGING
from downstage.app.turns import LockFile, who
from downstage.aws.lease import EnvironmentLease
from downstage.config.load import LoadedConfig
from downstage.domain.environment import Environment
from downstage.domain.outcome import RefreshOutcome
from downstage.domain.plan import RefreshPlan
from downstage.errors import UsageError
from downstage.planning.build import build_plan, environment_of, environments_of
from downstage.ports import Holder, Journal, Recorded, RunRecord
from downstage.workflow.loaders import before
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS


class KnownRuns:
    """A configuration and the journals and state directory that belong to it, as far as one only looks."""

    def __init__(self, config: LoadedConfig, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.state = config.state
        self.kind = kind_of(config.config, os.environ if environ is None else environ)
        self.journal_path = self.state / "journal.sqlite"

    def place(self, environment: str) -> JournalPlace:
        """Where the journal of an environment's runs lies."""
        if self.kind == "sqlite":
            return SqlitePlace(self.journal_path)
        table = control_table_of(self.config.config) or ""
        return ControlPlace(environment_of(self.config.config, environment, base=self.config.base), table)

    def journal(self, environment: str) -> Journal:
        """The journal of an environment's runs; made if it is not there."""
        return open_journal(self.place(environment))

    def known(self, environment: str) -> Recorded:
        """All that can be read here of what runs have done to the environment: its journal, and the control table where
        that is the journal of others. Raises JournalError if that cannot be read."""
        journal = self.journal(environment)
        where = self._lease_place(environment)
        return journal if self.kind == "dynamodb" or where is None else Both(journal, open_journal(where))

    def plan(self, environment: str) -> RefreshPlan:
        """What a refresh of `environment` is to do. Raises ConfigError."""
        loaded = self.config
        return build_plan(loaded.config, environment, base=loaded.base, files=loaded.masking_files)

    def environments(self) -> tuple[Environment, ...]:
        """All environments of the configuration."""
        return environments_of(self.config.config, base=self.config.base)

    def find(self, run_id: str | None, environment: str | None = None) -> RunRecord:
        """The run of that id, or the newest refresh (of `environment`). Raises UsageError if there is none."""
        runs = self._recorded()
        if run_id is not None:
            for run in runs:
                if run.run_id == run_id:
                    return run
            raise UsageError(f"there is no run {run_id} here{self._elsewhere(run_id)}: see 'downstage runs'")
        for run in reversed(runs):
            if run.kind == "refresh" and environment in (None, run.environment):
                return run
        raise UsageError("there is no refresh here yet: start one with 'downstage refresh ENV'")

    def loader(self, environment: str, run_id: str) -> str:
        """The id of a run that may have loaded the environment: one of any journal that can be read here, or one that
        the lease, or a run that was entered after it, names. Raises UsageError if there is none."""
        holder, known = self.holder(environment), self.known(environment).runs()
        named = {run.run_id for run in known} | {before(run).run_id for run in known}
        if run_id in named or (holder is not None and holder.last_load.run_id == run_id):
            return run_id
        return self.find(run_id).run_id

    def runs(self) -> list[tuple[RunRecord, str]]:
        """Every run, oldest first, and in what state it is."""
        return [(run, self.state_of(run)) for run in self._recorded()]

    def state_of(self, run: RunRecord) -> str:
        """The run's state: one that the journal says is running, but that no process holds, was cut off."""
        return "cut off" if run.state == "running" and not self._alive(run) else run.state

    def outcome(self, run: RunRecord) -> RefreshOutcome:
        """What a run has achieved so far."""
        return outcome_of(self.journal(run.environment), run, STEPS)

    def holder(self, environment: str) -> Holder | None:
        """Who has the environment by its lease; None if it has none."""
        place = self._lease_place(environment)
        return None if place is None else self._lease(place, "", lambda _text: None).holder()

    def exclusion(self, environment: str) -> str:
        """What keeps two refreshes of the environment from going on at once."""
        where = self._lease_place(environment)
        if where is not None:
            return f"the lease in {where}, which is made when it is first needed"
        return (
            f"{self.lock(environment).path} alone: another machine could refresh {environment} at the same time; set "
            "'control_table: downstage-control', or leave 'journal' out, to rule that out"
        )

    def lock(self, environment: str) -> LockFile:
        """The environment's lock on this machine."""
        return LockFile(self.state, environment)

    # -- inside

    def _lease_place(self, environment: str) -> ControlPlace | None:
        """Where the environment's lease lies, if there is to be one."""
        table = control_table_of(self.config.config)
        if table is None:
            return None
        return ControlPlace(environment_of(self.config.config, environment, base=self.config.base), table)

    @staticmethod
    def _lease(where: ControlPlace, place: str, say: Callable[[str], None]) -> EnvironmentLease:
        name = where.environment.name
        return EnvironmentLease(
            control_table(where),
            name,
            clock=SystemClock(),
            who=who(),
            place=place,
            say=say,
            beats=beating_table(where),
        )

    def _alive(self, run: RunRecord) -> bool:
        """Whether a process is behind a run that the journal says is running. One of the SQLite journal is carried
        where the file is, under its lock, so that nothing need be asked of AWS."""
        if self.lock(run.environment).holder(run.run_id) is not None:
            return True
        if self.kind == "sqlite":
            return False
        if run.environment not in self.config.config.environments or run.kind not in CHANGING:
            return False
        holder = self.holder(run.environment)
        return holder is not None and (holder.run_id, holder.state, holder.silent) == (run.run_id, "held", False)

    def _recorded(self) -> Sequence[RunRecord]:
        """The runs of all journals of this kind. Looking makes no journal where none is."""
        if self.kind == "sqlite":
            return open_journal(SqlitePlace(self.journal_path)).runs() if self.journal_path.exists() else ()
        found: dict[str, RunRecord] = {}
        for place in self._control_places():
            found |= {run.run_id: run for run in open_journal(place).runs()}
        return sorted(found.values(), key=lambda run: (run.started, run.run_id))

    def _control_places(self) -> list[ControlPlace]:
        """Every control table of the configuration, once."""
        places: dict[tuple[str, ...], ControlPlace] = {}
        table = control_table_of(self.config.config) or ""
        for name, configured in self.config.config.environments.items():
            if configured.refresh is not None:
                environment = environment_of(self.config.config, name, base=self.config.base)
                where = (environment.account, environment.region, environment.endpoint or "")
                places.setdefault(where, ControlPlace(environment, table))
        return list(places.values())

    def _elsewhere(self, run_id: str) -> str:
        """Says so if the run is, or may be, in the journal of the other kind: a run stays in the one it began in."""
        table = control_table_of(self.config.config)
        if self.kind == "sqlite":
            said = " (one begun in CI is in the control table: set DOWNSTAGE__JOURNAL=dynamodb)"
            return "" if table is None else said
        if self.journal_path.exists() and open_journal(SqlitePlace(self.journal_path)).run(run_id) is not None:
            return (
                " in the control table, but in the SQLite journal: set DOWNSTAGE__JOURNAL=sqlite and "
                f"DOWNSTAGE__CONTROL_TABLE={table} to go on with it"
            )
        return ""
