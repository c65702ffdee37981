"""Steps round an export as the source: started (or found) and read through before anything is touched, deleted last.

`export` is the run's first step after the preflight: one that fails leaves the environment as it was. What it starts is
written down before, with the token that makes a start unrepeatable; a resumed run looks for its export before it would
start one. `discard-export` is the one place where something of production's account is deleted: the folder of an export
that this run started (or was told to delete), behind a guard of its own, and only when the tables are verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from downstage.domain.events import Progress
from downstage.domain.export import ExportOrder, ExportPlan, ExportSource, root_of
from downstage.domain.outcome import StepState
from downstage.domain.plan import TablePair
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, ConfigError, RunConflict
from downstage.planning import guards
from downstage.planning.exports import (
    MANIFEST_BYTES,
    check_facts,
    check_window,
    damaged,
    most_segments,
    read_files,
    read_summary,
)
from downstage.ports import ExportFacts, ExportFiles, RestoreWindow, TableExports
from downstage.wire.export import FILES, SUMMARY
from downstage.workflow.parts import Parts, Step

EXPORT, DISCARD = "export", "discard-export"

_AT_ONCE = 1000
_SHORTEST, _LONGEST = 1.0, 30.0
_CHECKSUMS = (".md5", ".checksum")


def export(parts: Parts, step: Step) -> str:
    """Starts the exports of all tables, waits for them, and reads and checks their manifests."""
    pairs = _pairs(parts)
    if not pairs:
        return "nothing configured"
    exports, files = _ports(parts)
    _guard(parts)
    intent = step.intent(lambda: _intent(parts, pairs, exports, files))
    known: dict[str, Any] = dict(_results(parts, parts.run.run_id))
    for table, pair in pairs.items():
        wanted = intent["tables"][table]
        if table not in known:
            arn = wanted["arn"] or _started(parts, exports, _order(pair, wanted, intent["at"]))
            known[table] = {
                "arn": arn,
                "ours": wanted["arn"] is None,
                "bucket": _export(pair).bucket.name,
                "table_id": wanted["table_id"],
                "place": _place(_export(pair), arn),
            }
            _note(step, known)
        _refuse_another(pair, known[table])
    for table, facts in _finished(parts, exports, pairs, known):
        known[table] = {**known[table], **_read(pairs[table], facts, known[table]["table_id"], files)}
        _note(step, known)
    items = sum(found["items"] for found in known.values())
    return f"{len(known)} exports of {items:,} items are complete"


def discard(parts: Parts, step: Step) -> str:
    """Deletes the raw exports that are not kept, once the tables are verified."""
    known = _results(parts, parts.copy_run)
    gone = _results(parts, parts.copy_run, DISCARD)
    doomed = {table: pair for table, pair in _pairs(parts).items() if table in known and not _export(pair).keep}
    if not doomed:
        return f"{len(known)} exports are kept" if known else "nothing configured"
    doomed = {table: pair for table, pair in doomed.items() if table not in gone}
    if not doomed:
        return "the raw exports were deleted before"
    doomed = {table: pair for table, pair in doomed.items() if _is_meant(pair, known[table])}
    if not doomed:
        return "the raw exports stay: the configuration names others now"
    proof = parts.journal.step(parts.run.run_id, "verify-tables")
    if proof is None or proof.state != StepState.DONE:
        return f"{len(doomed)} exports stay: the tables were not verified"
    _, files = _ports(parts)
    _guard(parts)
    step.intent(lambda: {"exports": {table: known[table]["arn"] for table in doomed}})
    deleted: dict[str, Any] = dict(_results(parts, parts.run.run_id, DISCARD))
    count = 0
    for table, pair in doomed.items():
        count += _emptied(parts, _export(pair), known[table], files)
        deleted[table] = {"arn": known[table]["arn"], "deleted": parts.clock.now()}
        _note(step, deleted)
    return f"{len(deleted)} raw exports deleted, {count:,} files in all"


def source_of(parts: Parts, pair: TablePair, wanted: int) -> ExportSource | None:
    """What the copy of a table reads instead of it, cut into at most `wanted` segments; None: the live table. Raises
    ConfigError if the table is to be read from an export that this run has not made."""
    if pair.export is None:
        return None
    table = pair.source.name
    found = _results(parts, parts.run.run_id).get(table, {})
    if "digest" not in found:
        raise ConfigError(
            f"table {table} is to be read from an export, and the step '{EXPORT}' has not been run: run it as well"
        )
    _refuse_another(pair, found)
    return ExportSource(
        bucket=_export(pair).bucket,
        root=found["root"],
        manifest=found["root"] + FILES,
        digest=found["digest"],
        segments=min(wanted, found["segments"]),
        items=found["items"],
        exported=found["exported"],
    )


def recorded(source: ExportSource | None) -> dict[str, Any] | None:
    """The source as it stands in the intent of a copy."""
    return None if source is None else asdict(source)


def remembered(record: Mapping[str, Any] | None) -> ExportSource | None:
    """The source that an intent holds."""
    return None if record is None else ExportSource(**{**record, "bucket": ExportBucket(**record["bucket"])})


def _pairs(parts: Parts) -> dict[str, TablePair]:
    """By source table: one that is copied to several targets is exported once."""
    return {pair.source.name: pair for pair in parts.plan.tables if pair.export is not None}


def _export(pair: TablePair) -> ExportPlan:
    assert pair.export is not None  # only such pairs come here
    return pair.export


def _is_meant(pair: TablePair, found: Mapping[str, Any]) -> bool:
    """Whether the configuration, as it is now, names the export that the run has written down."""
    export = _export(pair)
    arn = found["arn"] if export.ours else export.arn
    return (export.bucket.name, export.ours, arn) == (found["bucket"], found["ours"], found["arn"])


def _refuse_another(pair: TablePair, found: Mapping[str, Any]) -> None:
    """A resumed run goes on with the export that it began with."""
    if not _is_meant(pair, found):
        raise RunConflict(
            f"table {pair.source.name}: the run began with export {found['arn']} in bucket {found['bucket']}, and "
            "'export' names another now: restore it, or start a new refresh"
        )


def _ports(parts: Parts) -> tuple[TableExports, ExportFiles]:
    if parts.exports is None or parts.export_files is None:
        raise ConfigError("this engine cannot read exports: remove 'export', or use another")
    return parts.exports, parts.export_files


def _guard(parts: Parts) -> None:
    """Stands before everything that is done in production's account."""
    guards.check_exports(parts.plan)
    guards.check_identity(parts.plan.source, parts.source_identity.caller(), parts.environments)


