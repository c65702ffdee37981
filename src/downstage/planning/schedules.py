"""What `schedule apply` has to do: the schedules that the configuration wants against those that are there.

Only schedules that carry the prefix, or the very name of a wanted one (which is thereby adopted), are ever changed;
the others are listed and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from downstage.config import schema
from downstage.domain.schedule import FoundSchedule, SchedulePlan, Timetable
from downstage.ports import ScheduleStore


class Kind(Enum):
    """What becomes of a schedule."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"
    KEEP = "same"
    LEAVE = "not ours"


@dataclass(frozen=True, slots=True)
class Change:
    """One schedule: what there is, what there should be, and in what the two differ (setting, was, will be)."""

    kind: Kind
    name: str
    found: FoundSchedule | None = None
    wanted: Mapping[str, Any] | None = None
    differences: tuple[tuple[str, Any, Any], ...] = ()
    adopted: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.kind in (Kind.CREATE, Kind.UPDATE, Kind.REMOVE)


def reconcile(
    wanted: Mapping[str, Mapping[str, Any]], found: Sequence[FoundSchedule], prefix: str, *, spared: Sequence[str] = ()
) -> list[Change]:
    """The changes that bring one place to the configuration: the wanted ones in their order, then the others by name.

    `wanted` maps names to settings. `spared` are names that the configuration knows but that were not asked for.
    Of two schedules of one name, which some places allow, the first is kept and the others count as surplus.
    """
    there: dict[str, FoundSchedule] = {}
    surplus: list[FoundSchedule] = []
    for schedule in sorted(found, key=lambda each: (each.name, each.identity)):
        if schedule.name in wanted and schedule.name not in there:
            there[schedule.name] = schedule
        else:
            surplus.append(schedule)
    changes = [_one(name, settings, there.get(name), prefix) for name, settings in wanted.items()]
    for schedule in surplus:
        ours = schedule.name.startswith(prefix) and schedule.name not in spared
        changes.append(Change(Kind.REMOVE if ours else Kind.LEAVE, schedule.name, schedule))
    return changes


def carry_out(store: ScheduleStore, change: Change) -> None:
    """Makes one change. Raises what the place says."""
    match change.kind:
        case Kind.CREATE:
            assert change.wanted is not None
            store.create(change.name, change.wanted)
        case Kind.UPDATE:
            assert change.found is not None
            assert change.wanted is not None
            store.update(change.found, change.wanted)
        case Kind.REMOVE:
            assert change.found is not None
            store.remove(change.found)
        case Kind.KEEP | Kind.LEAVE:
            pass


def schedules_of(config: schema.Config) -> list[SchedulePlan]:
    """Every environment's schedule, in the order of the configuration."""
    plans = []
    for environment, configured in config.environments.items():
        stanza = configured.refresh.schedule if configured.refresh is not None else None
        if stanza is not None:
            plans.append(
                SchedulePlan(
                    environment=environment,
                    name=stanza.name or f"{config.schedule_prefix}{environment}",
                    via=stanza.via,
                    timetable=Timetable(stanza.hour, stanza.day, stanza.weekday, stanza.months, stanza.minute),
                    options=stanza.options,
                )
            )
    return plans


def _one(name: str, settings: Mapping[str, Any], found: FoundSchedule | None, prefix: str) -> Change:
    if found is None:
        return Change(Kind.CREATE, name, None, settings)
    differences = tuple(
        (setting, found.settings.get(setting), settings.get(setting))
        for setting in sorted({*settings, *found.settings})
        if found.settings.get(setting) != settings.get(setting)
    )
    kind = Kind.UPDATE if differences else Kind.KEEP
    return Change(kind, name, found, settings, differences, adopted=not name.startswith(prefix))
