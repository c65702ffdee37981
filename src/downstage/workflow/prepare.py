"""Steps before any data moves: preflight, flags, deploy, consumers off (the wipe between them is `wipe`).

Each looks, records what it is going to do, does it, and looks again. Each may be run again at any point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from downstage.domain.events import Note
from downstage.domain.outcome import StepState
from downstage.domain.plan import Flag, ParameterFlag
from downstage.errors import ConfigError, DownstageError, VerificationFailed
from downstage.planning.consumers import check_others
from downstage.planning.preflight import find_problems
from downstage.ports import Consumer, Journal, RunRecord, Sealer
from downstage.proof import digest
from downstage.workflow.backfill import mapping_problems
from downstage.workflow.bucket_plans import plans_of, survey
from downstage.workflow.parts import Parts, Step
from downstage.workflow.standing import PUT_BACK
from downstage.workflow.were_on import BY_THE_RUN, SWITCHING, Mark, kept, recorded, remembered, told

_GRAVEST_LAST = (1, 2, 3)
"""Exit codes of what preflight may find."""


def problems_of(parts: Parts) -> list[DownstageError]:
    """Everything that would make the refresh fail later, the buckets' plan pass apart."""
    found = find_problems(
        parts.plan,
        parts.environments,
        source_identity=parts.source_identity,
        target_identity=parts.target_identity,
        source_tables=parts.source_tables,
        target_tables=parts.target_tables,
        store=parts.store,
        source_domains=parts.source_domains,
        target_domains=parts.target_domains,
        consumers=parts.consumers,
        check_masking=parts.check_masking,
        deployer=parts.deployer,
        steps=parts.run.settings.get("steps"),
        exports=parts.exports,
        export_files=parts.export_files,
        masker=parts.objects.masker,
        around=parts.around,
        further=parts.further,
        note=lambda text: parts.emit(Note(text)),
    )
    return [*found, *mapping_problems(parts.plan)]


def preflight(parts: Parts, step: Step) -> str:
    """Looks for everything that would make the refresh fail later; touches nothing. Raises with *all* problems.

    The buckets' plan pass is part of it: what would stop their sync stops the run before anything is wiped.
    """
    problems = problems_of(parts)
    if problems:
        worst = max(problems, key=lambda problem: _GRAVEST_LAST.index(problem.exit_code))
        raise type(worst)("\n".join(str(problem) for problem in problems))
    steps = parts.run.settings.get("steps")
    if parts.plan.buckets and (steps is None or "sync" in steps):
        survey(parts, plans_of(parts, step), "preflight")
    known = parts.journal.step(parts.run.run_id, "preflight")
    if known is None or "consumers" not in known.result:  # a second look never overwrites the first
        step.result(consumers=_consumers_on(parts))
    return "nothing stands in the way"


def _consumers_on(parts: Parts) -> list[list[str]] | None:
    """The consumers that deliver before the run changes anything: what is put back if it is given up. None if nobody
    configured any."""
    if parts.consumers is None:
        return None
    return recorded(parts.consumers.consumers([pair.target.name for pair in parts.plan.tables]))


def flags(parts: Parts, step: Step) -> str:
    """Writes every flag, reads each back consistently and compares."""
    parts.guard()
    step.intent(lambda: {"flags": [flag.label for flag in parts.plan.flags], "before": _values_before(parts)})
    for flag in parts.plan.flags:
        parts.still_ours()
        parts.flags.write(flag)
        if not _reads(flag, parts.flags.read(flag)):
            raise VerificationFailed(
                f"the flag {flag.label} was written but reads otherwise: look for who else sets it"
            )
    return f"{len(parts.plan.flags)} set and read back"


def _values_before(parts: Parts) -> str:
    """What the flags were before this run, sealed: a flag may hold anything."""
    found = [[flag.label, parts.flags.read(flag)] for flag in parts.plan.flags]
    return parts.sealer.seal(orjson.dumps(found), f"{parts.run.run_id}/flags")


def values_before(journal: Journal, run: RunRecord, sealer: Sealer) -> list[tuple[str, Any]]:
    """Each flag's label, and its value before the run set it (None: it was not set). Nothing if it set none.

    Raises JournalError if the masking key is not the run's.
    """
    record = journal.step(run.run_id, "flags")
    if record is None or not record.intent.get("before"):
        return []
    opened = orjson.loads(sealer.open(record.intent["before"], f"{run.run_id}/flags"))
    return [(label, value) for label, value in opened]


