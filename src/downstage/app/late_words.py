"""What a process had no time to say: a refresh that was killed, or that a signal ended before its message was sent, is
told of by the next look of a runner that knows its journal.

Rules: only of a refresh that no runner goes on with; once an attempt, which the journal remembers, so that it is told
neither by two runners nor again after a restart; a run that a living process may still tell of is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from downstage.app.carrying import write_report
from downstage.app.notifying import ended, herald_for
from downstage.app.runs import Project
from downstage.domain.notice import KILLED, SIGNALS
from downstage.errors import RunConflict
from downstage.ports import RunRecord
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS
from downstage.workflow.stopped import is_told, mark_told
from downstage.workflow.unsent import remember_unsent


def may_be_untold(run: RunRecord, state: str) -> bool:
    """Whether the process behind the run may have ended without a word."""
    return run.kind == "refresh" and not run.settings.get("detached") and state in ("cut off", "interrupted")


def tell(project: Project, run: RunRecord, state: str) -> Sequence[str]:
    """Writes the run's report and tells whoever is to know, unless that was done; gives what was not sent."""
    journal = project.journal(run.environment)
    if is_told(journal, run) or project.lock(run.environment).holder(run.run_id) is not None:
        return ()
    outcome = outcome_of(journal, replace(run, state=state), STEPS)
    if state == "interrupted" and outcome.exit_code not in SIGNALS:  # it lost its lease, and had the time to say so
        return ()
    try:
        mark_told(journal, run)
    except RunConflict:  # somebody has gone on with it
        return ()
    herald = herald_for(project.config, run.environment)
    code = KILLED if state == "cut off" else outcome.exit_code
    herald.tell(ended(outcome, None, code, write_report(project.state, outcome), ""))
    unsent = herald.settle()
    if unsent:
        with suppress(RunConflict):
            remember_unsent(journal, run, unsent)
    return unsent
