"""Single items by key: read strongly consistent, changed only on a condition, and no value in an error."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from downstage.aws.dynamodb import ItemMenderByKey, ItemReaderByKey
from downstage.copying.pacing import Backoff
from downstage.copying.rates import Pace
from downstage.domain.refs import SourceTable, TargetTable
from downstage.errors import AwsError, Unreachable
from downstage.wire.dynamodb import Response

from .scripted import Scripted

SOURCE, TARGET = SourceTable("111111111111", "us-east-1", "s"), TargetTable("222222222222", "us-east-1", "t")
QUICK = Backoff(0.0, 0.0, 4)
PERSON = "ada@court.example.org"
KEY = {"pk": {"S": PERSON}}


def answer(**body: Any) -> Response:
    return Response(200, orjson.dumps(body))


def fault(code: str, status: int = 400) -> Response:
    return Response(status, orjson.dumps({"__type": f"x#{code}", "message": f"because of {PERSON}"}))


class Counted(Pace):
    """A pace that keeps what was spent."""

    def __init__(self) -> None:
        super().__init__()
        self.units: list[float] = []

    def spent(self, units: float) -> None:
        self.units.append(units)


def reader(transport: Scripted, pace: Pace | None = None) -> ItemReaderByKey:
    return ItemReaderByKey(transport, SOURCE, pace=pace, backoff=QUICK)


def mender(transport: Scripted, pace: Pace | None = None) -> ItemMenderByKey:
    return ItemMenderByKey(transport, TARGET, "pk", pace=pace, backoff=QUICK)


def test_an_item_is_read_consistently_as_the_bytes_it_travels_in() -> None:
    raw = b'{"pk": {"S":"a"},"n":{"N":"1.50"}}'
    transport = Scripted(Response(200, b'{"Item":%b,"ConsumedCapacity":{"TableName":"s","CapacityUnits":1.5}}' % raw))
    pace = Counted()
    assert asyncio.run(reader(transport, pace).get(KEY)) == raw
    ((operation, asked),) = transport.asked
    assert operation == "GetItem"
    assert (asked["TableName"], asked["Key"], asked["ConsistentRead"]) == ("s", KEY, True)
    assert pace.units == [1.5]


def test_an_item_that_is_not_there_is_none() -> None:
    assert asyncio.run(reader(Scripted(answer())).get(KEY)) is None


def test_a_throttle_is_waited_out() -> None:
    transport = Scripted(fault("ThrottlingException"), Unreachable("gone"), answer(Item=KEY))
    assert asyncio.run(reader(transport).get(KEY)) is not None
    assert len(transport.asked) == 3


@pytest.mark.parametrize(
    "response", [fault("ValidationException"), fault("AccessDeniedException"), Response(200, b"[")]
)
def test_what_cannot_be_read_is_an_error_without_the_key(response: Response) -> None:
    with pytest.raises(AwsError) as caught:
        asyncio.run(reader(Scripted(response)).get(KEY))
    assert PERSON not in str(caught.value)


@pytest.mark.parametrize(("new", "function"), [(True, "attribute_not_exists"), (False, "attribute_exists")])
def test_a_put_holds_to_its_condition(new: bool, function: str) -> None:
    transport = Scripted(answer(ConsumedCapacity={"TableName": "t", "CapacityUnits": 2}))
    pace = Counted()
    assert asyncio.run(mender(transport, pace).put(b'{"pk":{"S":"a"}}', new=new))
    ((operation, asked),) = transport.asked
    assert operation == "PutItem"
    assert asked["Item"] == {"pk": {"S": "a"}}
    assert asked["ConditionExpression"] == f"{function}(#key)"
    assert asked["ExpressionAttributeNames"] == {"#key": "pk"}
    assert pace.units == [2.0]


def test_a_delete_wants_something_to_be_there() -> None:
    transport = Scripted(answer())
    assert asyncio.run(mender(transport).delete(KEY))
    ((operation, asked),) = transport.asked
    assert operation == "DeleteItem"
    assert (asked["Key"], asked["ConditionExpression"]) == (KEY, "attribute_exists(#key)")


@pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "ValidationException"])
def test_a_change_that_is_refused_is_false(code: str) -> None:
    assert not asyncio.run(mender(Scripted(fault(code))).put(b'{"pk":{"S":"a"}}', new=True))
    assert not asyncio.run(mender(Scripted(fault(code))).delete(KEY))


def test_a_change_that_is_denied_is_an_error() -> None:
    with pytest.raises(AwsError, match="AccessDeniedException") as caught:
        asyncio.run(mender(Scripted(fault("AccessDeniedException"))).delete(KEY))
    assert PERSON not in str(caught.value)
