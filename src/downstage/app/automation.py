"""Schedules and unattended runs: from the configuration to the places that keep them, and to what changes there.

A place (a CI project, a schedule group, a directory of workflow files) is looked at once, however many environments
have their schedule in it: only so can it be said which of the schedules there are nobody's any more.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from downstage.app.clock import SystemClock
from downstage.app.deployers import circleci_client, github_client, own_pipeline
from downstage.app.runs import Project
from downstage.aws.clone import check_own
from downstage.aws.scheduler import EventBridgeSchedules
from downstage.aws.session import Session
from downstage.ci import render
from downstage.ci.builtin import BuiltInSchedules
from downstage.ci.circleci_schedules import CircleCiSchedules
from downstage.ci.circleci_start import PipelineStart
from downstage.ci.circleci_unattended import CircleCiUnattended
from downstage.ci.github import DispatchStart
from downstage.ci.github_deploy import GitHubUnattended
from downstage.ci.github_schedules import GitHubSchedules
from downstage.domain.schedule import SchedulePlan
from downstage.errors import ConfigError
from downstage.planning.build import environment_of
from downstage.planning.schedules import Change, Kind, carry_out, reconcile, schedules_of
from downstage.ports import ScheduleStore, Unattended

__all__ = ["PlaceChanges", "carry_out", "changes_of", "removals_of", "rendered", "unattended_for"]


@dataclass(frozen=True, slots=True)
class PlaceChanges:
    """One place, what becomes of each schedule there, and what is worth knowing of the wanted ones."""

    store: ScheduleStore
    plans: tuple[SchedulePlan, ...]
    changes: tuple[Change, ...]

    def plan_of(self, change: Change) -> SchedulePlan | None:
        """The stanza behind a change, if there is one."""
        return next((plan for plan in self.plans if plan.name == change.name), None)

    def next_time(self, change: Change, after: datetime) -> datetime | None:
        """When it starts next, once the change is made."""
        plan = self.plan_of(change)
        return None if plan is None or change.kind is Kind.REMOVE else plan.timetable.next_time(after)

    def doubts(self, change: Change) -> list[str]:
        """What may surprise in its timetable."""
        plan = self.plan_of(change)
        return [] if plan is None or change.kind is Kind.REMOVE else list(plan.timetable.doubts())


def changes_of(project: Project, environments: Collection[str] = ()) -> list[PlaceChanges]:
    """What brings every place to the configuration. With `environments`, only their schedules are meant."""
    _refuse_unknown(project, environments)
    return [
        PlaceChanges(store, plans, tuple(_meant(_changes(project, store, plans), plans, environments)))
        for store, plans in _places(project)
        if not environments or any(plan.environment in environments for plan in plans)
    ]


def removals_of(project: Project, environments: Collection[str]) -> list[PlaceChanges]:
    """What takes the schedules of these environments away, whoever made them."""
    places = []
    for place in changes_of(project, environments):
        removed = [
            Change(Kind.REMOVE, change.name, change.found) for change in place.changes if change.found is not None
        ]
        places.append(PlaceChanges(place.store, place.plans, tuple(removed)))
    return places


def unattended_for(project: Project, environment: str) -> Unattended:
    """The CI that runs the environment's refresh. Raises ConfigError if its schedule is not via a CI."""
    plan = _plan_of(project, environment)
    if plan.via not in ("circleci", "github"):
        raise ConfigError(
            f"the schedule of '{environment}' is via {plan.via}: that is no CI that could go on with a run"
        )
    session = partial(_session, project, environment)
    setting = _setting(plan)
    clock = SystemClock()
    options = _options(project, plan)
    if plan.via == "circleci":
        client = circleci_client(options, session, setting, clock, os.environ)
        start = PipelineStart(
            client, clock, options["project"], options["branch"], options["definition"], own_pipeline(os.environ)
        )
        return CircleCiUnattended(start, environment, options["parameters"], options["approval"])
    repository = github_client(options, session, setting, clock, os.environ)
    return GitHubUnattended(DispatchStart(repository, clock, f"{plan.name}.yml", options["branch"], shown="run"))


