"""When refreshes start by themselves: timetables in UTC, and schedules as plain data that can be compared.

A timetable names hours and either days of the month or days of the week; months narrow it. A day that a month does
not have is left out, as cron and CircleCI do. Everything here is pure: the time is handed in.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_LOOK_AHEAD_DAYS = 366 * 8 + 3
"""The 29th of February is at most eight years away."""

_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


@dataclass(frozen=True, slots=True)
class Timetable:
    """Hours (0-23, UTC) of some days. Exactly one of `days` (1-31) and `weekdays` is not empty; no months: all."""

    hours: tuple[int, ...]
    days: tuple[int, ...] = ()
    weekdays: tuple[str, ...] = ()
    months: tuple[str, ...] = ()
    minute: int = 0

    def next_time(self, after: datetime) -> datetime | None:
        """The first start that is later than `after` (aware), in UTC; None if there is none in eight years."""
        moment = after.astimezone(UTC)
        for ahead in range(_LOOK_AHEAD_DAYS):
            day = moment.date() + timedelta(days=ahead)
            if not self._starts_on(day):
                continue
            for hour in sorted(self.hours):
                start = datetime(day.year, day.month, day.day, hour, self.minute, tzinfo=UTC)
                if start > moment:
                    return start
        return None

    def never(self) -> bool:
        """Whether no month that is named has any of the days."""
        return not any(self._days_of(month) for month in self._months())

    def doubts(self) -> Iterator[str]:
        """What may surprise in it, in plain words."""
        for day in sorted(self.days):
            lacking = [MONTHS[month - 1] for month in self._months() if day > _LONGEST.get(month, 31)]
            if day > 28 and (lacking or 2 in self._months()):
                named = ", ".join(lacking) or "FEB of most years"
                yield f"there is no day {day} in {named}: nothing starts then; days 1 to 28 are in every month"

    def cron(self) -> str:
        """The five fields of cron: minute, hour, day of the month, month, day of the week."""
        return " ".join(
            (
                str(self.minute),
                _listed(sorted(self.hours)),
                _listed(sorted(self.days)) if self.days else "*",
                _listed(sorted(MONTHS.index(month) + 1 for month in self.months)) if self.months else "*",
                _listed(sorted(self.weekdays, key=WEEKDAYS.index)) if self.weekdays else "*",
            )
        )

    def words(self) -> str:
        """The timetable for people: `day 1 at 05:00 UTC`."""
        when = f"day {_listed(sorted(self.days))}" if self.days else _listed(sorted(self.weekdays, key=WEEKDAYS.index))
        hours = ", ".join(f"{hour:02}:{self.minute:02}" for hour in sorted(self.hours))
        months = f" of {_listed(sorted(self.months, key=MONTHS.index))}" if self.months else ""
        return f"{when}{months} at {hours} UTC"

    def _months(self) -> tuple[int, ...]:
        return tuple(MONTHS.index(month) + 1 for month in self.months) or tuple(range(1, 13))

    def _days_of(self, month: int) -> bool:
        return bool(self.weekdays) or any(day <= _LONGEST.get(month, 31) for day in self.days)

    def _starts_on(self, day: date) -> bool:
        if day.month not in self._months():
            return False
        return day.day in self.days or WEEKDAYS[calendar.weekday(day.year, day.month, day.day)] in self.weekdays


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """One environment's schedule as the configuration has it. `options` are those of the place that `via` names."""

    environment: str
    name: str
    via: str
    timetable: Timetable
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundSchedule:
    """A schedule that is there. `identity` is what its place calls it; `settings` are plain values to compare, and
    empty where they were not looked at."""

    name: str
    identity: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def _listed(values: list[int] | list[str]) -> str:
    return ",".join(str(value) for value in values)
