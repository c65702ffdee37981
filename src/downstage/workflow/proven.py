"""Whether what an environment was loaded with last is proven: what must hold before anybody switches its consumers on.

Rules: every run of the environment counts, not only the one that asks, for the data do not know who loaded them. What
was found last decides, table by table and bucket by bucket (`history`): a later look that found nothing answers an
earlier leak, a later one that failed undoes an earlier proof. A leak is never gone past; what is merely not verified
may be, by name, once its run has ended. A refresh that can go on and holds the consumers off does so until it is
resumed or given up, unless another has loaded the environment since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from downstage.domain.outcome import StepState
from downstage.domain.plan import RefreshPlan
from downstage.errors import GuardRefused, LeakFound, VerificationFailed
from downstage.ports import Recorded, RunRecord
from downstage.workflow.history import INDEX, Done, History, Leak, Place, begun, history_of
from downstage.workflow.loaders import unknown_loader
from downstage.workflow.parts import Parts

PROOFS = {"copy": "verify-tables", "sync": "verify-buckets"}
"""Each step that loads, and the one that proves it."""

ACCEPT = "accept_unproven"
"""The setting of a run of `streams on` that names the runs whose data somebody takes as they are."""

NOBODY = "none"
"""What is named there for tables that no run is known to have loaded."""

ENDED = ("finished", "cancelled", "superseded")
_CONTRADICTED = (VerificationFailed.exit_code, LeakFound.exit_code)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the consumers should stay off: the run that it is about, what is wrong, what to do. `passable` if
    somebody may take it upon himself."""

    run_id: str
    why: str
    advice: str
    passable: bool = False


def refuse_unproven(parts: Parts) -> list[Doubt]:
    """What the tables and buckets hold must be proven clean before anything downstream sees it: what this run has
    loaded, and for tables that it has not loaded what the environment's runs have. Gives the doubts that the user has
    taken upon himself, by naming the run that they are about. Raises GuardRefused for any other.
    """
    own = [name for name in PROOFS if begun(parts.journal.step(parts.run.run_id, name))]
    for made in own:
        verified = parts.journal.step(parts.run.run_id, PROOFS[made])
        if verified is None or verified.state != StepState.DONE:
            raise GuardRefused(
                f"refused: switching the consumers on: what this run did in '{made}' is not verified; run the refresh "
                f"without --skip {PROOFS[made]}, or 'downstage verify' and then 'downstage streams on' (nothing was "
                "written)"
            )
    loading = {"copy", *own} if parts.run.kind == "refresh" else set(PROOFS)
    known = parts.known
    doubts = [*_loaded_elsewhere(parts, known), *doubts_of(known, parts.run, parts.plan, loading)]
    return refuse(doubts, accepted(parts.run))


def refuse(doubts: Sequence[Doubt], taken: Sequence[str]) -> list[Doubt]:
    """The doubts, if each was taken upon himself by somebody. Raises GuardRefused for the first that was not."""
    for doubt in doubts:
        if not (doubt.passable and doubt.run_id in taken):
            raise GuardRefused(
                f"refused: switching the consumers on: {doubt.why}; {doubt.advice} (nothing was written)"
            )
    return list(doubts)


def accepted(run: RunRecord) -> Sequence[str]:
    """The runs whose data were taken as they are; records of before name one."""
    named = run.settings.get(ACCEPT, ())
    return (named,) if isinstance(named, str) else tuple(named)


def doubts_of(journal: Recorded, asking: RunRecord, plan: RefreshPlan, loading: set[str] | None = None) -> list[Doubt]:
    """Every doubt about the plan's tables, buckets and indexes, the gravest first; none if all is proven. Of what was
    loaded, that by the steps `loading` (all) must be verified."""
    history = history_of(journal, asking.environment)
    leak = _leak(history, plan)
    found = [] if leak is None else [leak]
    found += _holding(history, asking)
    found += _unverified(history, plan, set(PROOFS) if loading is None else loading)
    return [*found, *_unknown(history, asking, plan)]


def leak_of(journal: Recorded, asking: RunRecord, plan: RefreshPlan) -> Doubt | None:
    """The personal data that stand in what the plan names, as far as anybody has looked."""
    return _leak(history_of(journal, asking.environment), plan)


def _loaded_elsewhere(parts: Parts, known: Recorded) -> Iterator[Doubt]:
    """The lease names whoever was the last to load, and each run who was before it; what one has found is in a journal
    that may not be here. A run that has loaded something else since, or nothing in the end, does not answer for it."""
    environment, tables = parts.run.environment, {pair.target.name for pair in parts.plan.tables}
    other = "" if parts.shared is None else unknown_loader(known, environment, parts.shared.loaded_by(), tables)
    if other:
        yield Doubt(
            other,
            f"run {other} has loaded {environment}, no run that is known here has copied all its tables since, and no "
            "journal here knows what became of it",
            f"switch them on where that run was begun, or refresh {environment} again; once you know that it ended "
            f"proven: 'downstage streams on {environment} --accept-unproven {other}'",
            passable=True,
        )


def _places(plan: RefreshPlan) -> list[Place]:
    tables: list[Place] = [("table", pair.target.name) for pair in plan.tables]
    buckets: list[Place] = [("bucket", pair.target.name) for pair in plan.buckets]
    return [*tables, *buckets, *([] if plan.search is None else [INDEX])]


