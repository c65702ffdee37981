"""The leak scan alone: tables, buckets and indexes of the target, whoever filled them.

It is no step of a refresh, but the same code as the steps that verify. It needs no copy, no digest and nothing of the
source but the masking key, by which genuine pseudonyms are known; canaries are looked for if an earlier copy has kept
some, and if there are none it says so. It looks at everything before it says what it found; nothing to look at is a
mistake in the configuration, and no pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downstage.errors import ConfigError, JournalError, LeakFound, RunConflict
from downstage.planning.schedule import in_order, segments_of
from downstage.workflow.buckets import scan_buckets
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.cuts import cuts_of
from downstage.workflow.findings import leak_look
from downstage.workflow.parts import Parts, Step, TableWork
from downstage.workflow.search import scan_indexes
from downstage.workflow.sums import summed, whole
from downstage.workflow.watching import watching


def scan(parts: Parts, step: Step) -> str:
    """Looks for addresses everywhere in the target. Raises ConfigError if there is nothing to look at."""
    if not (parts.plan.tables or parts.plan.buckets or parts.plan.search is not None):
        raise ConfigError(
            f"nothing to scan: the environment {parts.run.environment} names no tables, no buckets and no search "
            "domain; name what is to be proven clean"
        )
    intent = step.intent(lambda: _intent(parts))
    items, leaks, canaries = _scan_tables(parts, intent)
    look = leak_look(parts)
    buckets = scan_buckets(parts, look)
    read = scan_indexes(parts, parts.plan.search, look, {}) if parts.plan.search is not None else {}
    canaries_known = looked_for(parts.journal, parts.run, parts.canary_key)
    keys, sampled = (sum(bucket[name] for bucket in buckets.values()) for name in ("keys", "sampled"))
    documents = sum(found.count for found in read.values())
    step.result(
        buckets=buckets,
        keys=keys,
        sampled=sampled,
        documents=documents,
        scanned_indexes=len(read),
        leaks=look.leaks,
        canaries=look.canaries,
        looked_for=canaries_known,
    )
    looked = (
        f"{items:,} items of {len(intent['tables'])} tables, {keys:,} object keys, metadata and tags of {sampled:,} "
        f"objects, {documents:,} documents of {len(read)} indexes"
    )
    found = leaks + look.leaks
    if found:
        raise LeakFound(
            f"findings: {found:,}, canaries among them: {canaries + look.canaries:,}; looked at {looked}; see the "
            "report for the places"
        )
    return f"no address in {looked}{none_found(canaries_known)}"


def _intent(parts: Parts) -> Mapping[str, Any]:
    """The target tables as they are now; a resumed scan must find the same ones."""
    engine = parts.plan.engine
    facts = [parts.target_tables.facts(pair.target.name) for pair in parts.plan.tables]
    return {
        "tables": [pair.target.name for pair in parts.plan.tables],
        "ids": [each.table_id for each in facts],
        "segments": [segments_of(each.size, engine.workers, engine.segments) for each in facts],
        "buckets": [pair.target.name for pair in parts.plan.buckets],
        "domain": None if parts.plan.search is None else parts.plan.search.target.name,
    }


def _scan_tables(parts: Parts, intent: Mapping[str, Any]) -> tuple[int, int, int]:
    """(items, findings, canaries among them) of all target tables."""
    works = []
    for name, was, segments in zip(intent["tables"], intent["ids"], intent["segments"], strict=True):
        facts = parts.target_tables.facts(name)
        if facts.table_id != was:
            raise RunConflict(f"table {name} was re-created since the scan began: start a new one")
        works.append(TableWork(name, name, facts.key_names, segments, None, 0.0))
    lanes = in_order(cuts_of(parts, "verify", works), parts.plan.engine.workers)
    with watching(parts, "verify", works, "items"):
        for _ in parts.engine.run(parts.work.verify(parts.run, works), lanes):
            pass
    read = {work.target: parts.journal.checkpoints(parts.run.run_id, f"verify/{work.target}") for work in works}
    unread = [table for table, checkpoints in read.items() if not whole(checkpoints)]
    if unread:
        raise JournalError(f"table {', '.join(unread)} was not read to its end: resume run {parts.run.run_id}")
    totals = [summed(checkpoints) for checkpoints in read.values()]
    items, leaks, canaries = (sum(total.get(name, 0) for total in totals) for name in ("items", "leaks", "canaries"))
    return items, leaks, canaries