def _results(parts: Parts, run_id: str, name: str = EXPORT) -> Mapping[str, Any]:
    """What the step has written down so far, by source table."""
    record = parts.journal.step(run_id, name)
    found: Mapping[str, Any] = record.result.get("exports", {}) if record is not None else {}
    return found


def _note(step: Step, known: Mapping[str, Any]) -> None:
    step.result(exports=dict(known))
    step.save(StepState.RUNNING, "")


def _intent(
    parts: Parts, pairs: Mapping[str, TablePair], exports: TableExports, files: ExportFiles
) -> Mapping[str, Any]:
    """Which exports are wanted, with their tokens; and one instant for all that are started, so that what belongs
    together in several tables does so in the copies."""
    for bucket in {_export(pair).bucket for pair in pairs.values()}:
        files.check(bucket)
    tables, windows = {}, []
    for table, pair in pairs.items():
        facts = parts.source_tables.facts(table)
        wanted = _export(pair)
        if wanted.ours:
            window = exports.window(table)
            check_window(pair, window)
            if wanted.at is None:
                windows.append(window or RestoreWindow(0.0, 0.0))
        tables[table] = {
            "arn": wanted.arn,
            "table_arn": facts.arn,
            "table_id": facts.table_id,
            "token": f"{parts.run.run_id}/{table}",
        }
    return {"tables": tables, "at": _common(windows)}


def _common(windows: list[RestoreWindow]) -> float | None:
    """The newest instant that all tables can show, whole seconds; None if there is none: each as new as it can be."""
    latest = min((window.latest for window in windows), default=float("inf"))
    if latest == float("inf") or any(window.earliest > latest for window in windows):
        return None
    return float(int(latest))


