"""The policy's rules over items: which rule touches which leaf, that the address scan follows every rule, and refusals.

The strategies themselves have tests of their own; here stand-ins show what the walk does with them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain import paths
from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import (
    Entity,
    FieldRule,
    KeyRule,
    KeyTemplate,
    LockedTable,
    Policy,
    SchemaLock,
    StrategySpec,
    TablePolicy,
)
from downstage.errors import ConfigError, MaskingError
from downstage.masking.compile import ItemMasker, TableShape, compile_masker, compile_pseudonyms, fingerprint
from downstage.masking.entities import pattern_of
from downstage.masking.keys import MaskKey

KEY = MaskKey(bytes(range(32)))
SHAPE = TableShape("app-prod", ("pk", "sk"), ("gsi1pk",))
PSEUDONYMS = compile_pseudonyms(MaskingPlan("env:X", "u-{token}@test.example.com", "test"), KEY)


def spec(name: str, **options: Any) -> StrategySpec:
    return StrategySpec(name, options, "masking.yaml:9:9")


def rules(**fields: StrategySpec | str) -> tuple[FieldRule, ...]:
    return rules_of(fields)


def rules_of(fields: Mapping[str, StrategySpec | str]) -> tuple[FieldRule, ...]:
    return tuple(
        FieldRule(
            text, paths.parse(text), spec(strategy) if isinstance(strategy, str) else strategy, "masking.yaml:7:3"
        )
        for text, strategy in fields.items()
    )


def template(text: str, *parts: str | StrategySpec) -> KeyTemplate:
    return KeyTemplate(text, parts, "masking.yaml:5:5")


def plan_of(table: TablePolicy, **others: Any) -> MaskingPlan:
    policy = Policy((table,), others.pop("unknown", None))
    return MaskingPlan("env:X", "u-{token}@test.example.com", "test", policy=policy, **others)


def masker(table: TablePolicy, **others: Any) -> ItemMasker:
    return compile_masker(plan_of(table, **others), KEY, SHAPE)


def by_fields(fields: Mapping[str, StrategySpec | str]) -> ItemMasker:
    return masker(TablePolicy("app-*", fields=rules_of(fields)))


def test_a_rule_touches_its_path_and_nothing_else() -> None:
    item = {"a": {"M": {"b": {"S": "secret"}, "c": {"S": "open"}}}, "b": {"S": "open"}}
    assert by_fields({"a.b": "redact"})(item) == {
        "a": {"M": {"b": {"S": "[redacted]"}, "c": {"S": "open"}}},
        "b": {"S": "open"},
    }


def test_every_element_of_a_list_is_masked_by_itself() -> None:
    item = {"users": {"L": [{"M": {"mail": {"S": "ann@x.org"}}}, {"M": {"mail": {"S": "bob@x.org"}}}]}}
    masked = by_fields({"users[*].mail": "email"})(item)
    mails = [member["M"]["mail"]["S"] for member in masked["users"]["L"]]
    assert mails == [PSEUDONYMS.replace("ann@x.org"), PSEUDONYMS.replace("bob@x.org")]


def test_a_rule_on_a_container_is_a_rule_on_every_value_in_it() -> None:
    item = {"contact": {"M": {"first": {"S": "Ann"}, "more": {"L": [{"S": "Bob"}]}}}}
    masked = by_fields({"contact": spec("redact")})(item)
    assert "Ann" not in str(masked)
    assert "Bob" not in str(masked)


def test_a_deeper_rule_goes_before_that_of_its_container() -> None:
    item = {"contact": {"M": {"id": {"S": "17"}, "first": {"S": "Ann"}}}}
    masked = by_fields({"contact": "redact", "contact.id": "keep"})(item)
    assert masked == {"contact": {"M": {"id": {"S": "17"}, "first": {"S": "[redacted]"}}}}


def test_the_rule_with_fewer_wildcards_goes_first() -> None:
    item = {"a": {"M": {"b": {"S": "x"}, "c": {"S": "y"}}}}
    assert by_fields({"**.b": "redact", "a.*": "drop", "a.b": "keep"})(item) == {"a": {"M": {"b": {"S": "x"}}}}


@pytest.mark.parametrize("depth", range(4))
def test_a_name_at_any_depth(depth: int) -> None:
    value: dict[str, Any] = {"M": {"ssn": {"S": "123"}, "x": {"S": "y"}}}
    for _ in range(depth):
        value = {"L": [{"M": {"inner": value}}]}
    masked = by_fields({"**.ssn": "drop"})({"top": value})
    assert "ssn" not in str(masked)
    assert "'x': {'S': 'y'}" in str(masked)


def test_dropped_entries_elements_and_members_are_gone_and_the_rest_stays() -> None:
    item = {"a": {"S": "x"}, "b": {"L": [{"S": "x"}, {"N": "1"}]}, "c": {"SS": ["x"]}}
    masked = by_fields({"a": "drop", "b[*]": "drop", "c": "drop"})(item)
    assert masked == {"b": {"L": []}}


def test_names_of_a_map_are_masked_where_a_rule_says_so() -> None:
    item = {"byLogin": {"M": {"annlee": {"M": {"n": {"N": "1"}}}}}}
    masked = by_fields({"byLogin.{key}": "hash"})(item)
    (name,) = masked["byLogin"]["M"]
    assert name != "annlee"
    assert masked["byLogin"]["M"][name] == {"M": {"n": {"N": "1"}}}


def test_what_keep_keeps_is_still_scanned() -> None:
    masked = by_fields({"note": "keep"})({"note": {"S": "ask ann@x.org"}})
    assert masked == {"note": {"S": f"ask {PSEUDONYMS.replace('ann@x.org')}"}}


def test_what_a_strategy_makes_is_scanned_too() -> None:
    masked = by_fields({"note": spec("redact", **{"with": "by ann@x.org"})})({"note": {"S": "x"}})
    assert masked == {"note": {"S": f"by {PSEUDONYMS.replace('ann@x.org')}"}}


def test_members_of_a_set_that_become_one_refuse_the_item_unless_merging_is_allowed() -> None:
    item = {"names": {"SS": ["Ann", "Bob", "Cat"]}}
    with pytest.raises(MaskingError, match="on_merge: merge"):
        by_fields({"names": spec("pick", **{"from": ["x", "y"]})})(item)
    merged = by_fields({"names": spec("pick", **{"from": ["x", "y"], "on_merge": "merge"})})(item)
    assert set(merged["names"]["SS"]) <= {"x", "y"}
    assert len(merged["names"]["SS"]) == len(set(merged["names"]["SS"]))


def test_an_untouched_item_is_the_same_object() -> None:
    item = {"pk": {"S": "a"}, "m": {"M": {"l": {"L": [{"N": "1.0"}]}}}, "s": {"SS": ["b", "a"]}}
    assert by_fields({"elsewhere.x[*]": "redact"})(item) is item


USER = Entity(
    "user",
    (("pk", "user|*"),),
    (KeyRule("gsi1pk", (template("mail|{email}", "mail|", spec("email")),)),),
    rules(name="redact"),
)


def test_the_first_entity_whose_patterns_match_is_the_items() -> None:
    table = TablePolicy("app-*", (USER, Entity("rest", (("pk", "*"),), fields=rules(name="drop"))))
    mask = masker(table)
    assert mask({"pk": {"S": "user|1"}, "name": {"S": "Ann"}}) == {"pk": {"S": "user|1"}, "name": {"S": "[redacted]"}}
    assert mask({"pk": {"S": "case|1"}, "name": {"S": "Ann"}}) == {"pk": {"S": "case|1"}}


def test_an_item_of_no_entity_is_scanned_or_refused() -> None:
    item = {"pk": {"S": "other|1"}, "name": {"S": "ann@x.org"}}
    assert masker(TablePolicy("app-*", (USER,)))(item)["name"] == {"S": PSEUDONYMS.replace("ann@x.org")}
    with pytest.raises(MaskingError, match="no entity"):
        masker(TablePolicy("app-*", (USER,), unmatched="fail"))(item)


def test_rules_of_the_table_hold_for_every_entity_after_its_own() -> None:
    table = TablePolicy("app-*", (USER,), rules(name="drop", ssn="drop"))
    masked = masker(table)({"pk": {"S": "user|1"}, "name": {"S": "Ann"}, "ssn": {"S": "1"}})
    assert masked == {"pk": {"S": "user|1"}, "name": {"S": "[redacted]"}}


def test_a_composite_key_is_taken_apart_and_put_together_again() -> None:
    masked = masker(TablePolicy("app-*", (USER,)))({"pk": {"S": "user|1"}, "gsi1pk": {"S": "mail|ann@x.org"}})
    assert masked["gsi1pk"] == {"S": f"mail|{PSEUDONYMS.replace('ann@x.org')}"}


@pytest.mark.parametrize("value", ["ann@x.org", "mail|", "post|ann@x.org"])
def test_a_key_that_fits_no_template_refuses_the_item(value: str) -> None:
    with pytest.raises(MaskingError, match="fits none of its templates") as caught:
        masker(TablePolicy("app-*", (USER,)))({"pk": {"S": "user|1"}, "gsi1pk": {"S": value}})
    assert "ann" not in str(caught.value)


def two_parts(*values: str) -> Sequence[ItemMasker]:
    parts = ("O#", spec("keep"), "#E#", spec("email"))
    entity = Entity("any", keys=(KeyRule("gsi1pk", (template("O#{org:keep}#E#{email}", *parts),)),))
    return [masker(TablePolicy("app-*", (entity,)))]


def test_a_key_that_fits_in_two_ways_refuses_the_item() -> None:
    (mask,) = two_parts()
    once = mask({"gsi1pk": {"S": "O#acme#E#ann@x.org"}})
    assert once == {"gsi1pk": {"S": f"O#acme#E#{PSEUDONYMS.replace('ann@x.org')}"}}
    with pytest.raises(MaskingError, match="more than one way"):
        mask({"gsi1pk": {"S": "O#acme#E#b#E#ann@x.org"}})


@pytest.mark.parametrize("key", ["pk", "sk", "gsi1pk"])
@pytest.mark.parametrize("strategy", ["redact", "drop", "null", "phone", "name"])
def test_a_lossy_strategy_on_a_key_is_refused_before_an_item_is_read(key: str, strategy: str) -> None:
    with pytest.raises(ConfigError, match=rf"masking.yaml:\d+:\d+.*strategy {strategy}.*key {key}"):
        by_fields({key: strategy})


def test_a_lossy_strategy_in_a_template_is_refused() -> None:
    entity = Entity("any", keys=(KeyRule("gsi1pk", (template("N#{name}", "N#", spec("name")),)),))
    with pytest.raises(ConfigError, match="may make two values one"):
        masker(TablePolicy("app-*", (entity,)))


PEOPLE = {"people": {"M": {"John Smith": {"M": {"ssn": {"S": "123-45-6789"}, "x": {"S": "Jane"}}}}}, "n": {"N": "1"}}


@pytest.mark.parametrize("strategy", ["drop", "null", "redact"])
def test_what_is_lost_as_a_whole_is_not_brought_back_by_a_rule_for_any_depth(strategy: str) -> None:
    masked = by_fields({"people": strategy, "**.ssn": "ssn", "**.x": "keep"})(PEOPLE)
    assert "Jane" not in str(masked)
    assert "000-" not in str(masked)
    assert ("people" in masked) is (strategy != "drop")


def test_of_what_is_dropped_only_what_a_rule_names_stays() -> None:
    item = {"people": {"M": {"Al": {"M": {"age": {"N": "7"}, "x": {"S": "y"}}}, "Bo": {"M": {"x": {"S": "y"}}}}}}
    assert by_fields({"people": "drop", "people.*.age": "keep"})(item) == {
        "people": {"M": {"Al": {"M": {"age": {"N": "7"}}}}}
    }


@pytest.mark.parametrize("path", ["{key}", "**.{key}"])
def test_a_rule_for_the_names_of_all_attributes_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="would rename the attributes"):
        by_fields({path: "hash"})


@pytest.mark.parametrize("pattern", ["?", "*", "x*"])
def test_an_absent_attribute_matches_no_pattern(pattern: str) -> None:
    table = TablePolicy("app-*", (Entity("x", (("sk", pattern),), fields=rules(n="drop")),))
    assert masker(table)({"pk": {"S": "a"}, "n": {"S": "b"}}) == {"pk": {"S": "a"}, "n": {"S": "b"}}


def test_patterns_are_linear_in_what_they_are_compared_with() -> None:
    table = TablePolicy("app-*", (Entity("x", (("pk", "*a*a*a*a*a*a*a*b"),)),))
    item = {"pk": {"S": "a" * 400_000}}
    assert masker(table)(item) is item


@given(st.text("ab*?", max_size=7), st.text("ab\n", max_size=7))
def test_patterns_are_shell_patterns(pattern: str, text: str) -> None:
    assert (pattern_of(pattern).fullmatch(text) is not None) == fnmatchcase(text, pattern)


@pytest.mark.parametrize("answer", [None, ""])
def test_a_hook_cannot_take_a_key_away(answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    hook_module(monkeypatch, lambda value, context: answer)
    with pytest.raises(MaskingError, match="the key pk would be lost, empty"):
        by_fields({"pk": spec("hook", call="hooks_of_test:change")})({"pk": {"S": "a"}})


def test_a_hook_that_changes_the_item_changes_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(value: str, context: Any) -> str:
        context.item["pk"]["S"] = "changed"
        context.item["new"] = {"S": "x"}
        return value

    hook_module(monkeypatch, change)
    item = {"a": {"S": "x"}, "pk": {"S": "1"}}
    assert by_fields({"a": spec("hook", call="hooks_of_test:change")})(item) == {"a": {"S": "x"}, "pk": {"S": "1"}}


def test_the_code_of_a_hook_is_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(TablePolicy("*", fields=rules(a=spec("hook", call="hooks_of_test:change"))))
    hook_module(monkeypatch, lambda value, context: value, version="1")
    first = fingerprint(plan, KEY)
    hook_module(monkeypatch, lambda value, context: value, version="2")
    assert fingerprint(plan, KEY) != first


def hook_module(monkeypatch: pytest.MonkeyPatch, function: Any, version: str | None = None) -> None:
    """A module `hooks_of_test` with the injective hook `change`."""
    module = types.ModuleType("hooks_of_test")
    function.injective = True
    if version is not None:
        function.version = version
    module.change = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hooks_of_test", module)


@pytest.mark.parametrize("item", [{"a": {"M": {"b": 1}}}, {"a": {"L": [None]}}, {"a": None}, {"a": {"SS": 1}}])
@pytest.mark.parametrize("strategy", ["redact", "email", "hash", "text", "keep"])
def test_an_item_of_an_unheard_of_shape_is_refused(item: Any, strategy: str) -> None:
    with pytest.raises(MaskingError):
        by_fields({"a": strategy})(item)


def lock(*places: tuple[str, str]) -> SchemaLock:
    return SchemaLock(
        (LockedTable("app-prod", tuple((paths.parse(path), tuple(types.split())) for path, types in places)),)
    )


KNOWN = lock(("pk", "S"), ("a", "M"), ("a.*", "M"), ("a.*.n", "N S"), ("l", "L"), ("l[*]", "S"))
SEEN = {"pk": {"S": "x"}, "a": {"M": {"any": {"M": {"n": {"N": "1"}}}}}, "l": {"L": [{"S": "y"}, {"NULL": True}]}}


def test_an_item_that_the_lock_knows_passes() -> None:
    mask = masker(TablePolicy("nothing"), lock=KNOWN)
    assert mask(SEEN) is SEEN
    assert mask.unknown == 0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"new": {"S": "secret"}}, "new of type S"),
        ({"pk": {"N": "1"}}, "pk of type N"),
        ({"a": {"M": {"any": {"M": {"m": {"S": "secret"}}}}}}, r"a\.\*\.\* of type S"),
        ({"l": {"L": [{"BOOL": True}]}}, r"l\[\*\] of type BOOL"),
        ({"ann@x.org": {"S": "secret"}}, r"\* of type S"),
    ],
)
def test_a_path_or_type_that_the_lock_does_not_know_refuses_the_item(change: dict[str, Any], path: str) -> None:
    with pytest.raises(MaskingError, match=f"^{path} is not in masking.lock") as caught:
        masker(TablePolicy("nothing"), lock=KNOWN)(SEEN | change)
    assert "secret" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_what_the_lock_does_not_know_is_scanned_and_counted_if_the_policy_says_so() -> None:
    mask = masker(TablePolicy("nothing"), lock=KNOWN, unknown="scan")
    masked = mask(SEEN | {"new": {"M": {"x": {"S": "ann@x.org"}, "y": {"N": "1"}}}})
    assert masked["new"]["M"]["x"] == {"S": PSEUDONYMS.replace("ann@x.org")}
    assert mask.unknown == 2


def test_keeping_what_is_unknown_does_not_switch_the_scan_off() -> None:
    mask = masker(TablePolicy("nothing"), lock=KNOWN, unknown="keep")
    assert mask({"new": {"S": "ann@x.org"}})["new"] == {"S": PSEUDONYMS.replace("ann@x.org")}


def test_a_table_that_the_lock_does_not_name_is_unknown_altogether() -> None:
    other = compile_masker(plan_of(TablePolicy("nothing"), lock=KNOWN), KEY, TableShape("other-prod"))
    with pytest.raises(MaskingError, match=r"is not in masking\.lock"):
        other({"pk": {"S": "x"}})


def test_explain_says_for_each_leaf_what_touched_it() -> None:
    table = TablePolicy("app-*", (USER,), rules_of({"contact": "keep"}))
    item = {
        "pk": {"S": "user|1"},
        "gsi1pk": {"S": "mail|ann@x.org"},
        "name": {"S": "Ann"},
        "contact": {"M": {"mail": {"S": "ann@x.org"}}},
        "ann@x.org": {"N": "1"},
    }
    masked, touches = masker(table).explain(item)
    assert masked == masker(table)(item)
    assert [(touch.path, touch.kind, touch.by, touch.rule, touch.changed, touch.addresses) for touch in touches] == [
        ("pk", "S", "scan", "", False, 0),
        ("gsi1pk", "S", "key", "mail|{email}", True, 0),
        ("name", "S", "rule", "name", True, 0),
        ("contact.mail", "S", "keep", "contact", True, 1),
        ("*", "N", "scan", "", False, 0),
        ("{key}", "name", "scan", "", True, 1),
    ]
    assert "ann" not in str(touches)


def test_explain_works_without_any_policy() -> None:
    masked, touches = ItemMasker(PSEUDONYMS).explain({"a": {"S": "ann@x.org"}})
    assert masked == {"a": {"S": PSEUDONYMS.replace("ann@x.org")}}
    assert [(touch.path, touch.by, touch.changed) for touch in touches] == [("a", "scan", True)]


def test_the_fingerprint_follows_the_rules_and_not_their_place_or_the_lock() -> None:
    first = plan_of(TablePolicy("app-*", fields=rules(name="redact")))
    moved = plan_of(TablePolicy("app-*", fields=rules(name="redact"), place="masking.yaml:99:1"), lock=KNOWN)
    other = plan_of(TablePolicy("app-*", fields=rules(name="drop")))
    assert fingerprint(first, KEY) == fingerprint(moved, KEY)
    assert fingerprint(first, KEY) != fingerprint(other, KEY)
    assert fingerprint(first, KEY) != fingerprint(first, KEY, [MaskKey(bytes(range(1, 33)))])


def test_pseudonyms_of_an_old_key_are_recognised_and_left() -> None:
    plan = MaskingPlan("env:X", "u-{token}@test.example.com", "test")
    new_key = MaskKey(bytes(range(100, 132)))
    earlier = PSEUDONYMS.replace("ann@x.org")
    with_epoch = compile_masker(plan, new_key, SHAPE, [KEY])
    without = compile_masker(plan, new_key, SHAPE)
    item = {"pk": {"S": earlier}}
    assert with_epoch(item) is item
    assert without(item) != item
