"""Tables as a whole: what they are, whether they hold anything, deleting them and waiting until they are gone, and
their expiry, which is for after the copy was verified."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC
from typing import Any

from downstage.aws.replicas import ASK_AGAIN, ReplicaControl, asking_to_delete
from downstage.aws.session import Session, calling
from downstage.aws.table_schema import capacity_of
from downstage.aws.waiting import wait_until
from downstage.domain.environment import Environment
from downstage.errors import AwsError, NotFound
from downstage.planning import guards
from downstage.ports import IndexFacts, Replica, TableFacts

_PATIENCE = 600.0
_CHANGING = ("CREATING", "UPDATING", "ENABLING", "DISABLING", "DELETING")


class TableControl:
    """Implements `ports.TableAdmin` with one side's session."""

    def __init__(self, session: Session, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._session = session
        self._sleep = sleep
        self._replicas = ReplicaControl(session, sleep)

    @property
    def _client(self) -> Any:
        return self._session.client("dynamodb")

    def names(self) -> Sequence[str]:
        """Every table of the account and region."""
        with calling(self._session.environment, "list the tables"):
            pages = self._client.get_paginator("list_tables").paginate()
            return [name for page in pages for name in page["TableNames"]]

    def describe(self, name: str) -> Mapping[str, Any]:
        """DescribeTable's answer. Raises NotFound."""
        with calling(self._session.environment, f"describe table {name}"):
            description: Mapping[str, Any] = self._client.describe_table(TableName=name)["Table"]
            return description

    def facts(self, name: str) -> TableFacts:
        """What the copy must know of the table. Raises NotFound."""
        description = self.describe(name)
        on_demand = description.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
        return TableFacts(
            name=name,
            arn=description["TableArn"],
            table_id=description.get("TableId", ""),
            status=description["TableStatus"],
            key_names=tuple(key["AttributeName"] for key in description["KeySchema"]),
            items=description.get("ItemCount", 0),
            size=description.get("TableSizeBytes", 0),
            ttl_attribute=self.ttl_attribute(name),
            stream_arn=description.get("LatestStreamArn"),
            index_key_names=_index_key_names(description),
            capacity=capacity_of(description, on_demand=on_demand),
            indexes=tuple(
                IndexFacts(
                    index["IndexName"],
                    index.get("ItemCount", 0),
                    index.get("IndexSizeBytes", 0),
                    capacity_of(index, on_demand=on_demand),
                )
                for index in description.get("GlobalSecondaryIndexes", ())
            ),
            replicas=len(description.get("Replicas", ())),
            infrequent=description.get("TableClassSummary", {}).get("TableClass") == "STANDARD_INFREQUENT_ACCESS",
        )

    def ttl_attribute(self, name: str) -> str | None:
        """The attribute by which items expire, or None if they do not."""
        with calling(self._session.environment, f"read the TTL setting of table {name}"):
            setting = self._client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if setting.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return str(setting["AttributeName"])
        return None

    def is_empty(self, name: str) -> bool:
        """Whether a consistent scan finds no item at all."""
        with calling(self._session.environment, f"look into table {name}"):
            cursor: dict[str, Any] = {}
            while True:
                answer = self._client.scan(TableName=name, Limit=1, ConsistentRead=True, **cursor)
                if answer["Count"]:
                    return False
                if "LastEvaluatedKey" not in answer:
                    return True
                cursor = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def identity(self, name: str) -> str | None:
        """Its id, or (of a server that tells none) when it was made, in UTC; None if there is no such table."""
        try:
            description = self.describe(name)
        except NotFound:
            return None
        return str(description.get("TableId") or description["CreationDateTime"].astimezone(UTC).isoformat())

    def replicas(self, name: str) -> Sequence[Replica]:
        """Its copies in other regions; none of a table that is not there. Raises AwsError for a table whose copies
        cannot be removed one by one."""
        try:
            return self._replicas.of(self.describe(name))
        except NotFound:
            return ()

    def delete(self, name: str, regions: Collection[str] = ()) -> bool:
        """Deletes the table and waits until it is gone; False if it was not there. Its replicas go first.

        Raises GuardRefused, before anything is changed, for a replica that is not in `regions` or not of this account.
        """
        environment = self._session.environment
        try:
            if self.describe(name)["TableStatus"] != "DELETING":
                self._wait_active(name)
                self._delete(name, environment, regions)
        except NotFound:
            return False
        self._wait(name, "deleted", lambda: self._gone(name))
        return True

    def _delete(self, name: str, environment: Environment, regions: Collection[str]) -> None:
        """Asks for it, once all that stands in the way is gone."""
        description = self.describe(name)
        replicas = self._replicas.of(description)
        guards.check_replicas(name, environment, replicas, regions)
        for replica in replicas:
            self._replicas.remove(name, replica.region)
        if replicas:
            self._wait_active(name)
        if description.get("DeletionProtectionEnabled"):
            with calling(environment, f"take the deletion protection off table {name}"):
                self._client.update_table(TableName=name, DeletionProtectionEnabled=False)
            self._wait_active(name)
        self._wait(name, "free to be deleted", lambda: self._asked_to_delete(name))

    def _asked_to_delete(self, name: str) -> bool:
        """Asks for it; False if it must be asked again in a while."""
        try:
            with asking_to_delete(self._session, name, self._session.environment.region):
                self._client.delete_table(TableName=name)
        except AwsError as error:
            if error.code in ASK_AGAIN:
                return False
            raise
        return True

    def _wait_active(self, name: str) -> None:
        """Returns once the table and all its indexes are ACTIVE. Raises NotFound if somebody else has deleted it."""
        self._wait(name, "active", lambda: _active(self.describe(name)))

    def wait_settled(self, name: str, patience: float = _PATIENCE) -> None:
        """Returns once the table takes another UpdateTable: it, its indexes, encryption and warm throughput at rest."""
        self._wait(name, "at rest", lambda: self._at_rest(name), patience)

    def enable_ttl(self, name: str, attribute: str) -> bool:
        """Lets items expire by `attribute`; False if they do already. Returns once DynamoDB has taken it on (it says
        ENABLING for up to an hour). For after the verification: what expires in between would be missed."""
        present = self.ttl_attribute(name)
        if present == attribute:
            return False
        if present is not None:
            self._set_ttl(name, present, on=False)
            self._wait(name, "rid of its TTL", lambda: self._ttl_status(name) == "DISABLED")
        self._set_ttl(name, attribute, on=True)
        self._wait(name, "expiring its items", lambda: self._ttl_status(name) in ("ENABLED", "ENABLING"))
        return True

    def _set_ttl(self, name: str, attribute: str, *, on: bool) -> None:
        try:
            with calling(self._session.environment, f"set the TTL of table {name}"):
                self._client.update_time_to_live(
                    TableName=name, TimeToLiveSpecification={"Enabled": on, "AttributeName": attribute}
                )
        except AwsError as error:
            if error.code == "ValidationException":
                raise AwsError(
                    f"environment {self._session.environment.name}: the TTL of table {name} was changed a moment ago; "
                    "AWS takes one change an hour: do this again later",
                    error.code,
                ) from None
            raise

    def _ttl_status(self, name: str) -> str:
        with calling(self._session.environment, f"read the TTL setting of table {name}"):
            setting = self._client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        return str(setting.get("TimeToLiveStatus", "DISABLED"))

    def _gone(self, name: str) -> bool:
        try:
            self.describe(name)
        except NotFound:
            return True
        return False

    def _settled(self, name: str) -> bool:
        try:
            description = self.describe(name)
        except NotFound:  # DescribeTable may not see a table at once after CreateTable
            return False
        return _active(description)

    def _at_rest(self, name: str) -> bool:
        if not self._settled(name):
            return False
        description = self.describe(name)
        parts = (description, *description.get("GlobalSecondaryIndexes", ()))
        states = [part.get("WarmThroughput", {}).get("Status") for part in parts]
        return not {*states, description.get("SSEDescription", {}).get("Status")} & {*_CHANGING}

    def _wait(self, name: str, what: str, reached: Callable[[], bool], patience: float = _PATIENCE) -> None:
        wait_until(
            reached,
            sleep=self._sleep,
            patience=patience,
            otherwise=f"table {name} is not {what} after {patience / 60:.0f} minutes; look at it, then resume",
        )


def _active(description: Mapping[str, Any]) -> bool:
    """Whether the table and all its indexes are."""
    parts = (description["TableStatus"], *(one["IndexStatus"] for one in description.get("GlobalSecondaryIndexes", ())))
    return set(parts) == {"ACTIVE"}


def _index_key_names(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The key attributes of all secondary indexes, each once."""
    indexes = (*description.get("GlobalSecondaryIndexes", ()), *description.get("LocalSecondaryIndexes", ()))
    return tuple(dict.fromkeys(key["AttributeName"] for index in indexes for key in index["KeySchema"]))
