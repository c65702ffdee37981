"""Before and after, leaf by leaf: nothing is missed, and nobody's value is shown as the pseudonym of another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.paths import parse
from downstage.domain.policy import Entity, FieldRule, LockedTable, StrategySpec, TablePolicy
from downstage.masking.changes import changes
from downstage.masking.locked import UNKNOWN, known_places
from downstage.masking.naming import Naming


def found(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    return [(change.path, change.kind, change.before, change.after) for change in changes(before, after)]


def test_changed_leaves_have_a_path_and_both_values() -> None:
    before = {"a": {"S": "1"}, "m": {"M": {"l": {"L": [{"S": "2"}, {"S": "3"}]}, "s": {"SS": ["4", "5"]}}}}
    after = {"a": {"S": "1"}, "m": {"M": {"l": {"L": [{"S": "2"}, {"S": "x"}]}, "s": {"SS": ["y", "5"]}}}}
    assert found(before, after) == [
        ("m.l[*]", "S", {"S": "3"}, {"S": "x"}),
        ("m.s", "SS", {"SS": ["4", "5"]}, {"SS": ["y", "5"]}),
    ]


def test_a_renamed_entry_is_a_change_of_its_name() -> None:
    before = {"m": {"M": {"bob@x.example": {"S": "1"}, "b": {"S": "2"}}}}
    after = {"m": {"M": {"u@y.example": {"S": "1"}, "b": {"S": "3"}}}}
    assert found(before, after) == [
        ("m.{key}", "name", {"S": "bob@x.example"}, {"S": "u@y.example"}),
        ("m.b", "S", {"S": "2"}, {"S": "3"}),
    ]


def test_what_was_dropped_has_nothing_after() -> None:
    assert found({"a": {"S": "1"}, "b": {"S": "2"}}, {"b": {"S": "2"}}) == [("a", "S", {"S": "1"}, None)]
    assert found({"m": {"M": {"a": {"S": "1"}}}}, {}) == [("m.a", "S", {"S": "1"}, None)]


def test_where_entries_cannot_be_matched_nothing_is_shown_as_the_pseudonym_of_another() -> None:
    before = {"bob@x.example": {"S": "1"}, "gone": {"S": "2"}, "c": {"S": "3"}}
    assert {after for *_, after in found(before, {"u@y.example": {"S": "8"}, "c": {"S": "9"}})} == {None}
    assert found({"l": {"L": [{"S": "1"}, {"S": "2"}]}}, {"l": {"L": [{"S": "2"}]}}) == [
        ("l[*]", "S", {"S": "1"}, None),
        ("l[*]", "S", {"S": "2"}, None),
    ]


def test_a_container_that_became_something_else_is_one_change() -> None:
    assert found({"m": {"M": {"a": {"S": "1"}}}}, {"m": {"S": "[redacted]"}}) == [
        ("m", "M", {"M": {"a": {"S": "1"}}}, {"S": "[redacted]"})
    ]


LOCK = known_places(
    LockedTable("t", tuple((parse(path), ("M", "S")) for path in ("by", "by.*", "votes", "votes.total", "ann")))
)


def paths(item: dict[str, Any], naming: Naming) -> list[str]:
    """Where something is said to have changed, if everything has."""
    return [change.path for change in changes(item, {}, naming.of(item))]


def test_names_that_the_lock_calls_data_are_not_written() -> None:
    (change,) = changes(
        {"by": {"M": {"ann": {"S": "1"}}}}, {"by": {"M": {"ann": {"S": "2"}}}}, Naming(None, LOCK).of({})
    )
    assert change.path == "by.*"
    assert "1" not in repr(change)


def test_below_the_top_only_what_the_lock_writes_out_is_shown() -> None:
    item = {"votes": {"M": {"total": {"S": "1"}, "alice": {"M": {"why": {"S": "2"}}}}}, "new": {"S": "3"}}
    assert paths(item, Naming(None, LOCK)) == ["votes.total", "votes.*.*", "new"]
    assert paths(item, Naming(None, UNKNOWN)) == ["votes.*", "votes.*.*", "new"]
    assert paths(item, Naming(None, None)) == ["votes.total", "votes.alice.why", "new"]


def test_names_under_a_rule_for_any_name_are_not_written() -> None:
    keep = StrategySpec("keep")
    fields = tuple(FieldRule(text, parse(text), keep) for text in ("votes.{key}", "by.*.note"))
    user = Entity("user", (("pk", "user|*"),), fields=(FieldRule("in.*", parse("in.*"), keep),))
    policy = TablePolicy("t", (user,), fields)
    item = {
        "votes": {"M": {"alice": {"S": "1"}}},
        "by": {"M": {"ann": {"M": {"note": {"S": "1"}, "age": {"S": "2"}}}}},
        "in": {"M": {"kim": {"S": "1"}}},
    }
    assert paths(item, Naming(policy, None)) == ["votes.*", "by.*.note", "by.*.age", "in.kim"]
    assert paths({"pk": {"S": "user|1"}, **item}, Naming(policy, None))[-1] == "in.*"


VALUES = st.recursive(
    st.builds(lambda text: {"S": text}, st.sampled_from(["a", "b"])) | st.just({"NULL": True}),
    lambda inner: (
        st.builds(lambda held: {"M": held}, st.dictionaries(st.sampled_from(["x", "y", "z"]), inner, max_size=3))
        | st.builds(lambda held: {"L": held}, st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.sampled_from(["p", "q", "r"]), VALUES)


@given(ITEMS, ITEMS)
def test_items_that_differ_have_a_change_and_equal_ones_have_none(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert list(changes(before, before)) == []
    gained = set(after) - set(before)
    if before != after and not gained and _no_empty(before) and _same_shape(before, after):
        assert list(changes(before, after))


def _no_empty(item: dict[str, Any]) -> bool:
    return "{}" not in repr(item) and "[]" not in repr(item)


def _same_shape(before: Any, after: Any) -> bool:
    """The same names and lengths: what masking leaves of an item in which nothing is dropped or renamed."""
    if isinstance(before, dict) and isinstance(after, dict):
        return list(before) == list(after) and all(_same_shape(before[name], after[name]) for name in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(_same_shape(*pair) for pair in zip(before, after, strict=True))
    return type(before) is type(after)
