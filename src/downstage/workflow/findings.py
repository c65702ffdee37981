"""Findings of the leak scan on their way into the journal: one shape, for the steps and for the lanes' workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from downstage.domain.leak_outcome import LeakPlace
from downstage.ports import Journal, RunRecord
from downstage.verify.canaries import CanaryProbe, is_canary, together
from downstage.verify.layers import Finding
from downstage.verify.leaks import LeakScanner
from downstage.workflow.canaries import probe_for
from downstage.workflow.parts import Parts


def record_leak(journal: Journal, run_id: str, epoch: int, task: str, place: LeakPlace) -> None:
    """Enters one finding; the same one again changes nothing."""
    finding = {"where": place.where, "path": place.path, "layers": place.layers, "fingerprint": place.fingerprint}
    journal.add_finding(run_id, epoch, task, finding)


class LeakLook:
    """The scanner and the canaries together, for what is no table: counts what they find, and enters it.

    `leaks` are all findings, `canaries` those of them that are canaries.
    """

    def __init__(self, journal: Journal, run: RunRecord, scanner: LeakScanner, probe: CanaryProbe) -> None:
        self._journal = journal
        self._run = run
        self._scanner = scanner
        self._probe = probe
        self.leaks = 0
        self.canaries = 0

    def text(self, where: str, text: str, path: str) -> None:
        """Looks at one text: an object key, a document id."""
        self._enter(where, together(self._scanner.scan_text(text, path), self._probe.scan_text(text, path)))

    def document(self, where: str, document: Any, path: str = "") -> None:
        """Looks at plain JSON: a document, an object's metadata."""
        self._enter(
            where, together(self._scanner.scan_document(document, path), self._probe.scan_document(document, path))
        )

    def _enter(self, where: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.leaks += 1
            self.canaries += is_canary(finding)
            place = LeakPlace(where, finding.path, finding.layers, finding.fingerprint)
            record_leak(self._journal, self._run.run_id, self._run.epoch, f"verify/{where}", place)


def leak_look(parts: Parts) -> LeakLook:
    """The look of one run's steps."""
    probe = probe_for(parts.journal, parts.run, parts.canary_key)
    return LeakLook(parts.journal, parts.run, parts.scanner, probe)
