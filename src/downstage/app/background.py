"""Runs that nobody waits for: detached ones, and the runner that carries them and the scheduled ones through.

The journal says which runs there are to carry (they are `detached` in their settings), so no command needs to talk to
the runner, and a runner that was killed, or that lost its own state, finds everything again. Due times are counted from
when the runner was last up: one that is started for the first time does not make up for a month that it has not seen.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from downstage.app import notifying
from downstage.app.carrying import was_told, write_report
from downstage.app.choosing import choose_steps
from downstage.app.late_words import LateWords, may_be_untold
from downstage.app.precedence import ENDED
from downstage.app.runs import Project
from downstage.aws.secrets import KeyReader
from downstage.config.masking_files import MaskingFiles
from downstage.config.schema import Config
from downstage.errors import ApprovalWanted, ConfigError, DownstageError, RunConflict, TimeBoxReached, UsageError
from downstage.planning.schedules import schedules_of
from downstage.ports import EventSink, RunQueue, RunRecord
from downstage.workflow import gates

POLL = 10.0
"""Seconds between two looks at the journal."""

_CATCH_UP = timedelta(hours=24)
_SHORTEST = timedelta(seconds=POLL)
_LONGEST = timedelta(minutes=10)
_TO_CARRY = ("queued", "cut off", "interrupted", "parked")
_LOCK = "runner.lock"
_SEEN = "runner.json"
_LOGS = "logs"


# ---- detached


def detach(
    project: Project,
    environment: str,
    steps: Sequence[str],
    options: Sequence[str],
    *,
    events: EventSink,
    time_box: float | None = None,
    take_over: bool = False,
) -> tuple[RunRecord, Path | None]:
    """Enters a refresh and leaves it to the runner of this state directory, or else to a process of its own, which is
    given `options` of the command line. With a `time_box` (seconds) it is carried in pieces: the runner goes on with
    the next by itself.

    Gives the run, and the log of that process if one was started.
    """
    run = project.enqueue(environment, steps, events=events, time_box=time_box, take_over=take_over)
    if runner_is_up(project.state):
        return run, None
    log = project.state / _LOGS / f"{run.run_id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "downstage", "resume", run.run_id, "--config", str(project.config.path.absolute())]
    command += options
    if time_box is not None:
        command += ["--time-box", f"{time_box:.0f}s"]
    with log.open("ab") as output:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=Path.cwd()
        )
    return run, log


def runner_is_up(state: Path) -> bool:
    """Whether a runner serves the state directory. Only looks."""
    try:
        with (state / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


# ---- the runner


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a run was not carried, and what that may hang on. It is tried again when one of these changes, or else after
    `pause`: the reason may lie in AWS, where nobody sees it change. `kind` tells one reason from another: an error's
    text may be another each time."""

    kind: tuple[str, str, int]
    config: tuple[Config, MaskingFiles]
    run: tuple[str, int]
    pause: timedelta
    again: datetime


