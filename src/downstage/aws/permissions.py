"""What a role may do, asked of IAM's policy simulator: the identity's own policies, and those of its organisation.

The simulator knows neither the session's policy nor those of resources, and takes conditions on what it is not told as
not met. So its "allowed" is to be believed, and its "denied" is no proof. It is asked for one resource at a time: then
there is no doubt which answer belongs to which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from downstage.aws.session import Session, calling
from downstage.errors import AwsError

_ASSUMED = re.compile(r"arn:(?P<partition>[a-z-]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")
_IDENTITY = re.compile(r"arn:(?P<partition>[a-z-]+):iam::\d{12}:(user|role)/.+")
_ROOT = re.compile(r"arn:[a-z-]+:iam::\d{12}:root")
_COMMON = "arn:aws:"


class SimulatedPermissions:
    """Implements `ports.Permissions` for the identity of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._caller: str | None = None
        self._principal: str | None = None

    def allowed(self, actions: Sequence[str], resource: str) -> Sequence[str]:
        """Those of the actions that the identity may do on the resource; all of them for an account's root."""
        caller = self._caller = self._caller or self._session.caller().arn
        if _ROOT.fullmatch(caller):
            return list(actions)
        principal = self._principal = self._principal or self._principal_of(caller)
        try:
            with calling(self._session.environment, "simulate what the role may do"):
                pages = self._iam.get_paginator("simulate_principal_policy").paginate(
                    PolicySourceArn=principal,
                    ActionNames=list(actions),
                    ResourceArns=[_in_partition(resource, principal)],
                )
                answers = [answer for page in pages for answer in page.get("EvaluationResults", ())]
        except KeyError:  # botocore's, if what answers is no IAM
            answers = []
        decisions = {answer["EvalActionName"].lower(): answer["EvalDecision"] for answer in answers}
        if not {action.lower() for action in actions} <= decisions.keys():
            name = self._session.environment.name
            raise AwsError(f"environment {name}: the simulation of what the role may do leaves actions out")
        return [action for action in actions if decisions[action.lower()] == "allowed"]

    @property
    def _iam(self) -> Any:
        return self._session.client("iam")

    def _principal_of(self, caller: str) -> str:
        """The user or role behind the caller. An assumed role's ARN lacks the role's path: the configuration knows it,
        or IAM does."""
        if _IDENTITY.fullmatch(caller):
            return caller
        assumed = _ASSUMED.fullmatch(caller)
        if assumed is None:
            name = self._session.environment.name
            raise AwsError(f"environment {name}: IAM simulates users and roles, and the credentials are of neither")
        configured = self._session.environment.role
        start = f"arn:{assumed['partition']}:iam::{assumed['account']}:role/"
        if configured is not None and configured.startswith(start) and configured.endswith(f"/{assumed['role']}"):
            return configured
        try:
            with calling(self._session.environment, f"look at the role {assumed['role']}"):
                return str(self._iam.get_role(RoleName=assumed["role"])["Role"]["Arn"])
        except AwsError:
            return start + assumed["role"]


def _in_partition(resource: str, principal: str) -> str:
    """The resource's ARN in the principal's partition: references have the common one, in China too."""
    partition = principal.split(":")[1]
    return f"arn:{partition}:{resource.removeprefix(_COMMON)}" if resource.startswith(_COMMON) else resource
