"""What is put back when a run is given up: the consumers that were on before it began.

Only what the first record says was on, though a second run may have seen it off; never after a leak, whichever of the
runs since found it: nothing downstream is to see personal data because somebody tidied up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from downstage.domain.outcome import StepState
from downstage.ports import Journal, RunRecord, StepRecord, StreamControl
from downstage.workflow.standing import PUT_BACK


def put_back(
    journal: Journal,
    run: RunRecord,
    consumers: StreamControl | None,
    tables: Sequence[str],
    guard: Callable[[], None],
) -> str:
    """Switches on what was on, records that, and says in a few words how the consumers stand now.

    `run` must be ours (its epoch). May be repeated. Raises what `consumers` and `guard` raise.
    """
    chain = list(_given_up(journal, run))
    wanted = sorted({name for one in chain for name in _were_on(journal, one)})
    detail = _switch(journal, chain, wanted, consumers, tables, guard)
    journal.save_step(run.run_id, run.epoch, StepRecord(PUT_BACK, StepState.DONE.value, 0.0, detail))
    return detail


def _switch(
    journal: Journal,
    chain: Sequence[RunRecord],
    wanted: Sequence[str],
    consumers: StreamControl | None,
    tables: Sequence[str],
    guard: Callable[[], None],
) -> str:
    if not any(_touched(journal, one) for one in chain) or consumers is None:
        return "as they were: this run did not touch them"
    if any(journal.findings(one.run_id) for one in chain):
        return "off, and they stay off: personal data was found; refresh again"
    if not wanted:
        return "off, as they were before"
    guard()
    on, stale = [], []
    for consumer in consumers.consumers(tables):
        if consumer.function in wanted:
            if not consumer.enabled:
                consumers.switch(consumer, on=True)
            on.append(consumer.function)
    stale = [name for name in wanted if name not in on]
    missing = f"; not there any more: {', '.join(stale)}" if stale else ""
    return f"{', '.join(sorted(set(on))) or 'none'} on again, as before; what the tables hold is not verified{missing}"


def _given_up(journal: Journal, run: RunRecord) -> Iterator[RunRecord]:
    """The run, and the refreshes of its environment before it back to the last that left the consumers settled."""
    runs = [one for one in journal.runs() if one.environment == run.environment and one.kind == "refresh"]
    places = [place for place, one in enumerate(runs) if one.run_id == run.run_id]
    for one in reversed(runs[: places[0] + 1] if places else [run]):
        settled = (journal.step(one.run_id, name) for name in ("consumers-on", PUT_BACK))
        if one.run_id != run.run_id and any(step is not None and step.state == StepState.DONE for step in settled):
            return
        yield one


def _touched(journal: Journal, run: RunRecord) -> bool:
    """Whether the run has switched the consumers off, or made them anew (off)."""
    steps = (journal.step(run.run_id, name) for name in ("deploy", "consumers-off"))
    return any(step is not None and step.intent for step in steps)


def _were_on(journal: Journal, run: RunRecord) -> Sequence[str]:
    """What the preflight found on, before anything was changed; and what was on when it was switched off."""
    before, off = (journal.step(run.run_id, name) for name in ("preflight", "consumers-off"))
    return [
        *([] if before is None else before.result.get("consumers", ())),
        *([] if off is None else off.intent.get("enabled", ())),
    ]
