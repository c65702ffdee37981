"""The life of a run: begun, carried through, resumed, reported. This is the library's API, and what the CLI calls.

One refresh an environment and state directory: a lock file is held while a run goes on, and the kernel lets go of it
however the process ends. A run that was cut off is `running` in the journal with nobody behind it; `resume` raises
its epoch, so that whatever may still be alive of it can write nothing more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from downstage.app.wiring import Sides, masking_outcome, parts_for
from downstage.config.checks import nearest
from downstage.config.load import LoadedConfig, load
from downstage.domain.environment import Environment
from downstage.domain.events import RunFinished, RunStarted
from downstage.domain.outcome import RefreshOutcome
from downstage.domain.plan import Rates, RefreshPlan
from downstage.durable.inline import InlineDurable
from downstage.errors import DownstageError, JournalError, RunConflict, UsageError
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.compile import fingerprint
from downstage.planning.build import build_plan, environments_of
from downstage.ports import EventSink, RunRecord
from downstage.report.as_json import render_json
from downstage.report.html import render_html
from downstage.report.markdown import render_markdown
from downstage.workflow.outcome import outcome_of
from downstage.workflow.parts import Parts
from downstage.workflow.refresh import STEPS, run_steps

REPORTS = "reports"

_LOCK_SECONDS = 1.0
"""Whoever looks at a run holds its lock for an instant: that must not pass for another run."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: what it achieved, where its report is, and the error that ended it, if one did."""

    kind: str
    outcome: RefreshOutcome
    report: Path
    error: DownstageError | None

    @property
    def exit_code(self) -> int:
        """The process's exit code. A single step claims no proof: only what it left out or found counts."""
        if self.error is not None:
            return self.error.exit_code
        outcome = self.outcome
        if self.kind == "refresh" or outcome.exit_code in (4, 5):
            return outcome.exit_code
        left_out = any(table.quarantined for table in outcome.tables) or any(b.skipped for b in outcome.buckets)
        return 6 if left_out else 0


