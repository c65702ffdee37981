"""In what state a run leaves the environment, in plain words: what is said of a run that did not end well.

It is read from the journal alone, so it is as true of a run that was killed as of one that said goodbye. Where the
journal cannot know (a switch that was under way), it says that it may be so, and which command shows it.
"""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.outcome import StepState
from downstage.ports import RunRecord, StepRecord
from downstage.workflow.how_far import how_far, leaking
from downstage.workflow.were_on import BY_THE_RUN, SWITCHING, remembered, told, were_on

PUT_BACK = "put-back"
"""The step that `cancel` adds: consumers as they were before."""

_WHY = {
    "queued": "The run has not begun: it waits for a runner.",
    "running": "The run is going on.",
    "cut off": "The run was cut off: no process is behind it.",
    "interrupted": "The run was interrupted.",
    "parked": "The run is parked: its time-box ended.",
    "waiting": "The run waits for an approval.",
    "failed": "The run failed.",
    "cancelled": "The run was cancelled.",
    "superseded": "The run was given up for a newer one; what it left is told as it was then.",
}


def standing(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """A few sentences; nothing for a run that has finished, or that is a single step."""
    if run.state == "finished" or run.kind != "refresh":
        return ""
    said = [_WHY.get(run.state, ""), how_far(records), _consumers(run, records), _others(records)]
    return " ".join(sentence for sentence in said if sentence)


def half_switched(records: Mapping[str, StepRecord]) -> bool:
    """Whether a step has begun to switch consumers, off or on, and is not known to have come to its end; or the run is
    begun again from a step before it had switched them on."""
    on, off = records.get("consumers-on"), records.get("consumers-off")
    if on is not None and on.intent and on.state != StepState.DONE:
        return True
    if off is None or not off.intent:
        return False
    return off.state != StepState.DONE or bool(off.result.get(SWITCHING) or off.result.get(BY_THE_RUN))


def _others(records: Mapping[str, StepRecord]) -> str:
    """Consumers that were seen on the streams and that nobody holds off."""
    off = records.get("consumers-off")
    found = off.result.get("others", ()) if off is not None else ()
    return f"Not held off, for the configuration does not name them: {', '.join(found)}." if found else ""


def _consumers(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """Where the stream consumers stand."""
    back, on, off = (records.get(name) for name in (PUT_BACK, "consumers-on", "consumers-off"))
    if back is not None and back.state == StepState.DONE:
        return f"Consumers: {back.detail}."
    if half_switched(records):
        return _some_on(run, records)
    if on is not None and on.state == StepState.DONE:
        return _on_again(run, records)
    if off is None or not off.intent:
        return _not_yet_off(run, records)
    functions = told(were_on(records)) or "none was on before"
    if run.state == "superseded":
        return f"The consumers were off ({functions}) when it was given up."
    if run.state == "cancelled":
        return f"The consumers are off ({functions}): switch them on with 'downstage streams on {run.environment}'."
    return (
        f"The consumers are off ({functions}) and stay off until this run ends proven; 'downstage cancel {run.run_id}' "
        "gives it up and puts them back, unless personal data was found."
    )


def _on_again(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """How they stand once the run has switched them on."""
    if not records["consumers-on"].intent.get("consumers"):
        return ""
    if any(leaking(records.get(name)) for name in ("verify-tables", "verify-buckets", "verify-index")):
        off = f"'downstage streams off {run.environment}'"
        return f"The consumers are on again, and go on delivering: switch them off with {off}."
    return "The consumers are on again."


def _some_on(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """How they stand in the middle of a switch."""
    functions = told(were_on(records)) or "none was on before"
    said = (
        f"The run was switching the consumers ({functions}): some may be on and some off; 'downstage streams status "
        f"{run.environment}' shows them"
    )
    if run.state in ("cancelled", "superseded"):
        return f"{said}."
    return f"{said}. The run settles them when it goes on, and 'downstage cancel {run.run_id}' when it is given up."


def without_streams(run: RunRecord, records: Mapping[str, StepRecord]) -> bool:
    """Whether tables were deleted or made anew and the consumers not switched off yet: what Lambda calls Enabled then
    may listen to a stream that is gone. Not if the run, or its preflight, says that none is configured."""
    if not run.settings.get("streams", True):
        return False
    preflight, off = records.get("preflight"), records.get("consumers-off")
    if off is not None and off.intent:
        return False
    if preflight is not None and preflight.result.get("consumers", ()) is None:
        return False
    return any(bool(records[name].intent) for name in ("wipe", "deploy") if name in records)


def _not_yet_off(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """How they stand before the run has switched them off."""
    if not without_streams(run, records):
        return ""
    on = told(remembered(records["preflight"].result.get("consumers"))) if "preflight" in records else ""
    return (
        f"The run has not switched the consumers off (on before: {on or 'none'}): one that says Enabled may listen to "
        "the stream of a table that was deleted, and deliver nothing, until it is deployed again; 'downstage streams "
        f"status {run.environment}' shows them."
    )
