"""Findings of the leak scan on their way into the journal: one shape, for the steps and for the lanes' workers."""

from __future__ import annotations

from downstage.domain.outcome import LeakPlace
from downstage.ports import Journal


def record_leak(journal: Journal, run_id: str, epoch: int, task: str, place: LeakPlace) -> None:
    """Enters one finding; the same one again changes nothing."""
    finding = {"where": place.where, "path": place.path, "layers": place.layers, "fingerprint": place.fingerprint}
    journal.add_finding(run_id, epoch, task, finding)
