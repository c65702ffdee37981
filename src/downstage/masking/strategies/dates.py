"""date_shift: a date moves by some days, never by none, and is written exactly as it was.

Known are ISO 8601 dates and date-times (`2024-02-29`, `2024-02-29T10:00:00.5Z`), US dates (`2/29/2024`), and seconds
or milliseconds since 1970. All that stands on one day moves alike, so the order within a day stays; with `by`, all
dates of the items that share that attribute move alike, so the time between them stays. A time of day never changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from downstage.errors import MaskingError
from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import Place, Strategy
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.options import Options

_TIME = (
    r"(?P<time>[T ][0-2][0-9]:[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,12})?)?"
    r"(?: ?(?:Z|z|[+-][0-2][0-9](?::?[0-5][0-9])?))?)?"
)
_ISO = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})" + _TIME)
_US = re.compile(
    r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})"
    r"(?P<time> [0-2]?[0-9]:[0-5][0-9](?::[0-6][0-9])?(?: ?[AaPp][Mm])?)?"
)
_EPOCH = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,12})?")
_SHORTEST_EPOCH = 9
"""A shorter text may be a year or a day of the month: no date that can be moved."""
_SECONDS_END = 10**11
"""Below it a number counts seconds (until the year 5138), from it on milliseconds (since 1973)."""
_MILLISECONDS_END = 10**14
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the dates of one rule move: 1 to `days` days, either way, drawn from the day itself or from `by`."""

    draw: Draw
    days: int
    by: str | None

    def text(self, text: str, place: Place) -> str:
        """A date as a text."""
        for form, write in ((_ISO, _iso), (_US, _us)):
            found = form.fullmatch(text)
            if found:
                return self._moved(found, write, place)
        if len(text) < _SHORTEST_EPOCH:
            raise _no_date()
        return self.number(text, place)

    def number(self, text: str, place: Place) -> str:
        """A time since 1970, in seconds or milliseconds."""
        if not _EPOCH.fullmatch(text):
            raise _no_date()
        number = Decimal(text)
        unit = 1 if abs(number) < _SECONDS_END else 1000
        if abs(number) >= _MILLISECONDS_END:
            raise _no_date()
        days = self._days(f"day {number // (unit * _DAY)}", place)
        return format(number + days * unit * _DAY, "f")

    def _moved(self, found: re.Match[str], write: Callable[[date, re.Match[str]], str], place: Place) -> str:
        try:
            day = date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            raise _no_date() from None
        days = timedelta(self._days(day.isoformat(), place))
        try:
            moved = day + days
        except OverflowError:
            moved = day - days
        return write(moved, found) + (found["time"] or "")

    def _days(self, own: str, place: Place) -> int:
        """From -days to days, but never 0."""
        drawn = self.draw.number(own if self.by is None else _attribute(self.by, place)) % (2 * self.days)
        return drawn - self.days if drawn < self.days else drawn - self.days + 1


def make_date_shift(options: Options, draws: Draws) -> Strategy:
    """`date_shift`: at most `days` days; `by` names the attribute by which dates move together."""
    shift = Shift(draws(options.domain()), options.integer("days", 1, 3660), options.optional_text("by"))
    return Leaves(name="date_shift", text=shift.text, number=shift.number)


def _attribute(name: str, place: Place) -> str:
    for kind, content in place.item.get(name, {}).items():
        if kind in ("S", "N", "B") and content:
            return str(content)
    raise MaskingError("the strategy 'date_shift' goes by an attribute that this item lacks, or that is no S, N or B")


def _iso(day: date, found: re.Match[str]) -> str:
    return day.isoformat()


def _us(day: date, found: re.Match[str]) -> str:
    """Without leading zeros if the original shows that it is written so."""
    padded = len(found["month"]) == 2 and len(found["day"]) == 2
    return f"{day.month:02}/{day.day:02}/{day.year:04}" if padded else f"{day.month}/{day.day}/{day.year:04}"


def _no_date() -> MaskingError:
    return MaskingError("the strategy 'date_shift' was given a value that is no date it knows")
