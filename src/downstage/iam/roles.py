"""The roles of one environment's refresh, complete: trust, policies, and what others' policies must grant them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from downstage.iam import buckets, checks, exports, launching, schedules, search, secrets, streams, tables, trust
from downstage.iam.arns import role_parts, table_arns
from downstage.iam.documents import Policy, Statement, document, packed
from downstage.iam.needs import Needs

RoleName = Literal["source", "target", "glue", "launcher"]

_CHANGING_TABLES = (
    "dynamodb:*Write*",
    "dynamodb:Put*",
    "dynamodb:Update*",
    "dynamodb:Delete*",
    "dynamodb:PartiQL*",
    "dynamodb:ImportTable*",
    "dynamodb:RestoreTable*",
    "dynamodb:TagResource",
    "dynamodb:UntagResource",
)
_CHANGING_OBJECTS = ("s3:Put*", "s3:Delete*", "s3:AbortMultipartUpload", "s3:RestoreObject")


@dataclass(frozen=True, slots=True)
class Role:
    """One role. `granted` maps the name of a bucket to what its own policy must say besides."""

    name: RoleName
    arn: str
    trust: Policy
    policies: Mapping[str, Policy]
    granted: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        shown: dict[str, Any] = {
            "role": self.arn,
            "trust": document(self.trust),
            "policies": {name: document(policy) for name, policy in self.policies.items()},
        }
        if self.granted:
            shown["bucket_policies"] = {name: document(policy) for name, policy in self.granted.items()}
        return shown


def roles_of(needs: Needs) -> list[Role]:
    """Every role that the refresh uses. Raises ConfigError for what cannot be said in a policy."""
    plan = needs.plan
    by_launcher = plan.exporter is not None
    reading = [
        *tables.reading(needs),
        *search.reading(needs),
        *secrets.reading(plan.source, secrets.masking_keys(needs), "MaskingKey"),
        *([] if by_launcher else exports.statements(needs)),
        *buckets.counted(needs, plan.source),
        *checks.statements(needs),
    ]
    writing = [
        *tables.writing(needs),
        *streams.statements(needs),
        *search.writing(needs),
        *buckets.syncing(needs),
        *buckets.counted(needs, plan.target),
        *secrets.reading(plan.target, secrets.in_aws(needs.tokens), "Token"),
        *schedules.statements(needs),
        *secrets.denied_keys(needs),
        *_denied_production(needs),
    ]
    launching_too = [*launching.launcher(needs), *(exports.statements(needs) if by_launcher else [])]
    found = [
        _role(needs, "source", needs.source_role, trust.of_data_role(needs, plan.source), reading),
        _role(needs, "target", needs.target_role, trust.of_data_role(needs, plan.target), writing),
    ]
    if needs.glue is not None:
        found.append(_role(needs, "glue", needs.glue.role, trust.of_glue(needs), launching.glue(needs)))
    return [*found, _role(needs, "launcher", needs.launch_role, trust.of_launcher(needs), launching_too)]


def _role(needs: Needs, name: RoleName, arn: str, trusted: list[Statement], statements: list[Statement]) -> Role:
    role_parts(arn)
    policies = {
        f"downstage-{needs.plan.target.name}-{name}-{number}": policy
        for number, policy in enumerate(packed(statements), 1)
    }
    granted = buckets.granted(needs) if name == "target" else {}
    return Role(name, arn, tuple(trusted), policies, {bucket: tuple(said) for bucket, said in granted.items()})


def _denied_production(needs: Needs) -> list[Statement]:
    """Whatever else is given to the target's role: in production's account it reads these buckets, and nothing more.
    Where both share one account, what is read is denied to be written."""
    source = needs.plan.source
    if not needs.own_account:
        return _denied_sources(needs)
    theirs = {"StringEquals": {"aws:ResourceAccount": source.account}}
    others = sorted({*needs.protected} - {source.account, needs.plan.target.account})
    found = []
    if others:
        condition = {"StringEquals": {"aws:ResourceAccount": others}}
        found.append(Statement("NeverProtected", ("*",), ("*",), condition, effect="Deny"))
    read = buckets.source_buckets(needs)
    if not read:
        return [*found, Statement("NeverProduction", ("*",), ("*",), theirs, effect="Deny")]
    allowed = (*buckets.LISTING, *buckets.READING, "kms:Decrypt")
    return [
        *found,
        Statement("NeverProduction", not_actions=allowed, resources=("*",), condition=theirs, effect="Deny"),
        Statement(
            "NeverOtherBuckets",
            (*buckets.LISTING, *buckets.READING),
            not_resources=read,
            condition=theirs,
            effect="Deny",
        ),
    ]


def _denied_sources(needs: Needs) -> list[Statement]:
    found = []
    if needs.source_tables:
        arns = table_arns(needs.plan.source, needs.source_tables)
        found.append(Statement("NeverWriteSourceTables", _CHANGING_TABLES, arns, effect="Deny"))
    read = buckets.source_buckets(needs)
    if read:
        found.append(Statement("NeverWriteSourceBuckets", _CHANGING_OBJECTS, read, effect="Deny"))
    domain = search.source_domain(needs)
    if domain:
        found.append(Statement("NeverWriteSourceDomain", search.CHANGING, domain, effect="Deny"))
    return found
