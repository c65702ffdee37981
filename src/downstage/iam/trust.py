"""Who may become each role: the trust that is put on it when it is made."""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.environment import Environment
from downstage.domain.launcher import OidcTrust
from downstage.iam.arns import partition, role_parts
from downstage.iam.documents import Condition, Statement
from downstage.iam.needs import Needs

ASSUMING = ("sts:AssumeRole",)


def of_data_role(needs: Needs, place: Environment) -> list[Statement]:
    """The launcher and the Glue job's role, with the external id if the environment has one."""
    condition: Condition = {"StringEquals": {"sts:ExternalId": place.external_id}} if place.external_id else {}
    roles = [needs.launch_role, *([needs.glue_role] if needs.glue_role else [])]
    return [Statement("WhoRunsDownstage", ASSUMING, condition=condition, principals={"AWS": roles})]


def of_glue(needs: Needs) -> list[Statement]:
    """AWS Glue, for jobs of this account."""
    if needs.glue is None:
        return []
    account, _, _ = role_parts(needs.glue.role)
    condition: Condition = {"StringEquals": {"aws:SourceAccount": account}}
    return [Statement("AwsGlue", ASSUMING, condition=condition, principals={"Service": ("glue.amazonaws.com",)})]


def of_launcher(needs: Needs) -> list[Statement]:
    """Whom the configuration names. Where it names nobody: those of the role's own account whose policies allow it."""
    launcher = needs.launcher
    account, _, _ = role_parts(needs.launch_role)
    services = [one for one in launcher.trust if not one.startswith("arn:")]
    others = [one for one in launcher.trust if one.startswith("arn:")]
    found: list[Statement] = []
    if services:
        found.append(Statement("Services", ASSUMING, principals={"Service": services}))
    if launcher.oidc is not None:
        found.append(_federated(launcher.oidc, account, needs.plan.source.region))
    if not found and not others:
        others = [f"arn:{partition(needs.plan.source.region)}:iam::{account}:root"]
    if others:
        found.append(Statement("WhoMayLaunch", ASSUMING, principals={"AWS": _sorted(others)}))
    return found


def _federated(oidc: OidcTrust, account: str, region: str) -> Statement:
    return Statement(
        "TokensOfTheCi",
        ("sts:AssumeRoleWithWebIdentity",),
        condition={
            "StringEquals": {f"{oidc.provider}:aud": oidc.audience},
            "StringLike": {f"{oidc.provider}:sub": oidc.subject},
        },
        principals={"Federated": (f"arn:{partition(region)}:iam::{account}:oidc-provider/{oidc.provider}",)},
    )


def _sorted(names: Sequence[str]) -> list[str]:
    return sorted(dict.fromkeys(names))
