"""What the schedules and flags of a configuration must agree on. Each problem is yielded at the key to change."""

from __future__ import annotations

from collections.abc import Iterator

from downstage.config.automation import NEEDED, OPTIONS, Schedule
from downstage.config.document import KeyPath
from downstage.config.schema import Config
from downstage.domain.schedule import Timetable

_ALWAYS = {"via", "name", "hour", "day", "weekday", "months", "minute"}


def check_automation(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Every problem of the schedules."""
    names: dict[str, str] = {}
    for environment, configured in config.environments.items():
        stanza = configured.refresh.schedule if configured.refresh is not None else None
        if stanza is None:
            continue
        here: KeyPath = ("environments", environment, "refresh", "schedule")
        yield from _settings(stanza, here)
        yield from _times(stanza, here)
        name = stanza.name or f"{config.schedule_prefix}{environment}"
        first = names.setdefault(name, environment)
        if first != environment:
            yield (*here, "name"), f"is the name of the schedule of '{first}' already"


def _settings(stanza: Schedule, here: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    for name in sorted(stanza.model_fields_set - _ALWAYS - set(OPTIONS[stanza.via])):
        yield (*here, name), f"is no setting of a schedule via {stanza.via}; remove it"
    for name in NEEDED[stanza.via]:
        if getattr(stanza, name) is None:
            yield here, f"needs the key '{name}': it is via {stanza.via}"
    if stanza.via == "github" and stanza.project is not None and not stanza.project.startswith("github/"):
        yield (*here, "project"), "must be of the form github/OWNER/REPOSITORY"
    if "branch" in stanza.parameters or "tag" in stanza.parameters:
        yield (*here, "parameters"), "must not name the branch; 'branch' beside it does"
    if stanza.input is not None and stanza.ecs is not None:
        yield (*here, "input"), "cannot stand beside 'ecs', which sets the command"
    if stanza.via == "eventbridge" and (":ecs:" in (stanza.target or "")) != (stanza.ecs is not None):
        yield here, "needs 'ecs' if, and only if, the target is an ECS cluster"


def _times(stanza: Schedule, here: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if bool(stanza.day) == bool(stanza.weekday):
        yield here, "must hold exactly one of 'day' and 'weekday'"
    elif Timetable(stanza.hour, stanza.day, stanza.weekday, stanza.months, stanza.minute).never():
        yield (*here, "day"), "is in none of the months"
    if stanza.via == "circleci" and stanza.minute:
        yield (*here, "minute"), "cannot be chosen at CircleCI, which adds a delay of its own; remove it"
