"""Whether what an environment was loaded with last is proven: what must hold before anybody switches its consumers on.

Rules: every run of the environment counts, not only the one that asks, for the data do not know who loaded them. What
was found last decides, look by look: a later look that found nothing answers an earlier leak, a later one that failed
undoes an earlier proof. A leak is never gone past; what is merely not verified may be, by name, once its run has ended.
A refresh that can go on and holds the consumers off does so until it is resumed or given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from downstage.domain.outcome import StepState
from downstage.errors import LeakFound, VerificationFailed
from downstage.ports import Journal, RunRecord, StepRecord
from downstage.workflow.reference import REPAIR

PROOFS = {"copy": "verify-tables", "sync": "verify-buckets"}
"""Each step that loads, and the one that proves it."""

_LOOKS = ("scan", "verify-tables", "verify-buckets", "verify-index")
_ENDED = ("finished", "cancelled", "superseded")
_CONTRADICTED = (VerificationFailed.exit_code, LeakFound.exit_code)

Records = Mapping[str, StepRecord]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the consumers should stay off: the run that it is about, what is wrong, what to do. `passable` if
    somebody may take it upon himself."""

    run_id: str
    why: str
    advice: str
    passable: bool = False


def begun(record: StepRecord | None) -> bool:
    """Whether a step has begun, and so may have written."""
    return record is not None and record.state not in (StepState.SKIPPED, StepState.PENDING)


def doubts_of(journal: Journal, asking: RunRecord, loading: Sequence[str] = tuple(PROOFS)) -> list[Doubt]:
    """Every doubt about what the steps `loading` have done last to the environment of the run that asks, the gravest
    first; none if all is proven."""
    runs, steps = _newest_first(journal, asking), _Steps(journal)
    loaded = {name: _newest(runs, steps, name) for name in PROOFS}
    found = [_leak(journal, runs, steps, loaded)]
    found += [_held(run, steps) for run in runs if run.run_id != asking.run_id]
    for name in loading:
        place = loaded[name]
        found.append(None if place is None else _unverified(runs, steps, name, place))
    return [doubt for doubt in found if doubt is not None]


def leak_of(journal: Journal, asking: RunRecord) -> Doubt | None:
    """The personal data that stand in that run's environment, as far as anybody has looked."""
    runs, steps = _newest_first(journal, asking), _Steps(journal)
    return _leak(journal, runs, steps, {name: _newest(runs, steps, name) for name in PROOFS})


def _newest_first(journal: Journal, asking: RunRecord) -> Sequence[RunRecord]:
    return [run for run in reversed(journal.runs()) if run.environment == asking.environment]


class _Steps:
    """The steps of runs, each run's read once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read: dict[str, Records] = {}

    def of(self, run: RunRecord) -> Records:
        if run.run_id not in self._read:
            self._read[run.run_id] = {record.name: record for record in self._journal.steps(run.run_id)}
        return self._read[run.run_id]


def _newest(runs: Sequence[RunRecord], steps: _Steps, name: str) -> int | None:
    """The place of the newest run that has begun the step."""
    return next((place for place, run in enumerate(runs) if begun(steps.of(run).get(name))), None)


def _leak(journal: Journal, runs: Sequence[RunRecord], steps: _Steps, loaded: Mapping[str, int | None]) -> Doubt | None:
    """What any look has found since the data are there, unless a later one of its kind found nothing."""
    answered: set[str] = set()
    for place, run in enumerate(runs):
        looks = {name: steps.of(run)[name].state for name in _LOOKS if begun(steps.of(run).get(name))}
        about = [name for name in looks if _is_about(name, place, loaded)]
        unanswered = [name for name in about if looks[name] != StepState.DONE and name not in answered]
        if unanswered and journal.findings(run.run_id):
            return Doubt(
                run.run_id, f"run {run.run_id} found personal data in the target", f"refresh {run.environment} again"
            )
        answered.update(name for name in about if looks[name] == StepState.DONE)
        if "scan" in answered:  # that one has looked everywhere
            return None
    return None


def _is_about(look: str, place: int, loaded: Mapping[str, int | None]) -> bool:
    """Whether the look of the run at that place was at what is there now."""
    last = loaded.get("sync" if look == "verify-buckets" else "copy")
    return last is None or place <= last


def _held(run: RunRecord, steps: _Steps) -> Doubt | None:
    if run.kind != "refresh" or run.state in _ENDED:
        return None
    off, on = (steps.of(run).get(name) for name in ("consumers-off", "consumers-on"))
    if off is None or not off.intent or begun(on):
        return None
    return Doubt(run.run_id, f"run {run.run_id} holds them off until what it loads is proven", _either(run))


def _unverified(runs: Sequence[RunRecord], steps: _Steps, name: str, place: int) -> Doubt | None:
    """A doubt unless the newest verdict on what that run loaded is that it is as it must be."""
    run = runs[place]
    did = steps.of(run)[name]
    for later in runs[: place + 1]:
        records = steps.of(later)
        proof = records.get(PROOFS[name])
        if proof is not None and _is_of(name, later, proof, run, did):
            if proof.state == StepState.DONE:
                return None
            if proof.state == StepState.FAILED and proof.result.get("exit_code") in _CONTRADICTED:
                break
        if name == "copy" and begun(records.get(REPAIR)):
            break  # it has changed what was proven before
    why = f"what run {run.run_id} did in '{name}' is not verified"
    if run.state not in _ENDED and did.state != StepState.DONE:
        return Doubt(run.run_id, why, _either(run))
    way = f"prove it with 'downstage verify {run.environment}'" if did.state == StepState.DONE else "refresh again"
    accepted = f"--accept-unproven {run.run_id} switches them on all the same"
    return Doubt(run.run_id, why, f"{way}; {accepted}", passable=True)


def _is_of(name: str, verifying: RunRecord, proof: StepRecord, run: RunRecord, did: StepRecord) -> bool:
    """Whether it was that run's copy, as it is now, that was looked at. Buckets are compared as they stand."""
    if name != "copy":
        return True
    began = did.intent.get("epoch")
    return (
        str(verifying.settings.get("copy_run") or verifying.run_id) == run.run_id
        and proof.intent.get("copied", began) == began
    )


def _either(run: RunRecord) -> str:
    return f"go on with 'downstage resume {run.run_id}', or give it up with 'downstage cancel {run.run_id}'"
