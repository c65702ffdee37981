"""Steps at the end: consumers on, wait until the indexes hold what they must, verify them by id and for leaks."""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.events import Progress
from downstage.domain.outcome import StepState
from downstage.domain.plan import SearchPlan
from downstage.errors import AwsError, GuardRefused, JournalError, LeakFound, VerificationFailed
from downstage.verify.compare import ID_MODULUS, Expected, expected_documents, id_digest
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.findings import LeakLook, leak_look
from downstage.workflow.parts import Parts, Step

_POLL = 0.5
_TELL = 1000


def consumers_on(parts: Parts, step: Step) -> str:
    """Enables every configured consumer and waits for its real state."""
    if parts.consumers is None:
        return "nothing configured"
    parts.guard()
    _refuse_unproven(parts)
    found = parts.consumers.consumers([pair.target.name for pair in parts.plan.tables])
    step.intent(lambda: {"consumers": sorted(consumer.function for consumer in found)})
    for consumer in found:
        if consumer.region != parts.plan.target.region:
            continue  # the stream of a replica: `target_tables` does not see it
        current = parts.target_tables.facts(consumer.table).stream_arn
        if consumer.stream_arn != current:
            raise AwsError(
                f"the consumer {consumer.function} listens to a stream of table {consumer.table} that is gone: it "
                "would deliver nothing; deploy it again on the table's stream, then resume the run"
            )
    for consumer in found:
        parts.consumers.switch(consumer, on=True)
    return f"{len(found)} on"


def index(parts: Parts, step: Step) -> str:
    """Waits until every index holds as many documents as it must; gives up when nothing moves for `patience`."""
    if parts.plan.search is None:
        return "nothing configured"
    wanted = expectations(parts, parts.plan.search)
    step.intent(lambda: {name: expected.count for name, expected in wanted.items()})
    documents = parts.target_domains.index(parts.plan.search.target.name)
    counts: dict[str, int] = {}
    moved = parts.clock.monotonic()
    while True:
        now = {name: documents.count(name) for name in wanted}
        for name, expected in wanted.items():
            parts.emit(Progress("index", name, now[name], expected.count, "documents"))
        if all(now[name] >= expected.count for name, expected in wanted.items()):
            break
        if now != counts:
            counts, moved = now, parts.clock.monotonic()
        elif parts.clock.monotonic() - moved > parts.plan.search.patience:
            missing = ", ".join(
                f"{name} {now[name]:,} of {e.count:,}" for name, e in wanted.items() if now[name] < e.count
            )
            raise VerificationFailed(
                f"no document arrived for {parts.plan.search.patience:.0f} s ({missing}): look at the consumer's log, "
                "then resume the run"
            )
        parts.clock.sleep(_POLL)
    return f"{sum(now.values()):,} documents in {len(wanted)} indexes"


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
    """Looks for addresses in every index of the target domain, also those that nobody expects: in its name, and in the
    id, the routing and the source of every document. Gives what each holds; one of `wanted` that is not there is empty.
    """
    documents = parts.target_domains.index(search.target.name)
    read = {}
    for name in sorted({*wanted, *documents.indices()}):
        where = "*" if parts.scanner.scan_text(name, "_index") else name
        look.text(where, name, "_index")
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


def _refuse_unproven(parts: Parts) -> None:
    """What this run copied must be proven clean before anything downstream sees it."""
    for made, proof in (("copy", "verify-tables"), ("sync", "verify-buckets")):
        copied, verified = (parts.journal.step(parts.run.run_id, name) for name in (made, proof))
        if copied is None or copied.state == StepState.SKIPPED:
            continue
        if verified is None or verified.state != StepState.DONE:
            raise GuardRefused(
                f"refused: switching the consumers on: what this run did in '{made}' is not verified; run the refresh "
                f"without --skip {proof}, or 'downstage verify' and then 'downstage streams on' (nothing was written)"
            )


def expectations(parts: Parts, search: SearchPlan) -> dict[str, Expected]:
    """What each index must hold, from the verified target tables. Raises JournalError before those are verified."""
    checkpoints = [
        checkpoint
        for pair in parts.plan.tables
        for checkpoint in parts.journal.checkpoints(verified_run(parts), f"verify/{pair.target.name}")
    ]
    if not checkpoints:
        raise JournalError("what the indexes must hold is known only after 'verify-tables': run that step first")
    return {wanted.index: expected_documents(checkpoints, wanted.index) for wanted in search.expectations}


def verified_run(parts: Parts) -> str:
    """The run whose verified tables say what to expect: this one, unless `index` was called alone."""
    return str(parts.run.settings.get("verified_run") or parts.run.run_id)
