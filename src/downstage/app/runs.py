"""The life of a run: begun, carried through, resumed, given up. This is the library's API, and what the CLI calls.

One run at a time changes an environment (`turns`). A run that was cut off is `running` in the journal with nobody
behind it; `resume` raises its epoch, so that whatever may still be alive of it can write nothing more. A run that can
be resumed keeps its environment: another one that would change it is refused until it is cancelled, or taken from it.
What there is to be seen of runs is in `known_runs`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from downstage.app import carrying, notifying
from downstage.app.carrying import Finished
from downstage.app.choosing import check_step
from downstage.app.elsewhere import refuse_journal_of_here
from downstage.app.entering import earlier_run, instant, new_run, settings_of
from downstage.app.known_runs import KnownRuns
from downstage.app.precedence import (
    CHANGING,
    ENDED,
    GOING_ON,
    KEEPING,
    LOADING,
    kept,
    outdated,
    outlived,
    refuse_kept,
    refuse_outdated,
)
from downstage.app.turns import Turn
from downstage.app.wiring import RunPlaces, Sides
from downstage.config.load import load
from downstage.domain.events import Note
from downstage.errors import HeldByAnother, RunConflict, UsageError
from downstage.ports import EventSink, Holder, Journal, RunRecord
from downstage.workflow.loaders import settings_before
from downstage.workflow.refresh import forget_from

__all__ = ["Finished", "Project"]


class Project(KnownRuns):
    """A configuration, the runs that belong to it, and what can be done with them."""

    @classmethod
    def open(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Project:
        """Reads the configuration. Raises ConfigError."""
        return cls(load(path, environ=os.environ, overrides=overrides or {}))

    def ask_to_stop(self, run: RunRecord) -> bool:
        """Asks the process that holds the lease for the run, wherever it is, to stop. False if there is none."""
        place = self._lease_place(run.environment)
        return place is not None and self._lease(place, "", lambda _text: None).ask_to_stop(run.run_id)

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
            self._make_room(journal, environment, kind, turn, take_over=take_over)
            earlier = earlier_run(journal, environment, kind, lambda: self.known(environment), turn.last_load)
            record = _with(record, {**earlier, **(settings or {}), **settings_before(turn.last_load)})
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
            self._make_room(journal, environment, "refresh", turn, take_over=take_over)
            record = _with(record, settings_before(turn.last_load))
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
            try:
                refuse_outdated(self.known(record.environment), record, turn.last_load)
            except RunConflict:
                turn.keeps = False  # it will never go on: what it keeps by the journal is ended by `cancel`
                raise
            for name, what in (("plan", "the configuration"), ("mask", "the masking key or policy")):
                if now[name] != record.settings[name]:
                    raise RunConflict(
                        f"run {run_id} cannot be resumed: {what} is not the one it was started with; restore it, or "
                        f"start over with 'downstage refresh {record.environment} --take-over'"
                    )
            others = [run for run in kept(journal, record.environment) if run.run_id != run_id]
            if others and not take_over:
                refuse_kept(self.known(record.environment), others[-1], turn.last_load)
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
        settle: bool = False,
    ) -> Iterator[Turn]:
        """Holds the environment for a run, or for what is done by hand; with `settle` only when what the run had under
        way before is over. Raises RunConflict if another has it: HeldByAnother if that one goes on."""

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
            try:
                lease.acquire(
                    run_id or f"{environment}-by-hand-{secrets.token_hex(2)}", take_over=take_over, settle=settle
                )
            except HeldByAnother as held:
                if self._goes_on(environment, lease.holder()):
                    raise
                raise RunConflict(str(held)) from None
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
            known=lambda: self.known(record.environment),
        )
        finished = carrying.carry(setting, record, resumed=resumed)
        if finished.error is None and record.kind == "refresh":
            carrying.given_up(journal, outlived(journal, record), _now())
        return finished

    def _goes_on(self, environment: str, holder: Holder | None) -> bool:
        """Whether whoever has the environment goes on with it by itself: a parked run does, where it is known, unless
        it was stopped or cannot any more. One that is not known here tells nobody here how it ends."""
        if holder is None or holder.state != "parked":
            return holder is None or not holder.silent
        known = self.known(environment)
        run = next((run for run in known.runs() if run.run_id == holder.run_id), None)
        return run is not None and run.state in GOING_ON and not outdated(known, run, holder.last_load)

    def _make_room(self, journal: Journal, environment: str, kind: str, turn: Turn, *, take_over: bool) -> None:
        """A run that would load the environment finds no other that keeps it, or takes its place if it may."""
        keeping = kept(journal, environment) if kind in (*LOADING, "repair") else []
        if keeping and not take_over:
            refuse_kept(self.known(environment), keeping[-1], turn.last_load)
        carrying.given_up(journal, keeping, _now())


def _with(record: RunRecord, settings: Mapping[str, Any]) -> RunRecord:
    return replace(record, settings={**record.settings, **settings})


def _now() -> str:
    return instant(datetime.fromtimestamp(time.time(), UTC))