def choose_steps(only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    """The steps of a refresh that are asked for. Raises UsageError for a name that is no step."""
    for name in (*only, *skip):
        if name not in STEPS:
            close = nearest(name, STEPS)
            hint = f"did you mean '{close}'? " if close else ""
            raise UsageError(f"there is no step '{name}': {hint}the steps are {', '.join(STEPS)}")
    if only and skip:
        raise UsageError("name steps with --only or with --skip, not with both")
    chosen = tuple(name for name in STEPS if (name in only if only else name not in skip))
    if not chosen:
        raise UsageError("no step is left to run")
    return chosen


class Project:
    """A configuration and the state directory that belongs to it."""

    def __init__(self, config: LoadedConfig) -> None:
        self.config = config
        self.state = config.state
        self.journal_path = self.state / "journal.sqlite"

    @classmethod
    def open(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Project:
        """Reads the configuration. Raises ConfigError."""
        return cls(load(path, environ=os.environ, overrides=overrides or {}))

    def journal(self) -> SqliteJournal:
        """The journal; made if it is not there."""
        return SqliteJournal(self.journal_path)

    def plan(self, environment: str, steps: Collection[str] = STEPS) -> RefreshPlan:
        """What a refresh of `environment` is to do, if `steps` are run. Raises ConfigError."""
        skipped = [name for name in STEPS if name not in steps]
        loaded = self.config
        return build_plan(loaded.config, environment, base=loaded.base, skip=skipped, files=loaded.masking_files)

    def environments(self) -> tuple[Environment, ...]:
        """All environments of the configuration."""
        return environments_of(self.config.config, base=self.config.base)

    def start(self, environment: str, kind: str, steps: Sequence[str], events: EventSink) -> Finished:
        """Runs `steps` as a new run. `kind` is `refresh`, or the name of the one command it is."""
        sides = Sides.of(self.plan(environment, steps))
        settings = self._settings(sides)
        with self.exclusive(environment):
            journal = self.journal()
            settings |= self._earlier(journal, environment, kind)
            now = datetime.now(UTC)
            record = RunRecord(
                run_id=f"{environment}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
                environment=environment,
                kind=kind,
                state="running",
                epoch=1,
                started=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
                ended="",
                settings=settings | {"steps": list(steps)},
            )
            journal.create_run(record)
            return self._carry(sides, journal, record, events, resumed=False)

    def resume(self, run_id: str, events: EventSink) -> Finished:
        """Goes on with a run that was cut off or failed. Raises RunConflict if the configuration is another now."""
        record = self.find(run_id)
        if record.state == "finished":
            raise UsageError(f"run {run_id} has ended: there is nothing to resume; see 'downstage report {run_id}'")
        sides = Sides.of(self.plan(record.environment, record.settings["steps"]))
        now = self._settings(sides)
        with self.exclusive(record.environment):
            journal = self.journal()
            _refuse_outdated(record, journal.runs())
            for name, what in (("plan", "the configuration"), ("mask", "the masking key or policy")):
                if now[name] != record.settings[name]:
                    raise RunConflict(
                        f"run {run_id} cannot be resumed: {what} is not the one it was started with; restore it, or "
                        f"start over with 'downstage refresh {record.environment}'"
                    )
            return self._carry(sides, journal, journal.take_over(run_id), events, resumed=True)

    def find(self, run_id: str | None, environment: str | None = None) -> RunRecord:
        """The run of that id, or the newest refresh (of `environment`). Raises UsageError if there is none."""
        runs = self._recorded()
        if run_id is not None:
            for run in runs:
                if run.run_id == run_id:
                    return run
            raise UsageError(f"there is no run {run_id} here: see 'downstage runs'")
        for run in reversed(runs):
            if run.kind == "refresh" and environment in (None, run.environment):
                return run
        raise UsageError("there is no refresh here yet: start one with 'downstage refresh ENV'")

    def runs(self) -> list[tuple[RunRecord, str]]:
        """Every run, oldest first, and in what state it is."""
        return [(run, self.state_of(run)) for run in self._recorded()]

    def _recorded(self) -> Sequence[RunRecord]:
        """The journal's runs. Looking makes no journal where none is."""
        return self.journal().runs() if self.journal_path.exists() else ()

    def state_of(self, run: RunRecord) -> str:
        """The run's state: one that the journal says is running, but that no process holds, was cut off."""
        return "cut off" if run.state == "running" and not self._held(run.environment) else run.state

    def outcome(self, run: RunRecord) -> RefreshOutcome:
        """What a run has achieved so far."""
        return outcome_of(self.journal(), run, STEPS)

    def _carry(
        self, sides: Sides, journal: SqliteJournal, run: RunRecord, events: EventSink, *, resumed: bool
    ) -> Finished:
        events.emit(RunStarted(run.run_id, run.environment, resumed))
        error: DownstageError | None = None
        state = "interrupted"
        parts: Parts | None = None
        try:
            parts = parts_for(sides, self.environments(), run, journal, self.journal_path, events)
            run_steps(parts, InlineDurable(), run.settings["steps"])
            state = "finished"
        except DownstageError as problem:
            error = problem
            state = "failed"
        except KeyboardInterrupt:
            if parts is not None:
                parts.engine.stop()
            raise
        finally:
            ended = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            with suppress(RunConflict):  # whoever took the run over says how it ends
                journal.end_run(run.run_id, run.epoch, state, ended)
        outcome = outcome_of(journal, replace(run, ended=ended, state=state), STEPS)
        report = self._write_report(outcome)
        finished = Finished(run.kind, outcome, report, error)
        events.emit(RunFinished(run.run_id, outcome.result.value, finished.exit_code))
        return finished

    def _write_report(self, outcome: RefreshOutcome) -> Path:
        """The three forms of the report; gives the HTML's path."""
        folder = self.state / REPORTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix, render in (("json", render_json), ("md", render_markdown), ("html", render_html)):
                path = folder / f"{outcome.run_id}.{suffix}"
                unfinished = path.with_suffix(f".{suffix}.new")
                unfinished.write_text(render(outcome), encoding="utf-8")
                unfinished.replace(path)
        except OSError as error:
            raise JournalError(
                f"run {outcome.run_id} has ended, but its report cannot be written to {folder} ({error.strerror}): "
                f"make that possible, then see 'downstage report {outcome.run_id}'"
            ) from None
        return folder / f"{outcome.run_id}.html"

    def _settings(self, sides: Sides) -> dict[str, Any]:
        plan = sides.plan
        key, old_keys = sides.key(), sides.old_keys()
        steady = replace(
            plan,
            engine=replace(plan.engine, name="", workers=0),
            masking=replace(plan.masking, lock=None),
            rates=Rates(),
        )
        return {
            "source": plan.source.name,
            "source_account": plan.source.account,
            "target_account": plan.target.account,
            "masking": masking_outcome(plan, key),
            "buckets": [[pair.source.name, pair.target.name] for pair in plan.buckets],
            "mask": fingerprint(plan.masking, key, old_keys),
            "plan": hashlib.sha256(repr(steady).encode()).hexdigest()[:16],
        }

    def _earlier(self, journal: SqliteJournal, environment: str, kind: str) -> dict[str, str]:
        """For a single step that builds on an earlier run: the newest run that did the step before."""
        needs = {"verify": ("copy_run", "copy"), "index": ("verified_run", "verify-tables")}
        if kind not in needs:
            return {}
        setting, step = needs[kind]
        for run in reversed(journal.runs()):
            record = journal.step(run.run_id, step)
            if run.environment == environment and record is not None and record.state == "done":
                return {setting: run.run_id}
        raise JournalError(f"no run of {environment} has done '{step}' yet: 'downstage {kind}' has nothing to go by")

    def _held(self, environment: str) -> bool:
        """Whether a process holds the environment's lock. Only looks: the file stays as it is."""
        try:
            with self._lock_path(environment).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _lock_path(self, environment: str) -> Path:
        return self.state / f"{environment}.lock"

    @contextmanager
    def exclusive(self, environment: str) -> Iterator[None]:
        """Holds the environment's lock. Raises RunConflict if another process has it."""
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            lock = self._lock_path(environment).open("a+")
        except OSError as error:
            raise UsageError(
                f"the state directory {self.state} cannot be used ({error.strerror}): correct 'state' in the "
                "configuration"
            ) from None
        with lock:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _locked(lock):
                if time.monotonic() > deadline:
                    lock.seek(0)
                    raise RunConflict(
                        f"another run of {environment} is going on (process {lock.read().strip() or 'unknown'}): wait "
                        "for it, or end it first (nothing was written)"
                    )
                time.sleep(_LOCK_SECONDS / 20)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def _refuse_outdated(record: RunRecord, runs: Sequence[RunRecord]) -> None:
    """A run's recorded intents are stale once a newer one has changed the environment: its wipe would hit new data."""
    changing = {"refresh", "wipe", "deploy", "copy"}
    place = [run.run_id for run in runs].index(record.run_id)
    newer = [run for run in runs[place + 1 :] if run.environment == record.environment and run.kind in changing]
    if newer:
        raise RunConflict(
            f"run {record.run_id} cannot be resumed: {newer[-1].run_id} has changed {record.environment} since; start "
            f"over with 'downstage refresh {record.environment}' (nothing was written)"
        )


def _locked(file: TextIO) -> bool:
    """Takes the lock, if it is free."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
