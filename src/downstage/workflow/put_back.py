"""What is put back when a run is given up: the consumers as they were before it began.

Only what the first record says was on, though a second run may have seen it off; never after a leak, whichever command
since found it, nor while a newer refresh holds them off: nothing downstream is to see personal data, or half of what is
being loaded, because somebody tidied up. What is on and is not to be is switched off: a run may have been cut off while
it switched them on, or have found personal data after it had. A consumer whose table was made anew listens to a stream
that is gone: Lambda calls it Enabled, and it delivers nothing; that is said, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from downstage.domain.outcome import StepState
from downstage.domain.plan import RefreshPlan
from downstage.ports import Consumer, Journal, Recorded, RunRecord, StepRecord, StreamControl
from downstage.workflow.proven import ENDED, leak_of
from downstage.workflow.standing import PUT_BACK, half_switched
from downstage.workflow.were_on import Mark, told, were_on

_LEFT_TO = "left_to"
"""In the record: the newer run that puts back what this one has found on."""

_UNTOUCHED = "as they were: this run did not touch them"


def put_back(
    journal: Journal,
    run: RunRecord,
    consumers: StreamControl | None,
    plan: RefreshPlan,
    guard: Callable[[], None],
    alive: Callable[[Consumer], bool],
    known: Recorded,
    loaded_since: str,
) -> str:
    """Switches on what was on, and off what was not, records that, and says in a few words how the consumers stand now.
    `alive` tells whether the stream that a consumer listens to is still its table's, `known` is what can be read of the
    environment's runs, `journal` or more, and `loaded_since` the run that has loaded since and that stands in none of
    that; empty if there is none.

    `run` must be ours (its epoch). May be repeated. Raises what `consumers`, `guard` and `alive` raise.
    """
    chain = list(_given_up(known, run))
    wanted = sorted({mark for one in chain for mark in _were_on(known, one)})
    touched = any(_touched(known, one) for one in chain)
    newer = _newer_holder(known, run)
    left_to = "" if newer is None else newer.run_id
    if consumers is None:
        detail = _none_configured(wanted) if touched and wanted else _UNTOUCHED
    elif newer is not None:
        detail = _held_by(known, newer)
    elif not touched:
        detail = _UNTOUCHED
    elif loaded_since:
        detail, left_to = _loaded_by(loaded_since, run.environment, wanted), loaded_since
    else:
        detail = _switch(known, chain, wanted, consumers, plan, guard, alive)
    result = {_LEFT_TO: left_to} if left_to else {}
    journal.save_step(run.run_id, run.epoch, StepRecord(PUT_BACK, StepState.DONE.value, 0.0, detail, result=result))
    return detail


def _none_configured(wanted: Sequence[Mark]) -> str:
    return f"left as they are: the configuration names none any more; on before the run: {told(wanted)}"


def _held_by(known: Recorded, newer: RunRecord) -> str:
    records = {record.name: record for record in known.steps(newer.run_id)}
    off = records.get("consumers-off")
    are_off = off is not None and off.state == StepState.DONE and not half_switched(records)
    how = "off, and they stay off" if are_off else "left as they are"
    return (
        f"{how}: run {newer.run_id} holds them until it ends proven, or is given up with "
        f"'downstage cancel {newer.run_id}'"
    )


def _loaded_by(run_id: str, environment: str, wanted: Sequence[Mark]) -> str:
    return (
        f"left as they are: run {run_id}, whose journal is not here, has loaded the environment since; look with "
        f"'downstage streams status {environment}'; on before: {told(wanted) or 'none'}"
    )


def _switch(
    journal: Recorded,
    chain: Sequence[RunRecord],
    wanted: Sequence[Mark],
    consumers: StreamControl,
    plan: RefreshPlan,
    guard: Callable[[], None],
    alive: Callable[[Consumer], bool],
) -> str:
    there = consumers.consumers([pair.target.name for pair in plan.tables])
    leak, since = leak_of(journal, chain[0], plan), _switched_on_since(journal, chain)
    found = [] if leak is not None else [one for one in there if any(mark.fits(one) for mark in wanted)]
    strange = [one for one in there if one.enabled and one not in found]
    if leak is not None or since is None:
        _switch_all(consumers, strange, guard, on=False)
    named = told(Mark.of(one) for one in strange)
    if leak is not None:
        said = "off, and they stay off: personal data was found; refresh again"
        return f"{said}; on until now, and may have delivered them: {named}" if strange else said
    living = [one for one in found if alive(one)]
    _switch_all(consumers, [one for one in living if not one.enabled], guard, on=True)
    said = _put_on(wanted, found, living) if wanted else "off, as they were before"
    if not strange:
        return said
    if since is None:
        return f"{said}; off now, for they were not on before: {named}"
    left = f"left on, for run {since.run_id} has switched them on since: {named}"
    return f"{said}; {left}" if wanted else left


def _switch_all(consumers: StreamControl, which: Sequence[Consumer], guard: Callable[[], None], *, on: bool) -> None:
    for consumer in which:
        guard()
        consumers.switch(consumer, on=on)


def _put_on(wanted: Sequence[Mark], found: Sequence[Consumer], living: Sequence[Consumer]) -> str:
    """What is said of those that were on: that they are again, deliver nothing, or are gone."""
    on = {Mark.of(consumer) for consumer in living}
    deaf = {Mark.of(consumer) for consumer in found} - on
    gone = [mark for mark in wanted if not any(mark.fits(consumer) for consumer in found)]
    said = [f"{told(on)} on again, as before; what the tables hold is not verified" if on else "none on again"]
    if deaf:
        one = "listens to a stream that is gone, and delivers"
        words = one if len(deaf) == 1 else "listen to streams that are gone, and deliver"
        said.append(f"{len(deaf)} {words} nothing: deploy again ({told(deaf)})")
    if gone:
        said.append(f"not there any more: {told(gone)}")
    return "; ".join(said)


def _given_up(journal: Recorded, run: RunRecord) -> Iterator[RunRecord]:
    """The run, and the refreshes of its environment before it back to the last that left the consumers settled."""
    runs = [one for one in journal.runs() if one.environment == run.environment and one.kind == "refresh"]
    places = [place for place, one in enumerate(runs) if one.run_id == run.run_id]
    for one in reversed(runs[: places[0] + 1] if places else [run]):
        if one.run_id != run.run_id and _settled(journal, one):
            return
        yield one


def _newer_holder(journal: Recorded, run: RunRecord) -> RunRecord | None:
    """The newest refresh after the run that has taken the consumers in hand, can go on, and has not let go of them."""
    for one in reversed(journal.runs()):
        if one.run_id == run.run_id:
            return None
        if one.environment != run.environment or one.kind != "refresh" or one.state in ENDED:
            continue
        if _touched(journal, one) and not _settled(journal, one):
            return one
    return None


def _switched_on_since(journal: Recorded, chain: Sequence[RunRecord]) -> RunRecord | None:
    """The other run that was the last to switch the consumers, if it has switched them on after these had to do with
    them: it was asked to, and was let, and that is not undone."""
    ours = {one.run_id for one in chain}
    names = ("wipe", "deploy", "consumers-off", "consumers-on")
    steps = (journal.step(run_id, name) for run_id in ours for name in names)
    last = max((_heard(step) for step in steps if step is not None and step.intent), default=0.0)
    newest: tuple[float, RunRecord | None] = (last, None)
    for one in journal.runs():
        if one.environment != chain[0].environment or one.run_id in ours:
            continue
        off, on = (journal.step(one.run_id, name) for name in ("consumers-off", "consumers-on"))
        if off is not None and off.intent and _heard(off) > newest[0]:
            newest = _heard(off), None
        if on is not None and on.state == StepState.DONE and on.intent.get("consumers") and _heard(on) > newest[0]:
            newest = _heard(on), one
    return newest[1]


def _heard(step: StepRecord) -> float:
    """When a step was last heard of, in seconds since the epoch; of records of before, long ago."""
    return float(step.result.get("at", 0.0))


def _settled(journal: Recorded, run: RunRecord) -> bool:
    """Whether the run has left the consumers as they are to be, and not to a newer one."""
    steps = (journal.step(run.run_id, name) for name in ("consumers-on", PUT_BACK))
    return any(step is not None and step.state == StepState.DONE and _LEFT_TO not in step.result for step in steps)


def _touched(journal: Recorded, run: RunRecord) -> bool:
    """Whether the run has switched the consumers off, made them anew (off), or taken their streams from them."""
    steps = (journal.step(run.run_id, name) for name in ("wipe", "deploy", "consumers-off"))
    return any(step is not None and step.intent for step in steps)


def _were_on(journal: Recorded, run: RunRecord) -> Sequence[Mark]:
    return were_on({record.name: record for record in journal.steps(run.run_id)})
