"""Steps that read, write and verify tables, fanned out over the engine.

What is fixed once for a run, and must not differ when it is resumed, is in the copy's intent: the identity of both
tables (a re-created table has the same ARN, not the same id), the number of segments, the mask, the expiry cut-off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from downstage.domain.events import Progress
from downstage.domain.outcome import LeakPlace
from downstage.errors import AwsError, ConfigError, JournalError, LeakFound, RunConflict, VerificationFailed
from downstage.planning import guards
from downstage.ports import Checkpoint, Lane
from downstage.proof import digest
from downstage.workflow.parts import Parts, Step, TableWork

EXPIRY_MARGIN = 48 * 3600.0
_POLL = 0.5


def copy(parts: Parts, step: Step) -> str:
    """Copies every table: read, mask, write, checkpoint."""
    parts.guard()
    intent = step.intent(lambda: _copy_intent(parts))
    works = _works(parts, intent)
    lanes = [lane for work in works for lane in _lanes("copy", work)]
    with _watching(parts, "copy", works, "read"):
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
    copied = copy_run(parts)
    record = parts.journal.step(copied, "copy")
    if record is None:
        raise JournalError(f"run {copied} copied no tables: there is nothing to verify against")
    works = _works(parts, record.intent)
    step.intent(lambda: {"tables": [work.target for work in works], "copy_run": copied})
    lanes = [lane for work in works for lane in _lanes("verify", work)]
    with _watching(parts, "verify", works, "items"):
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
            f"{leaks:,} addresses that are neither pseudonyms nor kept stand in the target tables: the consumers stay "
            "off; see the report for the places"
        )
    if differing:
        raise VerificationFailed(
            f"table {', '.join(differing)}: what is there is not what was written; see the report, then refresh again"
        )
    return f"{len(works)} tables hold exactly what was written, no address in them"


def copy_run(parts: Parts) -> str:
    """The run whose copy is verified: this one, unless `verify` was called alone."""
    return str(parts.run.settings.get("copy_run") or parts.run.run_id)


def summed(checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    """The counters of all segments together."""
    totals: dict[str, int] = {}
    for checkpoint in checkpoints:
        for name, value in checkpoint.counters.items():
            totals[name] = totals.get(name, 0) + value
    return totals


def total_digest(checkpoints: Sequence[Checkpoint]) -> str:
    """The digest of all segments together, or nothing if one of them has not ended."""
    if not whole(checkpoints):
        return ""
    total = 0
    for checkpoint in checkpoints:
        total = digest.add(total, checkpoint.digest)
    return digest.as_hex(total)


def whole(checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether every segment of the task has a checkpoint, and has ended."""
    return bool(checkpoints) and (
        len(checkpoints) == checkpoints[0].total_segments and all(checkpoint.done for checkpoint in checkpoints)
    )


def same_items(written: Sequence[Checkpoint], found: Sequence[Checkpoint]) -> bool:
    """Whether the target holds exactly the items that were written."""
    return (
        total_digest(written) != ""
        and total_digest(written) == total_digest(found)
        and summed(written).get("written", 0) == summed(found).get("items", 0)
    )


def record_leak(parts: Parts, task: str, place: LeakPlace) -> None:
    """Enters one finding of the leak scan into the journal."""
    finding = {"where": place.where, "path": place.path, "layers": place.layers, "fingerprint": place.fingerprint}
    parts.journal.add_finding(parts.run.run_id, parts.run.epoch, task, finding)


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
                "ttl_attribute": source.ttl_attribute,
                "segments": parts.plan.engine.segments or 4 * parts.plan.engine.workers,
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
            "the masking key, sink or keep lists are not those the run was started with: half the items would carry "
            "other pseudonyms; restore them, or start a new refresh"
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
            )
        )
    return works


def _lanes(task: str, work: TableWork) -> Iterator[Lane]:
    for segment in range(work.segments):
        yield Lane(f"{task}/{work.target}", (segment,))


@contextmanager
def _watching(parts: Parts, task: str, works: Sequence[TableWork], counter: str) -> Iterator[None]:
    """Tells progress from the journal while the lanes run, so that it is true after retries and resumes."""
    totals = {work.target: _about(parts, task, work) for work in works}
    stop = threading.Event()

    def tell() -> None:
        for work in works:
            done = summed(parts.journal.checkpoints(parts.run.run_id, f"{task}/{work.target}")).get(counter, 0)
            total, estimated = totals[work.target]
            parts.emit(Progress(task, work.target, done, max(done, total) or None, "items", estimated))

    watcher = threading.Thread(target=_repeat, args=(tell, stop), name=f"watch-{task}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    tell()


def _about(parts: Parts, task: str, work: TableWork) -> tuple[int, bool]:
    """How many items to expect: what was written, or the table's own count, which lags by hours."""
    if task == "verify":
        return summed(parts.journal.checkpoints(copy_run(parts), f"copy/{work.target}")).get("written", 0), False
    return parts.source_tables.facts(work.source).items, True


def _repeat(action: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(_POLL):
        action()
