"""How far a run's data are, in sentences: tables, buckets and search indexes each for themselves.

It goes by what the steps have recorded that they do, not by their states alone: a step for which nothing is configured
is done and has done nothing, and one that was cut off before its intent has written nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.outcome import StepState
from downstage.errors import LeakFound
from downstage.ports import StepRecord
from downstage.workflow.bucket_plans import BUCKET_PLANS

Records = Mapping[str, StepRecord]

_PART = "hold a part of the new data, and nothing of it is verified: use nothing of them"
_UNPROVEN = "are loaded and not verified: use nothing of them"
_VERIFIED = "are loaded and verified"
_NOT_THE_SAME = "are loaded, and verifying them failed: use nothing of them"
_LEAKING = "are loaded, and personal data was found in them: let nobody use them, and refresh again"


def how_far(records: Records) -> str:
    """In a few sentences."""
    tables, buckets = _tables(records), _buckets(records)
    if tables and tables == buckets:
        loaded = [f"The tables and buckets {tables}."]
    else:
        first = f"The tables {tables}." if tables else _before_the_copy(records, loads=bool(buckets))
        loaded = [first, f"The buckets {buckets}." if buckets else ""]
    return " ".join(sentence for sentence in (*loaded, _indexes(records)) if sentence)


def leaking(record: StepRecord | None) -> bool:
    """Whether a look has found personal data, and has not been repeated to a good end since."""
    found = record is not None and record.result.get("exit_code") == LeakFound.exit_code
    return found and record is not None and record.state not in (StepState.DONE, StepState.SKIPPED)


def _tables(records: Records) -> str:
    """What is to be said of them once the copy has begun, if there are any."""
    copied = records.get("copy")
    if copied is None or not copied.intent.get("tables"):
        return ""
    return _loaded(copied, records.get("verify-tables"))


def _buckets(records: Records) -> str:
    """The same of the buckets. A sync that its plan pass has refused has no start, and has put nothing there."""
    synced, proof = records.get("sync"), records.get("verify-buckets")
    if synced is None or not synced.intent.get(BUCKET_PLANS):
        return ""
    if "started" not in synced.result and "began" in synced.result:
        return "are as they were"
    return _loaded(synced, proof)


def _loaded(load: StepRecord, proof: StepRecord | None) -> str:
    if leaking(proof):
        return _LEAKING
    if load.state != StepState.DONE:
        return _PART
    if proof is None or proof.state not in (StepState.DONE, StepState.FAILED):
        return _UNPROVEN
    return _VERIFIED if proof.state == StepState.DONE else _NOT_THE_SAME


def _before_the_copy(records: Records, *, loads: bool) -> str:
    """How the tables stand before anything was copied into them; nothing if no step before that has done anything, and
    others have."""
    gone, deployed = _wiped(records), records.get("deploy")
    if deployed is not None and deployed.intent:
        made = "the deployment has ended" if deployed.state == StepState.DONE else "the deployment has begun"
        if gone:
            return f"The {gone} were deleted and {made}; nothing was copied yet."
        return f"{made[0].upper()}{made[1:]}; nothing was copied yet."
    if gone and records["wipe"].state == StepState.DONE:
        return f"The {gone} that 'wipe' names are deleted."
    if gone:
        return f"The wipe has begun: of the {gone} that it names some or all may be deleted."
    flags = records.get("flags")
    if flags is not None and flags.intent.get("flags"):
        how = "The flags are" if flags.state == StepState.DONE else "Some or all of the flags are"
        return f"{how} set for the new data; the old data are still there."
    if loads:
        return ""
    touched = any(records[name].intent for name in ("consumers-off", "restore-search") if name in records)
    return "The data are as they were." if touched else "Nothing was written yet."


def _wiped(records: Records) -> str:
    """What the wipe has set out to delete: tables, search domains, or both; nothing if there was none."""
    wipe = records.get("wipe")
    if wipe is None or not wipe.intent:
        return ""
    places = [wipe.intent, *wipe.intent.get("further", {}).values()]
    words = {"tables": "tables", "domains": "search domains"}
    return " and ".join(word for kind, word in words.items() if any(place.get(kind) for place in places))


def _indexes(records: Records) -> str:
    """How the search indexes stand, once somebody waits for them to fill."""
    filled, proof = records.get("index"), records.get("verify-index")
    if leaking(proof):
        return "Personal data was found in the search indexes: let nobody use them, and refresh again."
    if proof is not None and proof.state == StepState.FAILED:
        return "Verifying the search indexes failed: do not rely on them."
    if proof is not None and proof.state == StepState.DONE and proof.intent:
        return "The search indexes are verified."
    if filled is None or not filled.intent:
        return ""
    return (
        "The search indexes are filled and not verified."
        if filled.state == StepState.DONE
        else ("The search indexes are not filled yet, and not verified.")
    )
