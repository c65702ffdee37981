"""Where a whole refresh is killed: in every step, and at each of the places in it at which another thing is on record.

begun        its beginning is on record, and nothing is done yet
intent       what it is about to do is on record
call:N       its N-th call to AWS was answered, and nothing knows of it
while:S      S seconds after its beginning, if it lasts that long: lanes are under way
unrecorded   all that it does is done, and the record of that is missing
recorded     its end is on record, and the next step has not begun
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from downstage.workflow.refresh import STEPS

LONG = ("copy", "sync", "verify-tables", "verify-buckets", "index")
"""Steps whose work is done by others: by lanes in processes of their own, or by consumers."""

IDLE = ("export", "expiry", "parity", "backfill", "discard-export")
"""Steps that have nothing to ask AWS in the sandbox."""

_ALWAYS = ("unrecorded", "begun", "recorded")


@dataclass(frozen=True)
class Moment:
    """One place. Its text, `step@place`, goes through the environment to the process that is to die."""

    step: str
    place: str

    @classmethod
    def parse(cls, text: str) -> Moment:
        """From its text."""
        return cls(*text.split("@"))

    def __str__(self) -> str:
        return f"{self.step}@{self.place}"


def moments(step: str) -> Iterator[Moment]:
    """A step's places, each new one first: without end, for one that is not reached is followed by the next."""
    yield Moment(step, "unrecorded")
    if step not in IDLE:
        yield Moment(step, "while:0.5" if step in LONG else "call:1")
        yield Moment(step, "begun")
        yield Moment(step, "while:1.5" if step in LONG else "call:3")
        yield Moment(step, "intent")
    while True:
        yield from (Moment(step, place) for place in _ALWAYS)


def in_turns() -> Iterator[list[str]]:
    """The steps in which one refresh after the other is to be killed: every third, without end."""
    for turn in count():
        yield [step for place, step in enumerate(STEPS) if place % 3 == turn % 3]
