"""The tables of a plan compared with their sources, as commands and runs do it, and what may be shown of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from downstage.aws.session import Session
from downstage.aws.table_clone import Comparison, TableCloner
from downstage.console.redaction import redact
from downstage.domain.plan import RefreshPlan, TablePair
from downstage.domain.table_schema import Difference


def pairs_of(plan: RefreshPlan) -> list[TablePair]:
    """The plan's pairs, with the consumers that the plan knows as the target's own."""
    own = () if plan.streams is None else plan.streams.functions
    return [replace(pair, terms=replace(pair.terms, own_consumers=own)) for pair in plan.tables]


def compared(source: Session, target: Session, pairs: Iterable[TablePair]) -> list[Comparison]:
    """The pairs compared. Touches nothing."""
    cloner = TableCloner(source, target, guard=_refuse)
    return [cloner.compare(pair) for pair in pairs]


def shown(difference: Difference) -> Difference:
    """The difference without addresses: a tag, a policy or a name may hold one."""
    return replace(
        difference,
        place=redact(difference.place),
        source=redact(difference.source),
        target=redact(difference.target),
        note=redact(difference.note),
    )


def record(found: Comparison) -> dict[str, Any]:
    """One pair as JSON: for machines, and for a run's report."""
    return {
        "source": found.pair.source.name,
        "target": found.pair.target.name,
        "exists": found.target is not None,
        "same": not found.demanded,
        "differences": [
            {
                "fact": one.fact,
                "place": one.place,
                "source": one.source,
                "target": one.target,
                "verdict": one.verdict,
                "remedy": one.remedy,
                "note": one.note,
            }
            for one in map(shown, found.differences)
        ],
    }


def _refuse() -> None:
    raise AssertionError("a comparison writes nothing")
