"""In what state a run leaves the environment, in plain words: what is said of a run that did not end well.

It is read from the journal alone, so it is as true of a run that was killed as of one that said goodbye.
"""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.outcome import StepState
from downstage.ports import RunRecord, StepRecord
from downstage.workflow.were_on import remembered, told, were_on

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
    "superseded": "The run was given up for a newer one.",
}


def standing(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    """One or two sentences; nothing for a run that has finished, or that is a single step."""
    if run.state == "finished" or run.kind != "refresh":
        return ""
    said = [_WHY.get(run.state, ""), _data(records), _consumers(run, records), _others(records)]
    return " ".join(sentence for sentence in said if sentence)


def _data(records: Mapping[str, StepRecord]) -> str:
    """How far the data are."""

    def begun(name: str) -> bool:
        return name in records and records[name].state not in (StepState.SKIPPED, StepState.PENDING)

    def done(name: str) -> bool:
        return name in records and records[name].state == StepState.DONE

    if done("verify-tables") and done("verify-buckets"):
        return "The tables and buckets are loaded and verified."
    if begun("verify-tables") and records["verify-tables"].state == StepState.FAILED:
        return "The tables are loaded, and verifying them failed: use nothing of them."
    if begun("copy") or begun("sync"):
        return "The tables and buckets hold a part of the new data, and nothing of it is verified: use nothing of them."
    if begun("deploy"):
        return "The tables were deleted and are being made anew; there is nothing in them yet."
    if begun("wipe"):
        return "The tables are deleted, or are being deleted."
    if begun("flags"):
        return "The flags are set for the new data; the old data are still there."
    return "Nothing was written yet."


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
    if on is not None and on.state == StepState.DONE:
        return "The consumers are on again." if " on" in on.detail else ""
    if off is None or not off.intent:
        return _not_yet_off(run, records)
    functions = told(were_on(records)) or "none was on before"
    if run.state in ("cancelled", "superseded"):
        return f"The consumers are off ({functions}): switch them on with 'downstage streams on {run.environment}'."
    return (
        f"The consumers are off ({functions}) and stay off until this run ends proven; 'downstage cancel {run.run_id}' "
        "gives it up and puts them back, unless personal data was found."
    )


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
