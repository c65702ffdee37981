"""A refresh that a CI runs: what the CI is told when the process ends.

A run whose time-box ended goes on in the CI's next pipeline, in a fresh container. One that ended well lets a waiting
approval job through; one that did not, or that cannot go on, has the waiting workflow cancelled. A run that another
process holds, or that waits for a person's approval, says nothing: whoever waits, waits on. Who waits has waited since
the run began, which may be many pieces ago.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from downstage.app.runs import Finished
from downstage.errors import ApprovalWanted, CiError, DownstageError, HeldByAnother, TimeBoxReached
from downstage.ports import Unattended

LONGEST_DAYS = 14
"""No pipeline starts another for longer: a run that never gets any further would go on, and cost, for ever."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the CI was told, in plain words; `goes_on` if the next pipeline has taken over. `failure` is why it could
    not be told."""

    words: Sequence[str] = ()
    goes_on: bool = False
    failure: DownstageError | None = None


def tell(ci: Unattended, finished: Finished, now: float) -> Told:
    """Tells the CI how a run ended, or that it goes on. `now` is seconds since the epoch."""
    if isinstance(finished.error, ApprovalWanted | HeldByAnother):
        return Told()
    run_id = finished.outcome.run_id
    since = instant(finished.outcome.started)
    if finished.exit_code != TimeBoxReached.exit_code:
        return _told(lambda: ci.ended(well=finished.exit_code == 0, since=since))
    if now - since < LONGEST_DAYS * 86400:
        return _told(lambda: [ci.go_on(run_id, ci.mark())], goes_on=True)
    told = _told(lambda: ci.ended(well=False, since=since))
    endless = (
        f"run {run_id} has gone on for {LONGEST_DAYS} days: no further pipeline is started; see why, then resume it"
    )
    return told if told.failure else Told(told.words, failure=CiError(endless))


def tell_broken_off(ci: Unattended, error: Exception, since: float) -> Told:
    """Tells the CI that no run could begin, or go on, for whatever reason, since when the run, or this call, began."""
    if isinstance(error, HeldByAnother):
        return Told()
    return _told(lambda: ci.ended(well=False, since=since))


def began(environment: str, run_id: str, now: float) -> float:
    """When a run of the environment was begun, by its id alone: the journal may be what cannot be reached. `now` for
    one that is yet to begin, or whose id does not say it."""
    found = re.fullmatch(rf"{re.escape(environment)}-(\d{{8}}-\d{{6}})-\w+", run_id, re.ASCII)
    try:
        return now if found is None else datetime.strptime(f"{found[1]}Z", "%Y%m%d-%H%M%S%z").timestamp()
    except ValueError:
        return now


def instant(text: str) -> float:
    """Seconds since the epoch of an instant that the journal holds."""
    return datetime.fromisoformat(text).timestamp()


def _told(tell_it: Callable[[], Sequence[str]], *, goes_on: bool = False) -> Told:
    try:
        return Told(tell_it(), goes_on)
    except DownstageError as error:
        return Told(failure=error)
