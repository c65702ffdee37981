"""What is put back when a run is given up: the consumers that were on before it began.

Only what the first record says was on, though a second run may have seen it off; never after a leak, whichever command
since found it, nor while a newer refresh holds them off: nothing downstream is to see personal data, or half of what is
being loaded, because somebody tidied up. A consumer whose table was made anew listens to a stream that is gone: Lambda
calls it Enabled, and it delivers nothing; that is said, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from downstage.domain.outcome import StepState
from downstage.domain.plan import RefreshPlan
from downstage.ports import Consumer, Journal, Recorded, RunRecord, StepRecord, StreamControl
from downstage.workflow.proven import ENDED, leak_of
from downstage.workflow.standing import PUT_BACK
from downstage.workflow.were_on import Mark, told, were_on

_LEFT_TO = "left_to"
"""In the record: the newer run that puts back what this one has found on."""


def put_back(
    journal: Journal,
    run: RunRecord,
    consumers: StreamControl | None,
    plan: RefreshPlan,
    guard: Callable[[], None],
    alive: Callable[[Consumer], bool],
    known: Recorded | None = None,
    loaded_since: str = "",
) -> str:
    """Switches on what was on, records that, and says in a few words how the consumers stand now. `alive` tells whether
    the stream that a consumer listens to is still its table's, `known` is what can be read of the environment's runs
    (`journal`), and `loaded_since` the run that has loaded since and that stands in none of that.

    `run` must be ours (its epoch). May be repeated. Raises what `consumers`, `guard` and `alive` raise.
    """
    known = known or journal
    chain = list(_given_up(known, run))
    wanted = sorted({mark for one in chain for mark in _were_on(known, one)})
    newer = _newer_holder(known, run)
    if newer is None and loaded_since and any(_touched(known, one) for one in chain):
        detail, left_to = _loaded_by(loaded_since, run.environment), {_LEFT_TO: loaded_since}
    elif newer is None:
        detail, left_to = _switch(known, chain, wanted, consumers, plan, guard, alive), {}
    else:
        detail, left_to = _held_by(newer), {_LEFT_TO: newer.run_id}
    journal.save_step(run.run_id, run.epoch, StepRecord(PUT_BACK, StepState.DONE.value, 0.0, detail, result=left_to))
    return detail


def _held_by(newer: RunRecord) -> str:
    return (
        f"off, and they stay off: run {newer.run_id} holds them until it ends proven, or is given up with "
        f"'downstage cancel {newer.run_id}'"
    )


def _loaded_by(run_id: str, environment: str) -> str:
    return (
        f"left as they are: run {run_id}, whose journal is not here, has loaded the environment since; look with "
        f"'downstage streams status {environment}'"
    )


def _switch(
    journal: Recorded,
    chain: Sequence[RunRecord],
    wanted: Sequence[Mark],
    consumers: StreamControl | None,
    plan: RefreshPlan,
    guard: Callable[[], None],
    alive: Callable[[Consumer], bool],
) -> str:
    if not any(_touched(journal, one) for one in chain) or consumers is None:
        return "as they were: this run did not touch them"
    if leak_of(journal, chain[0], plan) is not None:
        return "off, and they stay off: personal data was found; refresh again"
    if not wanted:
        return "off, as they were before"
    tables = [pair.target.name for pair in plan.tables]
    found = [one for one in consumers.consumers(tables) if any(mark.fits(one) for mark in wanted)]
    living = [one for one in found if alive(one)]
    for consumer in living:
        if not consumer.enabled:
            guard()
            consumers.switch(consumer, on=True)
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
