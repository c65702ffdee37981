"""A notice as a webhook's body, and as the title and text that a person reads in a chat or a mail."""

from __future__ import annotations

import json
from typing import Any

from downstage.domain.notice import SIGNALS, Notice, Occasion

VERSION = 1
"""Of the body. Names are a contract: one may be added; renaming or removing one is a new version."""

_SHOWN = ("items", "addresses", "quarantined", "objects", "skipped", "documents")


def body_of(notice: Notice) -> bytes:
    """The JSON body, ASCII only: the same notice always gives the same bytes."""
    document: dict[str, Any] = {
        "version": VERSION,
        "event": notice.occasion.value,
        "environment": notice.environment,
        "run_id": notice.run_id or None,
        "step": notice.step or None,
        "result": notice.result or None,
        "exit_code": notice.exit_code,
        "summary": notice.summary,
        "seconds": notice.seconds,
        "counts": dict(notice.counts),
        "report": notice.report or None,
        "time": notice.at,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


_HEADINGS = {
    Occasion.START: "begun",
    Occasion.END: "proven",
    Occasion.FAILURE: "failed",
    Occasion.APPROVAL: "approval wanted",
    Occasion.PARKED: "parked",
    Occasion.TEST: "a test",
}


def title_of(notice: Notice) -> str:
    """A heading of a few words."""
    heading = "not proven" if notice.exit_code == 6 else _HEADINGS[notice.occasion]
    heading = "stopped" if notice.exit_code in SIGNALS else heading
    return f"Downstage {notice.environment}: {heading}"


def text_of(notice: Notice) -> str:
    """A few lines of plain text."""
    lines = [notice.summary]
    if notice.run_id:
        lines.append(f"Run: {notice.run_id}")
    counted = [f"{notice.counts[name]:,} {name}" for name in _SHOWN if notice.counts.get(name)]
    if counted:
        lines.append(f"So far: {', '.join(counted)}")
    if notice.seconds is not None:
        minutes, seconds = divmod(round(notice.seconds), 60)
        lines.append(f"Time: {minutes // 60} h {minutes % 60} min {seconds} s")
    if notice.report:
        lines.append(f"Report: {notice.report}")
    return "\n".join(lines)
