"""The report as one JSON document, in the shape that `schema.json` publishes.

Field names are a contract: adding one is a change of `schema.json`, renaming or removing one a new `version`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from typing import Any

from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.leak_outcome import LeakOutcome
from downstage.domain.outcome import MaskingOutcome, RefreshOutcome
from downstage.domain.table_outcome import Differences, ParityOutcome, TableOutcome
from downstage.report.figures import elapsed
from downstage.report.wording import statements, why

VERSION = 1


def as_document(outcome: RefreshOutcome) -> dict[str, Any]:
    """The whole outcome as plain JSON values, valid against `schema()`.

    Counts are integers, times ISO 8601 text, durations seconds, digests 32 hex digits or empty.
    """
    return {
        "version": VERSION,
        "run_id": outcome.run_id,
        "environment": outcome.environment,
        "kind": outcome.kind,
        "result": outcome.result.value,
        "exit_code": outcome.exit_code,
        "why": why(outcome),
        "source": outcome.source,
        "source_account": outcome.source_account,
        "target_account": outcome.target_account,
        "started": outcome.started,
        "ended": outcome.ended,
        "seconds": elapsed(outcome.started, outcome.ended),
        "totals": _totals(outcome),
        "steps": [
            {"name": step.name, "state": step.state.value, "seconds": step.seconds, "detail": step.detail}
            for step in outcome.steps
        ],
        "tables": [_table(table) for table in outcome.tables],
        "buckets": [_bucket(bucket) for bucket in outcome.buckets],
        "search": [_index(index) for index in outcome.search],
        "leaks": _leaks(outcome.leaks),
        "masking": None if outcome.masking is None else _masking(outcome.masking),
        "consumers": outcome.consumers,
        "standing": outcome.standing,
        "unsent": list(outcome.unsent),
        "stop": None if outcome.stop is None else asdict(outcome.stop),
        "exports": [asdict(export) for export in outcome.exports],
        "parity": None if outcome.parity is None else _parity(outcome.parity),
        "statements": statements(outcome),
    }


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of the document."""
    text = resources.files("downstage.report").joinpath("schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _totals(outcome: RefreshOutcome) -> dict[str, int]:
    return {
        "items": sum(table.written for table in outcome.tables),
        "addresses": sum(table.addresses for table in outcome.tables),
        "quarantined": sum(table.quarantined for table in outcome.tables),
        "objects": sum(bucket.copied + bucket.unchanged for bucket in outcome.buckets),
        "skipped": sum(bucket.skipped for bucket in outcome.buckets),
        "bytes_copied": sum(bucket.bytes_copied for bucket in outcome.buckets),
        "documents": sum(index.found for index in outcome.search),
    }


def _table(table: TableOutcome) -> dict[str, Any]:
    reasons = [{"reason": reason, "items": count} for reason, count in table.quarantine_reasons]
    verdict = {"proven": table.proven, "contradicted": table.contradicted}
    return {**asdict(table), "quarantine_reasons": reasons, "differences": _differences(table.differences), **verdict}


def _differences(found: Differences | None) -> dict[str, Any] | None:
    if found is None:
        return None
    fields = asdict(found)
    del fields["names"]
    return {**fields, "items": [{"kind": kind, "item": name} for kind, name in found.names]}


def _bucket(bucket: BucketOutcome) -> dict[str, Any]:
    skipped, failed = (
        [{"reason": reason, "objects": count} for reason, count in reasons]
        for reasons in (bucket.skipped_reasons, bucket.failed_reasons)
    )
    verdict = {"proven": bucket.proven, "contradicted": bucket.contradicted}
    listed = {"skipped_reasons": skipped, "failed_reasons": failed, "names": list(bucket.names)}
    return {**asdict(bucket), **listed, **verdict}


def _index(index: IndexOutcome) -> dict[str, Any]:
    return {**asdict(index), "proven": index.proven}


def _parity(found: ParityOutcome) -> dict[str, Any]:
    differences = [asdict(one) for one in found.differences]
    return {"tables": list(found.tables), "differences": differences, "unseen": found.unseen}


def _masking(masking: MaskingOutcome) -> dict[str, Any]:
    return {**asdict(masking), "kept_domains": list(masking.kept_domains)}


def _leaks(leaks: LeakOutcome) -> dict[str, Any]:
    places = [{**asdict(place), "layers": list(place.layers)} for place in leaks.places]
    details = [asdict(sample) for sample in leaks.details]
    return {**asdict(leaks), "scanned": leaks.scanned, "places": places, "details": details}