def _leak(history: History, plan: RefreshPlan) -> Doubt | None:
    """What any look has found since the data are there, unless a later one at the same place found nothing."""
    places = _places(plan)
    for leak in reversed(history.leaks):
        if leak.place in places and not _answered(history, leak):
            environment = leak.run.environment
            again = f"refresh {environment} again"
            look = f"'downstage verify {environment} --leaks' that finds nothing answers it"
            why = f"run {leak.run.run_id} found personal data in the target"
            return Doubt(leak.run.run_id, why, f"{again}; once they are gone, {look}")
    return None


def _answered(history: History, leak: Leak) -> bool:
    """A table is empty before it is copied; the indexes are filled from the tables. A bucket keeps what it holds."""
    for load in history.loads:
        anew = leak.place in load.places or (leak.place == INDEX and load.record.name == "copy" and load.places)
        if leak.place[0] != "bucket" and anew and load.began > leak.found:
            return True
    return any(
        look.done
        and leak.place in look.places
        and look.began > leak.found
        and (not leak.by_canary or bool(look.record.result.get("looked_for")))
        for look in history.looks
    )


def _holders(history: History) -> Iterator[RunRecord]:
    """Refreshes that can go on and hold the consumers off: not those after which another has loaded."""
    copies = [load for load in history.loads if load.record.name == "copy" and load.places]
    last = max(copies or history.loads, key=lambda load: load.began, default=None)
    for off in history.held_off:
        run, on = off.run, history.records[off.run.run_id].get("consumers-on")
        if run.kind != "refresh" or run.state in ENDED or not off.record.intent or (on is not None and on.intent):
            continue
        if last is None or last.run is run or not last.places or off.ended >= last.began:
            yield run


def _holding(history: History, asking: RunRecord) -> Iterator[Doubt]:
    for run in _holders(history):
        if run.run_id != asking.run_id:
            yield Doubt(run.run_id, f"run {run.run_id} holds them off until what it loads is proven", _either(run))


def _unverified(history: History, plan: RefreshPlan, loading: set[str]) -> Iterator[Doubt]:
    """What was loaded last, run by run, unless the newest verdict is that it is as it must be."""
    doubted: dict[tuple[str, str], tuple[Done, list[str]]] = {}
    for place in _places(plan):
        load = history.last_load(place)
        if load is not None and load.record.name in loading and not _proven(history, load, place):
            doubted.setdefault((load.run.run_id, load.record.name), (load, []))[1].append(place[1])
    for load, names in doubted.values():
        run, name = load.run, load.record.name
        why = f"what run {run.run_id} did in '{name}' is not verified ({', '.join(names)})"
        if run.state not in ENDED and not load.done:
            yield Doubt(run.run_id, why, _either(run))
            continue
        way = "refresh again" if name == "copy" else f"'downstage sync {run.environment}' syncs again, and proves it"
        if _can_verify(history, load):
            way = f"prove it with 'downstage verify {run.environment}'"
        taken = f"--accept-unproven {run.run_id} switches them on all the same"
        yield Doubt(run.run_id, why, f"{way}; {taken}", passable=True)


def _proven(history: History, load: Done, place: Place) -> bool:
    """Whether the newest verdict on what was loaded there is that it is as it must be."""
    if not load.done:
        return False
    about = [
        look
        for look in history.looks
        if look.record.name == PROOFS[load.record.name] and place in look.places and _is_of(look, load)
    ]
    for look in sorted(about, key=lambda each: each.ended, reverse=True):
        if any(repair.ended > look.began for repair in history.repairs if _mends(repair, load)):
            return False  # it has changed what was proven before
        if look.done:
            return True
        if look.record.state == StepState.FAILED and look.record.result.get("exit_code") in _CONTRADICTED:
            return False
    return False


def _is_of(look: Done, load: Done) -> bool:
    """Whether it was that load, as it is now, that was looked at. Buckets are compared as they stand."""
    if load.record.name != "copy":
        return look.run is load.run or look.began > load.ended
    copied = str(look.run.settings.get("copy_run") or look.run.run_id)
    return copied == load.run.run_id and _of_this_copy(look, load)


def _mends(repair: Done, load: Done) -> bool:
    of_that_run = repair.record.intent.get("copy_run") == load.run.run_id
    return load.record.name == "copy" and of_that_run and _of_this_copy(repair, load)


def _of_this_copy(step: Done, load: Done) -> bool:
    """A run that is begun anew copies anew, in a higher epoch."""
    epoch = load.record.intent.get("epoch")
    return bool(step.record.intent.get("copied", epoch) == epoch)


def _can_verify(history: History, load: Done) -> bool:
    """Whether `verify`, which goes by the newest copy that has ended well, looks at this load."""
    copies = [each for each in history.loads if each.record.name == "copy" and each.done]
    if not load.done or not copies:
        return False
    return load.record.name != "copy" or load.run is copies[-1].run


def _unknown(history: History, asking: RunRecord, plan: RefreshPlan) -> Iterator[Doubt]:
    """Tables that nobody is known to have loaded, and that nobody has looked at."""
    seen = {place for look in history.looks if look.done for place in look.places}
    names = [
        name for kind, name in _places(plan)
        if kind == "table" and (kind, name) not in seen and history.last_load((kind, name)) is None
    ]  # fmt: skip
    if names:
        yield Doubt(
            NOBODY,
            f"this journal knows of no run that has loaded {', '.join(names)}",
            "if one has from elsewhere (CI keeps its journal in the control table), set DOWNSTAGE__JOURNAL to that; "
            f"else look with 'downstage verify {asking.environment} --leaks', or take them as they are with "
            f"'downstage streams on {asking.environment} --accept-unproven {NOBODY}'",
            passable=True,
        )


def _either(run: RunRecord) -> str:
    return f"go on with 'downstage resume {run.run_id}', or give it up with 'downstage cancel {run.run_id}'"
