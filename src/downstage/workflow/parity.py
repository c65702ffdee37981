"""Whether the tables are still the twins of their sources when they have been copied: looked at after the proof.

It says and does not judge: the items are proven whatever the table around them looks like (its keys were compared
before the copy), and a table that your own deployment makes may well be meant to differ. What differs and was not
accepted, and what AWS does not let us see, stands in the report all the same. No difference fails the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downstage.domain.table_outcome import ParityOutcome, SchemaDifference
from downstage.errors import DownstageError
from downstage.ports import StepRecord
from downstage.workflow.parts import Parts, Step

PARITY = "parity"


def parity(parts: Parts, step: Step) -> str:
    """Compares every pair of tables, and keeps what differs for the report."""
    if not parts.plan.tables or parts.schemas is None:
        return "no table to compare"
    try:
        found = parts.schemas()
    except DownstageError as error:
        step.result(unseen=str(error))
        return f"the tables' schemas could not be compared: {error}"
    step.result(tables=list(found))
    differing = {one["target"]: _demanded(one) for one in found if not one["same"]}
    if not differing:
        return "the table is its source's twin" if len(found) == 1 else f"{len(found)} tables are their sources' twins"
    told = ", ".join(f"{target} in {count}" for target, count in differing.items())
    return f"not their sources' twins: {told}; see 'downstage tables diff {parts.plan.target.name}'"


def parity_outcome(record: StepRecord | None) -> ParityOutcome | None:
    """What the step found; None if it was not run."""
    if record is None or not record.result:
        return None
    differences = [
        SchemaDifference(
            table["target"], one["fact"], one["place"], one["source"], one["target"], one["verdict"], one["note"]
        )
        for table in record.result.get("tables", ())
        for one in table["differences"]
    ]
    tables = tuple(table["target"] for table in record.result.get("tables", ()))
    return ParityOutcome(tables, tuple(differences), record.result.get("unseen", ""))


def _demanded(table: Mapping[str, Any]) -> str:
    count = sum(one["verdict"] != "accepted" for one in table["differences"])
    return f"{count:,} {'fact' if count == 1 else 'facts'}"
