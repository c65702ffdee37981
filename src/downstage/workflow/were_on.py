"""Which consumers were on before a run changed anything, as the journal keeps it: what is put back if it is given up.

One function may listen to two tables, or to one table in two regions, and be on in one place alone: so the record names
the function, the table and the region. Records of before that know only functions; they are read as what they say, the
function wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from downstage.ports import Consumer, StepRecord

SWITCHING = "switching"
"""In the result of `consumers-off`: they are being switched off again just now."""

BY_THE_RUN = "switched_on_by_the_run"
"""In the result of `consumers-off`: what the run itself has switched on, after its proof, before it was begun again
from an earlier step; as `kept` keeps it, or functions alone."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A consumer by its place. An empty table and region stand for all of them."""

    function: str
    table: str = ""
    region: str = ""

    @classmethod
    def of(cls, consumer: Consumer) -> Mark:
        """The mark of one consumer; that of its like on a re-created table is the same."""
        return cls(consumer.function, consumer.table, consumer.region)

    def fits(self, consumer: Consumer) -> bool:
        """Whether the consumer is one that is meant."""
        return self in (Mark.of(consumer), Mark(consumer.function))

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.function} of {self.table} in {self.region}" if self.table else self.function


def kept(marks: Iterable[Mark]) -> list[list[str]]:
    """Marks as the journal keeps them."""
    return [[mark.function, mark.table, mark.region] for mark in sorted(set(marks))]


def recorded(consumers: Iterable[Consumer]) -> list[list[str]]:
    """Those that are on, as they are kept."""
    return kept(Mark.of(consumer) for consumer in consumers if consumer.enabled)


def remembered(kept: Iterable[Any] | None) -> list[Mark]:
    """What was kept, in either form."""
    return [Mark(entry) if isinstance(entry, str) else Mark(*entry) for entry in kept or ()]


def were_on(records: Mapping[str, StepRecord]) -> list[Mark]:
    """What the preflight found on, before anything was changed, and what was on when it was switched off."""
    before, off = records.get("preflight"), records.get("consumers-off")
    found = {
        *remembered(None if before is None else before.result.get("consumers")),
        *remembered(None if off is None else off.intent.get("enabled")),
    }
    return sorted(found)


def told(marks: Iterable[Mark]) -> str:
    """All of them in words."""
    return ", ".join(mark.told for mark in sorted(set(marks)))
