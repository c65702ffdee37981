"""What is written of a table that was looked at: every path and type, no data, and no more memory than is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.paths import ELEMENT, Name, parse, show
from downstage.domain.policy import LockedTable
from downstage.masking import observation
from downstage.masking.locked import UNKNOWN, Known, known_places
from downstage.masking.observation import TableObservation, looks_like_data, merged, without_data
from downstage.masking.personal import shapes_of
from downstage.masking.prefixes import MOST_PREFIXES


def text(value: str) -> dict[str, Any]:
    return {"S": value}


def seen(*items: dict[str, Any]) -> TableObservation:
    observed = TableObservation("t", ("pk", "sk"), shapes_of)
    for item in items:
        observed.add(item)
    return observed


def paths(*items: dict[str, Any]) -> dict[str, str]:
    """The lock of a table of these items: path to types."""
    return {show(steps): " ".join(types) for steps, types in seen(*items).lock().paths}


def unknown(item: dict[str, Any], place: Known) -> list[str]:
    """Where a lock does not know an item, as the masking would look it up."""
    return [found for name, value in item.items() for found in _unknown(value, place.name(name), name)]


def _unknown(value: dict[str, Any], place: Known, where: str) -> list[str]:
    ((kind, content),) = value.items()
    found = [] if kind in place.types and place is not UNKNOWN else [where]
    if kind == "M":
        found += [deep for name, held in content.items() for deep in _unknown(held, place.name(name), where)]
    if kind == "L":
        found += [deep for held in content for deep in _unknown(held, place.element(), where)]
    return found


# ---- names


@pytest.mark.parametrize(
    "name", ["email", "gsi1pk", "address2", "Case_Caption", "docket-entry", "aws:rep:deleting", "_x"]
)
def test_a_field_s_name_is_written_out(name: str) -> None:
    assert not looks_like_data(name)


@pytest.mark.parametrize(
    "name",
    [
        "bob@x.example",
        "bob.lee",
        "Bob Lee",
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "a3f09bc2d4e8ff00",
        "case12345",
        "2024-01-01",
        "y2024",
        "5551234",
        "jörg",
        "",
        "x" * 65,
    ],
)
def test_a_name_that_is_data_is_not(name: str) -> None:
    assert looks_like_data(name)
    assert show(without_data((Name("byKey"), Name(name), ELEMENT))) == "byKey.*[*]"


def test_every_path_and_type_is_seen() -> None:
    items = [
        {"pk": text("a"), "n": {"N": "1"}, "phones": {"L": [text("1"), {"M": {"no": {"N": "5"}, "of": text("b")}}]}},
        {"pk": text("b"), "n": text("1"), "phones": {"L": [{"M": {"no": text("5"), "of": text("b")}}]}, "e": {"M": {}}},
    ]
    assert paths(*items) == {
        "e": "M",
        "n": "N S",
        "phones": "L",
        "phones[*]": "M S",
        "phones[*].no": "N S",
        "phones[*].of": "S",
        "pk": "S",
    }


def test_addresses_as_names_are_one_path() -> None:
    items = [{"byEmail": {"M": {f"bob{n}@x.example": {"M": {"note": text("hi")}}}}} for n in range(5)]
    assert paths(*items) == {"byEmail": "M", "byEmail.*": "M", "byEmail.*.note": "S"}


def test_a_map_of_many_names_is_one_path_however_plain_they_are() -> None:
    name = "bcdfghjklmnpqrstvwxz"
    people = [f"{a}{b}" for a in name for b in "aeiou"]
    assert len(people) > observation.MOST_NAMES
    items = [{"byUser": {"M": dict.fromkeys(people, text("x"))}} for _ in range(3)]
    assert paths(*items) == {"byUser": "M", "byUser.*": "S"}


def test_a_map_in_which_hardly_a_name_comes_twice_is_one_path() -> None:
    items = [{"votes": {"M": {name: text("yes"), "total": text("1")}}} for name in ("ann", "bob", "carla", "dmitri")]
    assert paths(*items) == {"votes": "M", "votes.*": "S"}


def test_a_name_that_was_met_once_in_a_nested_map_may_be_somebody_s() -> None:
    items = [{"pk": text("1"), "contact": {"M": {"city": text("Reno")}}}] * 3
    odd = {"pk": text("2"), "contact": {"M": {"city": text("Reno"), "ann": text("x")}}}
    assert paths(*items, odd) == {"contact": "M", "contact.*": "S", "contact.city": "S", "pk": "S"}
    assert "contact.ann" in paths(*items, odd, odd)


@pytest.mark.parametrize("maps", [2, 8])
def test_a_name_that_is_a_word_of_somebody_s_address_is_theirs_however_often_it_stands_there(maps: int) -> None:
    plain = {"total": text("1"), "count": text("1"), "status": text("x")}
    items = [{"mail": text("zork.quux@x.example"), "by": {"M": plain}} for _ in range(8)]
    for item in items[:maps]:
        item["by"] = {"M": {**plain, "zork": text("2"), "ZorkQuux": text("2")}}
    assert sorted(paths(*items)) == ["by", "by.*", "by.count", "by.status", "by.total", "mail"]


@pytest.mark.parametrize("items", [3, 60])
def test_a_map_whose_names_are_people_is_one_path_however_often_each_comes(items: int) -> None:
    people = ["JohnRoberts", "ElenaKagan", "alice", "bob_smith", "Ann-Lee"]
    votes = [{name: text("yes") for place, name in enumerate(people) if (place + n) % 2} for n in range(items)]
    assert paths(*[{"votes": {"M": vote}} for vote in votes]) == {"votes": "M", "votes.*": "S"}


def nested(*names: str) -> list[str]:
    """The names that the lock writes out of a map that always has these."""
    items = [{"pk": text(f"{n}"), "in": {"M": dict.fromkeys(names, text("x"))}} for n in range(4)]
    return sorted(path.removeprefix("in.") for path in paths(*items) if path.startswith("in."))


def test_one_person_among_plain_fields_hides_that_name_alone() -> None:
    assert nested("total", "count", "status", "johnson", "date") == ["*", "count", "date", "status", "total"]
    assert nested("total", "count", "status", "JohnMcKinley", "date") == ["*", "count", "date", "status", "total"]


def test_a_field_that_is_somebody_s_name_too_is_a_field_among_fields() -> None:
    fields = [
        "bill",
        "case",
        "date",
        "frank",
        "grace",
        "kind",
        "mark",
        "may",
        "name",
        "page",
        "status",
        "total",
        "will",
    ]
    assert nested(*fields) == fields
    assert nested("min", "max") == ["max", "min"]
    assert nested("case", "page", "price", "key", "name") == ["case", "key", "name", "page", "price"]
    assert nested("firstName", "lastName", "birthDate") == ["birthDate", "firstName", "lastName"]


def test_in_company_it_is_somebody_s_name() -> None:
    assert nested("mark", "grace", "will", "total") == ["*"]
    assert nested("mark", "elena", "total", "Sotomayor") == ["*"]


def test_attributes_of_the_item_are_field_names_unless_they_are_many_and_rare() -> None:
    assert paths({"pk": text("a"), "nickname": text("x")}) == {"nickname": "S", "pk": "S"}
    rare = [{"pk": text("a"), f"{a}{b}": text("x")} for a in "bcdfghjklmnpqrst" for b in "aeiou"]
    assert paths(*rare) == {"*": "S", "pk": "S"}


# ---- what was seen is known


VALUES = st.recursive(
    st.sampled_from([{"S": "x"}, {"N": "1"}, {"NULL": True}, {"SS": ["a"]}, {"B": "AA=="}]),
    lambda inner: (
        st.builds(
            lambda held: {"M": held},
            st.dictionaries(
                st.sampled_from(["a", "b", "c", "ann", "bob", "x@y.z", "12345", "deep"]), inner, max_size=4
            ),
        )
        | st.builds(lambda held: {"L": held}, st.lists(inner, max_size=3))
    ),
    max_leaves=8,
)
TABLES = st.lists(
    st.dictionaries(st.sampled_from(["pk", "m", "n", "o@p.q"]), VALUES, min_size=1), min_size=1, max_size=8
)


@given(TABLES)
def test_whatever_was_seen_is_known_to_the_lock(items: list[dict[str, Any]]) -> None:
    place = known_places(seen(*items).lock())
    assert [unknown(item, place) for item in items] == [[] for _ in items]


@given(TABLES, TABLES)
def test_a_lock_that_grows_knows_all_that_either_knew(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    lock = merged(seen(*before).lock(), seen(*after).lock())
    place = known_places(lock)
    assert [unknown(item, place) for item in (*before, *after)] == [[] for _ in (*before, *after)]
    assert merged(lock, lock) == lock
    assert [parse(show(steps)) for steps, _ in lock.paths] == [steps for steps, _ in lock.paths]


@given(TABLES)
def test_a_lock_is_the_same_whatever_the_order_it_is_asked_in(items: list[dict[str, Any]]) -> None:
    observed = seen(*items)
    leaves = list(observed.leaves())
    assert observed.lock() == observed.lock() == seen(*items).lock()
    assert list(observed.leaves()) == leaves


def test_a_new_table_s_lock_is_taken_as_it_is() -> None:
    lock = seen({"pk": text("a"), "m": {"M": {"x@y.z": text("b")}}}).lock()
    assert merged(LockedTable("t", ()), lock) == lock


def test_a_map_that_becomes_part_of_another_hides_what_the_other_hides() -> None:
    old = LockedTable("t", ((parse("n"), ("M",)), (parse("n.*"), ("S",)), (parse("m"), ("M",)), (parse("m.a"), ("N",))))
    lock = merged(old, LockedTable("t", ((parse("*"), ("S",)),)))
    assert {show(steps): types for steps, types in lock.paths} == {"*": ("M", "S"), "*.*": ("N", "S")}


# ---- memory


def test_memory_is_bounded_whatever_the_names_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "MOST_PLACES", 200)
    letters = "abcdefghijklmnopqrstuvwxyz"
    observed = TableObservation("t", ("pk",))
    for a in letters:
        for b in letters:
            observed.add({f"{a}{b}": {"M": {f"{b}{c}": {"M": {f"{c}{a}": text("x")}} for c in letters[:8]}}})
    assert observed._places <= 2 * 200 + 2
    assert len(observed.lock().paths) <= 2 * 200 + 2


def test_what_is_nested_too_deeply_is_said_to_be_missing() -> None:
    value: dict[str, Any] = text("x")
    for _ in range(60):
        value = {"L": [value]}
    observed = seen({"pk": text("a"), "deep": value})
    assert not observed.complete
    assert observed.lock().paths
    assert seen({"pk": text("a")}).complete


# ---- kinds of items


def keyed(pk: str, sk: str, **attributes: str) -> dict[str, Any]:
    return {"pk": text(pk), "sk": text(sk), **{name: text(value) for name, value in attributes.items()}}


def kinds(*items: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {kind.name: dict(kind.when) for kind in seen(*items).prefixes.kinds().values()}


def test_prefixes_that_come_again_are_kinds_of_items() -> None:
    items = [keyed(f"case|{n}", f"docket-entry|{n}") for n in range(4)]
    items += [keyed(f"USER#{n}", "PROFILE") for n in range(3)]
    assert kinds(*items) == {
        "case-docket-entry": {"pk": "case|*", "sk": "docket-entry|*"},
        "user": {"pk": "USER#*"},
    }


def test_a_prefix_must_stand_on_several_items_with_several_rests() -> None:
    assert kinds(*[keyed(f"case|{n}", "x") for n in range(2)]) == {}
    assert kinds(*[keyed("case|1", "x") for _ in range(9)]) == {}


@pytest.mark.parametrize("key", ["bob.lee|{n}", "7|{n}", "{n}", "a|{n}", "bob@x.example|{n}", "user{n}|x", "Jörg|{n}"])
def test_a_prefix_that_is_not_plain_letters_is_none(key: str) -> None:
    assert kinds(*[keyed(key.format(n=n), "x") for n in range(5)]) == {}


def test_a_word_of_somebody_s_address_is_no_prefix() -> None:
    items = [keyed(f"zork|{n}", f"order|{n}", mail="Zork.Lee@x.example") for n in range(9)]
    assert kinds(*items) == {}
    assert kinds(*[keyed(f"zork|{n}", f"order|{n}") for n in range(9)]) != {}


@pytest.mark.parametrize("name", ["SMITH", "alice", "ElenaKagan", "frank", "john-roberts"])
def test_a_person_s_name_is_no_prefix(name: str) -> None:
    assert kinds(*[keyed(f"{name}#{n}", f"order|{n}") for n in range(3)]) == {}


@pytest.mark.parametrize("word", ["CASE", "page", "price-line", "branch", "docket"])
def test_a_word_for_a_kind_of_thing_is_a_prefix_although_it_is_a_surname(word: str) -> None:
    assert kinds(*[keyed(f"{word}#{n}", "x") for n in range(3)]) == {word.lower(): {"pk": f"{word}#*"}}


def test_a_kind_of_thing_is_a_prefix_although_somebody_s_address_has_the_word() -> None:
    mail = "orders+docket@x.example"
    items = [keyed(f"ORDER#{n}", f"docket-entry|{n}", mail=mail) for n in range(4)]
    assert list(kinds(*items)) == ["order-docket-entry"]
    assert kinds(*[keyed(f"docket#{n}", "x", mail=mail) for n in range(4)]) == {}


def test_many_prefixes_are_data() -> None:
    letters = "bcdfghjklmnpqrstvwxz"
    names = [f"{a}{b}" for a in letters for b in "aeiou"][: MOST_PREFIXES + 1]
    assert kinds(*[keyed(f"{name}|{n}", "x") for name in names for n in range(4)]) == {}
    assert len(kinds(*[keyed(f"{name}|{n}", "x") for name in names[:-1] for n in range(4)])) == MOST_PREFIXES


def test_shapes_are_counted_by_kind_of_item() -> None:
    items = [keyed(f"user|{n}", "x", tel="(202) 555-0100") for n in range(4)]
    items += [keyed(f"case|{n}", "x", tel="none") for n in range(4)]
    observed = seen(*items)
    named = {number: kind.name for number, kind in observed.prefixes.kinds().items()}
    counts = {named[leaf.group]: (leaf.values, leaf.shapes) for leaf in observed.leaves() if show(leaf.path) == "tel"}
    assert counts == {"user": (4, {"phone": 4}), "case": (4, {})}
