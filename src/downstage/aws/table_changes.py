"""Bringing a table that is there to what its source demands: each difference that can be mended in place, mended.

DynamoDB takes one UpdateTable at a time, and one kind of change in each: so one call a kind, each waited for, indexes
one after the other. The guard stands before every call. What is accepted, or for people to mend, is left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from downstage.aws import table_creation as as_asked
from downstage.aws.autoscaling import write_scaling
from downstage.aws.session import Session, calling
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.aws.waiting import wait_until
from downstage.domain.plan import Streams
from downstage.domain.table_schema import (
    Difference,
    Encryption,
    Index,
    ParityTerms,
    Recovery,
    TableSchema,
    Units,
    Unknown,
)
from downstage.errors import AwsError
from downstage.planning.translation import statements
from downstage.ports import Consumer

_INDEX_PATIENCE = 6 * 3600.0
_PATIENCE = 600.0
_RESET: dict[str, Any] = {
    "FilterCriteria": {"Filters": []},
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "MaximumRetryAttempts": -1,
    "MaximumRecordAgeInSeconds": -1,
    "TumblingWindowInSeconds": 0,
}
"""How UpdateEventSourceMapping is told that a setting is to be set no more."""


class TableChanges:
    """Changes tables of the target. `guard` raises if nothing may be written; it is asked before every call."""

    def __init__(
        self, target: Session, *, guard: Callable[[], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._target = target
        self._guard = guard
        self._sleep = sleep
        self._tables = TableControl(target, sleep=sleep)

    def create(self, demanded: TableSchema, terms: ParityTerms) -> None:
        """Makes the table; one that is there already (made by whoever was cut off) is fine."""
        self._guard()
        try:
            with calling(self._target.environment, f"create table {demanded.name}"):
                self._dynamodb.create_table(**as_asked.creation(demanded, terms))
        except AwsError as error:
            if error.code != "ResourceInUseException":  # it is there, but was not to be seen yet
                raise
        self._tables.wait_settled(demanded.name)

    def mend(
        self, demanded: TableSchema, present: TableSchema, found: Sequence[Difference], terms: ParityTerms
    ) -> None:
        """Mends what `found` says can be changed, so that `present` becomes `demanded` in it."""
        todo: dict[str, list[str]] = {}
        for one in found:
            if one.demanded and one.remedy == "change":
                todo.setdefault(one.fact, []).append(one.place)
        if "billing" in todo:
            self._billing(demanded, present)
        elif "throughput" in todo:
            self._throughput(demanded, present, todo["throughput"])
        if "on_demand_maximum" in todo:
            self._units(demanded.name, "OnDemandThroughput", self._maxima(demanded, present, todo["on_demand_maximum"]))
        if "table_class" in todo:
            self._update(demanded.name, TableClass=demanded.table_class)
        if "encryption" in todo and isinstance(demanded.encryption, Encryption):
            self._update(demanded.name, SSESpecification=as_asked.encryption(demanded.encryption))
        if "stream" in todo:
            self._stream(demanded, present)
        self._indexes(demanded, present, todo.get("global_indexes", ()), terms)
        if "warm_throughput" in todo and terms.warm is not None:
            self._units(demanded.name, "WarmThroughput", self._warmths(present, todo["warm_throughput"], terms.warm))
        if "deletion_protection" in todo:
            self._update(demanded.name, DeletionProtectionEnabled=demanded.deletion_protection)
        if "tags" in todo and not isinstance(demanded.tags, Unknown):
            tags = [{"Key": name, "Value": demanded.tags[name]} for name in todo["tags"]]
            self._call("tag", demanded.name, lambda: self._dynamodb.tag_resource(ResourceArn=demanded.arn, Tags=tags))
        if "point_in_time_recovery" in todo and isinstance(demanded.recovery, Recovery):
            self._recovery(demanded.name, demanded.recovery)
        if "resource_policy" in todo:
            self._policy(demanded, present, todo["resource_policy"])
        for place in todo.get("contributor_insights", ()):
            self._insights(demanded.name, place)
        self._autoscaling(demanded, todo.get("autoscaling", ()))
        self._subscriptions(demanded, present, todo.get("consumers", ()))

    @property
    def _dynamodb(self) -> Any:
        return self._target.client("dynamodb")

    def _call(self, what: str, name: str, call: Callable[[], Any]) -> None:
        self._guard()
        with calling(self._target.environment, f"{what} table {name}"):
            call()

    def _update(self, name: str, *, patience: float = _PATIENCE, **change: Any) -> None:
        self._tables.wait_settled(name, patience)
        self._call("update", name, lambda: self._dynamodb.update_table(TableName=name, **change))
        self._tables.wait_settled(name, patience)

    # ---- capacity

    def _billing(self, demanded: TableSchema, present: TableSchema) -> None:
        if demanded.on_demand:
            self._update(demanded.name, BillingMode="PAY_PER_REQUEST")
            return
        wanted = {index.name: index.throughput for index in demanded.global_indexes}
        indexes = {index.name: wanted.get(index.name, Units()) for index in present.global_indexes}
        change: dict[str, Any] = {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": as_asked.provisioned(demanded.throughput),
        }
        if indexes:
            change["GlobalSecondaryIndexUpdates"] = [
                _index_update(name, "ProvisionedThroughput", as_asked.provisioned(units))
                for name, units in indexes.items()
            ]
        self._update(demanded.name, **change)

    def _throughput(self, demanded: TableSchema, present: TableSchema, places: Sequence[str]) -> None:
        changed = _changed(demanded, present, places, "throughput")
        asked = {index: as_asked.provisioned(units) for index, units in changed.items()}
        self._units(demanded.name, "ProvisionedThroughput", asked)

    def _maxima(
        self, demanded: TableSchema, present: TableSchema, places: Sequence[str]
    ) -> dict[str | None, dict[str, int]]:
        changed = _changed(demanded, present, places, "maximum")
        return {index: as_asked.maximum(units) for index, units in changed.items()}

    def _warmths(self, present: TableSchema, places: Sequence[str], asked: Units) -> dict[str | None, dict[str, int]]:
        found: dict[str | None, dict[str, int]] = {}
        for index in _named_in(places):
            there = present.warm if index is None else _by_name(present)[index].warm
            at_least = Units(max(asked.read or 0, there.read or 0), max(asked.write or 0, there.write or 0))
            found[index] = as_asked.warmth(Units(at_least.read or None, at_least.write or None))
        return found

    def _units(self, name: str, kind: str, asked: dict[str | None, dict[str, int]]) -> None:
        """One call for the table and its indexes together."""
        change: dict[str, Any] = {kind: asked[None]} if None in asked else {}
        updates = [_index_update(index, kind, units) for index, units in asked.items() if index is not None]
        if updates:
            change["GlobalSecondaryIndexUpdates"] = updates
        self._update(name, **change)

    def _autoscaling(self, demanded: TableSchema, places: Sequence[str]) -> None:
        if isinstance(demanded.autoscaling, Unknown):
            return
        for one in demanded.autoscaling:
            if (f"{one.index} {one.dimension}" if one.index else one.dimension) in places:
                self._guard()
                write_scaling(self._target, demanded.name, one)

    # ---- shape

    def _stream(self, demanded: TableSchema, present: TableSchema) -> None:
        if present.stream is not None:
            self._update(demanded.name, StreamSpecification={"StreamEnabled": False})
        self._update(demanded.name, StreamSpecification={"StreamEnabled": True, "StreamViewType": demanded.stream})

    def _indexes(self, demanded: TableSchema, present: TableSchema, names: Sequence[str], terms: ParityTerms) -> None:
        """One after the other: DynamoDB builds, or removes, one global index at a time."""
        wanted, there = _by_name(demanded), _by_name(present)
        on_demand = demanded.on_demand if not terms.accepts("billing") else present.on_demand
        for name in names:
            if name in there:
                self._index_change(demanded.name, {"Delete": {"IndexName": name}})
                there.pop(name)
            index = wanted[name]
            keys = [present.keys, *(other.keys for other in (*present.local_indexes, *there.values(), index))]
            asked = {**as_asked.index_shape(index), **as_asked.capacity(index, on_demand, terms)}
            self._index_change(demanded.name, {"Create": asked}, AttributeDefinitions=as_asked.definitions(keys))
            there[name] = index

    def _index_change(self, name: str, change: dict[str, Any], **more: Any) -> None:
        self._update(name, patience=_INDEX_PATIENCE, GlobalSecondaryIndexUpdates=[change], **more)

    # ---- what hangs on a table

    def _recovery(self, name: str, wanted: Recovery) -> None:
        setting: dict[str, Any] = {"PointInTimeRecoveryEnabled": wanted.on}
        if wanted.on and wanted.days is not None:
            setting["RecoveryPeriodInDays"] = wanted.days

        def taken() -> bool:
            try:
                self._call(
                    "set the point-in-time recovery of", name,
                    lambda: self._dynamodb.update_continuous_backups(
                        TableName=name, PointInTimeRecoverySpecification=setting
                    ),
                )  # fmt: skip
            except AwsError as error:
                if error.code == "ContinuousBackupsUnavailableException":  # the table is too new for it
                    return False
                raise
            return True

        self._wait(taken, f"table {name} does not take point-in-time recovery")

    def _policy(self, demanded: TableSchema, present: TableSchema, sids: Sequence[str]) -> None:
        """The target's own statements stay; those named are the source's. The rest is for people."""
        if isinstance(demanded.policy, Unknown) or isinstance(present.policy, Unknown) or demanded.policy is None:
            return
        merged = statements(present.policy) | {
            sid: statement for sid, statement in statements(demanded.policy).items() if sid in sids
        }
        document = {**demanded.policy, "Statement": list(merged.values())}
        self._call(
            "set the resource policy of", demanded.name,
            lambda: self._dynamodb.put_resource_policy(ResourceArn=demanded.arn, Policy=json.dumps(document)),
        )  # fmt: skip
        self._wait(lambda: self._has_policy(demanded.arn), f"table {demanded.name} does not show its resource policy")

    def _has_policy(self, arn: str) -> bool:
        try:
            with calling(self._target.environment, "read the resource policy of a table"):
                self._dynamodb.get_resource_policy(ResourceArn=arn)
        except AwsError as error:
            if error.code == "PolicyNotFoundException":
                return False
            raise
        return True

    def _insights(self, name: str, place: str) -> None:
        index = {} if place == "table" else {"IndexName": place}
        self._call(
            "enable the contributor insights of", name,
            lambda: self._dynamodb.update_contributor_insights(
                TableName=name, **index, ContributorInsightsAction="ENABLE"
            ),
        )  # fmt: skip

    def _subscriptions(self, demanded: TableSchema, present: TableSchema, functions: Sequence[str]) -> None:
        """New ones are made disabled and from the stream's beginning; who switches them on is `streams on`."""
        if isinstance(demanded.subscriptions, Unknown) or isinstance(present.subscriptions, Unknown):
            return
        there = {one.function: one for one in present.subscriptions}
        control = MappingControl(self._target, Streams(), sleep=self._sleep)
        for one in demanded.subscriptions:
            if one.function not in functions:
                continue
            self._guard()
            if one.function in there:
                self._change_subscription(there[one.function].uuid, one.function, {
                    **{name: _RESET[name] for name in there[one.function].settings if name in _RESET}, **one.settings
                })  # fmt: skip
                continue
            stream = self._tables.facts(demanded.name).stream_arn
            if stream is None:
                raise AwsError(f"table {demanded.name} has no stream: the consumer {one.function} cannot be attached")
            region = self._target.environment.region
            control.create(Consumer("", one.function, demanded.name, "", "", region, one.settings), stream)

    def _change_subscription(self, uuid: str, function: str, settings: dict[str, Any]) -> None:
        client = self._target.client("lambda")
        with calling(self._target.environment, f"change the consumer {function}"):
            client.update_event_source_mapping(UUID=uuid, **settings)

        def settled() -> bool:
            with calling(self._target.environment, f"look at the consumer {function}"):
                return client.get_event_source_mapping(UUID=uuid)["State"] in ("Enabled", "Disabled")

        self._wait(settled, f"the consumer {function} is still changing")

    def _wait(self, reached: Callable[[], bool], otherwise: str) -> None:
        minutes = f"{_PATIENCE / 60:.0f} minutes"
        wait_until(
            reached,
            sleep=self._sleep,
            patience=_PATIENCE,
            otherwise=f"{otherwise} after {minutes}; look at it, then do this again",
        )


def _index_update(name: str, kind: str, units: dict[str, int]) -> dict[str, Any]:
    return {"Update": {"IndexName": name, kind: units}}


def _by_name(schema: TableSchema) -> dict[str, Index]:
    return {index.name: index for index in schema.global_indexes}


def _named_in(places: Sequence[str]) -> list[str | None]:
    """The table (None) and the indexes that "read", "gsi1 write" and the like speak of, each once."""
    return list(dict.fromkeys(place.rpartition(" ")[0] or None for place in places))


def _changed(demanded: TableSchema, present: TableSchema, places: Sequence[str], which: str) -> dict[str | None, Units]:
    """For the table and each index that `places` name: the demanded units where named, the present ones elsewhere."""
    found: dict[str | None, Units] = {}
    for index in _named_in(places):
        mine, there = (getattr(side if index is None else _by_name(side)[index], which) for side in (demanded, present))
        at = f"{index} " if index else ""
        found[index] = Units(
            mine.read if f"{at}read" in places else there.read, mine.write if f"{at}write" in places else there.write
        )
    return found
