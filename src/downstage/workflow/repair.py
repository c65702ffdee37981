"""Mending target tables, on demand only: what a deep comparison says is wrong is made what the source, masked, is now.

    guard → look deep → note the verdicts → put and delete, each noted before and read back after → new reference

Nothing is trusted from before: who we are, which tables these are (by id, as when they were copied) and the mask are
checked again. What merely moved on in production is left as it was copied. Begun again after a kill, it goes on from
the spill; with the spill lost, it looks anew. Whether the tables are right afterwards is not said here: `verify-tables`
runs next and reads them again, against the reference that is entered here last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from downstage.domain.events import Note, Progress
from downstage.domain.table_outcome import Differences, RepairOutcome
from downstage.errors import JournalError, RunConflict, VerificationFailed
from downstage.ports import Checkpoint
from downstage.proof.digest import MODULUS
from downstage.verify.item_names import ItemNames
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Difference
from downstage.workflow.deep import Looked, Now, deep_work, look_deep, run_phases, segment_of, where
from downstage.workflow.deep_lanes import CHUNKS
from downstage.workflow.parts import Deep, Parts, Step, TableWork
from downstage.workflow.reference import REPAIR, Reference, reference_of, repair_task, repairs_of
from downstage.workflow.tables import refuse_another_copy, works_of

_MENDED = ("genuine", "untold")


def repair_tables(parts: Parts, step: Step) -> str:
    """Mends every table of the newest copy that is not what it must be. Raises VerificationFailed if it cannot be."""
    deep = parts.deep
    parts.guard()
    if parts.here is not None:
        parts.emit(Note(f"tables are compared and mended{where(parts)}"))
    copied = parts.copy_run
    record = parts.journal.step(copied, "copy")
    if record is None or not record.intent:
        raise JournalError(f"run {copied} copied no tables: there is nothing to repair")
    _refuse_outdated(parts, copied)
    works = works_of(parts, record.intent)
    refuse_another_copy(parts, step, works, record.intent.get("epoch"))
    repairs = repairs_of(parts.journal, copied)
    mended: dict[str, RepairOutcome] = {}
    found: dict[str, Differences] = {}
    for work in works:
        looked, outcome = _repair_one(parts, deep, work, reference_of(parts.journal, copied, work.target, repairs))
        found[work.target], mended[work.target] = looked.differences, outcome
        step.result(
            differences={table: asdict(differences) for table, differences in found.items()},
            repaired={table: asdict(repaired) for table, repaired in mended.items()},
        )
        if not looked.differences.complete:
            raise VerificationFailed(
                f"table {work.target}: {looked.differences.told}: it cannot be mended row by row; start a new refresh"
            )
    return _said(found, mended)


def _refuse_outdated(parts: Parts, copied: str) -> None:
    """A repair that is resumed must be the newest: what it has found is not so any more after another one."""
    ids = [run.run_id for run in parts.journal.runs()]
    for run_id in ids[ids.index(parts.run.run_id) + 1 :]:
        record = parts.journal.step(run_id, REPAIR)
        if record is not None and record.intent.get("copy_run") == copied:
            raise RunConflict(
                f"run {parts.run.run_id} cannot be resumed: {run_id} has repaired {parts.run.environment} since; start "
                f"anew with 'downstage verify {parts.run.environment} --repair' (nothing was written)"
            )


def _repair_one(parts: Parts, deep: Deep, work: TableWork, reference: Reference) -> tuple[Looked, RepairOutcome]:
    job = deep_work(parts, deep, work)
    looked = look_deep(parts, deep, work, reference, keep=True)
    outcome = RepairOutcome()
    wrong = looked.differences.failing
    if wrong and looked.differences.complete:
        parts.emit(Note(f"table {work.target}: {looked.differences.told}; mending"))
        with Spill.begin(job.spill, parts.run.epoch) as spill:
            total = sum(1 for _ in spill.differences())
            for _ in run_phases(parts, deep, job, {"mend": range(CHUNKS)}, differences=total):
                done = sum(difference.mended for difference in spill.differences())
                parts.emit(Progress("mend", work.target, done, None, "items"))
            differences = list(spill.differences())
        outcome = _outcome(differences)
        for checkpoint in adapted(deep.names, reference.checkpoints, looked, differences):
            parts.journal.save_checkpoint(parts.run.run_id, parts.run.epoch, repair_task(work.target), checkpoint)
    Spill.discard(job.spill)
    return looked, outcome


def adapted(
    names: ItemNames, reference: Sequence[Checkpoint], looked: Looked, differences: Sequence[Difference]
) -> list[Checkpoint]:
    """What the table must hold now, by segment.

    Where it could be told what had been written, that is the old reference, and for each mended item what was put in
    place of what had been written. Else it is built anew: what the source held when it was read, but for the items that
    differed, which are what they must be now.
    """
    told = looked.told
    assert told is not None
    place = segment_of(looked.segments)
    anew = set(told.unexplained) | {
        number for d in differences if d.id in told.untold and (number := place(d.segment)) is not None
    }
    digests = {n: segment.source if n in anew else segment.written for n, segment in looked.segments.items()}
    items = {n: segment.source_items if n in anew else segment.written_items for n, segment in looked.segments.items()}
    for difference in differences:
        number = place(difference.segment)
        if number is None:
            continue
        now = Now.of(names, difference)
        must = _must_be(names, difference, now)
        if number in anew:
            was = now.source_scanned
        elif difference.verdict == "genuine":
            was = now.source if now.source is not None else now.source_scanned
        else:
            continue
        digests[number] = (digests[number] + (must or 0) - was) % MODULUS
        items[number] += (must is not None) - (was != 0)
    total = len(looked.segments)
    return [
        Checkpoint(
            place,
            total,
            done=True,
            digest=digests[n],
            counters={"written": items[n], "unmaskable": looked.segments[n].unmaskable if n in anew else 0},
        )
        for place, n in enumerate(sorted(looked.segments))
    ]


def _must_be(names: ItemNames, difference: Difference, now: Now) -> int | None:
    """The digest of what must be in the target for this key."""
    if difference.verdict not in _MENDED:
        return now.target
    if difference.mended or difference.action:
        return None if difference.expected is None else names.uncover(difference.name, difference.expected)
    return now.source


def _outcome(differences: Sequence[Difference]) -> RepairOutcome:
    wrong = [difference for difference in differences if difference.verdict in _MENDED]
    mended = [difference.action for difference in wrong if difference.mended]
    return RepairOutcome(mended.count("put"), mended.count("delete"), len(wrong) - len(mended))


def _said(found: Mapping[str, Differences], mended: Mapping[str, RepairOutcome]) -> str:
    put, deleted, left = (sum(getattr(each, name) for each in mended.values()) for name in ("put", "deleted", "left"))
    moved = sum(differences.source_changed for differences in found.values())
    if not (put or deleted or left) and not any(differences.failing for differences in found.values()):
        return f"{len(found)} tables are what they must be: nothing to mend"
    more = f", {left:,} would not be mended" if left else ""
    since = f"; {moved:,} changed in the source since the copy and were left as they are" if moved else ""
    return f"{put:,} items put, {deleted:,} deleted{more}{since}"
