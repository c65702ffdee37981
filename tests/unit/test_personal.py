"""What looks personal, by shape and by name; what does not; and that looking is bounded and nothing is kept."""

from __future__ import annotations

import pytest

from downstage.app.discovery import strategy_text, table_found
from downstage.app.free_text import with_people
from downstage.config.policy_draft import DraftEntity, DraftRule, draft_policy
from downstage.config.policy_load import parse_policy
from downstage.domain.paths import parse, show
from downstage.domain.policy import LockedTable
from downstage.errors import UsageError
from downstage.masking import personal
from downstage.masking.compile import TableShape
from downstage.masking.observation import Leaf, TableObservation
from downstage.masking.personal import Suggestion, shapes_of, suggest


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("bob@x.example", "email"),
        ("(202) 555-0100", "phone"),
        ("202-555-0100", "phone"),
        ("202.555.0100", "phone"),
        ("+1 202-555-0100", "phone"),
        ("+442079460000", "phone"),
        ("123-45-6789", "ssn"),
        ("4111 1111 1111 1111", "card"),
        ("5555-5555-5555-4444", "card"),
        ("378282246310005", "card"),
        ("192.0.2.7", "ip"),
        ("2001:db8::7", "ip"),
        ("1980-02-29", "date"),
        ("2/29/1980", "date"),
        ("Ann Lee", "person"),
        ("Pat J. O'Brien", "person"),
        ("12 Main Street", "street"),
        ("400 N. Second St NW, Apt. 4", "street"),
        ("89501-1234", "postcode"),
        ("SW1A 1AA", "postcode"),
    ],
)
def test_a_value_has_a_shape(text: str, shape: str) -> None:
    assert shape in shapes_of(text)
    assert shape in shapes_of(f"  {text} ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "101-20",
        "20190101",
        "1204.17",
        "00-12-3456",
        "4111 1111 1111 1112",
        "0000000000000000",
        "1700000000000",
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "1.2.3",
        "300.1.1.1",
        "::",
        "petitioner",
        "user|17",
        "@noon",
    ],
)
def test_an_ordinary_value_has_none(text: str) -> None:
    assert shapes_of(text) == ()


def test_a_running_text_shows_what_stands_in_it() -> None:
    assert shapes_of("call me at (202) 555-0100 or write to bob@x.example") == ("email-in-text", "phone-in-text")
    assert shapes_of("her number was 123-45-6789, from 192.0.2.7") == ("ssn-in-text", "ip-in-text")
    assert shapes_of("charged to 4111 1111 1111 1111 today") == ("card-in-text",)


def test_an_ip_literal_of_an_address_is_part_of_the_address() -> None:
    assert shapes_of("mail for relay@[192.0.2.7] came back") == ("email-in-text",)


def test_only_the_beginning_of_a_text_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def holds(text: str) -> bool:
        looked.append(len(text))
        return False

    monkeypatch.setattr(personal, "_WITHIN", dict.fromkeys(personal._WITHIN, holds))
    assert shapes_of("(202) 555-010 " * 40_000) == ()
    assert set(looked) == {len(("(202) 555-010 " * 40_000)[: personal.LOOKED_AT].strip())}


# ---- suggestions


def leaf(path: str, values: int = 100, types: tuple[str, ...] = ("S",), **shapes: int) -> Leaf:
    return Leaf(parse(path), types, 0, values, {name.replace("_", "-"): count for name, count in shapes.items()})


def strategy(found: Suggestion | None) -> str:
    return strategy_text(found.strategy) if found is not None and not found.doubt else ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("firstName", "given_name"),
        ("contact.last_name", "family_name"),
        ("petitioners[*].contactName", "name"),
        ("contact.phones[*]", "phone"),
        ("homePhoneNumber", "phone"),
        ("ssn", "ssn"),
        ("spouseSSN", "ssn"),
        ("contact.postalCode", "postcode"),
        ("zip", "postcode"),
        ("city", "city"),
        ("addressLine1", "address"),
        ("dateOfBirth", "{date_shift: {days: 30}}"),
        ("birth_date", "{date_shift: {days: 30}}"),
        ("dob", "{date_shift: {days: 30}}"),
        ("cardNumber", "{text: [card]}"),
        ("sourceIp", "{text: [ip]}"),
        ("emailHash", "hash"),
        ("byUser.*.phone", "phone"),
    ],
)
def test_a_name_says_enough_by_itself(path: str, expected: str) -> None:
    found = suggest(leaf(path))
    assert strategy(found) == expected
    assert found is not None
    assert found.reason == "by its name"
    assert show(found.path) == path


@pytest.mark.parametrize(
    "path",
    ["status", "entityName", "fileName", "name", "filingDate", "email", "description", "address", "velocity"],
)
def test_a_name_that_says_little_is_not_enough(path: str) -> None:
    assert suggest(leaf(path)) is None


