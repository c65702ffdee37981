"""What a target table must hold: what the copy wrote, or what a later repair has made of it.

A repair that put what production holds *now*, or that could not tell what had been written, leaves the copy's digest
behind. It enters digests and counts of its own, segment by segment, as the copy did; from then on they are what every
proof goes by. A report goes by those that its own verification went by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from downstage.domain.outcome import StepState
from downstage.ports import Checkpoint, Journal

REPAIR = "repair-tables"


@dataclass(frozen=True, slots=True)
class Reference:
    """The run that a table's digests are of, and those digests."""

    run_id: str
    checkpoints: Sequence[Checkpoint]


def repairs_of(journal: Journal, copy_run: str) -> Sequence[str]:
    """The runs that have repaired that copy and ended well, the newest first: asked for once, for all tables."""
    copied = copy_mark(journal, copy_run)
    repairs = []
    for run in reversed(journal.runs()):
        record = journal.step(run.run_id, REPAIR)
        if record is None or record.state != StepState.DONE or record.intent.get("copy_run") != copy_run:
            continue
        if record.intent.get("copied") == copied:  # else the run has copied anew since: what was mended is gone
            repairs.append(run.run_id)
    return repairs


def reference_of(journal: Journal, copy_run: str, table: str, repairs: Sequence[str]) -> Reference:
    """What `table` must hold now: of the newest of the `repairs` of that copy that had this table, else of the copy
    itself."""
    for run_id in repairs:
        found = reference_in(journal, run_id, copy_run, table)
        if found.checkpoints:
            return found
    return reference_in(journal, copy_run, copy_run, table)


def copy_mark(journal: Journal, copy_run: str) -> int | None:
    """The epoch in which that run began its copy: one that is restarted copies anew, and in a higher one."""
    record = journal.step(copy_run, "copy")
    return None if record is None else record.intent.get("epoch")


def reference_in(journal: Journal, run_id: str, copy_run: str, table: str) -> Reference:
    """The digests that one run has entered: the copy's, or a repair's."""
    return Reference(
        run_id, journal.checkpoints(run_id, copy_task(table) if run_id == copy_run else repair_task(table))
    )


def copy_task(table: str) -> str:
    """The task under which the copy entered them."""
    return f"copy/{table}"


def repair_task(table: str) -> str:
    """The task under which a repair entered them."""
    return f"repaired/{table}"
