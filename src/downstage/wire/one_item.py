"""DynamoDB's JSON protocol for single items: GetItem, and PutItem and DeleteItem on a condition.

For the few items that the verification looks at by key, or mends. The same rules as in `wire.dynamodb`: items stay the
bytes they travel in, nothing here does I/O, no error quotes a value.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import orjson

from downstage.ports import Item, RawItem

CONDITION_FAILED = "ConditionalCheckFailedException"

_NONE = b"null"


@dataclass(frozen=True, slots=True)
class Found:
    """What a GetItem answered: the item's bytes, or None, and the capacity units it cost."""

    item: RawItem | None
    units: float


class _Consumed(msgspec.Struct):
    CapacityUnits: float = 0.0


class _Answer(msgspec.Struct):
    Item: msgspec.Raw = msgspec.Raw(_NONE)
    ConsumedCapacity: _Consumed | None = None


_answer = msgspec.json.Decoder(_Answer)


def get_body(table: str, key: Item) -> bytes:
    """The body of a strongly consistent GetItem."""
    return orjson.dumps({"TableName": table, "Key": key, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"})


def put_body(table: str, item: RawItem, key_name: str, *, new: bool) -> bytes:
    """The body of a PutItem for a key that nothing has (`new`), or that something has."""
    condition = _condition("attribute_not_exists" if new else "attribute_exists", table, key_name)
    return b'%b,"Item":%b}' % (orjson.dumps(condition)[:-1], item)


def delete_body(table: str, key: Item, key_name: str) -> bytes:
    """The body of a DeleteItem of what is there."""
    return orjson.dumps(_condition("attribute_exists", table, key_name) | {"Key": key})


def parse_item(body: bytes) -> Found:
    """What a GetItem answered. Raises ValueError if the answer is not whole."""
    try:
        answer = _answer.decode(body)
    except msgspec.DecodeError:
        raise ValueError("an answer has another shape than DynamoDB's") from None
    units = answer.ConsumedCapacity.CapacityUnits if answer.ConsumedCapacity is not None else 0.0
    item = bytes(answer.Item)
    return Found(None if item == _NONE else item, units)


def units_of(body: bytes) -> float:
    """The capacity units that a change cost, as far as the answer tells."""
    try:
        return parse_item(body).units
    except ValueError:
        return 0.0


def _condition(function: str, table: str, key_name: str) -> Item:
    return {
        "TableName": table,
        "ConditionExpression": f"{function}(#key)",
        "ExpressionAttributeNames": {"#key": key_name},
        "ReturnConsumedCapacity": "TOTAL",
    }