def _reads(flag: Flag, found: Mapping[str, Any] | str | None) -> bool:
    """Whether a flag reads as it was set. DynamoDB writes a number (1.0, 1) and orders a set in its own way."""
    if isinstance(flag, ParameterFlag):
        return found == flag.value
    return isinstance(found, Mapping) and digest.item_digest(dict(found)) == digest.item_digest(dict(flag.values))


def deploy(parts: Parts, step: Step) -> str:
    """Has the deployer make the tables and domains, and checks that the tables are there."""
    if parts.deployer is None:
        return "nothing configured"
    parts.guard()
    intent = step.intent(parts.deployer.intent)
    detail = parts.deployer.deploy(intent)
    for pair in parts.plan.tables:
        parts.target_tables.facts(pair.target.name)
    return detail


def consumers_off(parts: Parts, step: Step) -> str:
    """Disables the consumers of the target tables' streams; the streams stay on and keep the records."""
    if parts.consumers is None:
        return "nothing configured"
    parts.guard()
    found = parts.consumers.consumers([pair.target.name for pair in parts.plan.tables])
    if not found and parts.plan.streams is not None and parts.plan.streams.functions:
        raise ConfigError(
            "streams.functions: no consumer of the target tables matches; correct the names, or remove 'streams'"
        )
    step.intent(lambda: {"enabled": recorded(found)})
    _switch_off(parts, found)
    others = check_others(parts.plan, parts.consumers, parts.target_tables)
    step.result(others=others)
    return f"{len(found)} off" + (f"; not held off: {', '.join(others)}" if others else "")


def hold_off(parts: Parts) -> None:
    """A run that goes on looks at its consumers again: what is on is switched off, unless the run has begun to switch
    them on. The first record of what was on stays as it is; that somebody has switched them on meanwhile is entered,
    for they may have seen what nobody had proven. What the run itself had switched on, before it was begun again from
    an earlier step, is no such thing."""
    journal, run = parts.journal, parts.run
    if journal.step(run.run_id, PUT_BACK) is not None:  # a `cancel` was cut off, and the run goes on instead
        journal.forget_step(run.run_id, run.epoch, PUT_BACK, ())
    off, on = (journal.step(run.run_id, name) for name in ("consumers-off", "consumers-on"))
    if parts.consumers is None or off is None or off.state != StepState.DONE or (on is not None and on.intent):
        return
    found = parts.consumers.consumers([pair.target.name for pair in parts.plan.tables])
    again = [consumer for consumer in found if consumer.enabled]
    settled = {name: value for name, value in off.result.items() if name not in (BY_THE_RUN, SWITCHING)}
    ours = off.result.get(BY_THE_RUN, ())
    own = [consumer for consumer in again if any(mark.fits(consumer) for mark in remembered(ours))]
    strange = [consumer for consumer in again if consumer not in own]
    if again:
        parts.guard()
        if strange:
            settled["again"] = kept([*remembered(settled.get("again")), *(Mark.of(consumer) for consumer in strange)])
        under_way = {**settled, SWITCHING: True, BY_THE_RUN: ours}
        journal.save_step(run.run_id, run.epoch, replace(off, result=under_way))
        _switch_off(parts, again)
    if settled != off.result:
        journal.save_step(run.run_id, run.epoch, replace(off, result=settled))
    if own:
        parts.emit(
            Note(
                f"{told(Mark.of(consumer) for consumer in own)}: this run had switched it on, after its proof; off "
                "again until what is done again now is proven"
            )
        )
    if strange:
        parts.emit(
            Note(
                f"{told(Mark.of(consumer) for consumer in strange)}: switched on since this run switched it off, and "
                "off again now; it may have seen data that are not proven. What is put back if the run is given up "
                "stays what was on before it"
            )
        )


def _switch_off(parts: Parts, consumers: Sequence[Consumer]) -> None:
    """One after the other; each may be waited for, and the environment be another run's by then."""
    for consumer in consumers:
        parts.still_ours()
        assert parts.consumers is not None
        parts.consumers.switch(consumer, on=False)
