"""How numbers, sizes and times are written."""

from __future__ import annotations

import pytest

from downstage.domain.counted import counted
from downstage.report import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.9, "1 h 0 min"),
        (7860, "2 h 11 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (999_960, "1.0 MB"), (10**19, "10,000.0 PB")],
)
def test_size(value: int, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-01T05:00:12Z", "1 Mar 2026, 05:00:12 UTC"),
        ("2026-03-01T05:00:12.5+02:00", "1 Mar 2026, 03:00:12 UTC"),
        ("2026-03-01T05:00:12", "1 Mar 2026, 05:00:12 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_instant(text: str, said: str) -> None:
    assert figures.instant(text) == said


def test_period_says_the_day_once_and_needs_no_end() -> None:
    start = "2026-03-01T23:59:00Z"
    assert figures.period(start, "2026-03-01T23:59:59Z") == "1 Mar 2026, 23:59:00 to 23:59:59 UTC"
    assert figures.period(start, "2026-03-02T00:01:00Z") == "1 Mar 2026, 23:59:00 UTC to 2 Mar 2026, 00:01:00 UTC"
    assert figures.period(start, "") == "from 1 Mar 2026, 23:59:00 UTC"


def test_counts() -> None:
    assert [counted(n, "address") for n in (0, 1, 2_000)] == ["0 addresses", "1 address", "2,000 addresses"]
    assert [counted(2, noun) for noun in ("canary", "key", "index")] == ["2 canaries", "2 keys", "2 indexes"]
    assert figures.share(1, 1, "table") == "the table"
    assert figures.share(3, 3, "index") == "all 3 indexes"
    assert figures.share(1, 3, "index") == "1 of 3 indexes"


def test_a_share_is_never_rounded_up_to_the_whole() -> None:
    assert figures.percentage(1000, 3412) == "29.3 %"
    assert figures.percentage(99_999, 100_000) == "99.9 %"
    assert figures.percentage(3, 3) == figures.percentage(0, 0) == "100 %"
    assert figures.percentage(0, 5) == "0.0 %"
