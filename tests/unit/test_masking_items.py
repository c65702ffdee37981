"""The walk over typed JSON: what is masked, what is never touched, what is refused."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from downstage.errors import MaskingError
from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey

PSEUDONYMS = EmailPseudonyms(MaskKey(bytes(range(64))), "test", "u-{token}@test.example.com")
BOB, ANN = PSEUDONYMS.replace("bob@x.example"), PSEUDONYMS.replace("ann@x.example")


class Merging(EmailPseudonyms):
    """Gives everybody the same pseudonym, as a broken one would."""

    def replace(self, address: str) -> str:
        return BOB


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"S": "bob@x.example"}, {"S": BOB}),
        ({"S": "user-email|bob@x.example"}, {"S": f"user-email|{BOB}"}),
        ({"SS": ["a", "bob@x.example", "ann@x.example"]}, {"SS": ["a", BOB, ANN]}),
        ({"B": b64(b"to bob@x.example")}, {"B": b64(f"to {BOB}".encode())}),
        ({"BS": [b64(b"bob@x.example"), b64(b"\xff\x00")]}, {"BS": [b64(BOB.encode()), b64(b"\xff\x00")]}),
        ({"M": {"bob@x.example": {"S": "x"}}}, {"M": {BOB: {"S": "x"}}}),
        ({"L": [{"S": "bob@x.example"}, {"N": "1.10"}]}, {"L": [{"S": BOB}, {"N": "1.10"}]}),
        (
            {"M": {"a": {"L": [{"M": {"b": {"SS": ["bob@x.example"]}}}]}}},
            {"M": {"a": {"L": [{"M": {"b": {"SS": [BOB]}}}]}}},
        ),
    ],
)
def test_addresses_are_replaced_wherever_text_may_stand(value: dict[str, Any], expected: dict[str, Any]) -> None:
    item = {"pk": {"S": "x"}, "v": value, "n": {"N": "0.10"}}
    before = copy.deepcopy(item)
    masker = ItemMasker(PSEUDONYMS)
    masked = masker(item)
    assert masked == {"pk": {"S": "x"}, "v": expected, "n": {"N": "0.10"}}
    assert list(masked) == list(item)
    assert masked["n"] is item["n"]
    assert item == before
    assert masker.replaced >= 1
    assert masker(masked) is masked


def test_names_of_attributes_are_masked_each_time() -> None:
    masker = ItemMasker(PSEUDONYMS)
    for _ in range(2):
        assert masker({"bob@x.example": {"NULL": True}, "b": {"BOOL": False}}) == {
            BOB: {"NULL": True},
            "b": {"BOOL": False},
        }


@pytest.mark.parametrize(
    "value",
    [
        {"N": "1.10"}, {"N": "1E5"}, {"NS": ["1.10", "2"]}, {"BOOL": True}, {"BOOL": False}, {"NULL": True}, {"S": ""},
        {"B": ""}, {"B": b64(bytes(range(256)))}, {"L": []}, {"M": {}}, {"SS": ["@noon", "§@§"]},
        {"BS": [b64(b"\x00")]},
        {"M": {"user@": {"S": "x"}, "@": {"NULL": True}}}, {"S": "https://x.example/?a=1&b=%20"},
    ],
)  # fmt: skip
def test_what_holds_no_address_is_the_same_object(value: dict[str, Any]) -> None:
    item = {"pk": {"S": "case|1"}, "v": value}
    assert ItemMasker(PSEUDONYMS)(item) is item


@pytest.mark.parametrize(
    "value",
    [
        {"SS": ["bob@x.example", "ann@x.example"]},
        {"SS": ["bob@x.example", BOB]},
        {"BS": [b64(b"bob@x.example"), b64(b"ann@x.example")]},
        {"M": {"bob@x.example": {"S": "1"}, "ann@x.example": {"S": "2"}}},
    ],
)
def test_two_that_become_one_are_refused(value: dict[str, Any]) -> None:
    merging = Merging(MaskKey(bytes(range(64))), "test", "u-{token}@test.example.com")
    with pytest.raises(MaskingError, match="the same pseudonym"):
        ItemMasker(merging)({"v": value})


@pytest.mark.parametrize(
    "value",
    [{"X": "a"}, {}, {"S": "a", "N": "1"}, "a", None, ["a"], {"B": "no base64!"}, {"B": "YQ"}, {"S": 1},
        {"B": 1}, {"SS": [1]},
     {"BS": [None]}, {"L": ["a"]}, {"M": {"a": "b"}}, {"L": {"S": "a"}}, {"M": [1]}, {"SS": "bob@x.example"}],
)  # fmt: skip
def test_what_is_not_typed_json_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises(MaskingError) as caught:
        ItemMasker(PSEUDONYMS)({"pk": {"S": "x"}, "v": value})
    assert "bob" not in str(caught.value)
