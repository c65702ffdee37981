"""Schedules of a CircleCI project (API v2). They do not exist for projects that CircleCI reaches by its GitHub App.

CircleCI answers with hours, days and months as lists, in kebab-case, and attributes a schedule to an actor; all become
plain, sorted values here, so that only a real difference is one. A timetable holds days of the month or of the week,
never both, and no minute: CircleCI adds a delay of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from downstage.ci.circleci import CircleCi
from downstage.domain.schedule import MONTHS, WEEKDAYS, FoundSchedule, SchedulePlan
from downstage.errors import CiError, ConfigError


class CircleCiSchedules:
    """Implements `ports.ScheduleStore` for one project."""

    def __init__(self, circleci: CircleCi, project: str) -> None:
        self._circleci = circleci
        self._project = project
        self._owner: str | None = None

    @property
    def place(self) -> str:
        """Where the schedules are."""
        return f"CircleCI project {self._project}"

    def settings(self, plan: SchedulePlan) -> Mapping[str, Any]:
        """What the plan's schedule is at CircleCI."""
        table = plan.timetable
        if table.minute:
            raise ConfigError(f"the schedule {plan.name} names a minute, which cannot be chosen at CircleCI")
        return {
            "actor": plan.options["actor"],
            "branch": plan.options["branch"],
            "days": sorted(table.days),
            "description": f"Refreshes {plan.environment} (made by downstage schedule apply)",
            "hours": sorted(table.hours),
            "months": sorted(table.months or MONTHS, key=MONTHS.index),
            "parameters": dict(plan.options["parameters"]),
            "per hour": 1,
            "weekdays": sorted(table.weekdays, key=WEEKDAYS.index),
        }

    def found(self, names: Collection[str]) -> Sequence[FoundSchedule]:
        """Every schedule of the project; CircleCI gives all there is to know of each."""
        return [self._found(item) for item in self._circleci.schedules(self._project)]

    def create(self, name: str, settings: Mapping[str, Any]) -> None:
        """Makes it. Not repeated if the answer is lost: two schedules of one name are possible at CircleCI."""
        self._circleci.create_schedule(self._project, _body(name, settings))

    def update(self, found: FoundSchedule, settings: Mapping[str, Any]) -> None:
        """Changes it, all of it."""
        self._circleci.update_schedule(found.identity, _body(found.name, settings))

    def remove(self, found: FoundSchedule) -> None:
        """Deletes it."""
        self._circleci.delete_schedule(found.identity, found.name)

    def _found(self, item: Mapping[str, Any]) -> FoundSchedule:
        try:
            table = item["timetable"]
            parameters = dict(item["parameters"])
            branch = parameters.pop("branch", None)
            login = item["actor"]["login"]
            return FoundSchedule(
                name=str(item["name"]),
                identity=str(item["id"]),
                settings={
                    "actor": "current" if login == self._login() else "system",
                    "branch": branch,
                    "days": sorted(table.get("days-of-month") or ()),
                    "description": item.get("description"),
                    "hours": sorted(table["hours-of-day"]),
                    "months": sorted(table.get("months") or MONTHS, key=MONTHS.index),
                    "parameters": parameters,
                    "per hour": table["per-hour"],
                    "weekdays": sorted(table.get("days-of-week") or (), key=WEEKDAYS.index),
                },
            )
        except (KeyError, TypeError, ValueError):
            raise CiError(
                f"could not list the schedules of {self._project}: CircleCI's answer is not of the shape that it "
                f"publishes"
            ) from None

    def _login(self) -> str:
        if self._owner is None:
            self._owner = self._circleci.login()
        return self._owner


def _body(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule as CircleCI takes it."""
    timetable: dict[str, Any] = {
        "per-hour": settings["per hour"],
        "hours-of-day": list(settings["hours"]),
        "months": list(settings["months"]),
    }
    if settings["days"]:
        timetable["days-of-month"] = list(settings["days"])
    else:
        timetable["days-of-week"] = list(settings["weekdays"])
    return {
        "name": name,
        "description": settings["description"],
        "attribution-actor": settings["actor"],
        "parameters": {"branch": settings["branch"], **settings["parameters"]},
        "timetable": timetable,
    }
