"""What a refresh of the sandbox must have counted, by the generator's own book.

Why: a proof that asks only the tool's own readers would hold for a reader that skips. The generator wrote down what
it made before any of it was in a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from downstage.domain.outcome import RefreshOutcome


def disagreements(truth_path: Path, outcome: RefreshOutcome) -> list[str]:
    """One line for each number in which the outcome and `truth.json` differ; an empty list means agreement."""
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    return [
        f"{what}: the generator made {made:,}, the refresh says {said:,}"
        for what, made, said in _numbers(truth, outcome)
        if made != said
    ]


def _numbers(truth: dict[str, Any], outcome: RefreshOutcome) -> Iterator[tuple[str, int, int]]:
    tables = {table.source: table for table in outcome.tables}
    for name, made in truth["items"].items():
        read = tables[name].read if name in tables else 0
        yield f"items of {name}", made["total"], read
    expired = int(truth["ttl"]["expired"])
    yield "expired items", expired, sum(table.expired for table in outcome.tables)
    indexes = {index.index: index.found for index in outcome.search}
    for name, made in truth["indexes"].items():
        yield f"documents of {name}", made["count"], indexes.get(name, 0)
    sync = truth["buckets"]["sync"]
    for what, said in (
        ("copy", sum(bucket.copied for bucket in outcome.buckets)),
        ("delete", sum(bucket.deleted for bucket in outcome.buckets)),
        ("equal", sum(bucket.unchanged for bucket in outcome.buckets)),
    ):
        yield f"objects to {what}", sync[what], said
