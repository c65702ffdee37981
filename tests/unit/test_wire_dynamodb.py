"""Bytes out, pages in, faults classified; and nothing of what the service says comes out in our words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from downstage.ports import Page
from downstage.wire.dynamodb import (
    Fault,
    Response,
    batch_body,
    classify,
    fault_code,
    parse_page,
    parse_unprocessed,
    rejection_reason,
    scan_body,
)

ITEM = {"pk": {"S": "é\u2028"}, "n": {"N": "1.000000000000000000000000000000000001"}}


def error(code: str | None, status: int = 400, message: str = "") -> Response:
    return Response(status, orjson.dumps({"__type": code, "message": message}))


def test_a_scan_asks_for_one_segment() -> None:
    assert orjson.loads(scan_body("t", 3, 8, None)) == {
        "TableName": "t",
        "Segment": 3,
        "TotalSegments": 8,
        "ReturnConsumedCapacity": "TOTAL",
    }
    further = orjson.loads(scan_body("t", 3, 8, ITEM, consistent=True, limit=7))
    assert further["ExclusiveStartKey"] == ITEM
    assert (further["ConsistentRead"], further["Limit"]) == (True, 7)


def test_a_batch_carries_items_to_the_digit() -> None:
    body = orjson.loads(batch_body("t", [ITEM]))
    assert body == {"RequestItems": {"t": [{"PutRequest": {"Item": ITEM}}]}}


def test_a_page_is_items_and_where_to_go_on() -> None:
    body = orjson.dumps({"Items": [ITEM], "Count": 1, "LastEvaluatedKey": {"pk": ITEM["pk"]}})
    assert parse_page(body) == Page([ITEM], {"pk": ITEM["pk"]})
    assert parse_page(b'{"Items": [], "Count": 0}') == Page([], None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"Items": []}',
        b'{"Items": [{}], "Count": 2}',
        b'{"Items": 1, "Count": 1}',
        b'{"Items": [{"pk": {"S": "ada@court.example.org"}}',
    ],
)
def test_a_page_that_is_not_whole_is_an_error_without_data(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"page|answer") as caught:
        parse_page(body)
    assert "court" not in str(caught.value)
    assert not hasattr(caught.value, "doc"), "a parse error carries the text with it"


def test_unprocessed_items_come_back() -> None:
    body = orjson.dumps({"UnprocessedItems": {"t": [{"PutRequest": {"Item": ITEM}}]}})
    assert parse_unprocessed(body, "t") == [ITEM]
    assert parse_unprocessed(b"{}", "t") == []
    assert parse_unprocessed(b'{"UnprocessedItems": {}}', "t") == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"UnprocessedItems": [1]}', b'{"UnprocessedItems": {"t": [{}]}}'])
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        parse_unprocessed(body, "t")


@pytest.mark.parametrize(
    ("code", "status", "fault"),
    [
        ("ProvisionedThroughputExceededException", 400, Fault.THROTTLE),
        ("ThrottlingException", 400, Fault.THROTTLE),
        ("RequestLimitExceeded", 400, Fault.THROTTLE),
        ("LimitExceededException", 400, Fault.THROTTLE),
        ("SlowDown", 503, Fault.THROTTLE),
        ("InternalServerError", 500, Fault.RETRY),
        ("InternalFailure", 500, Fault.RETRY),
        ("ServiceUnavailable", 503, Fault.RETRY),
        ("TransactionInProgressException", 400, Fault.RETRY),
        ("ValidationException", 400, Fault.REJECTED),
        ("ItemCollectionSizeLimitExceededException", 400, Fault.REJECTED),
        ("ExpiredTokenException", 400, Fault.EXPIRED),
        ("ExpiredToken", 400, Fault.EXPIRED),
        ("RequestExpired", 400, Fault.EXPIRED),
        ("AccessDeniedException", 400, Fault.FATAL),
        ("ResourceNotFoundException", 400, Fault.FATAL),
        ("SomethingNew", 400, Fault.FATAL),
        ("SomethingNew", 500, Fault.RETRY),
        ("", 502, Fault.RETRY),
        ("", 429, Fault.THROTTLE),
        ("", 413, Fault.FATAL),
    ],
)
def test_each_code_asks_for_one_thing(code: str, status: int, fault: Fault) -> None:
    assert classify(error(f"com.amazonaws.dynamodb.v20120810#{code}", status)) is fault
    assert classify(error(code, status)) is fault


@pytest.mark.parametrize("body", [b"", b"<html>ada@court.example.org</html>", b"null", b"[]", b'{"__type": null}',
                                  b'{"__type": 7}', b'{"__type": "ada@court.example.org: no"}'])  # fmt: skip
def test_an_answer_without_a_code_is_its_status(body: bytes) -> None:
    assert fault_code(Response(503, body)) == "HTTP 503"
    assert rejection_reason(Response(400, body)) == "DynamoDB refuses the item"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Item size has exceeded the maximum allowed size", "the item is larger than 400 KB"),
        ("Provided list of item keys contains duplicates", "two items of one batch have the same key"),
        ("The AttributeValue for a key attribute cannot contain an empty string value.", "a key attribute is empty"),
        ("Missing the key pk in the item", "a key attribute is missing"),
        ("Type mismatch for key pk expected: S actual: N", "a key attribute has the wrong type"),
        ("Nesting Levels have exceeded supported limits", "the item is nested too deeply"),
        ("Number overflow. Attempting to store a number with magnitude larger", "a number is out of range"),
        ("One or more parameter values were invalid: Size of hashkey has exceeded", "a key attribute is too long"),
        ("Something about ada@court.example.org", "DynamoDB refuses the item"),
    ],
)
def test_a_rejection_is_told_in_our_words(message: str, reason: str) -> None:
    assert rejection_reason(error("ValidationException", message=message)) == reason
    capital: dict[str, Any] = {"__type": "ValidationException", "Message": f"{message} 'ada@court.example.org'"}
    assert rejection_reason(Response(400, orjson.dumps(capital))) == reason
