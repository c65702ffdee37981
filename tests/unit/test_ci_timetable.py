"""Timetables: when something starts next, as cron and for EventBridge, and what in them may surprise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.aws.scheduler import expression
from downstage.domain.schedule import MONTHS, WEEKDAYS, Timetable


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timetable", "after", "expected"),
    [
        (Timetable((5,), (1,)), "2026-01-31T23:00", "2026-02-01T05:00"),
        (Timetable((5,), (1,)), "2026-02-01T05:00", "2026-03-01T05:00"),
        (Timetable((5,), (1,)), "2026-02-01T04:59:59.999999", "2026-02-01T05:00"),
        (Timetable((22, 5), (1, 15)), "2026-02-01T05:00", "2026-02-01T22:00"),
        (Timetable((5,), (31,)), "2026-01-31T06:00", "2026-03-31T05:00"),
        (Timetable((5,), (29,), months=("FEB",)), "2026-01-01T00:00", "2028-02-29T05:00"),
        (Timetable((5,), (29,), months=("FEB",)), "2096-03-01T00:00", "2104-02-29T05:00"),
        (Timetable((0,), weekdays=("SUN",)), "2026-03-01T00:00", "2026-03-08T00:00"),
        (Timetable((5,), (2,), months=("DEC",)), "2026-12-02T05:00", "2027-12-02T05:00"),
        (Timetable((5,), (1,), minute=30), "2026-02-01T05:00", "2026-02-01T05:30"),
    ],
)
def test_the_next_time(timetable: Timetable, after: str, expected: str) -> None:
    assert timetable.next_time(at(after)) == at(expected)


def test_the_time_that_is_asked_from_may_be_of_any_zone() -> None:
    after = datetime(2026, 2, 1, 6, 30, tzinfo=timezone(timedelta(hours=2)))
    assert Timetable((5,), (1,)).next_time(after) == at("2026-02-01T05:00")


def test_a_day_that_never_comes() -> None:
    never = Timetable((5,), (30, 31), months=("FEB",))
    assert never.never()
    assert never.next_time(at("2026-01-01T00:00")) is None
    assert not Timetable((5,), (29,), months=("FEB",)).never()


@pytest.mark.parametrize(
    ("timetable", "doubts"),
    [
        (Timetable((5,), (28,)), []),
        (Timetable((5,), (29,)), ["there is no day 29 in FEB of most years"]),
        (Timetable((5,), (30,)), ["there is no day 30 in FEB:"]),
        (Timetable((5,), (1, 31)), ["there is no day 31 in FEB, APR, JUN, SEP, NOV"]),
        (Timetable((5,), (31,), months=("JAN", "JUL")), []),
        (Timetable((5,), (29, 31), months=("JAN", "APR")), ["there is no day 31 in APR"]),
        (Timetable((5,), weekdays=("MON",)), []),
    ],
)
def test_days_that_some_months_do_not_have_are_warned_of(timetable: Timetable, doubts: list[str]) -> None:
    found = list(timetable.doubts())
    assert len(found) == len(doubts)
    assert all(said.startswith(doubt) for said, doubt in zip(found, doubts, strict=True))


@pytest.mark.parametrize(
    ("timetable", "cron", "eventbridge", "words"),
    [
        (Timetable((5,), (2,)), "0 5 2 * *", "cron(0 5 2 * ? *)", "day 2 at 05:00 UTC"),
        (
            Timetable((17, 5), (15, 1), months=("JUN", "JAN"), minute=7),
            "7 5,17 1,15 1,6 *",
            "cron(7 5,17 1,15 1,6 ? *)",
            "day 1,15 of JAN,JUN at 05:07, 17:07 UTC",
        ),
        (
            Timetable((0,), weekdays=("SUN", "MON")),
            "0 0 * * MON,SUN",
            "cron(0 0 ? * MON,SUN *)",
            "MON,SUN at 00:00 UTC",
        ),
    ],
)
def test_the_spellings(timetable: Timetable, cron: str, eventbridge: str, words: str) -> None:
    assert timetable.cron() == cron
    assert expression(timetable) == eventbridge
    assert timetable.words() == words


_TIMES = st.builds(
    Timetable,
    hours=st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True).map(tuple),
    days=st.lists(st.integers(1, 31), min_size=1, max_size=3, unique=True).map(tuple),
    months=st.lists(st.sampled_from(MONTHS), max_size=3, unique=True).map(tuple),
    minute=st.integers(0, 59),
)


@given(_TIMES, st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_the_next_time_is_one_of_the_timetable_and_none_is_left_out(timetable: Timetable, after: datetime) -> None:
    found = timetable.next_time(after)
    assert (found is None) == timetable.never()
    if found is None:
        return
    assert found > after
    assert _fits(timetable, found)
    hour = after.replace(minute=timetable.minute, second=0, microsecond=0)
    between = (hour + timedelta(hours=step) for step in range(24 * 40))
    assert not [each for each in between if after < each < found and _fits(timetable, each)]


def _fits(timetable: Timetable, moment: datetime) -> bool:
    return (
        moment.hour in timetable.hours
        and moment.minute == timetable.minute
        and moment.day in timetable.days
        and (not timetable.months or MONTHS[moment.month - 1] in timetable.months)
    )


def test_weekdays_are_those_of_the_calendar() -> None:
    monday = at("2026-03-02T00:00")
    for place, name in enumerate(WEEKDAYS):
        found = Timetable((12,), weekdays=(name,)).next_time(monday)
        assert found == monday + timedelta(days=place, hours=12)
