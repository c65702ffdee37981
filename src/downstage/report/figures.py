"""How the report writes numbers, sizes, times and accounts for a person to read.

Every function takes what an outcome holds and never fails: what it cannot read it gives back as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime

from downstage.domain.counted import plural

_SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB")


def number(value: int) -> str:
    """`1234567` is `1,234,567`."""
    return f"{value:,}"


def share(part: int, whole: int, noun: str) -> str:
    """`the table`, `all 3 tables`, `2 of 3 tables`."""
    if whole == 1:
        return f"the {noun}" if part == 1 else f"{part:,} of 1 {noun}"
    return f"{'all' if part == whole else f'{part:,} of'} {whole:,} {plural(noun)}"


def percentage(part: int, whole: int) -> str:
    """`1000, 3412` is `29.3 %`; a part is never rounded up to the whole, and nothing of nothing is all of it."""
    if part >= whole:
        return "100 %"
    return f"{min(100 * part / whole, 99.9):.1f} %"


def size(value: int) -> str:
    """Bytes in decimal units, as AWS bills them: `1536000` is `1.5 MB`."""
    amount, unit = float(value), 0
    while amount >= 999.95 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{value:,} bytes" if unit == 0 else f"{amount:,.1f} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`: two units at most."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def parsed(instant: str) -> datetime | None:
    """An ISO 8601 instant as UTC (one without an offset is taken as UTC), or None."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def instant(text: str) -> str:
    """`2026-03-01T05:00:12Z` is `1 Mar 2026, 05:00:12 UTC`."""
    moment = parsed(text)
    return text if moment is None else f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def period(start: str, end: str) -> str:
    """From one instant to another, if it has come; the day is said once if it is the same day."""
    if not end:
        return f"from {instant(start)}"
    first, last = parsed(start), parsed(end)
    if first is None or last is None or first.date() != last.date():
        return f"{instant(start)} to {instant(end)}"
    return f"{first.day} {first:%b %Y, %H:%M:%S} to {last:%H:%M:%S} UTC"


def elapsed(start: str, end: str) -> float | None:
    """Seconds between two instants, None if either cannot be read."""
    first, last = parsed(start), parsed(end)
    return None if first is None or last is None else (last - first).total_seconds()