def _place(export: ExportPlan, arn: str) -> str:
    """Where an export lies, for the report: known before it has ended if we have chosen the prefix."""
    return f"s3://{export.bucket.name}/" + (root_of(export.prefix, arn) if export.ours else "")


def _order(pair: TablePair, wanted: Mapping[str, Any], common: float | None) -> ExportOrder:
    plan = _export(pair)
    at = plan.at if plan.at is not None else common
    return ExportOrder(wanted["table_arn"], plan.bucket, plan.prefix, plan.kms, at, wanted["token"])


def _started(parts: Parts, exports: TableExports, order: ExportOrder) -> str:
    """The order's export: the one that an earlier attempt has started, or a new one."""
    found = exports.find(order) if parts.run.epoch > 1 else None
    return found or exports.start(order)


def _finished(
    parts: Parts, exports: TableExports, pairs: Mapping[str, TablePair], known: Mapping[str, Any]
) -> Iterator[tuple[str, ExportFacts]]:
    """(table, facts) of each export as it completes. Raises AwsError if one fails, or does not end in time."""
    waiting = [table for table, found in known.items() if "digest" not in found]
    began, wait = parts.clock.monotonic(), _SHORTEST
    while waiting:
        for table in tuple(waiting):
            facts = exports.facts(known[table]["arn"])
            check_facts(pairs[table], _export(pairs[table]), facts)
            if facts.status == "COMPLETED":
                waiting.remove(table)
                yield table, facts
            elif parts.clock.monotonic() - began > _export(pairs[table]).patience:
                raise AwsError(
                    f"the export of table {table} has not ended after {_export(pairs[table]).patience / 3600:.1f} "
                    "hours: resume the run later, it will find it again; or raise 'export.patience'"
                )
        parts.emit(Progress(EXPORT, "exports", len(known) - len(waiting), len(known), "tables"))
        if waiting:
            parts.clock.sleep(wait)
            wait = min(wait * 2, _LONGEST)


def _read(pair: TablePair, facts: ExportFacts, table_id: str, files: ExportFiles) -> dict[str, Any]:
    """The checked manifests of a complete export, as the copy will rely on them."""
    bucket, root = _export(pair).bucket, root_of(facts.prefix, facts.arn)
    stored = {found.key: found for found in files.files(bucket, root)}

    def whole(name: str) -> bytes:
        if root + name not in stored:
            raise damaged(root + name, "is not there")
        return files.read(bucket, root + name, 0, MANIFEST_BYTES, None).content

    def checksum(name: str) -> bytes | None:
        names = (name.removesuffix(".json") + ending for ending in _CHECKSUMS)
        return next((whole(found) for found in names if root + found in stored), None)

    summary = read_summary(pair, table_id, facts, whole(SUMMARY), checksum(SUMMARY))
    listed = whole(FILES)
    if len(listed) >= MANIFEST_BYTES:
        raise damaged(root + FILES, "is larger than any list of data files")
    manifests = read_files(root, summary, listed, checksum(FILES), stored.values())
    return {
        "root": root,
        "place": f"s3://{bucket.name}/{root}",
        "digest": hashlib.sha256(listed).hexdigest(),
        "items": summary.items,
        "segments": most_segments(manifests.files),
        "size": manifests.size,
        "exported": summary.exported,
    }


def _emptied(parts: Parts, export: ExportPlan, found: Mapping[str, Any], files: ExportFiles) -> int:
    """Deletes every version of everything in the export's folder; gives how many there were."""
    root = found["root"]
    count, before = 0, None
    while versions := list(islice(files.versions(export.bucket, root), _AT_ONCE)):
        if versions == before:
            raise AwsError(
                f"the export below {root} in bucket {export.bucket.name} is still there after it was deleted: look at "
                "the bucket (Object Lock?)"
            )
        keys = [key for key, _ in versions]
        guards.check_export_delete(parts.plan, export, export.bucket, found["arn"], root, keys)
        files.delete(export.bucket, versions)
        count, before = count + len(versions), versions
    return count
