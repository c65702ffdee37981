"""The life of a run: begun, carried through, resumed, given up. This is the library's API, and what the CLI calls.

One run at a time changes an environment (`turns`). A run that was cut off is `running` in the journal with nobody
behind it; `resume` raises its epoch, so that whatever may still be alive of it can write nothing more. A run that can
be resumed keeps its environment: another one that would change it is refused until it is cancelled, or taken from it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from downstage.app import carrying, notifying
from downstage.app.carrying import Finished
from downstage.app.choosing import check_step
from downstage.app.clock import SystemClock
from downstage.app.elsewhere import refuse_journal_of_here
from downstage.app.entering import earlier_run, instant, new_run, settings_of
from downstage.app.places import (
    ControlPlace,
    JournalPlace,
    SqlitePlace,
    beating_table,
    control_table,
    kind_of,
    lease_table,
    open_journal,
)
from downstage.app.precedence import CHANGING, ENDED, KEEPING, LOADING, kept, kept_by, outlived, refuse_outdated
from downstage.app.turns import LockFile, Turn, who
from downstage.app.wiring import RunPlaces, Sides
from downstage.aws.lease import EnvironmentLease
from downstage.config.load import LoadedConfig, load
from downstage.domain.environment import Environment
from downstage.domain.events import Note
from downstage.domain.outcome import RefreshOutcome
from downstage.domain.plan import RefreshPlan
from downstage.errors import RunConflict, UsageError
from downstage.planning.build import build_plan, environment_of, environments_of
from downstage.ports import EventSink, Holder, Journal, RunRecord
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS, forget_from

__all__ = ["Finished", "Project"]


class Project:
    """A configuration and the journals and state directory that belong to it."""

    def __init__(self, config: LoadedConfig, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.state = config.state
        self.kind = kind_of(config.config, os.environ if environ is None else environ)
        self.journal_path = self.state / "journal.sqlite"

    @classmethod
    def open(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Project:
        """Reads the configuration. Raises ConfigError."""
        return cls(load(path, environ=os.environ, overrides=overrides or {}))

    # -- what there is

    def place(self, environment: str) -> JournalPlace:
        """Where the journal of an environment's runs lies."""
        if self.kind == "sqlite":
            return SqlitePlace(self.journal_path)
        table = lease_table(self.config.config, self.kind) or ""
        return ControlPlace(environment_of(self.config.config, environment, base=self.config.base), table)

    def journal(self, environment: str) -> Journal:
        """The journal of an environment's runs; made if it is not there."""
        return open_journal(self.place(environment))

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

    def ask_to_stop(self, run: RunRecord) -> None:
        """Asks the process that holds the lease for the run, wherever it is, to stop."""
        place = self._lease_place(run.environment)
        if place is not None:
            self._lease(place, "", lambda _text: None).ask_to_stop(run.run_id)

    def lock(self, environment: str) -> LockFile:
        """The environment's lock on this machine."""
        return LockFile(self.state, environment)

    # -- what is done

    def start(
        self,
        environment: str,
        kind: str,
        steps: Sequence[str],
        events: EventSink,
        *,
        time_box: float | None = None,
        take_over: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> Finished:
        """Runs `steps` as a new run. `kind` is `refresh`, or the name of the one command it is; `settings` are added to
        the run's own."""
        sides = self._sides(environment)
        record = new_run(sides, environment, kind, steps, "running")
        changing = kind in CHANGING
        with self.exclusive(environment, record.run_id, take_over=take_over, events=events, leased=changing) as turn:
            journal = self.journal(environment)
            self._make_room(journal, environment, kind, take_over=take_over)
            record = _with(record, {**earlier_run(journal, environment, kind), **(settings or {})})
            journal.create_run(record)
            turn.keeps = kind == "refresh"
            return self._carry(sides, journal, record, events, turn, time_box, resumed=False)

    def enqueue(
        self,
        environment: str,
        steps: Sequence[str],
        *,
        events: EventSink | None = None,
        time_box: float | None = None,
        take_over: bool = False,
        run_id: str | None = None,
    ) -> RunRecord:
        """Enters a refresh that somebody else will carry through, by resuming it, in pieces of `time_box` seconds.

        The environment is the run's from then on, by the rules of `start`: raises RunConflict if another keeps it (with
        `take_over`: if a process is behind that one, which takes minutes to rule out), or if there is a run of that id.
        """
        sides = self._sides(environment)
        settings = {"detached": True, **({} if time_box is None else {"time_box": time_box})}
        record = _with(new_run(sides, environment, "refresh", steps, "queued"), settings)
        record = record if run_id is None else replace(record, run_id=run_id)
        journal = self.journal(environment)
        if journal.run(record.run_id) is not None:
            raise RunConflict(f"there is a run {record.run_id} already (nothing was written)")
        with self.exclusive(environment, record.run_id, take_over=take_over, events=events) as turn:
            self._make_room(journal, environment, "refresh", take_over=take_over)
            journal.create_run(record)
            turn.keeps = True
        return record

    def resume(
        self,
        run_id: str,
        events: EventSink,
        *,
        time_box: float | None = None,
        take_over: bool = False,
        restart: str | None = None,
    ) -> Finished:
        """Goes on with a run that was cut off or failed, all over again from the step `restart` if one is named.

        Raises RunConflict if the configuration is another now, or a newer run has changed the environment.
        """
        record = self.find(run_id)
        if restart is not None:
            check_step(restart)
        if record.state in ENDED:
            raise UsageError(f"run {run_id} has ended: there is nothing to resume; see 'downstage report {run_id}'")
        sides = self._sides(record.environment)
        now = settings_of(sides)
        with self.exclusive(
            record.environment, run_id, take_over=take_over, events=events, leased=record.kind in CHANGING
        ) as turn:
            journal = self.journal(record.environment)
            record = journal.run(run_id) or record
            if record.state in ENDED:
                raise UsageError(f"run {run_id} has ended: there is nothing to resume; see 'downstage report {run_id}'")
            turn.keeps = record.state in KEEPING and record.kind == "refresh"
            refuse_outdated(journal, record)
            for name, what in (("plan", "the configuration"), ("mask", "the masking key or policy")):
                if now[name] != record.settings[name]:
                    raise RunConflict(
                        f"run {run_id} cannot be resumed: {what} is not the one it was started with; restore it, or "
                        f"start over with 'downstage refresh {record.environment} --take-over'"
                    )
            others = [run for run in kept(journal, record.environment) if run.run_id != run_id]
            if others and not take_over:
                raise RunConflict(kept_by(others[-1]))
            taken = journal.take_over(run_id)
            turn.keeps = record.kind == "refresh"
            carrying.given_up(journal, others, _now())
            if restart is not None:
                forget_from(journal, taken, restart)
            return self._carry(sides, journal, taken, events, turn, time_box, resumed=record.state != "queued")

    @contextmanager
    def exclusive(
        self,
        environment: str,
        run_id: str | None = None,
        *,
        take_over: bool = False,
        events: EventSink | None = None,
        leased: bool = True,
        patience: float = 1.0,
    ) -> Iterator[Turn]:
        """Holds the environment for a run, or for what is done by hand. Raises RunConflict if another has it."""

        def say(text: str) -> None:
            if events is not None:
                events.emit(Note(text))

        with self.lock(environment).held(patience, run_id or "") as place:
            where = self._lease_place(environment) if leased else None
            if where is None:
                if leased and events is not None:
                    carrying.note_weak_lock(events, environment)
                yield Turn(None)
                return
            lease = self._lease(where, place, say)
            lease.acquire(run_id or f"{environment}-by-hand-{secrets.token_hex(2)}", take_over=take_over)
            turn = Turn(lease)
            try:
                yield turn
            finally:
                turn.end()

    # -- inside

    def _sides(self, environment: str) -> Sides:
        """Sessions for a run that is to be carried. Raises UsageError, before it is entered, if its lanes could not
        reach the journal."""
        sides = Sides.of(self.plan(environment))
        refuse_journal_of_here(sides.plan, self.kind)
        return sides

    def _carry(
        self,
        sides: Sides,
        journal: Journal,
        record: RunRecord,
        events: EventSink,
        turn: Turn,
        time_box: float | None,
        *,
        resumed: bool,
    ) -> Finished:
        setting = carrying.Setting(
            sides,
            self.environments(),
            journal,
            RunPlaces(
                self.place(record.environment),
                None if turn.lease is None else self._lease_place(record.environment),  # nobody renews what is not held
                self.state,
            ),
            events,
            turn,
            time_box,
            notifying.herald_for(self.config, record.environment, events, lambda _target: sides.target)
            if record.kind == "refresh"
            else None,
        )
        finished = carrying.carry(setting, record, resumed=resumed)
        if finished.error is None and record.kind == "refresh":
            carrying.given_up(journal, outlived(journal, record), _now())
        return finished

    def _lease_place(self, environment: str) -> ControlPlace | None:
        """Where the environment's lease lies, if there is to be one."""
        table = lease_table(self.config.config, self.kind)
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
        """Whether a process is behind a run that the journal says is running."""
        if self.lock(run.environment).holder(run.run_id) is not None:
            return True
        if run.environment not in self.config.config.environments or run.kind not in CHANGING:
            return False
        holder = self.holder(run.environment)
        return holder is not None and (holder.run_id, holder.state, holder.silent) == (run.run_id, "held", False)

    def _make_room(self, journal: Journal, environment: str, kind: str, *, take_over: bool) -> None:
        """A run that would load the environment finds no other that keeps it, or takes its place if it may."""
        keeping = kept(journal, environment) if kind in (*LOADING, "repair") else []
        if keeping and not take_over:
            raise RunConflict(kept_by(keeping[-1]))
        carrying.given_up(journal, keeping, _now())

    def _recorded(self) -> Sequence[RunRecord]:
        """The runs of all journals. Looking makes no journal where none is."""
        if self.kind == "sqlite":
            return open_journal(SqlitePlace(self.journal_path)).runs() if self.journal_path.exists() else ()
        found: dict[str, RunRecord] = {}
        for place in self._control_places():
            found |= {run.run_id: run for run in open_journal(place).runs()}
        return sorted(found.values(), key=lambda run: (run.started, run.run_id))

    def _control_places(self) -> list[ControlPlace]:
        """Every control table of the configuration, once."""
        places: dict[tuple[str, ...], ControlPlace] = {}
        table = lease_table(self.config.config, "dynamodb") or ""
        for name, configured in self.config.config.environments.items():
            if configured.refresh is not None:
                environment = environment_of(self.config.config, name, base=self.config.base)
                where = (environment.account, environment.region, environment.endpoint or "")
                places.setdefault(where, ControlPlace(environment, table))
        return list(places.values())

    def _elsewhere(self, run_id: str) -> str:
        """Says so if the run is, or may be, in the journal of the other kind: a run stays in the one it began in."""
        if self.kind == "sqlite":
            known = lease_table(self.config.config, self.kind) is not None
            return " (one begun in CI is in the control table: set DOWNSTAGE__JOURNAL=dynamodb)" if known else ""
        if self.journal_path.exists() and open_journal(SqlitePlace(self.journal_path)).run(run_id) is not None:
            return " in the control table, but in the SQLite journal: set DOWNSTAGE__JOURNAL=sqlite to go on with it"
        return ""


def _with(record: RunRecord, settings: Mapping[str, Any]) -> RunRecord:
    return replace(record, settings={**record.settings, **settings})


def _now() -> str:
    return instant(datetime.fromtimestamp(time.time(), UTC))
