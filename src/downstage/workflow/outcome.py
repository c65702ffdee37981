"""What a run achieved, read from the journal and nothing else: so a report can be made of any run, at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.leak_outcome import DetailsSample, LeakOutcome, LeakPlace
from downstage.domain.outcome import MaskingOutcome, RefreshOutcome, StepOutcome, StepState
from downstage.domain.table_outcome import Differences, ExportOutcome, RepairOutcome, TableOutcome
from downstage.ports import Journal, RunRecord, StepRecord
from downstage.workflow.canaries import canaries_of
from downstage.workflow.exports import DISCARD, EXPORT
from downstage.workflow.parity import PARITY, parity_outcome
from downstage.workflow.reference import REPAIR, Reference, reference_in
from downstage.workflow.standing import PUT_BACK, half_switched, standing, without_streams
from downstage.workflow.stopped import STOPPED, TOLD, stop_of
from downstage.workflow.sums import summed, total_digest, whole
from downstage.workflow.unsent import UNSENT, unsent_of
from downstage.workflow.were_on import remembered, told

_PLACES = 50
_NAMED = 20
_ASIDES = (STOPPED, TOLD, UNSENT)
_SCANNING = ("verify-tables", "verify-buckets", "verify-index", "scan")


def instant(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def bare_outcome(run: RunRecord) -> RefreshOutcome:
    """Who the run is, and nothing of what it has done."""
    return RefreshOutcome(
        run_id=run.run_id,
        environment=run.environment,
        source=run.settings["source"],
        target_account=run.settings["target_account"],
        source_account=run.settings["source_account"],
        started=run.started,
        ended=run.ended,
        steps=(),
        kind=run.kind,
    )


def outcome_of(journal: Journal, run: RunRecord, order: Sequence[str]) -> RefreshOutcome:
    """The outcome of one run. Steps of `order` that have not begun are pending, unless the run is of one step only."""
    records = {record.name: record for record in journal.steps(run.run_id)}
    return replace(
        bare_outcome(run),
        steps=tuple(
            _step(name, records.get(name))
            for name in (REPAIR, *order, *(name for name in records if name not in (REPAIR, *_ASIDES, *order)))
            if name in records or (run.kind == "refresh" and name != REPAIR)
        ),
        tables=tuple(_tables(journal, run, records)),
        buckets=tuple(_buckets(journal, run, records)),
        search=tuple(_indexes(records)),
        leaks=_leaks(journal, run, records),
        masking=_masking(run.settings["masking"]),
        consumers=_consumers(run, records),
        exports=tuple(_exports(journal, run)),
        parity=parity_outcome(records.get(PARITY)),
        standing=standing(run, records),
        stop=stop_of(run, records),
        unsent=unsent_of(records),
    )


def _step(name: str, record: StepRecord | None) -> StepOutcome:
    if record is None:
        return StepOutcome(name, StepState.PENDING)
    code = record.result.get("exit_code")
    return StepOutcome(name, StepState(record.state), record.seconds, record.detail, code)


def _tables(journal: Journal, run: RunRecord, records: Mapping[str, StepRecord]) -> list[TableOutcome]:
    copied = str(run.settings.get("copy_run") or run.run_id)
    record = journal.step(copied, "copy")
    if record is None or not record.intent:
        return []
    began = record.intent["started"]
    ended = record.result.get("ended")
    outcomes = []
    for table in record.intent["tables"]:
        written = journal.checkpoints(copied, f"copy/{table['target']}")
        found = journal.checkpoints(run.run_id, f"verify/{table['target']}")
        reference = _reference(journal, records, copied, table["target"])
        counters = summed(written)
        quarantined = counters.get("quarantined", 0)
        more = max(0, summed(reference.checkpoints).get("unmaskable", 0) - quarantined)  # what a repair left out
        outcomes.append(
            TableOutcome(
                source=table["source"],
                target=table["target"],
                read=counters.get("read", 0) + more,
                written=counters.get("written", 0),
                expired=counters.get("expired", 0),
                quarantined=quarantined + more,
                quarantine_reasons=_reasons(journal, copied, table["target"]),
                addresses=counters.get("addresses", 0),
                kept=counters.get("kept", 0),
                opaque=counters.get("opaque", 0),
                unknown=counters.get("unknown", 0),
                expected=summed(reference.checkpoints).get("written", 0) if reference.run_id != copied else None,
                differences=_differences(records, table["target"]),
                repaired=_repaired(records, table["target"]),
                in_target=summed(found).get("items", 0) if whole(found) else None,
                complete=whole(written),
                digest_written=total_digest(reference.checkpoints),
                digest_target=total_digest(found),
                read_from="" if table.get("export") else instant(began),
                read_to=instant(ended) if ended and not table.get("export") else "",
            )
        )
    return outcomes


def _exports(journal: Journal, run: RunRecord) -> list[ExportOutcome]:
    """The exports of the run whose copy this is about, and which of them that run, or this one, has deleted."""
    copied = str(run.settings.get("copy_run") or run.run_id)

    def results(run_id: str, step: str) -> Mapping[str, Any]:
        record = journal.step(run_id, step)
        found: Mapping[str, Any] = record.result.get("exports", {}) if record is not None else {}
        return found

    known = results(copied, EXPORT)
    deleted = {**results(copied, DISCARD), **results(run.run_id, DISCARD)}
    return [
        ExportOutcome(
            table=table,
            arn=found["arn"],
            place=found.get("place", ""),
            ours=found["ours"],
            exported=instant(found["exported"]) if "exported" in found else "",
            deleted=instant(deleted[table]["deleted"]) if table in deleted else "",
        )
        for table, found in known.items()
    ]


def _reference(journal: Journal, records: Mapping[str, StepRecord], copied: str, table: str) -> Reference:
    """What the run's own verification went by; what was copied if it has none."""
    verified = records.get("verify-tables")
    run_id = verified.result.get("references", {}).get(table, copied) if verified is not None else copied
    return reference_in(journal, run_id, copied, table)


