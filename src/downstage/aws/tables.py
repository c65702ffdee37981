"""Tables as a whole: what they are, whether they hold anything, deleting them and waiting until they are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from downstage.aws.session import Session, calling
from downstage.errors import AwsError, NotFound
from downstage.ports import TableFacts

_PATIENCE = 600.0


class TableControl:
    """Implements `ports.TableAdmin` with one side's session."""

    def __init__(self, session: Session, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._session = session
        self._sleep = sleep

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

    def delete(self, name: str) -> bool:
        """Deletes the table and waits until it is gone; False if it was not there."""
        environment = self._session.environment
        try:
            description = self.describe(name)
        except NotFound:
            return False
        if description["TableStatus"] != "DELETING":
            self.wait_active(name)
            with calling(environment, f"delete table {name}"):
                if description.get("DeletionProtectionEnabled"):
                    self._client.update_table(TableName=name, DeletionProtectionEnabled=False)
                    self.wait_active(name)
                self._client.delete_table(TableName=name)
        self._wait(name, "deleted", lambda: self._gone(name))
        return True

    def wait_active(self, name: str) -> None:
        """Returns once the table and all its indexes are ACTIVE."""
        self._wait(name, "active", lambda: self._settled(name))

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
        indexes = description.get("GlobalSecondaryIndexes", [])
        return description["TableStatus"] == "ACTIVE" and all(index["IndexStatus"] == "ACTIVE" for index in indexes)

    def _wait(self, name: str, what: str, reached: Callable[[], bool]) -> None:
        wait, waited = 0.05, 0.0
        while not reached():
            if waited > _PATIENCE:
                raise AwsError(
                    f"table {name} is not {what} after {_PATIENCE / 60:.0f} minutes; look at it, then resume"
                )
            self._sleep(wait)
            waited += wait
            wait = min(wait * 2, 5.0)
