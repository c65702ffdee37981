"""DynamoDB's JSON protocol for the two hot calls, Scan and BatchWriteItem: bodies out, pages in, faults classified.

Items are typed JSON from the first byte to the last: no Decimal, no deserialiser, so types survive to the digit. A page
is only cut into its items, whose bytes nobody decodes but who must look into them.
Nothing here does I/O or logs; an error's text never quotes the service's message, which may quote an item.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
import orjson

from downstage.ports import Item, RawItem

CONTENT_TYPE = "application/x-amz-json-1.0"
TARGET = "DynamoDB_20120810."
BATCH_ITEMS = 25


class Fault(Enum):
    """What an error response asks for."""

    THROTTLE = "throttle"
    RETRY = "retry"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SKEWED = "skewed"
    FATAL = "fatal"


_NAME = re.compile(r"[A-Za-z]{1,80}")
_FAULTS = {
    "ProvisionedThroughputExceededException": Fault.THROTTLE,
    "ThrottlingException": Fault.THROTTLE,
    "RequestLimitExceeded": Fault.THROTTLE,
    "LimitExceededException": Fault.THROTTLE,
    "SlowDown": Fault.THROTTLE,
    "InternalServerError": Fault.RETRY,
    "InternalFailure": Fault.RETRY,
    "ServiceUnavailable": Fault.RETRY,
    "TransactionInProgressException": Fault.RETRY,
    "ValidationException": Fault.REJECTED,
    "ItemCollectionSizeLimitExceededException": Fault.REJECTED,
    "ExpiredTokenException": Fault.EXPIRED,
    "ExpiredToken": Fault.EXPIRED,
    "RequestExpired": Fault.SKEWED,
    "RequestTimeTooSkewed": Fault.SKEWED,
}


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer: `status` and the whole body."""

    status: int
    body: bytes


def scan_body(
    table: str,
    segment: int,
    total_segments: int,
    cursor: Item | None,
    *,
    consistent: bool = False,
    limit: int | None = None,
) -> bytes:
    """The body of one Scan of one segment, after `cursor`."""
    body: dict[str, Any] = {
        "TableName": table,
        "Segment": segment,
        "TotalSegments": total_segments,
        "ReturnConsumedCapacity": "TOTAL",
    }
    if cursor is not None:
        body["ExclusiveStartKey"] = cursor
    if consistent:
        body["ConsistentRead"] = True
    if limit is not None:
        body["Limit"] = limit
    return orjson.dumps(body)


class _Consumed(msgspec.Struct):
    CapacityUnits: float = 0.0


class _Scanned(msgspec.Struct):
    Items: list[msgspec.Raw]
    Count: int
    LastEvaluatedKey: dict[str, Any] | None = None
    ConsumedCapacity: _Consumed | None = None


class _Put(msgspec.Struct):
    Item: msgspec.Raw


class _Request(msgspec.Struct):
    PutRequest: _Put


class _Taken(msgspec.Struct):
    UnprocessedItems: dict[str, list[_Request]] | None = None
    ConsumedCapacity: list[_Consumed] | None = None


_scanned = msgspec.json.Decoder(_Scanned)
_taken = msgspec.json.Decoder(_Taken)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one Scan answered: the items' bytes, the key to go on from, the capacity units it cost."""

    items: list[RawItem]
    cursor: Item | None
    units: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What one BatchWriteItem answered: the items it did not take, the capacity units it cost."""

    unprocessed: list[RawItem]
    units: float


def parse_scan(body: bytes) -> Scanned:
    """The page that a Scan answered. Raises ValueError if the answer is not whole."""
    try:
        answer = _scanned.decode(body)
    except msgspec.DecodeError:
        raise ValueError("an answer has another shape than DynamoDB's") from None
    if len(answer.Items) != answer.Count:
        raise ValueError("a page holds another number of items than it says")
    units = answer.ConsumedCapacity.CapacityUnits if answer.ConsumedCapacity is not None else 0.0
    return Scanned([bytes(item) for item in answer.Items], answer.LastEvaluatedKey, units)


def batch_body(table: str, items: Sequence[RawItem]) -> bytes:
    """The body of a BatchWriteItem that puts `items` (at most 25)."""
    return b'{"ReturnConsumedCapacity":"TOTAL","RequestItems":{%b:[{"PutRequest":{"Item":%b}}]}}' % (
        orjson.dumps(table),
        b'}},{"PutRequest":{"Item":'.join(items),
    )


def parse_taken(body: bytes, table: str) -> Taken:
    """What a BatchWriteItem answered. Raises ValueError if the answer is not whole."""
    try:
        answer = _taken.decode(body)
    except msgspec.DecodeError:
        raise ValueError("an answer has another shape than DynamoDB's") from None
    left = (answer.UnprocessedItems or {}).get(table, [])
    units = sum(consumed.CapacityUnits for consumed in answer.ConsumedCapacity or ())
    return Taken([bytes(request.PutRequest.Item) for request in left], units)


def fault_code(response: Response) -> str:
    """The error's short name, such as `ValidationException`; `HTTP 503` if the body names none."""
    kind = _said(response, "__type").rpartition("#")[2]
    return kind if _NAME.fullmatch(kind) else f"HTTP {response.status}"


def classify(response: Response) -> Fault:
    """What to do about an error response."""
    code = fault_code(response)
    known = _FAULTS.get(code)
    if known is not None:
        return known
    if code == "InvalidSignatureException":
        said = (_said(response, "message") or _said(response, "Message")).lower()
        return Fault.SKEWED if "signature expired" in said or "not yet current" in said else Fault.FATAL
    if response.status == 429:
        return Fault.THROTTLE
    return Fault.RETRY if response.status >= 500 else Fault.FATAL


def rejection_reason(response: Response) -> str:
    """Why an item was refused, in our words: the service's own may quote the item."""
    message = (_said(response, "message") or _said(response, "Message")).lower()
    for sign, reason in (
        ("item size", "the item is larger than 400 KB"),
        ("duplicate", "two items of one batch have the same key"),
        ("empty string", "a key attribute is empty"),
        ("missing the key", "a key attribute is missing"),
        ("type mismatch", "a key attribute has the wrong type"),
        ("nesting", "the item is nested too deeply"),
        ("number", "a number is out of range"),
        ("size of", "a key attribute is too long"),
    ):
        if sign in message:
            return reason
    return "DynamoDB refuses the item"


def _answer(body: bytes) -> dict[str, Any]:
    """The JSON object that was answered. Raises ValueError, without the text, if it is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise ValueError("an answer is not a JSON object")
    return answer


def _said(response: Response, field: str) -> str:
    """One text field of an error's body, or nothing."""
    try:
        value = _answer(response.body).get(field)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""
