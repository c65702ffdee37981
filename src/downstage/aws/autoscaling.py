"""Application Auto Scaling of a table and its global indexes: what is set, and setting it.

A policy's name and its alarms are of one account and are not compared; the role is the service's own in each account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from downstage.aws.session import Session, calling
from downstage.domain.table_schema import Scaling

_NAMESPACE = "dynamodb"
_UNITS = {"read": "ReadCapacityUnits", "write": "WriteCapacityUnits"}


def read_scaling(session: Session, table: str, indexes: Sequence[str]) -> tuple[Scaling, ...]:
    """The scalable targets of the table and of its indexes, with their target-tracking policies."""
    resources = {f"table/{table}": None, **{f"table/{table}/index/{index}": index for index in indexes}}
    client = session.client("application-autoscaling")
    with calling(session.environment, f"read the autoscaling of table {table}"):
        pages = client.get_paginator("describe_scalable_targets").paginate(
            ServiceNamespace=_NAMESPACE, ResourceIds=list(resources)
        )
        targets = [target for page in pages for target in page["ScalableTargets"]]
        found = []
        for target in targets:
            policies = _policies(client, target["ResourceId"], target["ScalableDimension"])
            found.append(
                Scaling(
                    resources[target["ResourceId"]],
                    _way(target["ScalableDimension"]),
                    target["MinCapacity"],
                    target["MaxCapacity"],
                    tuple(policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.index or "", one.dimension)))


def write_scaling(session: Session, table: str, wanted: Scaling) -> None:
    """Makes the table, or its index, scale as `wanted` says: limits first, other policies away, then its own."""
    resource = f"table/{table}" if wanted.index is None else f"table/{table}/index/{wanted.index}"
    dimension = f"dynamodb:{'table' if wanted.index is None else 'index'}:{_UNITS[wanted.dimension]}"
    where = {"ServiceNamespace": _NAMESPACE, "ResourceId": resource, "ScalableDimension": dimension}
    client = session.client("application-autoscaling")
    with calling(session.environment, f"set the autoscaling of {resource}"):
        client.register_scalable_target(**where, MinCapacity=wanted.minimum, MaxCapacity=wanted.maximum)
        for policy in _policies(client, resource, dimension):
            client.delete_scaling_policy(**where, PolicyName=policy["PolicyName"])
        for number, configuration in enumerate(wanted.policies):
            client.put_scaling_policy(
                **where,
                PolicyName=f"{resource}-{wanted.dimension}" + (f"-{number}" if number else ""),
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=dict(configuration),
            )


def _policies(client: Any, resource: str, dimension: str) -> list[Mapping[str, Any]]:
    pages = client.get_paginator("describe_scaling_policies").paginate(
        ServiceNamespace=_NAMESPACE, ResourceId=resource, ScalableDimension=dimension
    )
    found = [policy for page in pages for policy in page["ScalingPolicies"]]
    return sorted(
        (policy for policy in found if policy.get("PolicyType") == "TargetTrackingScaling"),
        key=lambda policy: str(policy["TargetTrackingScalingPolicyConfiguration"]),
    )


def _way(dimension: str) -> Literal["read", "write"]:
    return "read" if "Read" in dimension else "write"
