"""The step that makes documents straight from the verified target tables, where the streams cannot have kept all.

It stands after consumers-on, so that both fill the index together: a document that is there already is left alone. In a
refresh it does nothing unless records were lost; as a command of its own (`index backfill`) it always does. It is
partitioned work on the engine like the copy: a checkpoint a page, each segment from its last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downstage.domain.events import Note, Progress
from downstage.domain.outcome import StepState
from downstage.domain.plan import Backfill, RefreshPlan, SearchPlan
from downstage.errors import (
    ConfigError,
    DownstageError,
    GuardRefused,
    JournalError,
    RunConflict,
    UsageError,
    VerificationFailed,
)
from downstage.indexing.mapping import load
from downstage.indexing.segment import WHAT_TO_DO, refusals, told
from downstage.planning.consumers import what_then
from downstage.planning.schedule import in_order
from downstage.ports import Checkpoint
from downstage.workflow.anew import begin_anew
from downstage.workflow.cuts import cuts_of
from downstage.workflow.flag_values import sealed_flags
from downstage.workflow.parts import Parts, Step, TableWork
from downstage.workflow.proven import leak_of, refuse_unproven
from downstage.workflow.search import verified_run
from downstage.workflow.sums import summed
from downstage.workflow.watching import telling

BACKFILL = "backfill"
"""The step, the kind of run that does it alone, and what its tasks' names begin with: `backfill/TABLE`."""


def backfill(parts: Parts, step: Step) -> str:
    """Makes every document that the tables' items call for, unless it is there."""
    search = parts.plan.search
    alone = parts.run.kind == BACKFILL
    if search is None or search.backfill is None:
        if alone:
            raise ConfigError(
                "search.backfill is not configured: name a function that makes an item's documents (call: "
                "module:function), or the attributes that a document holds"
            )
        return "nothing configured" if search is None else _not_done(parts)
    if not alone and (not lost_records(parts) or not search.backfill.automatic):
        return _not_done(parts)
    parts.guard()
    _refuse_unproven(parts, alone=alone)
    only = parts.run.settings.get("indexes")
    _refuse_unknown(parts, search, only)
    works = _works(parts, step, search.backfill)
    dry = bool(parts.run.settings.get("dry_run"))
    _begin_again(parts, step, works, search.backfill)
    _make(parts, works, dry=dry, only=only, flags=_flags(parts, step, search.backfill))
    return _concluded(parts, step, works, dry=dry)


def mapping_problems(plan: RefreshPlan) -> list[DownstageError]:
    """What would stop a backfill that is needed a day later: a function that is not there."""
    if plan.search is None or plan.search.backfill is None or plan.search.backfill.call is None:
        return []
    try:
        load(plan.search.backfill.call)
    except ConfigError as error:
        return [error]
    return []


def lost_records(parts: Parts) -> Sequence[str]:
    """Why the streams cannot have kept every record of what this run loaded; nothing if they have."""
    on = parts.journal.step(parts.run.run_id, "consumers-on")
    return [] if on is None else list(on.result.get("lost", ()))


def _not_done(parts: Parts) -> str:
    lost = lost_records(parts)
    if not lost:
        return "not needed: the streams kept every record"
    parts.emit(Note(f"{'; '.join(lost)}: {what_then(parts.plan)}"))
    return f"not done, though records were lost: {what_then(parts.plan)}"


def _refuse_unproven(parts: Parts, *, alone: bool) -> None:
    """No item goes into an index before its table is proven clean."""
    if not alone:
        refuse_unproven(parts)
    leak = leak_of(parts.known, parts.run, parts.plan)
    if leak is not None:
        raise GuardRefused(
            f"refused: making documents of the target's tables: {leak.why}; {leak.advice} (nothing was written)"
        )


def _refuse_unknown(parts: Parts, search: SearchPlan, only: Sequence[str] | None) -> None:
    known = parts.target_domains.index(search.target.name).writable()
    missing = [name for name in only or () if name not in known]
    if missing:
        raise UsageError(
            f"--index {missing[0]}: the search domain {search.target.name} has no such index; it has: "
            f"{parts.redact(', '.join(sorted(known))) or 'none'}"
        )


