"""Schedules that `downstage runner` keeps: it reads the configuration itself, so there is nothing to bring up to
date."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from downstage.domain.schedule import FoundSchedule, SchedulePlan


class BuiltInSchedules:
    """Implements `ports.ScheduleStore`: what is there is what the configuration says."""

    place = "downstage runner"

    def __init__(self, plans: Sequence[SchedulePlan]) -> None:
        self._plans = plans

    def settings(self, plan: SchedulePlan) -> Mapping[str, Any]:
        """The timetable."""
        return {"cron": plan.timetable.cron()}

    def found(self, names: Collection[str]) -> Sequence[FoundSchedule]:
        """All that are configured."""
        return [FoundSchedule(plan.name, plan.environment, self.settings(plan)) for plan in self._plans]

    def create(self, name: str, settings: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def update(self, found: FoundSchedule, settings: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def remove(self, found: FoundSchedule) -> None:
        """Nothing to do: it goes with its stanza."""
