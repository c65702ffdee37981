"""What was loaded into an environment, what was mended there and who looked at it: of all its runs, place by place.

A place is a table, a bucket, or the search domain. Rules: a load counts from its recorded start, for what was refused
has written nothing; whoever looks answers only for the places that he covered, as they were when he began. What comes
before what is told by these instants, not by which run began first: a run may be gone on with a week later. Records of
before that hold no instants are placed after what their own run did before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from downstage.domain.outcome import StepState
from downstage.ports import Recorded, RunRecord, StepRecord
from downstage.verify.canaries import CANARY
from downstage.workflow.bucket_plans import BUCKET_PLANS
from downstage.workflow.reference import REPAIR

Place = tuple[Literal["table", "bucket", "index"], str]
INDEX: Place = ("index", "")
"""All indexes of the search domain: they are looked at together."""

When = tuple[float, int, int]
"""Seconds since the epoch; where these are the same, the place of the run and of its step in the journal."""

LOOKS = ("scan", "verify-tables", "verify-buckets", "verify-index")
_AFTER_ITS_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Done:
    """A step that has begun: what it was about, when it began, and when it was last heard of."""

    run: RunRecord
    record: StepRecord
    places: frozenset[Place]
    began: When
    ended: When

    @property
    def done(self) -> bool:
        """Whether it has ended well."""
        return self.record.state == StepState.DONE


@dataclass(frozen=True, slots=True)
class Leak:
    """Personal data that a run has found in a place, and by when; `by_canary` if only whoever looks for canaries might
    see it."""

    run: RunRecord
    place: Place
    found: When
    by_canary: bool


@dataclass(frozen=True, slots=True)
class History:
    """Of one environment, in the journal's order. `held_off` are the steps that switched consumers off."""

    runs: Sequence[RunRecord]
    records: Mapping[str, Mapping[str, StepRecord]]
    loads: Sequence[Done]
    looks: Sequence[Done]
    repairs: Sequence[Done]
    held_off: Sequence[Done]
    leaks: Sequence[Leak]

    def last_load(self, place: Place) -> Done | None:
        """What was put there last."""
        return max((load for load in self.loads if place in load.places), key=lambda load: load.began, default=None)


def begun(record: StepRecord | None) -> bool:
    """Whether a step has begun, and so may have written."""
    return record is not None and record.state not in (StepState.SKIPPED, StepState.PENDING)


def history_of(journal: Recorded, environment: str) -> History:
    """Reads the steps of every run of the environment once, and the findings of those that may have left any open."""
    runs = [run for run in journal.runs() if run.environment == environment]
    records = {run.run_id: {record.name: record for record in journal.steps(run.run_id)} for run in runs}
    steps = [done for place, run in enumerate(runs) for done in _steps(place, run, records[run.run_id].values())]
    loads = [done for done in steps if done.record.name in ("copy", "sync")]
    looks = [done for done in steps if done.record.name in LOOKS]
    known = {place for done in (*loads, *looks) for place in done.places}
    leaks = [
        leak
        for place, run in enumerate(runs)
        if _may_have_left_some(run, records[run.run_id])
        for leak in _leaks(journal, place, run, [done for done in steps if done.run is run], known)
    ]
    by_name = {name: [done for done in steps if done.record.name == name] for name in (REPAIR, "consumers-off")}
    return History(runs, records, loads, looks, by_name[REPAIR], by_name["consumers-off"], leaks)


def _steps(place: int, run: RunRecord, records: Any) -> Iterator[Done]:
    """The steps that tell something, with their instants."""
    latest = datetime.fromisoformat(run.started).timestamp()
    for number, record in enumerate(records):
        result, intent = record.result, record.intent
        began = result.get("began", latest)
        ended = result.get("at", result.get("ended", latest))
        if record.name == "copy":
            began = intent.get("started", began)
        elif record.name == "sync":
            began = result.get("started", began)
        ended = max(began, ended)
        if not begun(record) and not (record.name == "consumers-off" and intent):  # begun anew, they are still off
            continue
        latest = max(latest, ended)
        covered = _covered(record)
        if record.name in LOOKS or record.name in (REPAIR, "consumers-off") or covered:
            yield Done(run, record, covered, (began, place, number), (ended, place, number))


def _covered(record: StepRecord) -> frozenset[Place]:
    """What a step has loaded, or looked at."""
    intent, result = record.intent, record.result
    tables: Any = ()
    buckets: Any = ()
    index = False
    if record.name == "copy":
        tables = [table["target"] for table in intent.get("tables", ())]
    elif record.name == "sync" and ("started" in result or "began" not in result):  # one that was refused has no start
        buckets = [plan["target"] for plan in intent.get(BUCKET_PLANS, ())]
    elif record.name in LOOKS:
        tables = intent.get("tables", ())
        buckets = intent.get("buckets", result.get("buckets", ()))
        index = bool(intent.get("domain") or result.get("scanned_indexes"))
    found: set[Place] = {("table", name) for name in tables} | {("bucket", name) for name in buckets}
    return frozenset(found | {INDEX} if index else found)


def _may_have_left_some(run: RunRecord, records: Mapping[str, StepRecord]) -> bool:
    """Not if all that it was to look with has ended well: then nothing was there in the end."""
    wanted = [name for name in LOOKS if name in run.settings.get("steps", LOOKS)]
    return any(name not in records or records[name].state != StepState.DONE for name in wanted)


def _leaks(journal: Recorded, place: int, run: RunRecord, steps: Sequence[Done], known: set[Place]) -> Iterator[Leak]:
    """What the run's looks have found and not, in another attempt, found gone. Findings whose look was forgotten (the
    run was begun again before it) are as new as the run."""
    findings = journal.findings(run.run_id)
    if not findings:
        return
    canaries = {str(each["where"]) for each in findings if tuple(each.get("layers", ()))[:1] == (CANARY,)}
    left = {str(each["where"]) for each in findings}
    for look in (done for done in steps if done.record.name in LOOKS):
        named = {name for kind, name in look.places if kind != "index"}
        here = {(kind, name) for kind, name in look.places if name in left}
        elsewhere = {name for name in left if name not in {each for _, each in known}}
        if INDEX in look.places and (elsewhere or (left and look.record.name == "verify-index")):
            here.add(INDEX)
            named |= elsewhere
        if not look.done:
            for spot in here:
                names = elsewhere if spot == INDEX else {spot[1]}
                yield Leak(run, spot, look.ended, bool(names & canaries))
        left -= named
    last = max((done.ended for done in steps), default=(datetime.fromisoformat(run.started).timestamp(), place, 0))
    for name in left:
        spots = {spot for spot in known if spot[1] == name} or {INDEX}
        for spot in spots:
            yield Leak(run, spot, (last[0], place, _AFTER_ITS_STEPS), name in canaries)
