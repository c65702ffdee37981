"""What a run achieved, read from the journal and nothing else: so a report can be made of any run, at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from downstage.domain.outcome import (
    BucketOutcome,
    DetailsSample,
    IndexOutcome,
    LeakOutcome,
    LeakPlace,
    MaskingOutcome,
    RefreshOutcome,
    StepOutcome,
    StepState,
    TableOutcome,
)
from downstage.ports import Journal, RunRecord, StepRecord
from downstage.workflow.canaries import canaries_of
from downstage.workflow.sums import summed, total_digest, whole

_PLACES = 50
_SCANNING = ("verify-tables", "verify-buckets", "verify-index", "scan")


def instant(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def outcome_of(journal: Journal, run: RunRecord, order: Sequence[str]) -> RefreshOutcome:
    """The outcome of one run. Steps of `order` that have not begun are pending, unless the run is of one step only."""
    records = {record.name: record for record in journal.steps(run.run_id)}
    settings = run.settings
    return RefreshOutcome(
        run_id=run.run_id,
        environment=run.environment,
        source=settings["source"],
        target_account=settings["target_account"],
        source_account=settings["source_account"],
        started=run.started,
        ended=run.ended,
        steps=tuple(
            _step(name, records.get(name))
            for name in (*order, *(name for name in records if name not in order))
            if name in records or run.kind == "refresh"
        ),
        tables=tuple(_tables(journal, run, records)),
        buckets=tuple(_buckets(journal, run, records)),
        search=tuple(_indexes(records)),
        leaks=_leaks(journal, run, records),
        masking=_masking(settings["masking"]),
        consumers=_consumers(records),
    )


def _step(name: str, record: StepRecord | None) -> StepOutcome:
    if record is None:
        return StepOutcome(name, StepState.PENDING)
    return StepOutcome(name, StepState(record.state), record.seconds, record.detail)


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
        counters = summed(written)
        outcomes.append(
            TableOutcome(
                source=table["source"],
                target=table["target"],
                read=counters.get("read", 0),
                written=counters.get("written", 0),
                expired=counters.get("expired", 0),
                quarantined=counters.get("quarantined", 0),
                quarantine_reasons=_reasons(journal, copied, table["target"]),
                addresses=counters.get("addresses", 0),
                kept=counters.get("kept", 0),
                opaque=counters.get("opaque", 0),
                unknown=counters.get("unknown", 0),
                in_target=summed(found).get("items", 0) if whole(found) else None,
                complete=whole(written),
                digest_written=total_digest(written),
                digest_target=total_digest(found),
                read_from=instant(began),
                read_to=instant(ended) if ended else "",
            )
        )
    return outcomes


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
        outcomes.append(
            BucketOutcome(
                source=source,
                target=target,
                copied=counters.get("copied", 0),
                deleted=counters.get("deleted", 0),
                unchanged=counters.get("unchanged", 0),
                skipped=counters.get("skipped", 0),
                bytes_copied=counters.get("bytes_copied", 0),
                differing=verified.get(target, {}).get("differing"),
                skipped_reasons=tuple(
                    (name.removeprefix("skipped: "), count)
                    for name, count in sorted(counters.items())
                    if name.startswith("skipped: ")
                ),
            )
        )
    return outcomes


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

    findings = journal.findings(run.run_id)
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


def _consumers(records: Mapping[str, StepRecord]) -> str:
    on, off = records.get("consumers-on"), records.get("consumers-off")
    if on is not None and on.state == StepState.DONE:
        return "on" if "on" in on.detail.split() else "none configured"
    if off is None or off.state == StepState.SKIPPED:
        return "as they were"
    return "off: they stay off until a refresh of this environment is proven clean, or they are switched on by hand"
