"""Files of DynamoDB-JSON: every shape is recognised and written again as it came, anything else is a line number."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.errors import UsageError
from downstage.wire import lines
from downstage.wire.lines import Document, Shape, documents, is_item

ONE = {"pk": {"S": "user|1"}, "n": {"N": "1.50"}, "l": {"L": [{"M": {"b": {"BOOL": True}}}, {"NULL": True}]}}
TWO = {"pk": {"S": "user|2"}, "s": {"SS": ["a", "b"]}, "b": {"B": "AAE="}}


def read(*texts: bytes | str | Any) -> list[Document]:
    """The documents of a file of these lines."""
    raw = [t if isinstance(t, bytes) else (t if isinstance(t, str) else json.dumps(t)).encode() for t in texts]
    return list(documents(io.BytesIO(b"\n".join(raw) + b"\n")))


def fault(*texts: bytes | str | Any) -> str:
    with pytest.raises(UsageError) as raised:
        read(*texts)
    assert raised.value.exit_code == 2
    return str(raised.value)


@pytest.mark.parametrize(
    ("document", "shape", "items"),
    [
        (ONE, Shape.ITEM, [ONE]),
        ({"Item": ONE}, Shape.EXPORT, [ONE]),
        ({"Items": [ONE, TWO], "Count": 2, "ScannedCount": 9}, Shape.PAGE, [ONE, TWO]),
        ({"Items": [], "Count": 0}, Shape.PAGE, []),
        ([ONE, TWO], Shape.LIST, [ONE, TWO]),
        ([], Shape.LIST, []),
    ],
)
def test_a_shape_is_recognised_and_written_as_it_came(document: Any, shape: Shape, items: list[Any]) -> None:
    (found,) = read(document)
    assert (found.line, found.shape, list(found.items)) == (1, shape, items)
    assert json.loads(found.written(found.items)) == document
    assert found.written(found.items).endswith(b"\n")
    assert found.written(found.items).count(b"\n") == 1


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"Item": {"S": "x"}}, Shape.ITEM),
        ({"Item": {"S": {"S": "x"}}}, Shape.EXPORT),
        ({"Item": {"M": {"a": {"S": "x"}}}}, Shape.ITEM),
        ({"Item": {"M": {"M": {}}}}, Shape.EXPORT),
        ({"Item": {"M": {"M": {"M": {}}}}}, Shape.ITEM),
        ({"Items": {"L": []}, "Count": {"N": "1"}}, Shape.ITEM),
    ],
)
def test_an_item_with_an_attribute_called_item_is_no_wrapper(document: Any, shape: Shape) -> None:
    assert read(document)[0].shape is shape


TYPED = st.recursive(
    st.builds(lambda text: {"S": text}, st.text(max_size=3)) | st.just({"BOOL": False}),
    lambda inner: (
        st.builds(lambda held: {"M": held}, st.dictionaries(st.sampled_from(["Item", "M", "S", "Items"]), inner))
        | st.builds(lambda held: {"L": held}, st.lists(inner, max_size=2))
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.sampled_from(["Item", "Items", "Count", "M", "S"]), TYPED, min_size=1)


@given(ITEMS, st.sampled_from(["item", "export", "page", "list"]))
def test_no_item_is_taken_for_another_shape_whatever_its_names(item: Any, shape: str) -> None:
    document = {"item": item, "export": {"Item": item}, "page": {"Items": [item], "Count": 1}, "list": [item]}[shape]
    (found,) = read(document)
    assert found.shape.value == shape
    assert list(found.items) == [item]
    assert not (is_item(document) and shape != "item")


def test_keys_to_go_on_from_are_real_keys_and_are_dropped() -> None:
    page = {"Items": [ONE], "Count": 1, "LastEvaluatedKey": {"pk": {"S": "bob@x.example"}}, "NextToken": "eyJib2"}
    (found,) = read({**page, "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}})
    assert json.loads(found.written([ONE])) == {"Items": [ONE], "Count": 1}
    assert "bob" not in repr(found)


def test_items_left_out_are_not_counted_and_single_ones_leave_no_line() -> None:
    page, single, export, several = read({"Items": [ONE, TWO], "Count": 2}, ONE, {"Item": ONE}, [ONE, TWO])
    assert json.loads(page.written([TWO])) == {"Items": [TWO], "Count": 1}
    assert single.written([]) == b""
    assert export.written([]) == b""
    assert json.loads(several.written([])) == []


def test_documents_on_several_lines_follow_one_another() -> None:
    pretty = json.dumps({"Items": [ONE, {"t": {"S": 'a "quoted\\" brace } ] {'}}], "Count": 2}, indent=4)
    found = read("", pretty, ONE, json.dumps(TWO, indent=0), json.dumps([ONE], indent="\t"))
    assert [document.shape for document in found] == [Shape.PAGE, Shape.ITEM, Shape.ITEM, Shape.LIST]
    after = 2 + pretty.count("\n") + 1
    assert [document.line for document in found[:3]] == [2, after, after + 1]


def test_windows_line_ends_a_byte_order_mark_and_no_last_line_end() -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(ONE).encode() + b"\r\n\r\n" + json.dumps({"Item": TWO}).encode()
    assert [document.line for document in documents(io.BytesIO(raw))] == [1, 3]


def test_gzip_is_recognised_by_its_first_bytes_also_in_several_members() -> None:
    members = [gzip.compress(json.dumps(item).encode() + b"\n") for item in (ONE, TWO)]
    assert [list(document.items) for document in documents(io.BytesIO(b"".join(members)))] == [[ONE], [TWO]]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-12], lambda raw: raw[:20] + b"\0\0\0\0" + raw[24:]])
def test_damaged_gzip_is_a_fault(damage: Any) -> None:
    packed = gzip.compress(b"\n".join([json.dumps(ONE).encode()] * 50))
    with pytest.raises(UsageError, match=r"line [0-9]+: the gzip data are damaged or end too early"):
        list(documents(io.BytesIO(damage(packed))))


@pytest.mark.parametrize(
    "bad",
    [
        '{"pk": {"S": "bob@x.example"',
        "bob@x.example",
        '"bob@x.example"',
        "17",
        "{}",
        {"Item": {}},
        {"Item": ONE, "bob@x.example": 1},
        {"Keys": {"pk": {"S": "bob@x.example"}}, "NewImage": ONE},
        {"pk": "bob@x.example"},
        {"pk": {"S": "bob@x.example", "N": "1"}},
        {"pk": {"X": "bob@x.example"}},
        {"pk": {"N": 17}},
        {"pk": {"SS": []}},
        {"pk": {"BOOL": "bob@x.example"}},
        {"pk": {"M": {"a": "bob@x.example"}}},
        {"Items": [ONE, {"pk": "bob@x.example"}]},
        {"Items": [ONE], "Count": "bob@x.example"},
        {"Items": [ONE], "Bob": 1},
        [ONE, "bob@x.example"],
        b'{"pk": {"S": "\xff bob@x.example"}}',
        '{"pk": {"S": "bob@x.example}}',
        "]",
    ],
)
def test_what_is_no_item_is_a_line_number_without_its_content(bad: Any) -> None:
    message = fault(ONE, bad, TWO)
    assert message.startswith("line 2: ")
    assert "\n" not in message
    assert "bob" not in message.lower()


def test_what_came_before_a_bad_line_was_given_out() -> None:
    found = documents(io.BytesIO(json.dumps(ONE).encode() + b"\nnot json\n"))
    assert list(next(found).items) == [ONE]
    with pytest.raises(UsageError, match="line 2"):
        next(found)


def test_nesting_is_bounded() -> None:
    value: Any = {"S": "x"}
    for _ in range(32):
        value = {"L": [value]}
    assert is_item({"a": value})
    assert fault('{"a":' + '{"L":[' * 300 + "]}" * 300 + "}").startswith("line 1")


def test_a_document_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST_DOCUMENT", 1000)
    endless = io.BufferedReader(io.BytesIO(b"[\n" + b'{"a": {"S": "x"}},\n' * 1000))
    with pytest.raises(UsageError, match="line 1: a document of more than"):
        list(documents(endless))
    assert endless.tell() <= 1100
    with pytest.raises(UsageError, match="line 1: a document of more than"):
        read(b"x" * 1001)


def test_a_line_of_escaped_quotes_is_looked_through_once() -> None:
    tokens = list(lines._TOKEN.finditer(b'{"' + b'\\"' * 50_000))
    assert len(tokens) == 2
