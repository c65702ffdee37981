"""The digest: one number for each set of items, whatever their order; no two different items share one."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.proof.digest import MODULUS, add, as_hex, canonical_number, item_digest, raw_digest, text_digest

Item = dict[str, Any]


@pytest.mark.parametrize(
    ("spellings", "canonical"),
    [
        (("1.10", "1.1", "11E-1", "+1.1", "0.11e1", "01.1"), "1.1"),
        (("0", "-0", "0.00", "0E+5", "-0.0", "+0"), "0"),
        (("100", "1E2", "1e+2", "100.0", "0.1E3"), "100"),
        (("-120", "-1.2E2", "-12e1"), "-120"),
        (("12345678901234567890123456789012345678",), "12345678901234567890123456789012345678"),
        (("0." + "0" * 129 + "1", "1E-130"), "1e-130"),
        (("99" + "0" * 124, "9.9E125"), "99e124"),
        (("5", "5.0"), "5"),
        (("1E37",), "1" + "0" * 37),
        (("1E38", "10E37"), "1e38"),
        (("-0.05", "-5e-2"), "-0.05"),
        (("1e-37",), "0." + "0" * 36 + "1"),
        (("1e-38",), "1e-38"),
    ],
)
def test_a_number_has_one_form(spellings: tuple[str, ...], canonical: str) -> None:
    assert {canonical_number(spelling) for spelling in spellings} == {canonical}


@pytest.mark.parametrize("text", ["", "x", "NaN", "sNaN", "Infinity", "-Infinity", "1..2", "--1", "0x10", "1e"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|infinities"):
        canonical_number(text)


numbers = st.decimals(allow_nan=False, allow_infinity=False)


@given(numbers, numbers)
def test_numbers_are_equal_if_and_only_if_their_forms_are(one: Decimal, other: Decimal) -> None:
    assert (canonical_number(str(one)) == canonical_number(str(other))) == (one == other)
    assert Decimal(canonical_number(str(one))) == one


DIFFERENT: list[Item] = [
    {}, {"a": {"S": "1"}}, {"a": {"N": "1"}}, {"b": {"S": "1"}}, {"a": {"B": "1"}}, {"a": {"S": ""}}, {"a": {"B": ""}},
    {"a": {"SS": ["1"]}}, {"a": {"NS": ["1"]}}, {"a": {"BS": ["1"]}}, {"a": {"L": [{"S": "1"}]}}, {"a": {"L": []}},
    {"a": {"M": {}}}, {"a": {"BOOL": True}}, {"a": {"BOOL": False}}, {"a": {"NULL": True}}, {"a": {"N": "0"}},
    {"a": {"SS": ["1", "2"]}}, {"a": {"SS": ["12"]}}, {"a": {"L": [{"S": "1"}, {"S": "2"}]}}, {"a": {"S": "T"}},
    {"a": {"L": [{"S": "2"}, {"S": "1"}]}}, {"a": {"L": [{"L": []}, {"L": []}]}}, {"a": {"L": [{"L": [{"L": []}]}]}},
    {"a": {"M": {"b": {"S": "1"}}}}, {"a": {"M": {}}, "b": {"S": "1"}}, {"a": {"M": {"b": {"NULL": True}}}},
    {"": {"S": "1"}},
    {"a": {"S": "1k1:bS1:2"}}, {"a": {"S": "1"}, "b": {"S": "2"}}, {"a": {"S": "é"}}, {"a": {"S": "e\u0301"}},
    {"aS1:1": {"S": ""}}, {"a": {"S": "0"}}, {"a": {"SS": ["a", "b"]}}, {"a": {"BS": ["YQ==", "Yg=="]}},
    {"a": {"S": "\ud800"}},
]  # fmt: skip


def test_different_items_have_different_digests() -> None:
    assert len({item_digest(item) for item in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"S": "1"}, "b": {"N": "1.10"}}, {"b": {"N": "11E-1"}, "a": {"S": "1"}}),
        ({"a": {"SS": ["x", "y"]}}, {"a": {"SS": ["y", "x"]}}),
        ({"a": {"NS": ["1.0", "20"]}}, {"a": {"NS": ["2E1", "1"]}}),
        ({"a": {"BS": ["YQ==", "Yg=="]}}, {"a": {"BS": ["Yg==", "YQ=="]}}),
        ({"a": {"M": {"x": {"N": "-0"}, "y": {"L": []}}}}, {"a": {"M": {"y": {"L": []}, "x": {"N": "0"}}}}),
    ],
)
def test_the_same_item_written_otherwise_has_the_same_digest(one: Item, other: Item) -> None:
    assert item_digest(one) == item_digest(other)


@pytest.mark.parametrize("value", [{"X": "1"}, {}, {"S": "a", "N": "1"}, {"N": "NaN"}])
def test_what_dynamodb_does_not_know_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        item_digest({"a": value})


texts = st.text(max_size=6)
leaves = st.one_of(
    texts.map(lambda text: {"S": text}),
    st.integers(-50, 50).map(lambda number: {"N": str(number)}),
    st.booleans().map(lambda value: {"BOOL": value}),
    st.just({"NULL": True}),
    st.sets(texts, min_size=1, max_size=3).map(lambda members: {"SS": sorted(members)}),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(texts, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
items: st.SearchStrategy[Item] = st.dictionaries(texts, values, max_size=3)


@given(items, items)
def test_equal_digests_mean_equal_items(one: Item, other: Item) -> None:
    assert (item_digest(one) == item_digest(other)) == (one == other)


@given(items)
def test_the_digest_depends_on_nothing_else_and_changes_nothing(item: Item) -> None:
    before = copy.deepcopy(item)
    turned = dict(reversed(item.items()))
    assert item_digest(item) == item_digest(turned)
    assert item == before
    assert 0 <= item_digest(item) < MODULUS


@given(st.lists(items, max_size=6), st.randoms(use_true_random=False), st.integers(0, 6))
def test_sums_do_not_depend_on_order_or_lanes(rows: list[Item], random: Any, cut: int) -> None:
    total = 0
    for row in rows:
        total = add(total, item_digest(row))
    shuffled = rows[:]
    random.shuffle(shuffled)
    lanes = [0, 0]
    for place, row in enumerate(shuffled):
        lanes[place < cut] = add(lanes[place < cut], item_digest(row))
    assert add(*lanes) == total
    assert len(as_hex(total)) == 32
    assert int(as_hex(total), 16) == total


def test_twice_the_same_item_is_not_none() -> None:
    digest = item_digest({"a": {"S": "1"}})
    assert add(digest, digest) not in (0, digest)
    assert add(MODULUS - 1, 1) == 0


def test_the_digest_is_frozen() -> None:
    item = {"pk": {"S": "x"}, "n": {"N": "1.10"}, "l": {"L": [{"BOOL": True}, {"NULL": True}]}}
    assert as_hex(item_digest(item)) == "b89f9cfb80af30049ab6abf8b7b7c0c7"
    assert as_hex(text_digest("a_b")) == "abbc2fecf0b7c429adf3139019911f03"
    assert text_digest("a_b") != text_digest("a_c")


raw_numbers = st.one_of(
    numbers.map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["1.50", "0.5", "-0", "1e2", "100", "007"]),
)
raw_texts = st.one_of(
    texts, st.sampled_from(['a"b', "a\\", "x\ny", "\x7f", "{ }", ', "', '": ', '"N":"1.0"', "é/", "\u2028"])
)
raw_leaves = st.one_of(
    leaves,
    raw_texts.map(lambda text: {"S": text}),
    raw_numbers.map(lambda number: {"N": number}),
    st.lists(raw_numbers, min_size=1, max_size=2).map(lambda members: {"NS": members}),
)
raw_items = st.dictionaries(
    raw_texts,
    st.one_of(
        raw_leaves,
        st.dictionaries(raw_texts, raw_leaves, max_size=3).map(lambda members: {"M": members}),
        st.lists(raw_leaves, max_size=2).map(lambda members: {"L": members}),
    ),
    max_size=4,
)


@given(raw_items, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]))
def test_the_digest_of_the_bytes_is_the_digest_of_the_item(
    item: Item, ascii_only: bool, indent: int | None, separators: tuple[str, str]
) -> None:
    turned = dict(reversed(item.items()))
    raw = json.dumps(turned, ensure_ascii=ascii_only, indent=indent, separators=separators)
    assert raw_digest(raw.encode()) == item_digest(item)


@pytest.mark.parametrize("raw", [b"", b'{"a":', b'{"a":{"N":"NaN"}}', b'{"a":{"X":"1"}, "b":{"SS":["1"]}}', b"\xff"])
def test_bytes_that_are_no_item_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        raw_digest(raw)
