"""What CreateTable is asked for, from a table's description. Pure.

Everything that can be given at creation is: keys and indexes must be, and the rest saves an update that would be waited
for. What the configuration accepts as different is left at AWS's default, so an accepted billing gives on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from downstage.domain.table_schema import Encryption, Index, KeyPart, ParityTerms, TableSchema, Units, Unknown


def creation(schema: TableSchema, terms: ParityTerms) -> dict[str, Any]:
    """CreateTable's arguments for `schema`, which is said in the target's words."""
    on_demand = schema.on_demand or terms.accepts("billing")
    local = () if terms.accepts("local_indexes") else schema.local_indexes
    indexes = [one for one in schema.global_indexes if not terms.accepts("global_indexes", one.name)]
    wanted: dict[str, Any] = {
        "TableName": schema.name,
        "AttributeDefinitions": definitions([schema.keys, *(index.keys for index in (*local, *indexes))]),
        "KeySchema": key_schema(schema.keys),
        "BillingMode": "PAY_PER_REQUEST" if on_demand else "PROVISIONED",
        **capacity(schema, on_demand, terms),
    }
    if local:
        wanted["LocalSecondaryIndexes"] = [index_shape(index) for index in local]
    if indexes:
        wanted["GlobalSecondaryIndexes"] = [
            {**index_shape(index), **capacity(index, on_demand, terms)} for index in indexes
        ]
    if schema.stream and not terms.accepts("stream"):
        wanted["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": schema.stream}
    if schema.table_class != "STANDARD" and not terms.accepts("table_class"):
        wanted["TableClass"] = schema.table_class
    if schema.deletion_protection and not terms.accepts("deletion_protection"):
        wanted["DeletionProtectionEnabled"] = True
    if isinstance(schema.encryption, Encryption) and not terms.accepts("encryption"):
        wanted |= {"SSESpecification": encryption(schema.encryption)} if schema.encryption.kind != "aws-owned" else {}
    if not isinstance(schema.tags, Unknown):
        tags = {name: value for name, value in schema.tags.items() if not terms.accepts("tags", name)}
        wanted |= {"Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]} if tags else {}
    return wanted


def definitions(keys: Iterable[Sequence[KeyPart]]) -> list[dict[str, str]]:
    """AttributeDefinitions of these keys, each attribute once."""
    types = {part.name: part.type for key in keys for part in key}
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def key_schema(keys: Iterable[KeyPart]) -> list[dict[str, str]]:
    """KeySchema of a key."""
    return [{"AttributeName": part.name, "KeyType": part.role} for part in keys]


def index_shape(index: Index) -> dict[str, Any]:
    """What an index is, without its capacity."""
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if index.attributes:
        projection["NonKeyAttributes"] = list(index.attributes)
    return {"IndexName": index.name, "KeySchema": key_schema(index.keys), "Projection": projection}


def capacity(of: TableSchema | Index, on_demand: bool, terms: ParityTerms) -> dict[str, Any]:
    """What a new table or index can carry: provisioned units or the on-demand maximum, and the warmth asked for."""
    wanted: dict[str, Any] = {}
    if not on_demand:
        wanted["ProvisionedThroughput"] = provisioned(of.throughput)
    elif of.maximum != Units() and not terms.accepts("on_demand_maximum"):
        wanted["OnDemandThroughput"] = maximum(of.maximum)
    if terms.warm is not None and not terms.accepts("warm_throughput"):
        wanted["WarmThroughput"] = warmth(terms.warm)
    return wanted


def provisioned(units: Units) -> dict[str, int]:
    """ProvisionedThroughput; where a description has no units, the least there is."""
    return {"ReadCapacityUnits": units.read or 1, "WriteCapacityUnits": units.write or 1}


def maximum(units: Units) -> dict[str, int]:
    """OnDemandThroughput; -1 takes a limit away."""
    return {
        "MaxReadRequestUnits": -1 if units.read is None else units.read,
        "MaxWriteRequestUnits": -1 if units.write is None else units.write,
    }


def warmth(units: Units) -> dict[str, int]:
    """WarmThroughput, as far as it is asked for."""
    asked = {"ReadUnitsPerSecond": units.read, "WriteUnitsPerSecond": units.write}
    return {name: number for name, number in asked.items() if number is not None}


def encryption(wanted: Encryption) -> dict[str, Any]:
    """SSESpecification."""
    if wanted.kind == "aws-owned":
        return {"Enabled": False}
    key = {"KMSMasterKeyId": wanted.key} if wanted.key else {}
    return {"Enabled": True, "SSEType": "KMS", **key}
