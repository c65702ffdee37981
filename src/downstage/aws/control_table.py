"""The control table: a small DynamoDB table of our own in the target account, where runs and leases are kept.

It is what lets a run that began in one container go on in another, and what keeps two machines from refreshing one
environment at once. Rules: the table is made when something is first to be written, never by looking; before the first
write of a process the caller's identity is compared; every read is consistent; a transaction that meets another on the
same item is tried again, for that is no failure. Its name begins with `guards.OWN_PREFIX`, so no wipe reaches it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from downstage.aws.passing import code_of
from downstage.aws.session import Session, calling
from downstage.aws.waiting import wait_until
from downstage.errors import AwsError, GuardRefused, JournalError, NotFound
from downstage.planning import guards
from downstage.ports import Item

EXPIRES = "expires"
"""The attribute (seconds since the epoch) after which DynamoDB may delete an item. Only what has ended carries it."""

_PATIENCE = 120.0
_TRIES = 40
_LONGEST_WAIT = 1.0
_TAGS = [{"Key": "downstage", "Value": "control"}]


class ControlTable:
    """One control table, seen with the target's credentials. Keys are (`pk`, `sk`), items are typed JSON.

    Methods raise JournalError if AWS refuses or does not answer, GuardRefused before a write to the wrong account.
    """

    def __init__(self, session: Session, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = name
        self._session = session
        self._sleep = sleep
        self._may_write = False

    # -- reading

    def get(self, pk: str, sk: str) -> Item | None:
        """The item, or None; also if there is no table yet."""
        with self._asking():
            try:
                with calling(self._session.environment, f"read the control table {self.name}"):
                    answer = self._client.get_item(TableName=self.name, Key=key(pk, sk), ConsistentRead=True)
            except NotFound:
                return None
        item: Item | None = answer.get("Item")
        return item

    def query(self, pk: str, prefix: str = "") -> Iterator[Item]:
        """The items of a partition whose sort key begins with `prefix`, by sort key; none if there is no table yet."""
        condition, values = "pk = :pk", {":pk": {"S": pk}}
        if prefix:
            condition, values = f"{condition} and begins_with(sk, :sk)", {**values, ":sk": {"S": prefix}}
        start: dict[str, Any] = {}
        while True:
            with self._asking():
                try:
                    with calling(self._session.environment, f"read the control table {self.name}"):
                        page = self._client.query(
                            TableName=self.name,
                            KeyConditionExpression=condition,
                            ExpressionAttributeValues=values,
                            ConsistentRead=True,
                            **start,
                        )
                except NotFound:
                    return
            yield from page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    # -- writing

    def create(self, item: Item) -> bool:
        """Puts an item that is not there yet; False if it is. Makes the table if there is none."""
        self.ensure()
        return self._tried(
            lambda: self._client.put_item(
                TableName=self.name, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        )[0]

    def update(
        self,
        pk: str,
        sk: str,
        change: str,
        values: Mapping[str, Any],
        *,
        only_if: str = "attribute_exists(pk)",
        names: Mapping[str, str] | None = None,
    ) -> Item | None:
        """Changes one item by an update expression and gives what it is now; None if the condition does not hold."""
        self._guard()
        more = {"ExpressionAttributeNames": dict(names)} if names else {}
        done, answer = self._tried(
            lambda: self._client.update_item(
                TableName=self.name,
                Key=key(pk, sk),
                UpdateExpression=change,
                ConditionExpression=only_if,
                ExpressionAttributeValues=dict(values),
                ReturnValues="ALL_NEW",
                **more,
            )
        )
        return answer["Attributes"] if done else None

    def put_while(self, item: Item, pk: str, sk: str, epoch: int, *, only_if: str = "") -> bool:
        """Puts an item in one transaction with the check that the item (`pk`, `sk`) still has this `epoch`; and, if
        `only_if` is given, that this condition holds for the item that it replaces."""
        put: dict[str, Any] = {"TableName": self.name, "Item": item}
        return self._while({"Put": put | ({"ConditionExpression": only_if} if only_if else {})}, pk, sk, epoch)

    def delete_while(self, item: Item, pk: str, sk: str, epoch: int) -> bool:
        """Deletes the item of this key in one transaction with the same check."""
        return self._while({"Delete": {"TableName": self.name, "Key": item}}, pk, sk, epoch)

    def _while(self, change: Mapping[str, Any], pk: str, sk: str, epoch: int) -> bool:
        self._guard()
        return self._tried(
            lambda: self._client.transact_write_items(
                TransactItems=[
                    {
                        "ConditionCheck": {
                            "TableName": self.name,
                            "Key": key(pk, sk),
                            "ConditionExpression": "epoch = :epoch",
                            "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
                        }
                    },
                    change,
                ]
            )
        )[0]

    def ensure(self) -> None:
        """Makes the table if it is not there, and waits until it can be used."""
        self._guard()
        with self._asking(), calling(self._session.environment, f"make the control table {self.name}"):
            if self._status() is None:
                self._make()
            wait_until(
                lambda: self._status() in ("ACTIVE", "UPDATING"),
                sleep=self._sleep,
                patience=_PATIENCE,
                otherwise=f"the control table {self.name} is not ACTIVE after {_PATIENCE:.0f} s; look at it",
            )
            self._expire()

    # -- inside

    @property
    def _client(self) -> Any:
        return self._session.client("dynamodb")

    def _guard(self) -> None:
        """Once a process: this is the account that the configuration names, and it is not protected."""
        if self._may_write:
            return
        environment = self._session.environment
        if environment.protected:
            raise GuardRefused(
                f"refused: writing the control table of '{environment.name}': the environment is protected; name "
                "another environment (nothing was written)"
            )
        guards.check_identity(environment, self._session.caller())
        self._may_write = True

    def _status(self) -> str | None:
        try:
            status: str = self._client.describe_table(TableName=self.name)["Table"]["TableStatus"]
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return None
            raise
        return status

    def _make(self) -> None:
        try:
            self._client.create_table(
                TableName=self.name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                DeletionProtectionEnabled=True,
                Tags=_TAGS,
            )
        except ClientError as error:
            if code_of(error) not in ("ResourceInUseException", "TableAlreadyExistsException"):  # somebody was faster
                raise

    def _expire(self) -> None:
        """Lets what has ended go in its time. A table that already does so is left alone."""
        described = self._client.describe_time_to_live(TableName=self.name).get("TimeToLiveDescription", {})
        if described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            return
        try:
            self._client.update_time_to_live(
                TableName=self.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES}
            )
        except ClientError as error:
            if code_of(error) != "ValidationException":  # somebody was faster
                raise

    def _tried(self, call: Callable[[], Any]) -> tuple[bool, Any]:
        """(whether the condition held, the answer). Waits and tries again where two writers met on one item."""
        wait = 0.01
        for _ in range(_TRIES):
            with self._asking(), calling(self._session.environment, f"write the control table {self.name}"):
                try:
                    return True, call()
                except ClientError as error:
                    refused = _refusals(error)
                    if "ConditionalCheckFailed" in refused:
                        return False, {}
                    if not refused:
                        raise
            self._sleep(wait * random.random())  # noqa: S311  jitter, no secret
            wait = min(wait * 2, _LONGEST_WAIT)
        raise JournalError(f"the control table {self.name}: too many writers met on one item; resume the run")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except AwsError as error:
            raise JournalError(str(error)) from None


def key(pk: str, sk: str) -> Item:
    """The key of an item."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _refusals(error: ClientError) -> set[str]:
    """Why DynamoDB did not write, as far as that is no failure: a condition, or a meeting with another writer."""
    code = code_of(error)
    if code in ("ConditionalCheckFailedException", "ResourceNotFoundException"):  # without a table nothing is there
        return {"ConditionalCheckFailed"}
    if code in ("TransactionConflictException", "TransactionInProgressException"):
        return {"TransactionConflict"}
    if code == "TransactionCanceledException":
        response: Mapping[str, Any] = error.response
        codes = {str(reason.get("Code")) for reason in response.get("CancellationReasons", ())} - {"None"}
        if not codes:  # a stand-in that gives no reasons writes them into the message
            codes = {name for name in _PASSING if name in str(error)}
        if codes and codes <= _PASSING:
            return codes
    return set()


_PASSING = frozenset(
    ("ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
)