class Runner:
    """Carries runs through until it is stopped. `reopen` reads the configuration anew, for it may change under way.

    A run that has a time-box of its own, or else gets the runner's `time_box` (seconds), is parked when that ends, and
    goes on in the next piece at the next look. One that is refused, or that a bug breaks, is said once and then tried
    ever more seldom.
    """

    def __init__(
        self,
        reopen: Callable[[], Project],
        events: EventSink,
        say: Callable[[str], None],
        now: Callable[[], datetime],
        time_box: float | None = None,
    ) -> None:
        self._time_box = time_box
        self._reopen = reopen
        self._project = reopen()
        self._events = events
        self._say = say
        self._now = now
        self._told: set[str] = set()
        self._late = LateWords(say, now)
        self._refused: dict[str, _Refusal] = {}
        self._carried: set[str] = set()

    def carry(self, run_id: str) -> str:
        """Carries one run as far as it goes, and says how it ended. Raises nothing: the runner goes on."""
        refused = self._refused.get(run_id)
        if refused is None:
            self._say(f"{run_id}: begins")
        self._carried.add(run_id)
        try:
            project = self._reopen()
            time_box = project.find(run_id).settings.get("time_box", self._time_box)
            finished = project.resume(run_id, self._events, time_box=time_box)
        except Exception as error:  # noqa: BLE001  a bug in one run does not end the others
            said = f"not carried: {error}"
            if not isinstance(error, DownstageError):  # its text may quote an item
                said = f"broke off: internal error ({type(error).__name__}); this is a bug: please report it"
            self._carried.discard(run_id)
            self._refuse(run_id, error)
            if refused is not None and refused.kind == _kind(error):
                return said
        else:
            self._carried.discard(run_id)
            self._refused.pop(run_id, None)
            said = f"{finished.outcome.result.value} (exit code {finished.exit_code})"
            if isinstance(finished.error, TimeBoxReached) and not isinstance(finished.error, ApprovalWanted):
                said = f"parked (exit code {finished.exit_code}): its time-box ended, it goes on in the next piece"
            elif finished.error is not None:
                said = f"{said}: {finished.error}"
        self._say(f"{run_id}: {said}")
        return said

    def leave(self) -> None:
        """Writes the reports of what is being carried, before the process ends under it. Nobody is told: it goes on."""
        for run_id in sorted(self._carried):
            with suppress(Exception):  # the process ends in any case
                run = replace(self._project.find(run_id), state="cut off")
                write_report(self._project.state, self._project.outcome(run))
        with suppress(Exception):
            self._late.end()

    def look(self, queue: RunQueue) -> None:
        """One look: enters what is due, and hands over what waits to be carried."""
        with suppress(ConfigError):  # somebody is editing it: the last one that was right is gone by
            self._project = self._reopen()
        self._enter_due()
        under_way = queue.under_way()
        for run, state in self._project.runs():
            if run.run_id not in under_way and run.settings.get("detached") and self._can_go_on(run, state):
                queue.hand_over(run.run_id, run.environment)
            elif may_be_untold(run, state):
                self._late.tell(self._project, run, state)
        self._late.settle()

    def _refuse(self, run_id: str, error: Exception) -> None:
        """Remembers, and tells, that the run was not carried."""
        before = self._refused.get(run_id)
        kind = _kind(error)
        pause = _SHORTEST if before is None or before.kind != kind else min(2 * before.pause, _LONGEST)
        with suppress(DownstageError):  # whoever cannot be asked cannot be told of either
            run = self._project.find(run_id)
            state = self._project.state_of(run)
            mark = (run.state, run.epoch)
            self._refused[run_id] = _Refusal(kind, self._configured(), mark, pause, self._now() + pause)
            if state not in (*ENDED, "running") and not was_told(error):  # else nobody need, or somebody else does
                for line in self._notify(run.environment, error, run_id).settle():
                    self._say(line)

    def _configured(self) -> tuple[Config, MaskingFiles]:
        return self._project.config.config, self._project.config.masking_files

    def _can_go_on(self, run: RunRecord, state: str) -> bool:
        refused = self._refused.get(run.run_id)
        if refused is not None and (refused.run, refused.config) != ((run.state, run.epoch), self._configured()):
            del self._refused[run.run_id]  # whatever becomes of it now is news
        elif refused is not None and self._now() < refused.again:
            return False
        if state == "waiting":
            return not gates.waiting(self._project.journal(run.environment), run)
        return state in _TO_CARRY

    def _enter_due(self) -> None:
        now = self._now()
        path = self._project.state / _SEEN
        last = max(_last_seen(path) or now, now - _CATCH_UP)
        for plan in schedules_of(self._project.config.config):
            due = plan.timetable.next_time(last) if plan.via == "runner" else None
            if due is not None and due <= now:
                self._enter(plan.environment, due)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps({"last": now.isoformat()}), encoding="utf-8")
        unfinished.replace(path)

    def _notify(self, environment: str, error: Exception, run_id: str) -> notifying.Herald:
        """Begins to tell, once, that nobody carries a run: it is looked at again every few seconds."""
        what = f"{run_id}: {type(error).__name__}"
        if what in self._told:
            return notifying.Herald(())
        self._told.add(what)
        return notifying.tell_refused(self._project.config, environment, error, run_id)

    def _enter(self, environment: str, due: datetime) -> None:
        """The run of a due time has an id of its own, so that of several runners only one enters it."""
        run_id = f"{environment}-{due.astimezone(UTC):%Y%m%d-%H%M%S}-due"
        try:
            self._project.enqueue(environment, choose_steps([], []), run_id=run_id)
        except RunConflict as error:
            self._say(f"{environment}: the refresh due at {due:%Y-%m-%d %H:%M} UTC was not begun: {error}")
            with suppress(DownstageError):
                if self._project.journal(environment).run(run_id) is None:  # else another runner has entered it
                    self._late.follow(self._notify(environment, error, run_id))
        except DownstageError as error:
            self._say(f"{environment}: the refresh due at {due:%Y-%m-%d %H:%M} UTC cannot begin: {error}")
            self._late.follow(self._notify(environment, error, run_id))
        else:
            self._say(f"{environment}: the refresh due at {due:%Y-%m-%d %H:%M} UTC is run {run_id}")


def _kind(error: Exception) -> tuple[str, str, int]:
    """What an error is, whatever its text says."""
    return type(error).__name__, str(getattr(error, "code", "")), getattr(error, "exit_code", 1)


def serve(runner: Runner, queue: RunQueue, stop: threading.Event, poll: float = POLL) -> None:
    """Looks again and again until `stop` is set. A journal that cannot be reached is looked at again."""
    while True:
        try:
            runner.look(queue)
        except DownstageError as error:
            runner._say(str(error))
        if stop.wait(poll):
            return


@contextmanager
def the_only_runner(project: Project) -> Iterator[str]:
    """Holds the state directory for one runner; gives this executor's name, always the same. Raises RunConflict."""
    try:
        project.state.mkdir(parents=True, exist_ok=True)
        lock = (project.state / _LOCK).open("a+")
    except OSError as error:
        raise UsageError(f"the state directory {project.state} cannot be used ({error.strerror})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunConflict(f"a runner serves {project.state} already: one is enough") from None
        lock.seek(0)
        name = lock.read().strip()
        if not name:
            name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
            lock.write(name)
            lock.flush()
        yield name


def database_of(project: Project) -> str:
    """The URL of the runner's database. Raises ConfigError for one that several machines share beside a journal that
    they do not."""
    reference = project.config.config.durable.database
    if reference is None:
        return f"sqlite:///{project.state.absolute() / 'runner.sqlite'}"
    url = KeyReader(None, os.environ, setting="durable.database", advice="set it").read(reference).decode().strip()
    if not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise ConfigError("durable.database: only Postgres can be shared, so the URL begins with postgresql://")
    if project.kind == "sqlite":
        raise ConfigError(
            "durable.database: several machines that share a database need a journal that they share too: set "
            "'journal: dynamodb'"
        )
    return url


def _last_seen(path: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["last"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
