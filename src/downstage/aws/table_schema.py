"""Everything there is about a table, read from AWS: DynamoDB, Application Auto Scaling, Lambda and KMS.

Whether the table is there, and its description, must be readable; each other fact that AWS refuses to tell is `Unknown`
with the reason, so that a missing permission never passes for "nothing there". Only an endpoint that does not answer,
and credentials that are not accepted, end the reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from downstage.aws.autoscaling import read_scaling
from downstage.aws.session import Session, calling
from downstage.aws.streams import settings_of
from downstage.domain.table_schema import (
    Encryption,
    Index,
    KeyPart,
    Recovery,
    Subscription,
    TableSchema,
    Units,
    Unknown,
)
from downstage.errors import AwsError, NotFound, Unreachable
from downstage.ports import Capacity

_Fact = TypeVar("_Fact")


def read_schema(session: Session, name: str) -> TableSchema:
    """The table as it is now. Raises NotFound, and AwsError if even DescribeTable is denied."""
    return SchemaReader(session).read(name)


class SchemaReader:
    """Reads tables with one side's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, name: str) -> TableSchema:
        """The table as it is now. Raises NotFound, and AwsError if even DescribeTable is denied."""
        with calling(self._session.environment, f"describe table {name}"):
            found = self._dynamodb.describe_table(TableName=name)["Table"]
        environment = self._session.environment
        types = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}
        on_demand = found.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
        arn = found["TableArn"]
        stream = found.get("StreamSpecification", {})
        on = bool(stream.get("StreamEnabled"))
        indexes = tuple(_index(index, types) for index in _by_name(found.get("GlobalSecondaryIndexes")))
        return TableSchema(
            name=name,
            account=environment.account,
            region=environment.region,
            keys=_keys(found["KeySchema"], types),
            local_indexes=tuple(_index(index, types) for index in _by_name(found.get("LocalSecondaryIndexes"))),
            global_indexes=indexes,
            on_demand=on_demand,
            throughput=_provisioned(found),
            maximum=_maximum(found),
            warm=_warm(found),
            table_class=found.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
            deletion_protection=bool(found.get("DeletionProtectionEnabled")),
            stream=stream.get("StreamViewType") if on else None,
            encryption=self._known(lambda: self._encryption(found.get("SSEDescription", {}))),
            replicas=tuple(sorted(replica["RegionName"] for replica in found.get("Replicas", ()))),
            ttl=self._known(lambda: self._ttl(name)),
            tags=self._known(lambda: self._tags(arn)),
            recovery=self._known(lambda: self._recovery(name)),
            autoscaling=()
            if on_demand
            else self._known(lambda: read_scaling(self._session, name, [index.name for index in indexes])),
            policy=self._known(lambda: self._policy(arn)),
            insights=self._known(lambda: self._insights(name)),
            subscriptions=self._known(lambda: self._subscriptions(found.get("LatestStreamArn") if on else None)),
        )

    @property
    def _dynamodb(self) -> Any:
        return self._session.client("dynamodb")

    def _known(self, look: Callable[[], _Fact]) -> _Fact | Unknown:
        """What `look` finds, or why it may not."""
        try:
            return look()
        except Unreachable:
            raise
        except AwsError as error:
            return Unknown("denied" if _is_denial(error.code) else f"AWS answered {error.code or 'an error'}")

    def _ttl(self, name: str) -> str | None:
        with calling(self._session.environment, f"read the TTL setting of table {name}"):
            setting = self._dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        return setting["AttributeName"] if setting.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") else None

    def _tags(self, arn: str) -> Mapping[str, str]:
        with calling(self._session.environment, "read the tags of a table"):
            pages = self._dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
            tags = [tag for page in pages for tag in page["Tags"]]
        return {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith("aws:")}

    def _recovery(self, name: str) -> Recovery:
        with calling(self._session.environment, f"read the backup setting of table {name}"):
            answer = self._dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        setting = answer.get("PointInTimeRecoveryDescription", {})
        on = setting.get("PointInTimeRecoveryStatus") == "ENABLED"
        return Recovery(on, setting.get("RecoveryPeriodInDays") if on else None)

    def _policy(self, arn: str) -> Mapping[str, Any] | None:
        try:
            with calling(self._session.environment, "read the resource policy of a table"):
                document: Mapping[str, Any] = json.loads(self._dynamodb.get_resource_policy(ResourceArn=arn)["Policy"])
                return document
        except AwsError as error:
            if error.code == "PolicyNotFoundException":
                return None
            raise

    def _insights(self, name: str) -> tuple[str, ...]:
        found: list[Mapping[str, Any]] = []
        more: dict[str, Any] = {}
        with calling(self._session.environment, f"read the contributor insights of table {name}"):
            while True:
                page = self._dynamodb.list_contributor_insights(TableName=name, **more)
                found.extend(page["ContributorInsightsSummaries"])
                if not page.get("NextToken"):
                    break
                more = {"NextToken": page["NextToken"]}
        return tuple(
            sorted(
                one.get("IndexName") or ""
                for one in found
                if one.get("ContributorInsightsStatus") in ("ENABLED", "ENABLING")
            )
        )

    def _subscriptions(self, stream_arn: str | None) -> tuple[Subscription, ...]:
        if stream_arn is None:
            return ()
        with calling(self._session.environment, "list the event-source mappings of a stream"):
            pages = self._session.client("lambda").get_paginator("list_event_source_mappings")
            found = [one for page in pages.paginate(EventSourceArn=stream_arn) for one in page["EventSourceMappings"]]
        return tuple(
            sorted(
                (
                    Subscription(
                        one["FunctionArn"].split(":function:")[-1],
                        one.get("StartingPosition"),
                        settings_of(one),
                        one["UUID"],
                    )
                    for one in found
                    if one.get("State") != "Deleting"
                ),
                key=lambda one: one.function,
            )
        )

    def _encryption(self, description: Mapping[str, Any]) -> Encryption:
        """AWS's own key, the account's key that AWS manages, or one of the customer's: KMS knows which."""
        if description.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
            return Encryption()
        key = description.get("KMSMasterKeyArn", "")
        with calling(self._session.environment, "look at the key that encrypts a table"):
            found = self._session.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        if found.get("KeyManager") == "AWS":
            return Encryption("aws-managed")
        return Encryption("customer", found["Arn"])


