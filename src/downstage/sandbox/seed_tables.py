"""Creates and fills the sandbox's tables.

Why: a refresh must find schemas worth cloning (indexes, streams, expiry, tags, recovery) and data worth masking.
Rules: plain BatchWriteItem, 25 items a request, what comes back unprocessed is sent again; both accounts' tables have
the same shape, as alpha and beta of one application do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from downstage.errors import SandboxError
from downstage.sandbox.layout import TTL_ATTRIBUTE
from downstage.sandbox.ledger import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

BATCH = 25
WRITERS = 4
DEADLINE_SECONDS = 60.0


def main_table(name: str, stage: str) -> CreateTableInputTypeDef:
    """The single table: two global indexes (one with a number as its range key), a stream, tags."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "gsi1pk", "AttributeType": "S"},
            {"AttributeName": "gsiUserBox", "AttributeType": "S"},
            {"AttributeName": "gsiSequence", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "gsi1",
                "KeySchema": [
                    {"AttributeName": "gsi1pk", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "gsiUserBox",
                "KeySchema": [
                    {"AttributeName": "gsiUserBox", "KeyType": "HASH"},
                    {"AttributeName": "gsiSequence", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Tags": [{"Key": "application", "Value": "efcms"}, {"Key": "stage", "Value": stage}],
    }


def users_table(name: str, stage: str) -> CreateTableInputTypeDef:
    """The small table: a local index whose range key is an e-mail address, and a stream."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "email")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "lsiEmail",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "email", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]},
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Tags": [{"Key": "application", "Value": "efcms"}, {"Key": "stage", "Value": stage}],
    }


def plain_table(name: str) -> CreateTableInputTypeDef:
    """pk and sk, nothing else."""
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    }


def create(client: DynamoDBClient, schema: CreateTableInputTypeDef) -> str:
    """Create a table and return its stream's ARN ("" without a stream)."""
    client.create_table(**schema)
    client.get_waiter("table_exists").wait(TableName=schema["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return client.describe_table(TableName=schema["TableName"])["Table"].get("LatestStreamArn", "")


def protect(client: DynamoDBClient, table: str) -> None:
    """What production has besides: expiry by `ttl`, and point-in-time recovery."""
    client.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
    )
    client.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Slices of at most 25."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def write_batch(client: DynamoDBClient, table: str, items: Sequence[Item]) -> None:
    """Write up to 25 items; SandboxError if some stay unprocessed for a minute."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    left = client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
    while left["UnprocessedItems"]:
        if time.monotonic() > deadline:
            raise SandboxError(f"{table} did not take its items within a minute; run 'downstage sandbox up' again")
        left = client.batch_write_item(RequestItems=left["UnprocessedItems"])


def fill(client: DynamoDBClient, tables: Mapping[str, Sequence[Item]]) -> None:
    """Write all items of all tables, a few batches at a time."""
    with ThreadPoolExecutor(WRITERS) as pool:
        pending = [
            pool.submit(write_batch, client, table, batch)
            for table, items in tables.items()
            for batch in batches(items)
        ]
        try:
            for one in pending:
                one.result()
        except BaseException:
            # Ctrl-C, or an item that is refused: do not first write the rest.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