def _works(parts: Parts, step: Step, settings: Backfill) -> list[TableWork]:
    """The target tables that were verified, cut as the copy was; the same ones in every attempt."""
    intent = step.intent(lambda: {"tables": _tables(parts), "mapping": _mapping(parts, settings)})
    works = []
    for table in intent["tables"]:
        if parts.target_tables.facts(table["target"]).table_id != table["target_id"]:
            raise RunConflict(
                f"table {table['target']} was re-created since it was verified: its documents are those of another "
                "refresh; start over (nothing was written)"
            )
        works.append(
            TableWork(table["target"], table["target"], tuple(table["key_names"]), table["segments"], None, 0.0)
        )
    return works


def _flags(parts: Parts, step: Step, settings: Backfill) -> str:
    """The flags' values for the user's function: those of the step's first attempt."""
    if settings.call is None:
        return ""
    kept = step.recall("flags")
    if kept is None:
        kept = sealed_flags(parts)
        step.result(flags=kept)
        step.save(StepState.RUNNING, "")
    return str(kept)


def _tables(parts: Parts) -> list[Mapping[str, Any]]:
    run = parts.journal.run(verified_run(parts))
    copied = None if run is None else parts.journal.step(str(run.settings.get("copy_run") or run.run_id), "copy")
    if copied is None or not copied.intent:
        raise JournalError("which tables were copied is not in the journal: verify the environment first")
    fields = ("target", "target_id", "key_names", "segments")
    return [{field: table[field] for field in fields} for table in copied.intent["tables"]]


def _mapping(parts: Parts, settings: Backfill) -> str:
    assert parts.index_lanes is not None
    return parts.index_lanes.version(settings)


def _begin_again(parts: Parts, step: Step, works: Sequence[TableWork], settings: Backfill) -> None:
    """Segments of which something was refused are read again, and all of them if the mapping is another one now."""
    record, now = parts.journal.step(parts.run.run_id, BACKFILL), _mapping(parts, settings)
    was = None if record is None else record.result.get("mapping", record.intent.get("mapping"))
    changed = was != now
    if changed:
        parts.emit(
            Note(
                "the mapping is another than the one that this backfill began with: every item is read again; "
                "documents that are there already stay as they are"
            )
        )
    for work in works:
        again = [found for found in _checkpoints(parts, work) if changed or refusals(dict(found.counters))]
        begin_anew(parts.journal, parts.run, _task(work), again)
    step.result(mapping=now)
    step.save(StepState.RUNNING, "")


def _make(parts: Parts, works: Sequence[TableWork], *, dry: bool, only: Sequence[str] | None, flags: str) -> None:
    assert parts.index_lanes is not None
    expected = {
        work.target: summed(parts.journal.checkpoints(verified_run(parts), f"verify/{work.target}")).get("items", 0)
        for work in works
    }

    def tell() -> None:
        for work in works:
            done = summed(_checkpoints(parts, work)).get("items", 0)
            parts.emit(Progress(BACKFILL, work.target, done, max(done, expected[work.target]) or None, "items"))

    lanes = in_order(cuts_of(parts, BACKFILL, works), parts.plan.engine.workers)
    with telling(tell, BACKFILL):
        work = parts.index_lanes.backfill(parts.run, works, dry=dry, only=only, flags=flags)
        for _ in parts.engine.run(work, lanes):
            pass


def _concluded(parts: Parts, step: Step, works: Sequence[TableWork], *, dry: bool) -> str:
    counters = summed([checkpoint for work in works for checkpoint in _checkpoints(parts, work)])

    def total(sign: str) -> dict[str, int]:
        return {name.removeprefix(sign): n for name, n in sorted(counters.items()) if name.startswith(sign)}

    made, there, would, refused = total("made:"), total("there:"), total("would:"), refusals(counters)
    step.result(made=made, there=there, would=would, refused=refused, items=counters.get("items", 0))
    if refused:
        raise VerificationFailed(f"documents are missing, for they were refused: {told(refused)}; {WHAT_TO_DO}")
    if dry:
        each = ", ".join(f"{index} {count:,}" for index, count in would.items()) or "none"
        size = f"{counters.get('bytes', 0) / 1e6:,.1f} MB"
        return f"would make {sum(would.values()):,} documents ({each}; {size}); nothing was written"
    return f"{sum(made.values()):,} documents made, {sum(there.values()):,} were there already"


def _task(work: TableWork) -> str:
    return f"{BACKFILL}/{work.target}"


def _checkpoints(parts: Parts, work: TableWork) -> Sequence[Checkpoint]:
    return parts.journal.checkpoints(parts.run.run_id, _task(work))
