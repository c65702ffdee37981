"""What the checkpoints of all segments of one task say together: counters, digest, whether the task has ended."""

from __future__ import annotations

from collections.abc import Sequence

from downstage.ports import Checkpoint
from downstage.proof import digest


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
    expected = total_digest(written)
    return (
        expected != ""
        and expected == total_digest(found)
        and summed(written).get("written", 0) == summed(found).get("items", 0)
    )
