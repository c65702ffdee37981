"""Steps that read, write and verify tables, fanned out over the engine.

What is fixed once for a run, and must not differ when it is resumed, is in the copy's intent: the identity of both
tables (a re-created table has the same ARN, not the same id), the number of segments, the mask, the expiry cut-off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from downstage.copying.quarantine import refuse_too_many
from downstage.domain.events import Note
from downstage.domain.outcome import StepState
from downstage.domain.table_outcome import Differences
from downstage.errors import (
    AwsError,
    ConfigError,
    CredentialsError,
    JournalError,
    LeakFound,
    RunConflict,
    VerificationFailed,
)
from downstage.planning import guards
from downstage.planning.schedule import in_order, segments_of
from downstage.ports import Checkpoint
from downstage.workflow import exports
from downstage.workflow.anew import begin_anew
from downstage.workflow.canaries import looked_for, none_found
from downstage.workflow.cuts import cuts_of, last_weights, written_weights
from downstage.workflow.deep import look_deep, where
from downstage.workflow.parts import Parts, Step, TableWork
from downstage.workflow.reference import Reference, reference_of, repairs_of
from downstage.workflow.sums import same_items, summed, whole
from downstage.workflow.watching import watching

EXPIRY_MARGIN = 48 * 3600.0
"""What expires so soon (seconds) is not copied: it might be gone before it is verified."""


def copy(parts: Parts, step: Step) -> str:
    """Copies every table: read, mask, write, checkpoint."""
    parts.guard()
    intent = step.intent(lambda: _copy_intent(parts))
    works = works_of(parts, intent)
    lanes = in_order(cuts_of(parts, "copy", works, last_weights(parts, works)), parts.plan.engine.workers)
    _refuse_too_many(parts, works)
    with watching(parts, "copy", works, "read"):
        for _ in parts.engine.run(parts.work.copy(parts.run, works), lanes):
            pass
    _refuse_too_many(parts, works)
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
    works = works_of(parts, record.intent)
    refuse_another_copy(parts, step, works, record.intent.get("epoch"))
    repairs = repairs_of(parts.journal, copied)
    references = {work.target: reference_of(parts.journal, copied, work.target, repairs) for work in works}
    step.result(references={table: reference.run_id for table, reference in references.items()})
    before = _found(parts, works)
    ended = [work for work in works if whole(before[work.target])]
    _begin_again(parts, _not_the_same(ended, references, before), before)
    _scan_targets(parts, works)
    read = _found(parts, works)
    differing = _not_the_same(works, references, read)
    try:
        found = {work.target: _look(parts, work, references[work.target]) for work in differing}
    except (AwsError, CredentialsError, JournalError) as error:
        _refuse_leaks(read)
        raise VerificationFailed(
            f"table {', '.join(work.target for work in differing)}: what is there is not what was written; it could "
            f"not be compared item by item: {error}{_elsewhere(parts)}"
        ) from None
    step.result(differences={table: asdict(differences) for table, differences in found.items() if differences})
    settled = [work for work in differing if (look := found[work.target]) is not None and not look.failing]
    if settled:  # a second reading found what the first had not
        _begin_again(parts, settled, read)
        _scan_targets(parts, settled)
        read = _found(parts, works)
        differing = _not_the_same(works, references, read)
    _refuse_leaks(read)
    if differing:
        raise VerificationFailed("; ".join(_said(parts, work, found[work.target]) for work in differing))
    known = looked_for(parts.journal, parts.run, parts.canary_key)
    step.result(looked_for=known)
    mended = [table for table, reference in references.items() if reference.run_id != copied]
    since = f" ({', '.join(mended)}: what its repair has made of it)" if mended else ""
    return f"{len(works)} tables hold exactly what was written{since}, no address in them{none_found(known)}"


def refuse_another_copy(parts: Parts, step: Step, works: Sequence[TableWork], began: int | None) -> None:
    """Ties the step to the one copy that it is about. Raises RunConflict if that run has copied anew since."""
    intent = step.intent(
        lambda: {"tables": [work.target for work in works], "copy_run": parts.copy_run, "copied": began}
    )
    if intent.get("copied") != began:
        raise RunConflict(
            f"run {parts.run.run_id} cannot be resumed: {parts.copy_run} has copied the tables anew since; start "
            "another (nothing was written)"
        )


def _refuse_leaks(read: Mapping[str, Sequence[Checkpoint]]) -> None:
    """A leak goes before all else that may be wrong."""
    leaks = sum(summed(checkpoints).get("leaks", 0) for checkpoints in read.values())
    if leaks:
        raise LeakFound(
            f"{leaks:,} addresses that are neither pseudonyms nor kept, or hashes of real ones, stand in the target "
            "tables: the consumers stay off; see the report for the places"
        )


def _begin_again(parts: Parts, works: Sequence[TableWork], read: Mapping[str, Sequence[Checkpoint]]) -> None:
    """These are to be read from their beginning."""
    for work in works:
        begin_anew(parts.journal, parts.run, f"verify/{work.target}", read[work.target])


def _scan_targets(parts: Parts, works: Sequence[TableWork]) -> None:
    """Reads the targets, each from its checkpoints."""
    lanes = in_order(cuts_of(parts, "verify", works, written_weights(parts, works)), parts.plan.engine.workers)
    with watching(parts, "verify", works, "items"):
        for _ in parts.engine.run(parts.work.verify(parts.run, works), lanes):
            pass


def _found(parts: Parts, works: Sequence[TableWork]) -> dict[str, Sequence[Checkpoint]]:
    """How far each table is: read once, before a reading and after it."""
    return {work.target: parts.journal.checkpoints(parts.run.run_id, f"verify/{work.target}") for work in works}


def _not_the_same(
    works: Sequence[TableWork], references: Mapping[str, Reference], read: Mapping[str, Sequence[Checkpoint]]
) -> list[TableWork]:
    """The tables that are not what they must be."""
    return [work for work in works if not same_items(references[work.target].checkpoints, read[work.target])]


def _look(parts: Parts, work: TableWork, reference: Reference) -> Differences | None:
    """What is wrong with the table, item by item; None if the copy has not ended."""
    if not whole(reference.checkpoints):
        return None
    said = f"table {work.target} is not what was written: each item is compared with its source"
    parts.emit(Note(f"{said}{where(parts)}"))
    return look_deep(parts, parts.deep, work, reference).differences


def _elsewhere(parts: Parts) -> str:
    """What else can be done where this machine, which only directs the others, cannot compare."""
    if parts.here is None:
        return ""
    command = f"'downstage verify {parts.run.environment} --engine local'"
    return f"; {command}, on a machine that has the room for it and can sign in on both sides, says what is wrong"


def _said(parts: Parts, work: TableWork, found: Differences | None) -> str:
    """What is wrong with a table, and what to do."""
    if found is None:
        return f"table {work.target}: what is there is not what was written; see the report, then refresh again"
    if not found.failing:
        return f"table {work.target} is being changed while it is verified: end what writes to it, then verify again"
    what = f"table {work.target}: what is there is not what was written: {found.told}"
    if not found.complete:
        return f"{what}; refresh again"
    environment = parts.run.environment
    if found.unexplained and work.ttl_attribute is not None:
        what += f" (items may have expired since, by '{work.ttl_attribute}', and be gone on both sides)"
    goes_on = f", then 'downstage resume {parts.run.run_id}'" if parts.run.kind == "refresh" else ""
    return f"{what}; mend it with 'downstage verify {environment} --repair'{goes_on}, or refresh again"


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
        segments = segments_of(source.size, parts.plan.engine.workers, parts.plan.engine.segments)
        export = exports.source_of(parts, pair, segments)
        tables.append(
            {
                "source": source.name,
                "target": target.name,
                "source_id": source.table_id,
                "target_id": target.table_id,
                "key_names": list(source.key_names),
                "index_key_names": list(source.index_key_names),
                "ttl_attribute": source.ttl_attribute,
                "segments": segments,
                "about": source.items if export is None else export.items,
                "export": exports.recorded(export),
            }
        )
    now = parts.clock.now()
    return {
        "tables": tables,
        "mask": parts.mask_fingerprint,
        "started": now,
        "epoch": parts.run.epoch,
        "expired_before": now + EXPIRY_MARGIN,
    }


def works_of(parts: Parts, intent: Mapping[str, Any]) -> list[TableWork]:
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
                max_quarantine=parts.plan.max_quarantine.of(table["about"]),
                export=exports.remembered(table.get("export")),
            )
        )
    return works


def _refuse_too_many(parts: Parts, works: Sequence[TableWork]) -> None:
    """Stops a copy that has left out more than is borne: also one that is resumed with the limit it stopped at."""
    for work in works:
        task = f"copy/{work.target}"
        refuse_too_many(task, parts.journal.quarantined(parts.run.run_id, task), work.max_quarantine)