def _differences(records: Mapping[str, StepRecord], table: str) -> Differences | None:
    """What the newest deep comparison of the run found: that of the proof after a repair, else of the repair."""
    for step in ("verify-tables", REPAIR):
        found = records[step].result.get("differences", {}).get(table) if step in records else None
        if found is not None:
            return Differences(**{**found, "names": tuple((kind, name) for kind, name in found["names"])})
    return None


def _repaired(records: Mapping[str, StepRecord], table: str) -> RepairOutcome | None:
    done = records[REPAIR].result.get("repaired", {}).get(table) if REPAIR in records else None
    return RepairOutcome(**done) if done is not None else None


def _reasons(journal: Journal, run_id: str, table: str) -> tuple[tuple[str, int], ...]:
    """Why items were quarantined, and how many for each reason, the commonest first."""
    counted = Counter(reason for _, reason in journal.quarantined(run_id, f"copy/{table}"))
    return tuple(sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])))


def _buckets(journal: Journal, run: RunRecord, records: Mapping[str, StepRecord]) -> list[BucketOutcome]:
    verified = records["verify-buckets"].result.get("buckets", {}) if "verify-buckets" in records else {}
    outcomes = []
    for source, target in run.settings["buckets"]:
        checkpoints = journal.checkpoints(run.run_id, f"sync/{target}") or journal.checkpoints(
            str(run.settings.get("copy_run") or run.run_id), f"sync/{target}"
        )
        if not checkpoints and target not in verified:
            continue
        counters = summed(checkpoints)
        proof = verified.get(target, {})
        failed = journal.quarantined(run.run_id, f"sync/{target}")
        outcomes.append(
            BucketOutcome(
                source=source,
                target=target,
                copied=counters.get("copied", 0),
                deleted=counters.get("deleted", 0),
                unchanged=counters.get("unchanged", 0),
                skipped=counters.get("skipped", 0),
                bytes_copied=counters.get("bytes_copied", 0),
                differing=proof.get("differing"),
                skipped_reasons=_counted_reasons(counters, "skipped: "),
                failed=counters.get("failed", 0),
                failed_reasons=_counted_reasons(counters, "failed: "),
                renamed=counters.get("masked_keys", 0),
                changed=proof.get("changed", 0),
                contents=proof.get("contents", 0),
                altered=proof.get("altered", 0),
                extra=proof.get("extra", 0),
                foreign=proof.get("foreign", False),
                compared_by=proof.get("compared_by", ""),
                names=tuple(dict.fromkeys((*(name for name, _ in failed[:_NAMED]), *proof.get("names", ())))),
            )
        )
    return outcomes


