"""Events as lines of plain text: what a log of a CI job shows, and the words that the live display uses too.

Names and details may come from outside, so whatever could move a cursor or start a new line is escaped.
"""

from __future__ import annotations

from downstage.console.meter import Meter
from downstage.domain.events import (
    Event,
    Note,
    ObjectSynced,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)


def printable(text: str) -> str:
    """The text on one line, without control characters and without what reorders text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\n" else c.encode("unicode_escape").decode() for c in text)


def line_of(event: Event) -> str:
    """One event, one line; progress without rate."""
    match event:
        case RunStarted():
            verb = "goes on" if event.resumed else "begins"
            text = f"{event.environment}: run {event.run_id} {verb}"
        case StepStarted():
            text = f"{event.step}: started"
        case StepFinished():
            detail = f": {event.detail}" if event.detail else ""
            took = "" if event.state == "skipped" else f" after {duration(event.seconds)}"
            text = f"{event.step}: {event.state}{took}{detail}"
        case Progress():
            text = f"{event.step}: {event.subject}: {event.done:,} {event.unit}"
        case ObjectSynced():
            reason = f" ({event.reason})" if event.reason else ""
            text = f"{event.action}: s3://{event.bucket}/{event.key}{reason}"
        case Note():
            text = event.text
        case RunFinished():
            text = f"run {event.run_id}: {event.result} (exit code {event.exit_code})"
    return printable(text)


def progress_line(event: Progress, meter: Meter, now: float) -> str:
    """How far, how fast and how long to go, as far as it can be told."""
    parts = (count_of(meter, event.unit), percent_of(meter), rate_of(meter, event.unit, now), left_of(meter, now))
    return printable(f"{event.step}: {event.subject}: {', '.join(part for part in parts if part)}")


def count_of(meter: Meter, unit: str) -> str:
    """`1,200 of 5,000 items`; an estimated total has a `~`, one that was passed is not shown."""
    if meter.total is None or meter.fraction is None:
        return f"{meter.done:,} {unit}"
    return f"{meter.done:,} of {'~' if meter.estimated else ''}{meter.total:,} {unit}"


def percent_of(meter: Meter) -> str:
    """Whole percent, rounded down: 100% is said only when all is done."""
    return "" if meter.fraction is None else f"{int(meter.fraction * 100)}%"


def rate_of(meter: Meter, unit: str, now: float) -> str:
    """`8,420 items/s`, with a decimal while it is slow; nothing once all is done."""
    rate = meter.rate(now)
    if rate is None or meter.complete:
        return ""
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"


def left_of(meter: Meter, now: float) -> str:
    """`3 min 5 s left`, from a few seconds on."""
    left = meter.left(now)
    return "" if left is None else f"{duration(max(left, 1))} left"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
