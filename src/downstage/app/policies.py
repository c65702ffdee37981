"""`iam`: what an environment's roles must be allowed, gathered from the configuration. Asks nothing of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from downstage.app.places import control_table_of
from downstage.app.runs import Project
from downstage.config.schema import Config
from downstage.domain.launcher import Launcher, OidcTrust
from downstage.domain.schedule import SchedulePlan
from downstage.iam.needs import Needs
from downstage.iam.roles import Role, roles_of
from downstage.planning.schedules import schedules_of

_READ_BY_OTHERS = ("flags", "masking", "durable", "launcher")
"""What holds references, or what looks like them, that the target's role does not read."""

_GITHUB = "token.actions.githubusercontent.com"


def needs_of(project: Project, environment: str) -> Needs:
    """What the roles are made from. Raises ConfigError."""
    config = project.config.config
    plan = project.plan(environment)
    schedule = next((one for one in schedules_of(config) if one.environment == environment), None)
    return Needs(
        plan=plan,
        control_table=control_table_of(config),
        tokens=tuple(dict.fromkeys(_references(_read_by_target(config, environment)))),
        schedule=schedule if schedule is not None and schedule.via == "eventbridge" else None,
        schedule_prefix=config.schedule_prefix,
        protected=tuple(dict.fromkeys(one.account for one in project.environments() if one.protected)),
        launcher=_launcher(config, schedule),
    )


def roles(project: Project, environment: str) -> tuple[list[Role], list[str]]:
    """The roles of an environment's refresh, and what is to be said of them. Raises ConfigError."""
    needs = needs_of(project, environment)
    return roles_of(needs), _doubts(needs)


def _doubts(needs: Needs) -> list[str]:
    said = [
        f"no role is configured for the {which}: these policies are for {role}; name it under '{setting}'"
        for which, role, setting in needs.unnamed
    ]
    if needs.plan.exporter is None and any(pair.export is not None for pair in needs.plan.tables):
        said.append(
            "the source's role starts the exports, and may write the export bucket: with a 'launcher' in the "
            "configuration only that one may"
        )
    if needs.schedule is not None:
        said.append(
            "'schedule apply' is done with the target's role, which may therefore hand the schedule its role: leave "
            "the statements of Scheduler out if somebody else keeps the schedules"
        )
    return said


def _launcher(config: Config, schedule: SchedulePlan | None) -> Launcher:
    """As configured. Where nobody is named, a GitHub schedule tells whose tokens start the refresh."""
    named = config.launcher
    role, trust = (None, ()) if named is None else (named.role, named.trust)
    oidc = None
    if named is not None and named.oidc is not None:
        oidc = OidcTrust(named.oidc.provider, named.oidc.audience, named.oidc.subject)
    elif not trust and schedule is not None and schedule.via == "github":
        repository = schedule.options["project"].partition("/")[2]
        subject = f"repo:{repository}:ref:refs/heads/{schedule.options['branch']}"
        oidc = OidcTrust(_GITHUB, "sts.amazonaws.com", subject)
    return Launcher(role, tuple(trust), oidc)


def _read_by_target(config: Config, environment: str) -> Mapping[str, Any]:
    """What of the configuration may refer to secrets that are read with the target's role."""
    whole = config.model_dump(exclude={"environments", "notifications", *_READ_BY_OTHERS})
    told = [one.model_dump() for one in config.notifications if environment in (one.environments or (environment,))]
    own = config.model_dump(include={"environments": {environment: True}})
    return {**whole, **own, "notifications": told}


def _references(values: Any) -> Iterator[str]:
    """Every reference to a secret or parameter in AWS that stands somewhere in the values."""
    if isinstance(values, str):
        if values.startswith(("secretsmanager:", "ssm:")):
            yield values
    elif isinstance(values, Mapping):
        for name, value in values.items():
            if name not in _READ_BY_OTHERS:
                yield from _references(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _references(value)
