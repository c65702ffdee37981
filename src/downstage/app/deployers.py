"""From a plan to its deployer, and to the CI clients that deployers and schedules share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from downstage.aws.clone import CloneDeployer
from downstage.aws.parameters import FlagWriter
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.ci import circleci, github
from downstage.ci.circleci_deploy import RerunDeployer, TriggerDeployer
from downstage.ci.circleci_start import PipelineStart
from downstage.ci.command import CommandDeployer
from downstage.ci.github import DispatchStart
from downstage.ci.github_deploy import GitHubDeployer
from downstage.ci.kept_flags import KeptFlags
from downstage.console.redaction import redact
from downstage.domain.flags import read_values
from downstage.domain.plan import MaskingPlan, RefreshPlan
from downstage.errors import ConfigError
from downstage.ports import Clock, Deployer, Sealer

_ADVICE = "make a token at the CI, and put it there"

SessionMaker = Callable[[], Session]
"""Gives the target's session; asked only if a token lies in AWS."""


def make_deployer(
    plan: RefreshPlan,
    source: Session,
    target: Session,
    clock: Clock,
    environ: Mapping[str, str],
    *,
    sealer: Callable[[], Sealer],
    run_id: str,
) -> Deployer | None:
    """The deployer that the plan names, if any, for the run. Nothing is called yet."""
    if plan.deploy is None:
        return None
    options = plan.deploy.options
    flags = partial(read_values, plan.flags, FlagWriter(target).read)
    kept = KeptFlags(flags, sealer, run_id)
    match plan.deploy.kind:
        case "clone":
            return CloneDeployer(source, target, plan.tables, plan.search, plan.streams)
        case "circleci":
            return _circleci(options, target, clock, environ, kept)
        case "github":
            start = DispatchStart(
                github_client(options, lambda: target, "deploy.github.token", clock, environ),
                clock,
                options["workflow"],
                options["branch"],
                shown=options["run_input"] or "",
            )
            return GitHubDeployer(start, inputs=options["inputs"], patience=options["patience"], flags=kept)
        case "command":
            return _command(plan, options, clock, environ, flags)
        case kind:
            raise ConfigError(f"there is no deployer '{kind}'")


def circleci_client(
    options: Mapping[str, Any], session: SessionMaker, setting: str, clock: Clock, environ: Mapping[str, str]
) -> circleci.CircleCi:
    """CircleCI with the token that the options name; `setting` is where they name it."""
    read = partial(_token, options["token"], session, setting, environ)
    return circleci.connect(options["endpoint"], options["token"], read, clock=clock, redact=redact)


def github_client(
    options: Mapping[str, Any], session: SessionMaker, setting: str, clock: Clock, environ: Mapping[str, str]
) -> github.GitHub:
    """The GitHub repository that the options name, with their token."""
    read = partial(_token, options["token"], session, setting, environ)
    return github.connect(options["endpoint"], options["project"], options["token"], read, clock=clock, redact=redact)


def own_pipeline(environ: Mapping[str, str]) -> str | None:
    """The CircleCI pipeline that this process runs in, if it does."""
    return environ.get("CIRCLE_PIPELINE_ID")


def _circleci(
    options: Mapping[str, Any],
    target: Session,
    clock: Clock,
    environ: Mapping[str, str],
    flags: KeptFlags,
) -> Deployer:
    client = circleci_client(options, lambda: target, "deploy.circleci.token", clock, environ)
    project, branch, patience = options["project"], options["branch"], options["patience"]
    if options["rerun"] is not None:
        return RerunDeployer(client, clock, project=project, branch=branch, name=options["rerun"], patience=patience)
    return TriggerDeployer(
        PipelineStart(client, clock, project, branch, options["definition"], own_pipeline(environ)),
        parameters=options["parameters"],
        workflow=options["workflow"],
        patience=patience,
        flags=flags,
    )


def _command(
    plan: RefreshPlan,
    options: Mapping[str, Any],
    clock: Clock,
    environ: Mapping[str, str],
    flags: Callable[[], Mapping[str, str]],
) -> Deployer:
    target = plan.target
    return CommandDeployer(
        run=options["run"],
        directory=Path(options["directory"]),
        environment=options["environment"],
        patience=options["patience"],
        lock=Path(tempfile.gettempdir()) / f"downstage-deploy-{os.getuid()}-{target.account}-{target.name}.lock",
        clock=clock,
        flags=flags,
        redact=redact,
        about={
            "DOWNSTAGE_ENVIRONMENT": target.name,
            "DOWNSTAGE_ACCOUNT": target.account,
            "DOWNSTAGE_REGION": target.region,
        },
        inherited=environ,
        withheld=_withheld(plan.masking),
    )


def _token(reference: str, session: SessionMaker, setting: str, environ: Mapping[str, str]) -> bytes:
    signed_in = session() if reference.startswith(("secretsmanager:", "ssm:")) else None
    return KeyReader(signed_in, environ, setting=setting, advice=_ADVICE).read(reference)


def _withheld(masking: MaskingPlan) -> tuple[str, ...]:
    """The environment variables that hold masking keys: a command has no use for them."""
    return tuple(
        reference.removeprefix("env:") for reference in (masking.key, *masking.old_keys) if reference.startswith("env:")
    )
