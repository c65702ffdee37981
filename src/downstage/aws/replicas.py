"""Replicas of a global table (version 2019.11.21), which go before the table does, one after the other.

AWS deletes a table's copy in one region alone, so a wiped table would live on in another, with what it held. All copies
are equal: each may be removed from the region of any other. Each has a deletion protection of its own. AWS refuses for
24 hours to remove the copy that a new one was made from: that is told, with when to try again. Who may be removed at
all is for the guard; a table of strong consistency is for people, for its copies can only go together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from downstage.aws.session import Session, calling
from downstage.aws.waiting import wait_until
from downstage.errors import AwsError, NotFound
from downstage.ports import Replica

_PATIENCE = 1800.0
_TOO_YOUNG = "24 hours"
"""What AWS's refusal says, whose code is that of any mistake."""

ASK_AGAIN = ("ResourceInUseException", "LimitExceededException")
"""What AWS answers when something changes the table just now, or too much is being changed in the account: the same is
asked for again in a while."""


class ReplicaControl:
    """The copies of one region's tables in other regions, with the session of that region."""

    def __init__(self, session: Session, sleep: Callable[[float], None]) -> None:
        self._session = session
        self._sleep = sleep

    def of(self, description: Mapping[str, Any]) -> tuple[Replica, ...]:
        """The copies in other regions that DescribeTable's answer tells of; a witness is one as well.

        Raises AwsError for a table whose copies cannot be removed one by one.
        """
        here = self._session.environment
        found = [
            Replica(replica["RegionName"], (replica.get("ReplicaArn") or ":::::").split(":")[4] or here.account)
            for replica in (*description.get("Replicas", ()), *description.get("GlobalTableWitnesses", ()))
        ]
        others = tuple(sorted({one for one in found if one != Replica(here.region, here.account)}))
        if others and description.get("MultiRegionConsistency") == "STRONG":
            raise AwsError(
                f"table {description['TableName']} is strongly consistent across {here.region} and "
                f"{', '.join(one.region for one in others)}: its copies can only be removed together; remove them "
                "yourself (nothing of it was deleted)"
            )
        return others

    def remove(self, name: str, region: str) -> None:
        """Removes the copy in `region` and waits until it is gone, seen from here and from there."""
        self._unprotect(name, region)
        asked = False

        def gone() -> bool:
            nonlocal asked
            status = self._seen_from_here(name, region)
            if status is not None and status != "DELETING" and not asked:
                asked = self._ask(name, region)
            return status is None

        self._wait(gone, name, region, "removed")
        self._wait(lambda: self._there(name, region) is None, name, region, "deleted")

    def _seen_from_here(self, name: str, region: str) -> str | None:
        with calling(self._session.environment, f"describe table {name}"):
            description = self._session.client("dynamodb").describe_table(TableName=name)["Table"]
        states = {one["RegionName"]: one.get("ReplicaStatus", "ACTIVE") for one in description.get("Replicas", ())}
        return states.get(region)

    def _there(self, name: str, region: str) -> Mapping[str, Any] | None:
        try:
            with calling(self._session.environment, f"describe table {name} in {region}"):
                answer = self._session.client("dynamodb", region).describe_table(TableName=name)
        except NotFound:
            return None
        found: Mapping[str, Any] = answer["Table"]
        return found

    def _ask(self, name: str, region: str) -> bool:
        """Asks AWS to remove it; False if it must be asked again in a while."""
        try:
            with asking_to_delete(self._session, name, region):
                self._session.client("dynamodb").update_table(
                    TableName=name, ReplicaUpdates=[{"Delete": {"RegionName": region}}]
                )
        except AwsError as error:
            if error.code in ASK_AGAIN:
                return False
            raise
        return True

    def _unprotect(self, name: str, region: str) -> None:
        there = self._there(name, region)
        if there is None or there["TableStatus"] == "DELETING" or not there.get("DeletionProtectionEnabled"):
            return
        self._wait(lambda: self._at_rest(name, region), name, region, "at rest")
        with calling(self._session.environment, f"take the deletion protection off table {name} in {region}"):
            self._session.client("dynamodb", region).update_table(TableName=name, DeletionProtectionEnabled=False)
        self._wait(lambda: self._at_rest(name, region, protected=False), name, region, "free of its protection")

    def _at_rest(self, name: str, region: str, *, protected: bool = True) -> bool:
        there = self._there(name, region)
        if there is None:
            return True
        return there["TableStatus"] == "ACTIVE" and (protected or not there.get("DeletionProtectionEnabled"))

    def _wait(self, reached: Callable[[], bool], name: str, region: str, what: str) -> None:
        wait_until(
            reached,
            sleep=self._sleep,
            patience=_PATIENCE,
            otherwise=f"the replica of table {name} in {region} is not {what} after {_PATIENCE / 60:.0f} minutes; look "
            "at it, then resume",
        )


@contextmanager
def asking_to_delete(session: Session, name: str, region: str) -> Iterator[None]:
    """Runs a block that asks AWS to delete a table, or its copy in a region; tells of the 24 hours in plain words."""
    where = session.environment
    with calling(where, f"delete table {name} in {region}"):
        try:
            yield
        except ClientError as error:
            refused = error.response.get("Error", {})
            if refused.get("Code") != "ValidationException" or _TOO_YOUNG not in refused.get("Message", ""):
                raise
            raise AwsError(
                f"environment {where.name}: AWS does not delete table {name} in {region} yet: a replica was made from "
                "it less than 24 hours ago; resume the run when its newest replica is 24 hours old (at the latest 24 "
                "hours from now), or remove the replicas yourself",
                "ValidationException",
            ) from None
