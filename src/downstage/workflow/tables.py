"""Steps that read, write and verify tables, fanned out over the engine.

What is fixed once for a run, and must not differ when it is resumed, is in the copy's intent: the identity of both
tables (a re-created table has the same ARN, not the same id), the number of segments, the mask, the expiry cut-off.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from downstage.domain.outcome import StepState
from downstage.domain.plan import EnginePlan
from downstage.errors import AwsError, ConfigError, JournalError, LeakFound, RunConflict, VerificationFailed
from downstage.planning import guards
from downstage.ports import Lane
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.parts import Parts, Step, TableWork
from downstage.workflow.sums import same_items, summed
from downstage.workflow.watching import watching

INTERLEAVED = 4
"""Segments that one worker copies at a time."""

_LANES_A_WORKER = 4
_SEGMENT_BYTES = 128 * 1024 * 1024
_MOST_SEGMENTS = 100_000

EXPIRY_MARGIN = 48 * 3600.0
"""What expires so soon (seconds) is not copied: it might be gone before it is verified."""


def copy(parts: Parts, step: Step) -> str:
    """Copies every table: read, mask, write, checkpoint."""
    parts.guard()
    intent = step.intent(lambda: _copy_intent(parts))
    works = _works(parts, intent)
    lanes = [lane for work in works for lane in _lanes("copy", work)]
    with watching(parts, "copy", works, "read"):
        for _ in parts.engine.run(parts.work.copy(parts.run, works), lanes):
            pass
    totals = [summed(parts.journal.checkpoints(parts.run.run_id, f"copy/{work.target}")) for work in works]
    written = sum(total.get("written", 0) for total in totals)
    addresses = sum(total.get("addresses", 0) for total in totals)
    quarantined = sum(total.get("quarantined", 0) for total in totals)
    step.result(ended=parts.clock.now())
    left_out = f", {quarantined:,} quarantined" if quarantined else ""
    return f"{written:,} items written, {addresses:,} addresses replaced{left_out}"


def verify_tables(parts: Parts, step: Step) -> str:
    """Reads every target table again and compares digests and counts; looks for addresses that are not ours."""
    copied = parts.copy_run
    record = parts.journal.step(copied, "copy")
    if record is None or not record.intent:
        raise JournalError(f"run {copied} copied no tables: there is nothing to verify against")
    works = _works(parts, record.intent)
    step.intent(lambda: {"tables": [work.target for work in works], "copy_run": copied})
    lanes = [lane for work in works for lane in _lanes("verify", work)]
    with watching(parts, "verify", works, "items"):
        for _ in parts.engine.run(parts.work.verify(parts.run, works), lanes):
            pass
    leaks = 0
    differing = []
    for work in works:
        written = parts.journal.checkpoints(copied, f"copy/{work.target}")
        found = parts.journal.checkpoints(parts.run.run_id, f"verify/{work.target}")
        leaks += summed(found).get("leaks", 0)
        if not same_items(written, found):
            differing.append(work.target)
    if leaks:
        raise LeakFound(
            f"{leaks:,} addresses that are neither pseudonyms nor kept, or hashes of real ones, stand in the target "
            "tables: the consumers stay off; see the report for the places"
        )
    if differing:
        raise VerificationFailed(
            f"table {', '.join(differing)}: what is there is not what was written; see the report, then refresh again"
        )
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(looked_for=known)
    return f"{len(works)} tables hold exactly what was written, no address in them{none_found(known)}"


def expiry(parts: Parts, step: Step) -> str:
    """Lets the target's items expire as the source's do. Only now: what expires before the proof would be missed."""
    record = parts.journal.step(parts.copy_run, "copy")
    proof = parts.journal.step(parts.run.run_id, "verify-tables")
    if record is None or not record.intent or proof is None or proof.state != StepState.DONE:
        return "left as it is: no table was copied and verified"
    theirs = {pair.target.name for pair in parts.plan.tables if pair.terms.accepts("ttl")}
    wanted = {
        table["target"]: table["ttl_attribute"]
        for table in record.intent["tables"]
        if table["ttl_attribute"] is not None and table["target"] not in theirs
    }
    if not wanted:
        return "no table expires its items"
    parts.guard()
    step.intent(lambda: {"tables": wanted})
    for target, attribute in wanted.items():
        parts.target_tables.enable_ttl(target, attribute)
    return f"items expire from now on in {', '.join(wanted)}"


def _copy_intent(parts: Parts) -> Mapping[str, Any]:
    """Looks at every pair and fixes what the copy will rely on. Refuses a target that holds items."""
    tables = []
    for pair in parts.plan.tables:
        source, target = parts.facts(pair.source.name, pair.target.name)
        if source.key_names != target.key_names:
            raise ConfigError(
                f"table {target.name} has the key {'/'.join(target.key_names)}, {source.name} has "
                f"{'/'.join(source.key_names)}: they must be the same; deploy the target again"
            )
        if target.status not in ("ACTIVE", "UPDATING"):
            raise AwsError(f"table {target.name} is {target.status}, not ACTIVE: wait for it, then resume the run")
        guards.check_copy_target(pair.target, empty=parts.target_tables.is_empty(target.name), resumes_own_run=False)
        tables.append(
            {
                "source": source.name,
                "target": target.name,
                "source_id": source.table_id,
                "target_id": target.table_id,
                "key_names": list(source.key_names),
                "index_key_names": list(source.index_key_names),
                "ttl_attribute": source.ttl_attribute,
                "segments": _segments(parts.plan.engine, source.size),
                "about": source.items,
            }
        )
    now = parts.clock.now()
    return {
        "tables": tables,
        "mask": parts.mask_fingerprint,
        "started": now,
        "expired_before": now + EXPIRY_MARGIN,
    }


def _works(parts: Parts, intent: Mapping[str, Any]) -> list[TableWork]:
    """The lanes' work from the intent, after checking that nothing it relies on has changed."""
    if intent["mask"] != parts.mask_fingerprint:
        raise RunConflict(
            "the masking key, sink, keep lists or policy are not those the run was started with: half the items would "
            "carry other pseudonyms; restore them, or start a new refresh"
        )
    works = []
    for table in intent["tables"]:
        source, target = parts.facts(table["source"], table["target"])
        for name, was, now in (
            (source.name, table["source_id"], source.table_id),
            (target.name, table["target_id"], target.table_id),
        ):
            if was != now:
                raise RunConflict(f"table {name} was re-created since the copy began: start a new refresh")
        works.append(
            TableWork(
                source=source.name,
                target=target.name,
                key_names=tuple(table["key_names"]),
                segments=table["segments"],
                ttl_attribute=table["ttl_attribute"],
                expired_before=intent["expired_before"],
                index_key_names=tuple(table["index_key_names"]),
            )
        )
    return works


def _segments(engine: EnginePlan, size: int) -> int:
    """Many more segments than lanes, so that a slow one holds nobody up; more of them in a large table."""
    if engine.segments is not None:
        return engine.segments
    least = _LANES_A_WORKER * INTERLEAVED * engine.workers
    return min(max(least, size // _SEGMENT_BYTES), _MOST_SEGMENTS)


def _lanes(task: str, work: TableWork) -> Iterator[Lane]:
    """Segments in an order that follows no key, `INTERLEAVED` a lane: neighbours are not written at one time."""
    order = sorted(range(work.segments), key=lambda segment: zlib.crc32(f"{work.source}/{segment}".encode()))
    for first in range(0, len(order), INTERLEAVED):
        yield Lane(f"{task}/{work.target}", tuple(order[first : first + INTERLEAVED]))