def _counted_reasons(counters: Mapping[str, int], sign: str) -> tuple[tuple[str, int], ...]:
    """The counters whose names are reasons."""
    return tuple((name.removeprefix(sign), count) for name, count in sorted(counters.items()) if name.startswith(sign))


def _indexes(records: Mapping[str, StepRecord]) -> list[IndexOutcome]:
    indexes = records["verify-index"].result.get("indexes", {}) if "verify-index" in records else {}
    return [
        IndexOutcome(name, result["expected"], result["found"], result["same_ids"])
        for name, result in sorted(indexes.items())
    ]


def _leaks(journal: Journal, run: RunRecord, records: Mapping[str, StepRecord]) -> LeakOutcome:
    made = [records[name] for name in _SCANNING if name in records]
    tables = [table for record in made for table in record.intent.get("tables", ())]
    counters = [summed(journal.checkpoints(run.run_id, f"verify/{table}")) for table in tables]

    def total(name: str) -> int:
        return sum(int(result.get(name, 0)) for result in (*(record.result for record in made), *counters))

    findings = journal.findings(run.run_id) if total("leaks") else ()  # a table that was read again may be clean now
    details = (details for record in made for details in record.result.get("buckets", {}).items())
    return LeakOutcome(
        scanned_items=total("items"),
        scanned_keys=total("keys"),
        scanned_documents=total("documents"),
        found=total("leaks"),
        places=tuple(
            LeakPlace(finding["where"], finding["path"], tuple(finding["layers"]), finding["fingerprint"])
            for finding in findings[:_PLACES]
        ),
        scanned_indexes=total("scanned_indexes"),
        details=tuple(
            DetailsSample(bucket, looked["sampled"], looked["keys"])
            for bucket, looked in details
            if "sampled" in looked
        ),
        looked_for=_looked_for(journal, run, made),
        canaries_found=total("canaries"),
    )


def _looked_for(journal: Journal, run: RunRecord, made: Sequence[StepRecord]) -> int:
    """How many canaries every scanning step looked for; those of the journal if none of them has said so yet."""
    said = [int(record.result["looked_for"]) for record in made if "looked_for" in record.result]
    return min(said) if said else len(canaries_of(journal, run)) if made else 0


def _masking(recorded: Mapping[str, Any]) -> MaskingOutcome:
    return MaskingOutcome(**{**recorded, "kept_domains": tuple(recorded.get("kept_domains", ()))})


def _consumers(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    off = records.get("consumers-off")
    others = list(off.result.get("others", ())) if off is not None else []
    again = told(remembered(off.result.get("again"))) if off is not None else ""
    return "".join(
        (
            _switched(run, records),
            f"; not held off, for nobody names them: {', '.join(others)}" if others else "",
            f"; switched on by somebody while nothing was proven, and off again: {again}" if again else "",
        )
    )


def _switched(run: RunRecord, records: Mapping[str, StepRecord]) -> str:
    on, off, back = (records.get(name) for name in ("consumers-on", "consumers-off", PUT_BACK))
    if back is not None and back.state == StepState.DONE:
        return back.detail
    if half_switched(records):
        return f"some may be on and some off: 'downstage streams status {run.environment}' shows them"
    if on is not None and on.state == StepState.DONE:
        whys = "; ".join(on.result.get("accepted", ()))
        said = f"on, though {whys}: somebody has taken that upon himself" if whys else "on"
        return said if "on" in on.detail.split() else "none configured"
    if without_streams(run, records):
        return "not switched off by this run, and tables were deleted or made anew: Enabled ones may deliver nothing"
    if off is None or not off.intent:
        return "as they were"
    if run.kind != "refresh":
        return f"off, until 'downstage streams on {run.environment}'"
    return "off: they stay off until a refresh of this environment is proven clean, or the run is given up"