def resolve_key(session: Session, key: str) -> str:
    """The ARN of a key that is named by its ARN or alias. Raises NotFound if there is none that is enabled."""
    try:
        with calling(session.environment, "look at a key that 'parity.kms' names"):
            found = session.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    except AwsError as error:
        if error.code in ("NotFoundException", "InvalidArnException"):  # KMS has words of its own
            raise NotFound(f"environment {session.environment.name}: there is no key {key}", error.code) from None
        raise
    if found.get("KeyState", "Enabled") != "Enabled":
        raise NotFound(f"environment {session.environment.name}: the key {key} is {found['KeyState']}")
    return str(found["Arn"])


def has_function(session: Session, function: str) -> bool:
    """Whether there is such a function (with its alias); True where AWS does not let us look."""
    try:
        with calling(session.environment, f"look at the function {function}"):
            session.client("lambda").get_function_configuration(FunctionName=function)
    except NotFound:
        return False
    except Unreachable:
        raise
    except AwsError:
        return True
    return True


def capacity_of(found: Mapping[str, Any], *, on_demand: bool) -> Capacity:
    """What a table, or a global index, as DescribeTable shows it, can take."""
    return Capacity(on_demand, _provisioned(found), _maximum(found), _warm(found))


def _is_denial(code: str) -> bool:
    return "AccessDenied" in code or code in ("403", "UnauthorizedOperation")


def _by_name(indexes: Iterable[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return sorted(indexes or (), key=lambda index: str(index["IndexName"]))


def _index(index: Mapping[str, Any], types: Mapping[str, str]) -> Index:
    projection = index["Projection"]
    return Index(
        name=index["IndexName"],
        keys=_keys(index["KeySchema"], types),
        projection=projection["ProjectionType"],
        attributes=tuple(sorted(projection.get("NonKeyAttributes", ()))),
        throughput=_provisioned(index),
        maximum=_maximum(index),
        warm=_warm(index),
    )


def _keys(schema: Iterable[Mapping[str, str]], types: Mapping[str, str]) -> tuple[KeyPart, ...]:
    return tuple(KeyPart(key["AttributeName"], key["KeyType"], types[key["AttributeName"]]) for key in schema)


def _provisioned(found: Mapping[str, Any]) -> Units:
    units = found.get("ProvisionedThroughput", {})
    return Units(units.get("ReadCapacityUnits") or None, units.get("WriteCapacityUnits") or None)


def _maximum(found: Mapping[str, Any]) -> Units:
    units = found.get("OnDemandThroughput", {})
    return Units(_set(units.get("MaxReadRequestUnits")), _set(units.get("MaxWriteRequestUnits")))


def _warm(found: Mapping[str, Any]) -> Units:
    units = found.get("WarmThroughput", {})
    return Units(units.get("ReadUnitsPerSecond"), units.get("WriteUnitsPerSecond"))


def _set(number: int | None) -> int | None:
    return None if number is None or number < 0 else number
