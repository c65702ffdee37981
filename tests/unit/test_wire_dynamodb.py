"""Bytes out, pages in, faults classified; and nothing of what the service says comes out in our words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from downstage.wire.dynamodb import (
    Fault,
    Response,
    Scanned,
    Taken,
    batch_body,
    classify,
    fault_code,
    parse_scan,
    parse_taken,
    rejection_reason,
    scan_body,
)

ITEM = {"pk": {"S": "é\u2028"}, "n": {"N": "1.000000000000000000000000000000000001"}}


RAW = orjson.dumps(ITEM)


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
    body = batch_body("t", [RAW, RAW])
    put = {"PutRequest": {"Item": ITEM}}
    assert orjson.loads(body) == {"RequestItems": {"t": [put, put]}, "ReturnConsumedCapacity": "TOTAL"}
    assert body.count(RAW) == 2


def test_a_page_is_items_and_where_to_go_on() -> None:
    consumed = {"TableName": "t", "CapacityUnits": 12.5}
    last = {"pk": ITEM["pk"]}
    body = orjson.dumps({"Items": [ITEM], "Count": 1, "LastEvaluatedKey": last, "ConsumedCapacity": consumed})
    assert parse_scan(body) == Scanned([RAW], last, 12.5)
    assert parse_scan(b'{"Items": [], "Count": 0}') == Scanned([], None, 0.0)


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
        parse_scan(body)
    assert "court" not in str(caught.value)
    assert not hasattr(caught.value, "doc"), "a parse error carries the text with it"


def test_unprocessed_items_come_back() -> None:
    consumed = [{"TableName": "t", "CapacityUnits": 25.0}]
    body = orjson.dumps({"UnprocessedItems": {"t": [{"PutRequest": {"Item": ITEM}}]}, "ConsumedCapacity": consumed})
    assert parse_taken(body, "t") == Taken([RAW], 25.0)
    assert parse_taken(b"{}", "t") == Taken([], 0.0)
    assert parse_taken(b'{"UnprocessedItems": {}}', "t") == Taken([], 0.0)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"UnprocessedItems": [1]}', b'{"UnprocessedItems": {"t": [{}]}}'])
def test_an_answer_that_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="answer"):
        parse_taken(body, "t")


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
        ("RequestExpired", 400, Fault.SKEWED),
        ("RequestTimeTooSkewed", 403, Fault.SKEWED),
        ("InvalidSignatureException", 400, Fault.FATAL),
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


@pytest.mark.parametrize(
    "message",
    [
        "Signature expired: 20261122T224412Z is now earlier than 20261122T225912Z (20261122T230412Z - 5 min.)",
        "Signature not yet current: 20261122T232412Z is still later than 20261122T230912Z",
    ],
)
def test_a_signature_of_another_time_is_a_clock_that_is_off(message: str) -> None:
    assert classify(error("InvalidSignatureException", 400, message)) is Fault.SKEWED
