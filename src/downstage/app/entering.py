"""A new run as it is entered in the journal: its id, and what it must be the same in when it is resumed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from downstage.app.precedence import refuse_loaded_since
from downstage.app.wiring import Sides, masking_outcome
from downstage.domain.outcome import StepState
from downstage.errors import JournalError, RunConflict
from downstage.masking.compile import fingerprint
from downstage.planning.essence import essence
from downstage.ports import Journal, LastLoad, Recorded, RunRecord


def new_run(sides: Sides, environment: str, kind: str, steps: Sequence[str], state: str) -> RunRecord:
    """A run that nobody has entered yet. `kind` is `refresh`, or the name of the one command it is."""
    now = datetime.now(UTC)
    return RunRecord(
        run_id=f"{environment}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        environment=environment,
        kind=kind,
        state=state,
        epoch=1,
        started=instant(now),
        ended="",
        settings=settings_of(sides) | {"steps": list(steps)},
    )


def settings_of(sides: Sides) -> dict[str, Any]:
    """What the journal keeps of the configuration. `plan` and `mask` are compared when the run is resumed."""
    plan = sides.plan
    key, old_keys = sides.key(), sides.old_keys()
    return {
        "source": plan.source.name,
        "source_account": plan.source.account,
        "target_account": plan.target.account,
        "masking": masking_outcome(plan, key),
        "buckets": [[pair.source.name, pair.target.name] for pair in plan.buckets],
        "streams": plan.streams is not None,
        "mask": fingerprint(plan.masking, key, old_keys),
        "plan": essence(plan),
    }


def earlier_run(
    journal: Journal, environment: str, kind: str, known: Callable[[], Recorded], last: LastLoad
) -> dict[str, str]:
    """For a single step that builds on an earlier run: the newest run that did the step before. Raises JournalError if
    there is none, and RunConflict for a backfill of tables that another run has begun to load since, by all that can be
    read of the environment's runs (`known`), or by the load that the lease tells of."""
    copied, verified = ("copy_run", "copy"), ("verified_run", "verify-tables")
    needs = {"verify": copied, "repair": copied, "index": verified, "backfill": verified}
    if kind not in needs:
        return {}
    setting, step = needs[kind]
    ours = [run for run in journal.runs() if run.environment == environment]
    for run in reversed(ours):
        record = journal.step(run.run_id, step)
        if record is not None and record.state == StepState.DONE:
            if kind == "backfill":
                _refuse_later_copy(known(), ours, run, last)
            return {setting: run.run_id}
    raise JournalError(f"no run of {environment} has done '{step}' yet: 'downstage {kind}' has nothing to go by")


def _refuse_later_copy(known: Recorded, ours: Sequence[RunRecord], verified: RunRecord, last: LastLoad) -> None:
    """What was verified is one run's copy; what another has begun to put there since is proven by nobody."""
    copied = str(verified.settings.get("copy_run") or verified.run_id)
    runs = [run for run in known.runs() if run.environment == verified.environment]
    refuse_loaded_since(known, next((run for run in runs if run.run_id == copied), verified), last)
    here = {run.run_id for run in ours}
    for run in reversed(runs):
        if run.run_id == copied:
            return
        record = known.step(run.run_id, "copy")
        if record is not None and record.intent:  # one that was refused has written nothing
            if run.run_id not in here:
                first = "where that run was begun"
            elif record.state == StepState.DONE:
                first = f"'downstage verify {run.environment}'"
            else:
                first = f"'downstage resume {run.run_id}'"
            raise RunConflict(
                f"run {run.run_id} has begun to copy into {run.environment} after {copied}, whose tables were "
                f"verified: prove them first ({first}), then make their documents (nothing was written)"
            )


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC, in seconds."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
