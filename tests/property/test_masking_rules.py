"""Rules over any item: the types and the shape stay, what no rule names is what the scan alone makes of it, the
automaton gives each place the rule that a plain reading of the paths gives, and explaining changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from downstage.domain import paths
from downstage.domain.paths import ANY_DEPTH, ANY_NAME, ELEMENT, Name, Steps
from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import FieldRule, Policy, StrategySpec, TablePolicy
from downstage.errors import MaskingError
from downstage.masking import selectors
from downstage.masking.compile import ItemMasker, TableShape, compile_masker, compile_pseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.selectors import Rule
from downstage.masking.strategies.whole import Keep

KEY = MaskKey(bytes(range(32)))
PLAN = MaskingPlan("env:X", "u-{token}@test.example.com", "test")
NAMES = st.sampled_from(["a", "b", "c", "a.b", "ann@x.org"])
TEXTS = st.sampled_from(["", "x", "ann@x.org", "to bob@x.org, please", "17", "%40"])

LEAVES = st.one_of(
    st.builds(lambda text: {"S": text}, TEXTS),
    st.builds(lambda number: {"N": str(number)}, st.integers(0, 99)),
    st.just({"NULL": True}),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.builds(lambda texts: {"SS": sorted(texts)}, st.sets(st.sampled_from(["x", "y", "ann@x.org"]), min_size=1)),
)
VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda members: {"L": members}, st.lists(inner, max_size=3)),
        st.builds(lambda entries: {"M": entries}, st.dictionaries(NAMES, inner, max_size=3)),
    ),
    max_leaves=12,
)
ITEMS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)
STEPS = st.lists(
    st.one_of(NAMES.map(Name), st.sampled_from([ANY_NAME, ELEMENT, ANY_DEPTH])), min_size=1, max_size=4
).map(tuple)
PLACES = st.lists(st.one_of(NAMES.map(Name), st.just(ELEMENT)), min_size=1, max_size=5).map(tuple)


def names_it(steps: Steps, place: Steps) -> bool:
    """Whether a path names a place: the definition, with no automaton in it."""
    if not steps:
        return not place
    if steps[0] == ANY_DEPTH:
        return any(names_it(steps[1:], place[at:]) for at in range(len(place) + 1))
    if not place:
        return False
    here = steps[0] == place[0] or (steps[0] == ANY_NAME and isinstance(place[0], Name))
    return here and names_it(steps[1:], place[1:])


@given(st.lists(STEPS, max_size=4), PLACES)
def test_a_place_has_a_rule_exactly_if_a_path_names_it(all_steps: list[Steps], place: Steps) -> None:
    rules = [Rule(str(number), steps, Keep(), "keep") for number, steps in enumerate(all_steps)]
    state = selectors.start(rules)
    for step in place:
        state = state.name(step.name) if isinstance(step, Name) else state.element()
    naming = [rule for rule in rules if names_it(rule.steps, place)]
    assert (state.rule is None) == (not naming)
    assert state.rule is None or state.rule in naming


@given(STEPS.filter(lambda steps: steps[-1] != ANY_DEPTH))
def test_a_path_is_written_as_it_is_read(steps: Steps) -> None:
    if steps[0] != ELEMENT:  # an item is no list
        assert paths.parse(paths.show(steps)) == steps


@given(ITEMS)
def test_a_rule_that_keeps_everything_is_the_scan_alone(item: dict[str, Any]) -> None:
    rule = FieldRule("**.*", (ANY_DEPTH, ANY_NAME), StrategySpec("keep"))
    plan = MaskingPlan(PLAN.key, PLAN.sink, "test", policy=Policy((TablePolicy("*", fields=(rule,)),)))
    ruled = compile_masker(plan, KEY, TableShape("t"))
    alone = ItemMasker(compile_pseudonyms(PLAN, KEY))
    assert ruled(item) == alone(item)
    assert ruled.replaced == alone.replaced
    masked, touches = ruled.explain(item)
    assert masked == alone(item)
    assert all("@" not in str(touch) for touch in touches)


@given(ITEMS, st.sampled_from(["redact", "keep", "email", "hash"]), STEPS)
def test_the_shape_stays_whatever_the_rule(item: dict[str, Any], strategy: str, steps: Steps) -> None:
    if steps[-1] == ANY_DEPTH or steps[0] == ELEMENT:
        return
    rule = FieldRule(paths.show(steps), steps, StrategySpec(strategy))
    plan = MaskingPlan(PLAN.key, PLAN.sink, "test", policy=Policy((TablePolicy("*", fields=(rule,)),)))
    masker = compile_masker(plan, KEY, TableShape("t"))
    try:
        masked = masker(item)
    except MaskingError:
        return  # a refusal is an answer too
    assert shape(masked) == shape(item)
    assert "x.org" not in str(masked)


def shape(value: Any) -> Any:
    """Types and sizes, without names or contents."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("S", "N", "NULL", "BOOL", "SS", "L", "M"):
        ((kind, content),) = value.items()
        if kind == "L":
            return kind, [shape(member) for member in content]
        return (kind, shape(content)) if kind == "M" else kind
    return sorted((shape(member) for member in value.values()), key=str)
