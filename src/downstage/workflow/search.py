"""Steps at the end: consumers on, wait until the indexes hold what they must, verify them by id and for leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from downstage.domain.events import Note, Progress
from downstage.domain.outcome import StepState
from downstage.domain.plan import SearchPlan
from downstage.errors import AwsError, JournalError, LeakFound, VerificationFailed
from downstage.planning.assumptions import RETENTION
from downstage.planning.consumers import SAFE, alive, expected_hold, hours, starting_late, what_then
from downstage.ports import Consumer
from downstage.verify.compare import ID_MODULUS, Expected, expected_documents, id_digest
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.findings import LeakLook, leak_look
from downstage.workflow.parts import Parts, Step
from downstage.workflow.proven import refuse_unproven
from downstage.workflow.were_on import Mark, kept

_POLL, _SLOWEST_POLL = 0.5, 5.0
_TELL = 1000
_LONGEST_WORD = 120


def consumers_on(parts: Parts, step: Step) -> str:
    """Enables every configured consumer and waits for its real state."""
    if parts.consumers is None:
        return "nothing configured"
    parts.guard()
    accepted = refuse_unproven(parts)
    found = parts.consumers.consumers([pair.target.name for pair in parts.plan.tables])
    step.intent(lambda: {"consumers": kept(Mark.of(consumer) for consumer in found)})
    for consumer in found:
        if not alive(parts.plan, consumer, parts.target_tables):
            raise AwsError(
                f"the consumer {consumer.function} listens to a stream of table {consumer.table} that is gone: it "
                "would deliver nothing; deploy it again on the table's stream, then resume the run"
            )
    lost = _lost(parts, found)
    if lost:
        parts.emit(Note(f"{'; '.join(lost)}: {what_then(parts.plan)}"))
    whys = [doubt.why for doubt in accepted]
    step.result(lost=lost, accepted=whys)
    if whys:
        parts.emit(Note(f"the consumers are switched on though {'; '.join(whys)}: you have taken that upon yourself"))
        step.save(StepState.RUNNING, "")  # whoever looks at a run that was cut off here must see it
    for consumer in found:
        parts.still_ours()
        parts.consumers.switch(consumer, on=True)
    return f"{len(found)} on" + (f" though {'; '.join(whys)} (accepted)" if whys else "")


def tell_retention(parts: Parts) -> None:
    """Says so when a run goes on of which the streams will have lost records before its consumers are on."""
    copied, on = (parts.journal.step(parts.run.run_id, name) for name in ("copy", "consumers-on"))
    if parts.consumers is None or copied is None or not copied.intent:
        return
    if "consumers-on" not in parts.run.settings.get("steps", ("consumers-on",)):
        return
    if on is not None and on.state == StepState.DONE:
        return
    held, left = parts.clock.now() - copied.intent["started"], 0.0
    if copied.state != StepState.DONE:
        with suppress(AwsError):
            tables = [(pair, parts.source_tables.facts(pair.source.name)) for pair in parts.plan.tables]
            left = max(0.0, expected_hold(parts.plan, tables) - held)
    if held + left > SAFE:
        parts.emit(
            Note(
                f"the tables were begun to load {hours(held)} ago, and a stream keeps records for {hours(RETENTION)}: "
                f"the first ones will be lost before the consumers are on; {what_then(parts.plan)}"
            )
        )


def _lost(parts: Parts, consumers: Sequence[Consumer]) -> list[str]:
    """Why the streams cannot have kept every record of what this run has loaded, as far as that can be known."""
    copied = parts.journal.step(parts.run.run_id, "copy")
    if copied is None or not copied.intent:
        return []
    held = parts.clock.now() - copied.intent["started"]
    said = []
    if held > SAFE:
        said.append(
            f"the tables were begun to load {hours(held)} ago, and a stream keeps records for {hours(RETENTION)}"
        )
    late = starting_late(consumers)
    if late:
        said.append(f"{', '.join(late)} may have missed what was loaded before it was on: it starts at LATEST")
    return said


def index(parts: Parts, step: Step) -> str:
    """Waits until every index holds as many documents as it must; gives up when nothing moves for `patience`."""
    if parts.plan.search is None:
        return "nothing configured"
    wanted = expectations(parts, parts.plan.search)
    step.intent(lambda: {name: expected.count for name, expected in wanted.items()})
    documents = parts.target_domains.index(parts.plan.search.target.name)
    counts: dict[str, int] = {}
    moved, poll = parts.clock.monotonic(), _POLL
    while True:
        now = {name: documents.count(name) for name in wanted}
        for name, expected in wanted.items():
            parts.emit(Progress("index", name, now[name], expected.count, "documents"))
        if all(now[name] >= expected.count for name, expected in wanted.items()):
            break
        if now != counts:
            counts, moved, poll = now, parts.clock.monotonic(), _POLL
        elif parts.clock.monotonic() - moved > parts.plan.search.patience:
            raise VerificationFailed(_stalled(parts, parts.plan.search, now, wanted))
        parts.clock.sleep(poll)
        poll = min(poll * 1.5, _SLOWEST_POLL)
    return f"{sum(now.values()):,} documents in {len(wanted)} indexes"


def _stalled(parts: Parts, search: SearchPlan, now: Mapping[str, int], wanted: Mapping[str, Expected]) -> str:
    """What is missing, what Lambda says of those that should have brought it, and what to do."""
    missing = ", ".join(f"{name} {now[name]:,} of {e.count:,}" for name, e in wanted.items() if now[name] < e.count)
    tables = [pair.target.name for pair in parts.plan.tables]
    found = parts.consumers.consumers(tables) if parts.consumers is not None else ()
    said = "; ".join(_told(parts, consumer) for consumer in found) or "no consumer is configured"
    environment = parts.run.environment
    off = [consumer for consumer in found if not consumer.enabled]
    first = f"'downstage streams on {environment}' switches on what is off; " if off else ""
    resume = f", then 'downstage resume {parts.run.run_id}'" if parts.run.kind == "refresh" else ""
    return (
        f"no document arrived for {search.patience:.0f} s ({missing}). Consumers: {said}. {first}look at the "
        "consumer's log; what its stream has lost (it keeps records for 24 hours) "
        f"'downstage index backfill {environment}' makes from the tables{resume}"
    )


def _told(parts: Parts, consumer: Consumer) -> str:
    """A consumer's state, and Lambda's word for its last batch."""
    said = parts.redact(consumer.last_result)[:_LONGEST_WORD]
    return f"{consumer.function} of {consumer.table} is {consumer.state}" + (f", last result: {said}" if said else "")


def verify_index(parts: Parts, step: Step) -> str:
    """Reads every document of the target domain: are the ids the expected ids, and is no address left in any?"""
    if parts.plan.search is None:
        return "nothing configured"
    search = parts.plan.search
    wanted = expectations(parts, search)
    step.intent(lambda: {"domain": search.target.name})
    look = leak_look(parts)
    read = scan_indexes(parts, search, look, wanted)
    results = {
        name: {
            "expected": expected.count,
            "found": read[name].count,
            "same_ids": read[name] == expected,
        }
        for name, expected in sorted(wanted.items())
    }
    scanned = sum(found.count for found in read.values())
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(
        indexes=results,
        documents=scanned,
        scanned_indexes=len(read),
        leaks=look.leaks,
        canaries=look.canaries,
        looked_for=known,
    )
    if look.leaks:
        raise LeakFound(f"{look.leaks:,} addresses stand in the search indexes; see the report for the places")
    wrong = [name for name, result in results.items() if not result["same_ids"]]
    if wrong:
        raise VerificationFailed(
            f"index {', '.join(wrong)} does not hold exactly the documents it must; see the report for the numbers"
        )
    return f"{scanned:,} documents in {len(read)} indexes by id, no address in them{none_found(known)}"


def scan_indexes(
    parts: Parts, search: SearchPlan, look: LeakLook, wanted: Mapping[str, Expected]
) -> dict[str, Expected]:
    """Looks for addresses in every index of the target domain, also those that nobody expects: in its name, in how it
    is defined, and in the id, the routing and the source of every document. Gives what each holds; one of `wanted` that
    is not there is empty.
    """
    documents = parts.target_domains.index(search.target.name)
    read = {}
    there = documents.indices()
    for name in sorted({*wanted, *there}):
        where = "*" if parts.scanner.scan_text(name, "_index") else name
        look.text(where, name, "_index")
        if name in there:
            look.document(where, documents.definition(name), "_definition")
        found = ids = 0
        for document in documents.documents(name):
            found += 1
            ids = (ids + id_digest(document.document_id)) % ID_MODULUS
            look.text(where, document.document_id, "_id")
            if document.routing is not None:
                look.text(where, document.routing, "_routing")
            look.document(where, document.source)
            if found % _TELL == 0:
                parts.emit(Progress("verify-index", where, found, _total(wanted, name, found), "documents"))
        read[name] = Expected(found, ids)
    return read


def _total(wanted: Mapping[str, Expected], name: str, found: int) -> int | None:
    return max(found, wanted[name].count) if name in wanted else None


def expectations(parts: Parts, search: SearchPlan) -> dict[str, Expected]:
    """What each index must hold, from the verified target tables: those that were asked for by name, else all. Raises
    JournalError before the tables are verified."""
    checkpoints = [
        checkpoint
        for pair in parts.plan.tables
        for checkpoint in parts.journal.checkpoints(verified_run(parts), f"verify/{pair.target.name}")
    ]
    if not checkpoints:
        raise JournalError("what the indexes must hold is known only after 'verify-tables': run that step first")
    only = parts.run.settings.get("indexes")
    return {
        wanted.index: expected_documents(checkpoints, wanted.index)
        for wanted in search.expectations
        if only is None or wanted.index in only
    }


def verified_run(parts: Parts) -> str:
    """The run whose verified tables say what to expect: this one, unless `index` was called alone."""
    return str(parts.run.settings.get("verified_run") or parts.run.run_id)