@pytest.mark.parametrize(
    ("found", "expected", "reason"),
    [
        (leaf("name", person=99), "name", "by its name, 99% look like a person's name"),
        (leaf("entityName", person=40), "", ""),
        (leaf("address", street=60), "address", "by its name, 60% look like a street address"),
        (leaf("reach", phone=100), "phone", "all look like a phone number"),
        (leaf("reference", ssn=21), "ssn", "21% look like a social security number"),
        (leaf("value", card=30), "{text: [card]}", "30% look like a card number"),
        (leaf("notes", phone_in_text=1, ssn=1), "{text: [phone, ssn]}", "1% hold a phone number, 1% hold a social"),
        (leaf("notes", card_in_text=9), "", ""),
        (leaf("zip", postcode=1000, values=1001), "postcode", "by its name, 99% look like a postcode"),
        (leaf("code", postcode=100), "", ""),
        (leaf("when", date=100), "", ""),
        (leaf("who", person=100), "", ""),
    ],
)
def test_shapes_decide_where_the_name_says_little(found: Leaf, expected: str, reason: str) -> None:
    suggestion = suggest(found)
    assert strategy(suggestion) == expected
    assert suggestion is None or suggestion.reason.startswith(reason)


def test_numbers_get_strategies_that_treat_numbers() -> None:
    assert strategy(suggest(leaf("phone", types=("N",)))) == "phone"
    assert strategy(suggest(leaf("city", types=("N",)))) == ""
    assert suggest(leaf("flag", values=0, types=("BOOL",))) is None


def test_a_rule_that_would_refuse_what_else_stands_there_is_of_doubt() -> None:
    found = suggest(leaf("phone", types=("B", "M", "NULL", "S")))
    assert found is not None
    assert found.doubt
    assert found.reason.endswith("but also holds B M, which it refuses")


# ---- the draft


def drafted(rule: Suggestion) -> DraftRule:
    return DraftRule(show(rule.path), strategy_text(rule.strategy), rule.reason, rule.doubt)


def test_a_draft_can_be_loaded_and_holds_no_value() -> None:
    people = [("Ann Lee", "(202) 555-0100"), ("Bob Fox", "202-555-0101"), ("Carla Diaz", "202-555-0102")]
    seen = TableObservation("app-prod", ("pk", "sk"), shapes_of)
    for number, (name, phone) in enumerate(people * 3):
        mail = f"{name.replace(' ', '.').lower()}@x.example"
        item = {"pk": f"user|{number}", "sk": f"{mail}", "name": name, "reach": phone, "phone": "none"}
        seen.add({key: {"S": value} for key, value in item.items()} | {"byMail": {"M": {mail: {"S": phone}}}})
    shape = TableShape("app-prod", ("pk", "sk"), ("phone",))
    found = table_found(seen, shape, LockedTable("app-prod", ()), fresh=False)
    entities = [
        DraftEntity(
            "app-prod",
            entity.kind.name if entity.kind else "",
            entity.kind.when if entity.kind else (),
            tuple(map(drafted, entity.suggestions)),
        )
        for entity in found.entities
        if entity.suggestions
    ]
    text = draft_policy(entities)
    policy, _ = parse_policy(text, "draft")
    (entity,) = policy.tables[0].entities
    assert entity.when == (("pk", "user|*"),)
    rules = {rule.text: rule.strategy.name for rule in entity.fields}
    assert rules == {"name": "name", "reach": "phone", "byMail.*": "phone"}
    assert "# phone: hash" in text
    for name, phone in people:
        for word in (*name.lower().split(), phone, "x.example"):
            assert word not in text.lower()
    assert found.addresses == 1


# ---- free text


def test_names_in_running_text_are_a_hint_and_asked_for_a_bounded_number_of_times() -> None:
    asked: list[str] = []

    def names_people(text: str) -> bool:
        asked.append(text)
        return "Ann" in text

    shapes = with_people(shapes_of, names_people, texts=3)
    assert shapes("the parties met Ann in chambers") == ("person-in-text",)
    assert shapes("short") == ()
    assert shapes("Ann Lee") == ("person",)
    assert shapes("a running text without anybody in it") == ()
    for _ in range(5):
        shapes("another running text that nobody looks at")
    assert len(asked) == 3
    found = suggest(leaf("notes", person_in_text=10))
    assert found is not None
    assert found.doubt
    assert strategy_text(found.strategy) == "redact"


def test_without_presidio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--presidio needs an extra: pip install 'downstage\[pii\]'"):
        with_people(shapes_of)


def test_a_language_model_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "presidio_analyzer" else None)
    with pytest.raises(UsageError, match="python -m spacy download en_core_web_sm"):
        with_people(shapes_of)
