"""What a process had no time to say: a refresh that was killed, or that a signal ended before its message was sent, is
told of by the next look of a runner that knows its journal.

Rules: only of a refresh that no runner goes on with; once an attempt, which the journal remembers, so that it is told
neither by two runners nor again after a restart, and which is not remembered before all is there that it takes to tell
it; a run that a living process may still tell of is left to it. No run keeps the runner from the others: what goes
wrong is said once and tried again later, and a place that does not answer is waited for a little at each look.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from downstage.app.carrying import write_report
from downstage.app.clock import SystemClock
from downstage.app.last_record import keep_unsent
from downstage.app.notifying import PATIENCE, Herald, ended, herald_for
from downstage.app.runs import Project
from downstage.domain.notice import KILLED, SIGNALS
from downstage.errors import DownstageError, RunConflict
from downstage.ports import Journal, RunRecord
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS
from downstage.workflow.stopped import is_told, mark_told

A_LOOK = 5.0
"""Seconds that all messages together may keep one look waiting; those that take longer go on beside it."""

_LAST = 1.0
_PAUSE = timedelta(minutes=10)


def may_be_untold(run: RunRecord, state: str) -> bool:
    """Whether the process behind the run may have ended without a word."""
    return run.kind == "refresh" and not run.settings.get("detached") and state in ("cut off", "interrupted")


@dataclass(frozen=True, slots=True)
class _OnTheWay:
    """Messages that are being sent until `deadline`, and the run, if it has begun, whose journal keeps what was not."""

    herald: Herald
    deadline: datetime
    run: RunRecord | None = None
    journal: Journal | None = None


class LateWords:
    """What one runner tells late. `say` gets a line for each message that did not arrive, and for what went wrong."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self._say = say
        self._now = now
        self._told: set[str] = set()
        self._again: dict[str, datetime] = {}
        self._on_the_way: list[_OnTheWay] = []

    def tell(self, project: Project, run: RunRecord, state: str) -> None:
        """Begins to tell, once, of a run whose process had no time to. Raises nothing."""
        what = f"{run.run_id}: {run.epoch}"
        again = self._again.get(what)
        if what in self._told or (again is not None and self._now() < again):
            return
        try:
            herald = _begin(project, run, state)
            if herald is not None:
                self.follow(herald, run, project.journal(run.environment))
        except Exception as error:  # noqa: BLE001  a bug about one run does not end the runner
            if again is None:
                why = str(error) if isinstance(error, DownstageError) else f"internal error: {type(error).__name__}"
                self._say(f"{run.run_id}: nobody could be told yet how it ended ({why}); it is tried again")
            self._again[what] = self._now() + _PAUSE
        else:
            self._again.pop(what, None)
            self._told.add(what)

    def follow(self, herald: Herald, run: RunRecord | None = None, journal: Journal | None = None) -> None:
        """Has `settle` look after messages that are being sent."""
        self._on_the_way.append(_OnTheWay(herald, self._now() + timedelta(seconds=PATIENCE), run, journal))

    def settle(self) -> None:
        """Waits a little for what is being sent, and says what was not: it was refused, or has taken too long."""
        self._settle(A_LOOK, last=False)

    def end(self) -> None:
        """The same for the last time: what has not been sent within a second is not."""
        self._settle(_LAST, last=True)

    def _settle(self, patience: float, *, last: bool) -> None:
        clock = SystemClock()
        end = clock.monotonic() + patience
        remaining = []
        for one in self._on_the_way:
            if one.herald.wait(max(0.0, end - clock.monotonic())) or last or self._now() >= one.deadline:
                unsent = one.herald.settle(0.0)
                for line in unsent:
                    self._say(line)
                if one.run is not None and one.journal is not None:
                    keep_unsent(one.journal, one.run, unsent)
            else:
                remaining.append(one)
        self._on_the_way = remaining


def _begin(project: Project, run: RunRecord, state: str) -> Herald | None:
    """Writes the run's report and begins to tell whoever is to know; None if that was done, or is for another to do."""
    journal = project.journal(run.environment)
    if is_told(journal, run) or project.lock(run.environment).holder(run.run_id) is not None:
        return None
    outcome = outcome_of(journal, replace(run, state=state), STEPS)
    if state == "interrupted" and outcome.exit_code not in SIGNALS:  # it lost its lease, and had the time to say so
        return None
    herald = herald_for(project.config, run.environment)
    code = KILLED if state == "cut off" else outcome.exit_code
    notice = ended(outcome, None, code, write_report(project.state, outcome), "")
    with suppress(RunConflict):  # somebody has gone on with it
        mark_told(journal, run)
        herald.tell(notice)
        return herald
    return None