def rendered(project: Project, kind: str, environment: str) -> str:
    """The CI configuration of one environment, for `circleci` or `github`. Raises ConfigError if it is via another."""
    plan = _plan_of(project, environment)
    if plan.via != kind:
        raise ConfigError(
            f"the schedule of '{environment}' is via {plan.via}, not {kind}: change 'via', or render that"
        )
    return render.circleci(plan) if kind == "circleci" else render.github(plan)


def _changes(project: Project, store: ScheduleStore, plans: Sequence[SchedulePlan]) -> list[Change]:
    wanted = {plan.name: store.settings(plan) for plan in plans}
    return reconcile(wanted, store.found(wanted), project.config.config.schedule_prefix)


def _meant(changes: list[Change], plans: Sequence[SchedulePlan], environments: Collection[str]) -> list[Change]:
    names = {plan.name for plan in plans if plan.environment in environments}
    return [change for change in changes if not environments or (change.name in names and change.wanted is not None)]


def _places(project: Project) -> list[tuple[ScheduleStore, tuple[SchedulePlan, ...]]]:
    groups: dict[tuple[str, ...], list[SchedulePlan]] = {}
    for plan in schedules_of(project.config.config):
        groups.setdefault(_place(project, plan), []).append(plan)
    return [(_store(project, plans), tuple(plans)) for plans in groups.values()]


def _place(project: Project, plan: SchedulePlan) -> tuple[str, ...]:
    """What two schedules have in common that are kept in one place."""
    options = plan.options
    match plan.via:
        case "circleci":
            return plan.via, options["endpoint"], options["project"]
        case "github":
            return plan.via, str(_directory(project, plan))
        case "eventbridge":
            environment = environment_of(project.config.config, plan.environment, base=project.config.base)
            return plan.via, environment.account, environment.region, options["group"]
        case _:
            return (plan.via,)


def _store(project: Project, plans: Sequence[SchedulePlan]) -> ScheduleStore:
    plan = plans[0]
    match plan.via:
        case "circleci":
            options = _options(project, plan)
            signed_in = partial(_session, project, plan.environment)
            client = circleci_client(options, signed_in, _setting(plan), SystemClock(), os.environ)
            return CircleCiSchedules(client, options["project"])
        case "github":
            return GitHubSchedules(_directory(project, plan), plans)
        case "eventbridge":
            session = _session(project, plan.environment)
            prefix = project.config.config.schedule_prefix
            return EventBridgeSchedules(session, plan.options["group"], prefix, guard=partial(check_own, session))
        case _:
            return BuiltInSchedules(plans)


def _options(project: Project, plan: SchedulePlan) -> Mapping[str, Any]:
    """The options, with a token's file found from the configuration."""
    kind, _, rest = plan.options["token"].partition(":")
    if kind != "file":
        return plan.options
    return {**plan.options, "token": f"file:{project.config.base / Path(rest).expanduser()}"}


def _directory(project: Project, plan: SchedulePlan) -> Path:
    return project.config.base / Path(plan.options["directory"]).expanduser()


def _setting(plan: SchedulePlan) -> str:
    return f"environments.{plan.environment}.refresh.schedule.token"


def _session(project: Project, environment: str) -> Session:
    return Session(environment_of(project.config.config, environment, base=project.config.base))


def _plan_of(project: Project, environment: str) -> SchedulePlan:
    environment_of(project.config.config, environment, base=project.config.base)  # names the nearest, if unknown
    for plan in schedules_of(project.config.config):
        if plan.environment == environment:
            return plan
    raise ConfigError(
        f"environment '{environment}' has no 'schedule' in its 'refresh': write one, see docs/automation.md"
    )


def _refuse_unknown(project: Project, environments: Collection[str]) -> None:
    for environment in environments:
        _plan_of(project, environment)
