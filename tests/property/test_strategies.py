"""What every strategy keeps, on thousands of values: pure, idempotent and injective where it says so, of the same
type, never what it was given, never in a message, and no more draws than its output needs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from downstage.domain.policy import StrategySpec
from downstage.errors import MaskingError
from downstage.masking.address import find
from downstage.masking.draws import Draw
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import KeyedHash, MaskKey
from downstage.masking.strategies import KNOWN, make
from downstage.masking.strategies.base import DROPPED, Attribute, Place, Strategy
from downstage.masking.strategies.drawn import Stream
from downstage.masking.strategies.lists import fake_list

KEY = MaskKey(bytes(range(64)))
PLACE = Place("a.*.b", {"pk": {"S": "user|1"}})
OPTIONS: dict[str, dict[str, Any]] = {
    "date_shift": {"days": 3660},
    "number_noise": {"percent": 50},
    "pick": {"from": ["red", "blue", "green"]},
    "template": {"text": "P-{token}"},
    "hook": {"call": "tests.unit.test_strategies_hook:shout"},
}


def email() -> EmailPseudonyms:
    return EmailPseudonyms(KEY, "test", "u-{token}@test.example.com", ["ourco.example"])


def strategy(name: str) -> Strategy:
    return make(StrategySpec(name, OPTIONS.get(name, {})), lambda domain: Draw(KEY, "test", domain), email())


MADE = {name: strategy(name) for name in sorted(KNOWN)}
AGAIN = {name: strategy(name) for name in sorted(KNOWN)}

PIECES = st.sampled_from(
    [
        *"0123456789 -.,;:()<>+@#/'\"[]{}_=&",
        *("555-123-4567", "+44 20 7946 0123", "123-45-6789", "4111 1111 1111 1111", "10.1.2.3", "fe80::1", "::"),
        *(
            "Ann",
            "Lee",
            "Jr",
            "Dr.",
            "ann@x.example",
            "ops@ourco.example",
            "SSN: ",
            "x12",
            "ext",
            "Apt",
            "IL",
            "PO Box",
        ),
        *("2024-02-29", "1700000000", "\n", "\u2013", "٣", "é", "李", "\u0301", "@x", "\0"),
    ]
)
TEXTS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join))
NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20).map(str),
)
LEAVES = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    NUMBERS.map(lambda number: {"N": number}),
    st.sampled_from([{"B": "AAA="}, {"BOOL": True}, {"NULL": True}]),
)


def outcome(made: Strategy, value: Attribute) -> Attribute | str:
    """The new value, or the message of a refusal."""
    try:
        return made.replace(value, PLACE)
    except MaskingError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(KNOWN))
@settings(max_examples=150, deadline=None)
@given(value=LEAVES)
@example({"S": "_,[fe80::1\xa0{555-1111 555=6"})
@example({"S": "0004-18-4331#_3617-#٣"})
@example({"S": "5 4111 1111 1111 1111 123"})
def test_pure_of_one_type_idempotent_and_silent(name: str, value: Attribute) -> None:
    made = MADE[name]
    result = outcome(made, value)
    assert outcome(AGAIN[name], value) == result
    if isinstance(result, str):
        assert "a.*.b" not in result
        for content in value.values():
            assert len(str(content)) < 4 or str(content) not in result
        return
    if result is DROPPED:
        assert name == "drop"
        return
    assert set(result) == ({"NULL"} if name == "null" else set(value))
    if made.idempotent:
        assert made.replace(result, PLACE) == result


def distinct(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"user {number}"
        yield f"User {number}"
        yield f"person{number}@x.example"
        yield f"Person{number}@x.example"
        yield f"Ann {number} <person{number}@x.example>"
        yield f"<person{number}@x.example>"
        yield f"person{number}@x.example;person{number}@x.example"


@pytest.mark.parametrize("name", [name for name, made in MADE.items() if made.injective])
def test_distinct_stays_distinct(name: str) -> None:
    values = list(distinct(1500))
    results = {MADE[name].replace({"S": value}, PLACE)["S"] for value in values}
    assert len(results) == len(values)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2, max_size=6, unique=True))
@example(["a@[1.2.3.4]b@y.example", "a@[1.2.3.4] b@y.example"])
@example(["mailto:a@x.example", "mailto: a@x.example", " mailto:a@x.example"])
def test_distinct_texts_stay_distinct_as_addresses(texts: list[str]) -> None:
    ours = email()
    results = [MADE["email"].replace({"S": text}, PLACE)["S"] for text in texts]
    assert len(set(results)) == len(texts)
    for text, result in zip(texts, results, strict=True):
        rest = result
        for start, end in reversed(list(find(result))):
            assert ours.allowed(result[start:end])
            rest = rest[:start] + rest[end:]
        assert not any(map(str.isalnum, rest)), "something that is neither kept nor ours survives"
        assert bool(result) == bool(text)


@settings(max_examples=500, deadline=None)
@given(value=st.one_of(TEXTS, st.from_regex(r"[+(]?[0-9][0-9 ()-]{2,18}", fullmatch=True)))
def test_a_phone_reaches_nobody(value: str) -> None:
    result = MADE["phone"].replace({"S": value}, PLACE)["S"]
    number = re.sub(r"(?i)[ ,;]{0,2}(?:extension|ext\.?|x|#)[ :]{0,2}0{1,8}\s*\Z", "", result)
    digits = "".join(character for character in number if character.isdecimal())
    assert not any(map(str.isalpha, number))
    nowhere = digits.startswith(("000", "999")) or (len(digits) < 7 and set(digits) <= {"0"})
    assert nowhere or re.fullmatch("1?[2-9][0-8][0-9]55501[0-9]{2}", digits)


@settings(max_examples=300, deadline=None)
@given(value=st.integers(1, 10**15).map(str))
def test_a_phone_and_an_ssn_as_numbers_belong_to_nobody(value: str) -> None:
    phone = MADE["phone"].replace({"N": value}, PLACE)["N"]
    short = len(value) < 7 and set(phone) == {"0"}
    assert short or phone.startswith("999") or re.fullmatch("1?[2-9][0-8][0-9]55501[0-9]{2}", phone)
    assert MADE["ssn"].replace({"N": value}, PLACE)["N"].startswith("666")


LOSSY = ["given_name", "family_name", "name", "city", "postcode", "address"]


@pytest.mark.parametrize("name", LOSSY)
@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.from_regex(r"[A-Za-z0-9]{1,10}", fullmatch=True), min_size=1, max_size=4))
def test_the_value_itself_never_comes_out(name: str, words: list[str]) -> None:
    value = " ".join(words)
    result = MADE[name].replace({"S": value}, PLACE)["S"]
    assert result.casefold() != value.casefold()
    assert result


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, 2**32 - 1), six=st.integers(1, 2**128 - 1))
def test_an_ip_address_becomes_one_for_documentation(number: int, six: int) -> None:
    networks = [ipaddress.ip_network(f"{start}.0/24") for start in ("192.0.2", "198.51.100", "203.0.113")]
    four = MADE["text"].replace({"S": f"from {ipaddress.IPv4Address(number)}, then"}, PLACE)["S"]
    assert any(ipaddress.ip_address(four[5:-6]) in network for network in networks)
    result = MADE["text"].replace({"S": f"from {ipaddress.IPv6Address(six)}, then"}, PLACE)["S"]
    assert ipaddress.ip_address(result[5:-6]) in ipaddress.ip_network("2001:db8::/32")


SMALL = [*"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *(f"{number:02}" for number in range(100))]


@pytest.mark.parametrize("name", ["postcode", "name", "given_name"])
@pytest.mark.parametrize("domain", ["one", "two", "three", "four"])
def test_where_there_is_little_to_draw_from_it_is_another_still(name: str, domain: str) -> None:
    made = make(StrategySpec(name, {"domain": domain}), lambda domain: Draw(KEY, "test", domain), email())
    assert [value for value in SMALL if made.replace({"S": value}, PLACE)["S"] == value] == []


@pytest.mark.parametrize(("name", "words"), [("given_name", "given"), ("family_name", "family"), ("city", "city")])
def test_an_entry_of_a_list_becomes_another(name: str, words: str) -> None:
    for domain in ("one", "two", "three", "four"):
        made = make(StrategySpec(name, {"domain": domain}), lambda domain: Draw(KEY, "test", domain), email())
        assert [word for word in fake_list(words) if made.replace({"S": word}, PLACE)["S"] == word] == []


def test_the_area_codes_are_those_of_places() -> None:
    areas = {MADE["phone"].replace({"S": f"555{number:07}"}, PLACE)["S"][:3] for number in range(20_000)}
    assert not areas & {"800", "833", "844", "855", "866", "877", "888", "900", "911", "411"}
    assert len(areas) > 500


def test_a_date_moves_both_ways_and_never_stays() -> None:
    made = make(StrategySpec("date_shift", {"days": 1}), lambda domain: Draw(KEY, "test", domain), email())
    moved = {int(made.replace({"N": str(86400 * day)}, PLACE)["N"]) - 86400 * day for day in range(1, 200)}
    assert moved == {-86400, 86400}


def test_noise_makes_no_negative_zero_and_stays_within_its_percent() -> None:
    made = make(StrategySpec("number_noise", {"percent": 100}), lambda domain: Draw(KEY, "test", domain), email())
    results = {made.replace({"S": f"-0.{digits}1"}, PLACE)["S"] for digits in ("", "0", "00", "000", "0000")}
    results |= {made.replace({"S": text}, PLACE)["S"] for text in ("-1e0", "-1", "-1E-5", "-1e-7", "-01", "-001")}
    assert any(not float(result) for result in results)
    assert not any(result.startswith("-") and not float(result) for result in results)


def test_a_stream_does_not_repeat_itself() -> None:
    digits = Stream(Draw(KEY, "test", "x"), "x").digits(2000)
    assert len({digits[at : at + 20] for at in range(1980)}) == 1980
    assert all(150 <= digits.count(digit) <= 250 for digit in "0123456789")


LONG = {
    "digits": "7" * 40_000,
    "pairs": "12 " * 13_000,
    "words": "Ann " * 10_000,
    "different words": " ".join(f"w{number}" for number in range(6_000)),
    "commas": "1 Elm Rd, " * 4_000,
    "phones": "555-123-4567 " * 3_000,
    "addresses": "ann@x.example " * 3_000,
    "signs": "@" * 40_000,
    "colons": "a:" * 20_000,
}


@pytest.mark.parametrize("name", sorted(KNOWN - {"hook"}))
@pytest.mark.parametrize("value", LONG.values(), ids=list(LONG))
def test_the_work_is_bounded_by_the_length(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws cost what they hash: at most so many bytes, not the value for every word of it."""
    hashed = 0
    digest = KeyedHash.digest

    def counted(self: KeyedHash, message: bytes) -> bytes:
        nonlocal hashed
        hashed += len(message)
        return digest(self, message)

    monkeypatch.setattr(KeyedHash, "digest", counted)
    made = strategy(name)
    outcome(made, {"S": value})
    assert hashed <= 16 * len(value) + 10_000


def test_a_name_costs_one_draw_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = 0
    digest = KeyedHash.digest

    def counted(self: KeyedHash, message: bytes) -> bytes:
        nonlocal draws
        draws += 1
        return digest(self, message)

    monkeypatch.setattr(KeyedHash, "digest", counted)
    made = strategy("name")
    for _ in range(1000):
        made.replace({"S": "Dr. Ann Mary Lee, Jr."}, PLACE)
    assert draws == 3
