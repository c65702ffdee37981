"""`launcher` and `engine.glue`: the roles that Downstage is started with, and that a Glue job runs with."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from downstage.config.model import Model
from downstage.config.values import BucketName, Region, RoleArn, Truth, Whole
from downstage.domain.glue import WORKER_DPUS

GLUE_VERSIONS = ("5.0", "5.1")

_PRINCIPAL = r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role)/[A-Za-z0-9_+=,.@/-]+)"
_SERVICE = r"[a-z0-9-]+\.amazonaws\.com(\.cn)?"
_PROVIDER = r"[A-Za-z0-9.-]+(/[A-Za-z0-9._-]+)*"


def _principal(value: str) -> str:
    if re.fullmatch(f"{_PRINCIPAL}|{_SERVICE}", value) is None:
        raise ValueError("must be a user's or role's ARN, or a service such as ecs-tasks.amazonaws.com; never '*'")
    return value


def _provider(value: str) -> str:
    if re.fullmatch(_PROVIDER, value) is None:
        raise ValueError("must be a provider without https://, such as token.actions.githubusercontent.com")
    return value


def _subject(value: str) -> str:
    """A provider signs for everybody's projects: whose they are must not be left to a wildcard."""
    if re.search(r"[\s$]", value) is not None or not value:
        raise ValueError("must be the subject of a token, without spaces and $")
    if value.startswith("repo:"):
        if re.fullmatch(r"repo:[^*?/]+/.+", value) is None:
            raise ValueError("must name the organisation without * and ?, such as repo:acme/app:ref:refs/heads/main")
    elif re.search(r"[*?]", value) is not None and re.match(r"[^*?:/]+[:/][^*?:/]+[:/]", value) is None:
        raise ValueError("must begin with two parts without * and ?, such as org/ORGANISATION-ID/project/*")
    return value


def _job(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", value) is None:
        raise ValueError("must be a job's name: 1 to 255 letters, digits and _ . -")
    return value


Principal = Annotated[
    str, Field(json_schema_extra={"pattern": f"^({_PRINCIPAL}|{_SERVICE})$"}), AfterValidator(_principal)
]
"""Who may be trusted: a user, a role, an account or a service."""


class Oidc(Model):
    """An identity provider whose tokens may become the launcher: a CI's."""

    provider: Annotated[str, Field(json_schema_extra={"pattern": f"^{_PROVIDER}$"}), AfterValidator(_provider)] = Field(
        description="The provider as IAM names it, without https://, for example token.actions.githubusercontent.com "
        "or oidc.circleci.com/org/ORGANISATION-ID."
    )
    audience: Annotated[str, Field(min_length=1, pattern=r"^[^\s*?$]+$")] = Field(
        description="The audience of the tokens, for example sts.amazonaws.com; CircleCI: the organisation's id."
    )
    subject: Annotated[str, AfterValidator(_subject)] = Field(
        description="The subject of the tokens, for example repo:acme/app:ref:refs/heads/main. With * and ?, but whose "
        "projects they are is plain: GitHub's organisation, or the first two parts."
    )


class Launcher(Model):
    """The role that Downstage is started with."""

    role: RoleArn | None = Field(
        default=None,
        description="Its ARN. Default for 'downstage iam': role/downstage-launch in the source's account.",
    )
    trust: Annotated[tuple[Principal, ...], Field(strict=False)] = Field(
        default=(),
        description="Who may be it: ARNs of users and roles, services such as ecs-tasks.amazonaws.com. Default: those "
        "of its own account that are allowed to by their own policies.",
    )
    oidc: Oidc | None = Field(default=None, description="A CI whose tokens may be it.")
    exports: Truth = Field(
        default=True,
        description="Exports are started, read and deleted, and inventories read, with the credentials that Downstage "
        "is started with, which must then be of the source's account, and not with the source's role. That role can "
        "then write nothing at all.",
    )


def _prefix(value: str) -> str:
    if re.fullmatch(r"([A-Za-z0-9_.-]+/)*", value) is None:
        raise ValueError("must end with '/', of letters, digits and _ . -, such as downstage/")
    return value


def _version(value: str) -> str:
    if value not in GLUE_VERSIONS:
        raise ValueError(
            'must be "5.0" or "5.1": they have Python 3.11 and Spark 3.5; 4.0 has an older Python, and 6.0 has Python '
            "3.13 and Spark 4, for which no bundle is made yet"
        )
    return value


def _worker_type(value: str) -> str:
    if value not in WORKER_DPUS:
        raise ValueError(f"must be one of {', '.join(WORKER_DPUS)}")
    return value


class GlueJob(Model):
    """An AWS Glue job, for the engine glue."""

    job: Annotated[str, Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.-]{1,255}$"}), AfterValidator(_job)] = Field(
        description="The job's name."
    )
    role: RoleArn = Field(description="The role that it runs as, in the account that it runs in.")
    bucket: BucketName = Field(description="The bucket, of that account, that its script and packages lie in.")
    region: Region | None = Field(default=None, description="The region that it runs in. Default: the source's.")
    prefix: Annotated[str, Field(json_schema_extra={"pattern": r"^([A-Za-z0-9_.-]+/)*$"}), AfterValidator(_prefix)] = (
        Field(default="downstage/", description="What the keys of its files begin with.")
    )
    glue_version: Annotated[str, Field(json_schema_extra={"enum": list(GLUE_VERSIONS)}), AfterValidator(_version)] = (
        Field(default="5.0", description="The version of Glue, in quotes.")
    )
    worker_type: Annotated[str, Field(json_schema_extra={"enum": list(WORKER_DPUS)}), AfterValidator(_worker_type)] = (
        Field(default="G.1X", description="What each worker is. The work waits for AWS: many small ones serve it best.")
    )
    workers: Annotated[Whole, Field(ge=2, le=299)] = Field(
        default=10, description="How many workers it has; one of them only directs the others."
    )
    timeout_minutes: Annotated[Whole, Field(ge=1, le=10_079)] = Field(
        default=2880, description="When AWS ends a run. It can be resumed then."
    )
