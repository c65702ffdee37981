"""Every strategy by a table of examples: what becomes of a value, what stays of its form, what is refused."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from downstage.domain.policy import StrategySpec
from downstage.errors import ConfigError, MaskingError
from downstage.masking.draws import Draw
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.shapes import luhn_digit
from downstage.masking.strategies import KNOWN, lists, make
from downstage.masking.strategies.base import DROPPED, Attribute, Place, Strategy

KEY = MaskKey(bytes(range(64)))
EMAIL = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com", ["ourco.example"])
OPTIONS: dict[str, dict[str, Any]] = {
    "date_shift": {"days": 30},
    "number_noise": {"percent": 10},
    "pick": {"from": ["red", "blue"]},
    "template": {"text": "P-{token}"},
    "hook": {"call": "tests.unit.test_strategies_hook:shout"},
}


def draws(domain: str) -> Draw:
    return Draw(KEY, "test", domain)


def strategy(name: str, **options: Any) -> Strategy:
    return make(StrategySpec(name, options or OPTIONS.get(name, {}), "masking.yaml:3:7"), draws, EMAIL)


def masked(name: str, value: str | Attribute, item: dict[str, Any] | None = None, **options: Any) -> Any:
    """The content of the new value."""
    given = {"S": value} if isinstance(value, str) else value
    ((kind, content),) = strategy(name, **options).replace(given, Place("a.b", item or {})).items()
    assert kind in given
    return content


PHONES = [
    ("(555) 123-4567", r"\([2-9][0-9]{2}\) 555-01[0-9]{2}"),
    ("+1 555.123.4567", r"\+1 [2-9][0-9]{2}\.555\.01[0-9]{2}"),
    ("1-800-555-0100", r"1-[2-7][0-9]{2}-555-01[0-9]{2}|1-[89][0-9]{2}-555-01[0-9]{2}"),
    ("5551234567", r"[2-9][0-9]{2}55501[0-9]{2}"),
    ("555 123 4567 x12", r"[2-9][0-9]{2} 555 01[0-9]{2} x00"),
    ("555 123 4567 ext. 9", r"[2-9][0-9]{2} 555 01[0-9]{2} ext\. 0"),
    ("+44 20 7946 0123", r"\+99 9[0-9] [0-9]{4} [0-9]{4}"),
    ("+4712345678", r"\+999[0-9]{7}"),
    ("020 7946 0123", r"000 [0-9]{4} [0-9]{4}"),
    ("0044 20 7946 0123", r"000[0-9] [0-9]{2} [0-9]{4} [0-9]{4}"),
    ("123-4567", r"000-[0-9]{4}"),
    ("911", "000"),
    ("Ann, 555-123-4567", r"[2-9][0-9]{2}55501[0-9]{2}"),
    ("n/a", r"[2-9][0-9]{2}55501[0-9]{2}"),
    ("1" * 65, r"[2-9][0-9]{2}55501[0-9]{2}"),
    ("٠١٢٣٤٥٦", r"000[0-9]{4}"),
    ("555 123 4567 x٣", r"[2-9][0-9]{2} 555 01[0-9]{2} x0"),
    ("0123 456 789", r"000[0-9] [0-9]{3} [0-9]{3}"),
    ("-", "-"),
]


@pytest.mark.parametrize(("text", "form"), PHONES)
def test_phone(text: str, form: str) -> None:
    assert re.fullmatch(form, masked("phone", text))


@pytest.mark.parametrize("text", ["(312) 555-0142", "+1 312 555 0142 x00", "+999 1234", "000-1234", "3125550142"])
def test_a_phone_that_reaches_nobody_stays(text: str) -> None:
    assert masked("phone", text) == text


def test_the_same_phone_written_otherwise_is_the_same() -> None:
    spellings = ["(555) 123-4567", "555.123.4567", "+1 555 123 4567", "15551234567"]
    assert len({re.sub("[^0-9]", "", masked("phone", spelling))[-10:] for spelling in spellings}) == 1


def test_phone_as_a_number() -> None:
    assert masked("phone", {"N": masked("phone", {"N": "1234567890"})}) == masked("phone", {"N": "1234567890"})
    assert masked("phone", {"N": "5551234567"}) == masked("phone", "5551234567")
    assert re.fullmatch("999[0-9]{9}", masked("phone", {"N": "447946012345"}))


SSNS = [
    ("123-45-6789", r"000-[0-9]{2}-[0-9]{4}"),
    ("123456789", r"000[0-9]{6}"),
    ("SSN 123-45-6789", r"XXX 000-[0-9]{2}-[0-9]{4}"),
    ("xxx-xx-6789", r"XXX-XX-000[0-9]"),
    ("12", "00"),
    ("000-12-3456", "000-12-3456"),
]


@pytest.mark.parametrize(("text", "form"), SSNS)
def test_ssn(text: str, form: str) -> None:
    assert re.fullmatch(form, masked("ssn", text))


def test_ssn_as_a_number_has_nine_digits_that_were_never_issued() -> None:
    assert re.fullmatch("666[0-9]{6}", masked("ssn", {"N": "12345678"}))
    assert masked("ssn", {"N": "12345678"})[3:] == masked("ssn", "012-34-5678").replace("-", "")[3:]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("62701", "[0-9]{5}"),
        ("62701-1234", "[0-9]{5}-[0-9]{4}"),
        ("SW1A 2AA", "[A-Z]{2}[0-9][A-Z] [0-9][A-Z]{2}"),
        ("k1a0b1", "[a-z][0-9][a-z][0-9][a-z][0-9]"),
    ],
)
def test_postcode(text: str, form: str) -> None:
    assert re.fullmatch(form, masked("postcode", text))
    assert masked("postcode", text) != text


def test_postcode_as_a_number_keeps_its_length() -> None:
    assert re.fullmatch("[1-9][0-9]{3}", masked("postcode", {"N": "2139"}))


GIVEN, FAMILY = masked("given_name", "Ann"), masked("family_name", "Lee")
NAMES = [
    ("Ann Lee", f"{GIVEN} {FAMILY}"),
    ("ann  lee", f"{GIVEN.lower()}  {FAMILY.lower()}"),
    ("ANN LEE", f"{GIVEN.upper()} {FAMILY.upper()}"),
    ("Lee, Ann", f"{FAMILY}, {GIVEN}"),
    ("Dr. Ann Lee, Jr.", f"Dr. {GIVEN} {FAMILY}, Jr."),
    ("Lee, Ann, M.D.", f"{FAMILY}, {GIVEN}, M.D."),
    ("Hon. Ann Lee III", f"Hon. {GIVEN} {FAMILY} III"),
    ("Mr. Lee", f"Mr. {FAMILY}"),
    ("Ann", GIVEN),
    ("Ann-Ann Lee-Lee", f"{GIVEN}-{GIVEN} {FAMILY}-{FAMILY}"),
    (", -", ", -"),
]


@pytest.mark.parametrize(("text", "expected"), NAMES)
def test_name(text: str, expected: str) -> None:
    assert masked("name", text) == expected


def test_initials_become_other_initials() -> None:
    found = re.fullmatch(rf"([A-Z])\. ([a-z]) {FAMILY}", masked("name", "J. r Lee"))
    assert found
    assert (found[1], found[2]) != ("J", "r")


@pytest.mark.parametrize(
    "text",
    ["Judge", "Jr", "Mr", "Sr, Jr", "Dr, Ann", "MD", "Acme Widgets Inc", "李小龍", "O'Brien", "José", "3rd", "x@y"],
)
def test_no_word_passes_through_as_a_name(text: str) -> None:
    for name in ("name", "given_name", "family_name"):
        words = set(re.findall(r"[^\s,]+", text))
        kept = words & set(re.findall(r"[^\s,]+", masked(name, text)))
        assert kept <= ({"Jr"} if text == "Sr, Jr" else set())


def test_names_in_one_domain_of_their_own_still_agree() -> None:
    given = masked("given_name", "Ann", domain="people")
    family = masked("family_name", "Lee", domain="people")
    assert masked("name", "Ann Lee", domain="people") == f"{given} {family}"
    assert (given, family) != (GIVEN, FAMILY)


ADDRESSES = [
    ("123 Main St", r"[1-9][0-9]{2} [A-Z][A-Za-z ]+"),
    ("123 MAIN ST", r"[1-9][0-9]{2} [A-Z ]+"),
    ("12 Elm Rd Unit 5", r"[1-9][0-9] [A-Z][A-Za-z ]+ Unit [0-9]"),
    ("12 Elm Rd #4", r"[1-9][0-9] [A-Z][A-Za-z ]+ #[0-9]"),
    ("P.O. Box 77", r"P\.O\. Box [0-9]{2}"),
    ("1 Elm Rd, Apt 4B\nSpringfield, IL 62701", r"[1-9] [A-Za-z ]+, Apt [0-9][A-Z]\n[A-Za-z ]+, [A-Z]{2} [0-9]{5}"),
    ("Flat 3, Elm House, London, SW1A 2AA", r"Flat [0-9], [A-Za-z ]+, [A-Za-z ]+, [A-Z]{2}[0-9][A-Z] [0-9][A-Z]{2}"),
    (" , ", " , "),
]


@pytest.mark.parametrize(("text", "form"), ADDRESSES)
def test_address(text: str, form: str) -> None:
    result = masked("address", text)
    assert re.fullmatch(form, result)
    for word in ("Main", "MAIN", "Elm", "Springfield", "London", "62701", "IL ", "77"):
        assert word not in result


def test_the_parts_of_an_address_agree_with_their_own_strategies() -> None:
    result = masked("address", "1 Elm Rd, Springfield, IL 62701")
    assert f", {masked('city', 'Springfield')}, " in result
    assert result.endswith(" " + masked("postcode", "62701"))


def test_city() -> None:
    assert masked("city", "Springfield") in lists.fake_list("city")
    assert masked("city", "SPRINGFIELD") == masked("city", "springfield").upper()


DATES = [
    ("2024-02-29", r"2024-0[1-3]-[0-9]{2}"),
    ("2024-02-29T23:59:60.123456789Z", r"2024-0[1-3]-[0-9]{2}T23:59:60\.123456789Z"),
    ("2024-02-29 10:00:00+01:00", r"2024-0[1-3]-[0-9]{2} 10:00:00\+01:00"),
    ("02/09/2024", r"0[1-3]/[0-9]{2}/2024"),
    ("2/9/2024", r"[1-3]/[0-9]{1,2}/2024"),
    ("02/09/2024 3:15 PM", r"0[1-3]/[0-9]{2}/2024 3:15 PM"),
    ("9999-12-31", r"9999-1[12]-[0-9]{2}"),
    ("0001-01-01", r"0001-0[12]-[0-9]{2}"),
]


@pytest.mark.parametrize(("text", "form"), DATES)
def test_date_shift(text: str, form: str) -> None:
    result = masked("date_shift", text)
    assert re.fullmatch(form, result)
    assert result != text


@pytest.mark.parametrize("text", ["1700000000", "1700000000123", "-631152000", "1700000000.250", "0"])
def test_a_time_since_1970_moves_by_whole_days(text: str) -> None:
    result = masked("date_shift", {"N": text})
    unit = 1000 if len(text) == 13 else 1
    moved = round(float(result) - float(text)) / (86400 * unit)
    assert moved == int(moved)
    assert 1 <= abs(moved) <= 30
    assert result.partition(".")[2] == text.partition(".")[2]


@pytest.mark.parametrize("text", ["2023-02-29", "2024-13-01", "soon", "2024", "2024-01-01x", "1" * 15, "2024-1-1"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(MaskingError) as error:
        masked("date_shift", text)
    assert text not in str(error.value)


def test_dates_of_one_person_move_together() -> None:
    item = {"pk": {"S": "user|1"}}
    first, second = (masked("date_shift", text, item, days=300, by="pk") for text in ("2024-01-01", "2024-01-11"))
    assert (int(second[-2:]) - int(first[-2:])) % 30 in (10, 9, 11, 12)
    seconds = [int(masked("date_shift", {"N": text}, item, days=300, by="pk")) for text in ("1700000000", "1800000000")]
    assert seconds[1] - seconds[0] == 100_000_000
    others: list[dict[str, Any]] = [{}, {"pk": {"NULL": True}}, {"pk": {"M": {}}}]
    for other in others:
        with pytest.raises(MaskingError, match="goes by an attribute that this item lacks"):
            masked("date_shift", "2024-01-01", other, days=300, by="pk")


@pytest.mark.parametrize("text", ["1000000", "-3.1000", "0.5000", "9" * 38, "1234567890123456789.0123456789012345678"])
def test_number_noise(text: str) -> None:
    for value in (text, {"N": text}):
        result = masked("number_noise", value)
        assert result != text
        assert abs(float(result) / float(text) - 1) <= 0.1
        assert result.startswith("-") == text.startswith("-")
        assert len(result.partition(".")[2]) == len(text.partition(".")[2])
        assert len(re.sub("[^0-9]", "", result)) <= 38


@pytest.mark.parametrize(("text", "expected"), [("0", "0"), ("0.00", "0.00"), ("-0", "-0"), ("-0.0001", None)])
def test_number_noise_of_nothing(text: str, expected: str | None) -> None:
    result = masked("number_noise", text, percent=100)
    assert result == expected or (expected is None and result in ("0.0000", "-0.0001", "-0.0002"))


def test_number_noise_with_an_exponent_is_still_a_number() -> None:
    assert 0.9e30 <= float(masked("number_noise", {"N": "1E+30"})) <= 1.1e30
    assert masked("number_noise", {"N": "9.9E+125"}).startswith(("8.", "9."))


@pytest.mark.parametrize("text", ["x", "", "1e999", "1" * 39, "1" * 200, "NaN", "Infinity", "1,5"])
def test_number_noise_of_no_number_is_refused(text: str) -> None:
    if text:
        with pytest.raises(MaskingError):
            masked("number_noise", text)
    else:
        assert masked("number_noise", text) == ""


def test_text_replaces_in_place_and_as_the_strategies_do() -> None:
    text = "Call 555-123-4567 (SSN 123-45-6789), card 4111 1111 1111 1111, from 10.1.2.3 or fe80::1 at 12:30:45."
    result = masked("text", text)
    found = re.fullmatch(
        r"Call (\S+) \(SSN (\S+)\), card (4000 00[0-9]{2} [0-9]{4} [0-9]{4}),"
        r" from ((?:192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9]+) or (2001:db8:[0-9a-f:]+) at 12:30:45\.",
        result,
    )
    assert found
    assert found[1] == masked("phone", "555-123-4567")
    assert found[2] == masked("ssn", "123-45-6789")
    card = found[3].replace(" ", "")
    assert luhn_digit(card[:-1]) == card[-1]


def test_text_of_some_kinds_leaves_the_others() -> None:
    text = "Call 555-123-4567 from 10.1.2.3"
    assert masked("text", text, kinds=["ip"]).startswith("Call 555-123-4567 from ")
    assert masked("text", text, kinds=["phone"]).endswith(" from 10.1.2.3")


P = EMAIL.replace
EMAILS = [
    ("bob@x.example", P("bob@x.example")),
    ("Bob@x.example", P("Bob@x.example")),
    (P("bob@x.example"), P("bob@x.example")),
    ("ops@ourco.example", "ops@ourco.example"),
    ("a@x.example, <b@y.example>;", f"{P('a@x.example')}, <{P('b@y.example')}>;"),
]


@pytest.mark.parametrize(("text", "expected"), EMAILS)
def test_email(text: str, expected: str) -> None:
    assert masked("email", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Ann Lee <ann@x.example>",
        '"Ann Lee" <ann@x.example>',
        "ann@x.example (Ann)",
        "mailto:ann@x.example",
        "Ann: <ann@x.example>",
    ],
)
def test_a_name_beside_an_address_does_not_survive(text: str) -> None:
    result = masked("email", text)
    assert "ann" not in result.lower().replace(P("ann@x.example"), "")
    assert P("ann@x.example") in result
    assert masked("email", result) == result


@pytest.mark.parametrize("text", ["n/a", "bob at x", "N/A", "ourco.example", "bob%40x.example", "@"])
def test_what_is_no_address_becomes_one_pseudonym(text: str) -> None:
    result = masked("email", text)
    assert EMAIL.is_pseudonym(result)
    assert masked("email", result) == result


def test_texts_that_differ_in_case_only_join_and_stay_apart() -> None:
    assert masked("email", "N/A") != masked("email", "n/a")
    assert masked("email", "N/A").lower() == masked("email", "n/a")


def test_hash() -> None:
    assert re.fullmatch("[a-z]{32}", masked("hash", "x"))
    assert re.fullmatch("[a-z]{64}", masked("hash", "x", letters=64))
    assert re.fullmatch("[1-9][0-9]{35}", masked("hash", {"N": "5"}))
    assert masked("hash", {"N": "1"}) == masked("hash", {"N": "1.0"}) != masked("hash", {"N": "10"})
    assert masked("hash", {"N": "9" * 37 + "8"}) != masked("hash", {"N": "9" * 38})
    assert len(base64.b64decode(masked("hash", {"B": "AAA="}))) == 32
    assert masked("hash", "x") != masked("hash", "X")


def test_template() -> None:
    assert re.fullmatch("P-[a-z]{32}", masked("template", "x"))
    assert re.fullmatch("A[a-z]{4}-[0-9]{6}/[a-z]{32}", masked("template", "x", text="A{token:4}-{digits:6}/{token}"))
    assert masked("template", "x", text="{token}", domain="hash/v1") == masked("hash", "x")


def test_pick() -> None:
    assert {masked("pick", str(number)) for number in range(50)} == {"red", "blue"}
    numbers: dict[str, Any] = {"from": ["1", "2"]}
    truths: dict[str, Any] = {"from": ["true", "false"]}
    assert {masked("pick", {"N": str(number)}, **numbers) for number in range(50)} == {"1", "2"}
    assert masked("pick", {"BOOL": True}, **truths) in (True, False)
    for value in ({"N": "7"}, {"BOOL": True}, {"B": "AAA="}):
        with pytest.raises(MaskingError):
            masked("pick", value)


def test_redact_opens_what_it_is_given() -> None:
    value = {
        "M": {
            "a": {"L": [{"S": "x"}, {"N": "5"}, {"NULL": True}, {"BOOL": True}, {"S": ""}]},
            "b": {"SS": ["x", "y"]},
            "c": {"NS": ["1", "2"]},
            "d": {"BS": ["AAA="]},
            "e": {"B": "AAA="},
        }
    }
    dashes = base64.b64encode(b"--").decode()
    assert strategy("redact", **{"with": "--"}).replace(value, Place("a", {})) == {
        "M": {
            "a": {"L": [{"S": "--"}, {"N": "0"}, {"NULL": True}, {"BOOL": False}, {"S": ""}]},
            "b": {"SS": ["--"]},
            "c": {"NS": ["0"]},
            "d": {"BS": [dashes]},
            "e": {"B": dashes},
        }
    }
    assert masked("redact", "x") == "[redacted]"


@pytest.mark.parametrize("value", [{"S": "x"}, {"M": {"a": {"S": "x"}}}, {"NULL": True}, {"S": ""}])
def test_drop_null_and_keep(value: Attribute) -> None:
    assert strategy("drop").replace(value, Place("a", {})) is DROPPED
    assert strategy("null").replace(value, Place("a", {})) == {"NULL": True}
    assert strategy("keep").replace(value, Place("a", {})) is value


TREATED = {
    "S": KNOWN,
    "N": {"phone", "ssn", "postcode", "number_noise", "date_shift", "hash", "redact", "drop", "null", "keep", "hook"},
    "B": {"redact", "drop", "null", "keep", "hash", "hook"},
    "BOOL": {"redact", "drop", "null", "keep", "hook"},
}
SAMPLES: dict[str, Any] = {"S": "1700000000", "N": "1700000000", "B": "AAA=", "BOOL": True}


@pytest.mark.parametrize("name", sorted(KNOWN))
@pytest.mark.parametrize("kind", ["S", "N", "B", "BOOL"])
def test_each_type_is_treated_or_refused_without_the_value(name: str, kind: str) -> None:
    value = {kind: SAMPLES[kind]}
    if name in TREATED[kind]:
        result = strategy(name).replace(value, Place("a", {}))
        assert result is DROPPED or set(result) <= {kind, "NULL"}
    else:
        with pytest.raises(MaskingError) as error:
            strategy(name).replace(value, Place("a", {}))
        assert name in str(error.value)
        assert str(SAMPLES[kind]) not in str(error.value)


@pytest.mark.parametrize("name", sorted(KNOWN - {"drop", "null"}))
@pytest.mark.parametrize("value", [{"S": ""}, {"B": ""}, {"NULL": True}])
def test_null_and_empty_stay(name: str, value: Attribute) -> None:
    assert strategy(name).replace(value, Place("a", {})) == value


INJECTIVE = {"email", "hash", "keep", "template"}
IDEMPOTENT = {"email", "phone", "ssn", "text", "redact", "drop", "null", "keep"}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_each_declares(name: str) -> None:
    made = strategy(name)
    assert made.injective == (name in INJECTIVE)
    assert made.idempotent == (name in IDEMPOTENT)
    assert made.whole == (name in {"redact", "drop", "null"})


def test_few_letters_are_not_injective() -> None:
    assert not strategy("hash", letters=23).injective
    assert strategy("hash", letters=24).injective
    assert not strategy("template", text="{token:23}").injective
    assert strategy("template", text="{digits:4}{token:24}").injective
    assert not strategy("template", text="{digits:40}").injective


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("nope", {}, "there is no strategy 'nope'"),
    ("phone", {"x": 1}, "has no option 'x'"),
    ("phone", {"domain": "A b"}, "'domain'"),
    ("email", {"on_merge": "perhaps"}, "'on_merge'"),
    ("date_shift", {"by": "pk"}, "'days', a whole number from 1 to 3660"),
    ("date_shift", {"days": 0}, "'days'"),
    ("date_shift", {"days": True}, "'days'"),
    ("date_shift", {"days": 3, "by": ""}, "'by'"),
    ("number_noise", {}, "'percent'"),
    ("number_noise", {"percent": 101}, "'percent'"),
    ("text", {"kinds": ["x"]}, "knows no kind 'x'"),
    ("text", {"kinds": []}, "'kinds'"),
    ("redact", {"with": ""}, "'with'"),
    ("hash", {"letters": 15}, "'letters'"),
    ("pick", {"from": ["a"]}, "'from', a list of 2 or more texts"),
    ("pick", {"from": ["a", "a"]}, "twice in 'from'"),
    ("template", {}, "'text'"),
    ("template", {"text": "plain"}, "{token}"),
    ("template", {"text": "{token}{name}"}, "no other braces"),
    ("template", {"text": "{token:65}"}, "length from 1 to 64"),
    ("template", {"text": "{digits}"}, "length from 1 to 64"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_options_that_cannot_be(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        make(StrategySpec(name, options, "masking.yaml:3:7"), draws, EMAIL)
    assert str(error.value).startswith("masking.yaml:3:7: ")
