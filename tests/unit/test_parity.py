"""Two described tables compared: each fact that differs alone is found, alone; what is not known is never equal; what
is another word for the same in the target is no difference; and nothing of the source's account is passed on unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.app.twins import shown
from downstage.domain.refs import TargetTable
from downstage.domain.table_schema import (
    ACCEPTABLE,
    FACTS,
    Encryption,
    Index,
    KeyPart,
    ParityTerms,
    Recovery,
    Scaling,
    Subscription,
    TableSchema,
    Units,
    Unknown,
)
from downstage.planning.parity import demanded, differences
from downstage.planning.translation import normal_statement, translated

PROD, TEST = "111111111111", "222222222222"
KEY = f"arn:aws:kms:us-east-1:{PROD}:key/a"
OTHER_KEY = f"arn:aws:kms:us-east-1:{TEST}:key/b"
PLACE = TargetTable(TEST, "us-east-1", "app-test")
TERMS = ParityTerms(kms={KEY: OTHER_KEY}, accounts={PROD: TEST}, functions={"streams_prod": "streams_test"})

PK, SK = KeyPart("pk", "HASH", "S"), KeyPart("sk", "RANGE", "S")
GLOBAL = Index("by-sk", (KeyPart("sk", "HASH", "S"),), throughput=Units(3, 4), warm=Units(100, 100))
TRACKING = {"TargetValue": 70.0}
STATEMENT = {"Sid": "read", "Effect": "Allow", "Principal": {"AWS": PROD}, "Action": "dynamodb:GetItem"}


def provisioned() -> TableSchema:
    """A table of the source that has something of everything."""
    arn = f"arn:aws:dynamodb:us-east-1:{PROD}:table/app-prod"
    return TableSchema(
        name="app-prod",
        account=PROD,
        region="us-east-1",
        keys=(PK, SK),
        local_indexes=(Index("local", (PK, KeyPart("n", "RANGE", "N"))),),
        global_indexes=(GLOBAL,),
        on_demand=False,
        throughput=Units(5, 6),
        warm=Units(12000, 4000),
        stream="NEW_AND_OLD_IMAGES",
        encryption=Encryption("customer", KEY),
        ttl="until",
        tags={"application": "app", "stage": "prod"},
        recovery=Recovery(on=True, days=35),
        autoscaling=(Scaling("by-sk", "write", 1, 10, (TRACKING,)),),
        policy={"Version": "2012-10-17", "Statement": [{**STATEMENT, "Resource": arn}]},
        insights=("", "by-sk"),
        subscriptions=(
            Subscription(
                "streams_prod:live",
                "TRIM_HORIZON",
                {
                    "BatchSize": 10,
                    "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:{PROD}:q"}},
                },
                "uuid-1",
            ),
        ),
    )


def on_demand() -> TableSchema:
    index = replace(GLOBAL, throughput=Units(), maximum=Units(50, 60))
    return replace(
        provisioned(),
        on_demand=True,
        throughput=Units(),
        maximum=Units(100, 200),
        autoscaling=(),
        global_indexes=(index,),
    )


def twin(source: TableSchema) -> TableSchema:
    """The faithful twin, as AWS would describe it."""
    return translated(source, PLACE, TERMS)


def found(source: TableSchema, target: TableSchema | None, terms: ParityTerms = TERMS) -> list[tuple[str, str]]:
    return [(one.fact, one.place) for one in demanded(differences(source, target, PLACE, terms))]


@pytest.mark.parametrize("source", [provisioned(), on_demand()], ids=["provisioned", "on demand"])
def test_a_twin_has_no_difference(source: TableSchema) -> None:
    assert differences(source, twin(source), PLACE, TERMS) == ()


def index(**change: Any) -> dict[str, Any]:
    (only,) = provisioned().global_indexes
    return {"global_indexes": (replace(only, **change),)}


def index_on_demand(**change: Any) -> dict[str, Any]:
    (only,) = on_demand().global_indexes
    return {"global_indexes": (replace(only, **change),)}


def scaling(**change: Any) -> dict[str, Any]:
    return {"autoscaling": (replace(Scaling("by-sk", "write", 1, 10, (TRACKING,)), **change),)}


def mapping(**settings: Any) -> dict[str, Any]:
    (only,) = twin(provisioned()).subscriptions  # type: ignore[misc]
    return {"subscriptions": (replace(only, settings={**only.settings, **settings}),)}


ALONE: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("key name", {"keys": (KeyPart("id", "HASH", "S"), SK)}, ("keys", "")),
    ("key type", {"keys": (PK, KeyPart("sk", "RANGE", "N"))}, ("keys", "")),
    ("no sort key", {"keys": (PK,)}, ("keys", "")),
    ("local index gone", {"local_indexes": ()}, ("local_indexes", "local")),
    ("local index more", {"local_indexes": (*provisioned().local_indexes, Index("l2", (PK, SK)))},
     ("local_indexes", "l2")),
    ("local projection", {"local_indexes": (replace(provisioned().local_indexes[0], projection="KEYS_ONLY"),)},
     ("local_indexes", "local")),
    ("index key", index(keys=(KeyPart("x", "HASH", "S"),)), ("global_indexes", "by-sk")),
    ("index projection", index(projection="KEYS_ONLY"), ("global_indexes", "by-sk")),
    ("index attributes", index(projection="INCLUDE", attributes=("a",)), ("global_indexes", "by-sk")),
    ("index read units", index(throughput=Units(9, 4)), ("throughput", "by-sk read")),
    ("read units", {"throughput": Units(1, 6)}, ("throughput", "read")),
    ("write units", {"throughput": Units(5, 1)}, ("throughput", "write")),
    ("scaling gone", {"autoscaling": ()}, ("autoscaling", "by-sk write")),
    ("scaling range", scaling(maximum=11), ("autoscaling", "by-sk write")),
    ("scaling aim", scaling(policies=({"TargetValue": 50.0},)), ("autoscaling", "by-sk write")),
    ("stream off", {"stream": None}, ("stream", "")),
    ("stream view", {"stream": "KEYS_ONLY"}, ("stream", "")),
    ("no ttl", {"ttl": None}, ("ttl", "")),
    ("other ttl", {"ttl": "expires"}, ("ttl", "")),
    ("table class", {"table_class": "STANDARD_INFREQUENT_ACCESS"}, ("table_class", "")),
    ("aws-owned key", {"encryption": Encryption()}, ("encryption", "")),
    ("aws-managed key", {"encryption": Encryption("aws-managed")}, ("encryption", "")),
    ("another key", {"encryption": Encryption("customer", OTHER_KEY + "x")}, ("encryption", "")),
    ("protected", {"deletion_protection": True}, ("deletion_protection", "")),
    ("no recovery", {"recovery": Recovery()}, ("point_in_time_recovery", "")),
    ("shorter recovery", {"recovery": Recovery(True, 7)}, ("point_in_time_recovery", "days")),
    ("tag gone", {"tags": {"application": "app"}}, ("tags", "stage")),
    ("tag changed", {"tags": {"application": "app", "stage": "test"}}, ("tags", "stage")),
    ("tag more", {"tags": {"application": "app", "stage": "prod", "own": "1"}}, ("tags", "own")),
    ("no policy", {"policy": None}, ("resource_policy", "read")),
    ("insights off", {"insights": ("",)}, ("contributor_insights", "by-sk")),
    ("replica", {"replicas": ("eu-west-1",)}, ("replicas", "")),
    ("batch size", mapping(BatchSize=11), ("consumers", "streams_test:live")),
    ("filter", mapping(FilterCriteria={"Filters": []}), ("consumers", "streams_test:live")),
    ("parallelization", mapping(ParallelizationFactor=2), ("consumers", "streams_test:live")),
    ("bisect", mapping(BisectBatchOnFunctionError=True), ("consumers", "streams_test:live")),
    ("destination", mapping(DestinationConfig={}), ("consumers", "streams_test:live")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in ALONE], ids=[case[0] for case in ALONE])
def test_each_fact_that_differs_alone_is_found_alone(change: dict[str, Any], expected: tuple[str, str]) -> None:
    source = provisioned()
    assert found(source, replace(twin(source), **change)) == [expected]


ALONE_ON_DEMAND: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"maximum": Units(99, 200)}, ("on_demand_maximum", "read")),
    ({"maximum": Units(100)}, ("on_demand_maximum", "write")),
    (index_on_demand(maximum=Units()), ("on_demand_maximum", "by-sk read")),
    ({"on_demand": False, "throughput": Units(1, 1)}, ("billing", "")),
]


@pytest.mark.parametrize(("change", "expected"), ALONE_ON_DEMAND)
def test_what_limits_an_on_demand_table_is_compared(change: dict[str, Any], expected: tuple[str, str]) -> None:
    source = on_demand()
    assert expected in found(source, replace(twin(source), **change))


def test_every_fact_is_tried_above() -> None:
    tried = {case[2][0] for case in ALONE} | {case[1][0] for case in ALONE_ON_DEMAND}
    assert tried == set(FACTS) - {"table", "warm_throughput"}


@pytest.mark.parametrize(
    "fact", ["encryption", "ttl", "tags", "recovery", "autoscaling", "policy", "insights", "subscriptions"]
)
@pytest.mark.parametrize("blind", ["source", "target", "both"])
def test_what_is_not_known_is_a_difference_of_its_own_and_never_equal(fact: str, blind: str) -> None:
    source, target = provisioned(), twin(provisioned())
    hidden: dict[str, Any] = {fact: Unknown("denied")}
    if blind != "target":
        source = replace(source, **hidden)
    if blind != "source":
        target = replace(target, **hidden)
    (one,) = differences(source, target, PLACE, TERMS)
    assert (one.verdict, one.demanded, one.remedy) == ("unknown", True, "none")
    texts = {"source": one.source, "target": one.target}
    assert all(texts[side] == "not known: denied" for side in texts if blind in (side, "both"))


@pytest.mark.parametrize("fact", [fact for fact in ACCEPTABLE if fact != "warm_throughput"])
def test_what_is_accepted_is_shown_and_not_demanded(fact: str) -> None:
    cases = [(provisioned(), change) for _, change, (of, _) in ALONE if of == fact]
    cases += [(on_demand(), change) for change, (of, _) in ALONE_ON_DEMAND if of == fact]
    for source, change in cases:
        shown = differences(source, replace(twin(source), **change), PLACE, TERMS.accepting(fact))
        assert any(one.fact == fact and one.verdict == "accepted" for one in shown)
        assert not any(one.fact == fact for one in demanded(shown))


def test_one_tag_may_be_accepted_and_no_other() -> None:
    target = replace(twin(provisioned()), tags={"application": "x", "stage": "test"})
    assert found(provisioned(), target, TERMS.accepting("tags:stage")) == [("tags", "application")]


def test_an_absent_table_is_one_difference_and_what_a_clone_could_not_make() -> None:
    assert found(provisioned(), None) == [("table", "")]
    source = replace(provisioned(), replicas=("eu-west-1",), tags=Unknown("denied"))
    assert found(source, None) == [("table", ""), ("tags", ""), ("replicas", "")]


# ---- encryption


def test_a_customer_key_without_counterpart_is_a_difference_whatever_the_target_has() -> None:
    terms = replace(TERMS, kms={})
    for there in (Encryption(), Encryption("customer", KEY), Unknown("denied")):
        (one,) = differences(provisioned(), replace(twin(provisioned()), encryption=there), PLACE, terms)
        assert (one.fact, one.remedy) == ("encryption", "by hand")


def test_within_one_account_and_region_a_key_is_its_own_counterpart() -> None:
    place = TargetTable(PROD, "us-east-1", "app-copy")
    source = replace(provisioned(), policy=None, subscriptions=())
    terms = ParityTerms()
    assert differences(source, translated(source, place, terms), place, terms) == ()


# ---- capacity


def test_units_say_nothing_where_both_sides_scale_by_themselves() -> None:
    both = replace(provisioned(), autoscaling=(Scaling(None, "read", 1, 9),))
    assert found(both, replace(twin(both), throughput=Units(8, 6))) == []
    assert found(both, replace(twin(both), throughput=Units(5, 7))) == [("throughput", "write")]


def test_warmth_is_demanded_only_where_the_configuration_asks_for_it() -> None:
    cold = replace(twin(provisioned()), warm=Units(6000, 4000))
    (one,) = differences(provisioned(), cold, PLACE, TERMS)
    assert (one.fact, one.place, one.verdict, one.remedy) == ("warm_throughput", "read", "accepted", "none")
    asked = replace(TERMS, warm=Units(write=5000))
    assert found(provisioned(), cold, asked) == [("warm_throughput", "write"), ("warm_throughput", "by-sk write")]
    (index,) = cold.global_indexes
    warmer = replace(cold, warm=Units(6000, 9000), global_indexes=(replace(index, warm=Units(1, 5000)),))
    assert found(provisioned(), warmer, asked) == []


# ---- policies


def policy(**change: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{**STATEMENT, **change}]}


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": PROD},
        {"AWS": f"arn:aws:iam::{PROD}:root"},
        {"AWS": ["333333333333", f"arn:aws:iam::{PROD}:role/reader"]},
    ],
)
def test_a_policy_that_names_the_sources_account_is_shown_even_if_the_target_has_the_very_same(principal: Any) -> None:
    source = replace(provisioned(), policy=policy(Principal=principal))
    terms = replace(TERMS, accounts={})
    for there in (None, source.policy):
        (one,) = differences(source, replace(twin(source), policy=there), PLACE, terms)
        assert (one.fact, one.remedy) == ("resource_policy", "by hand")


def test_only_accounts_that_the_mapping_names_are_rewritten() -> None:
    source = replace(
        provisioned(),
        policy=policy(Principal={"AWS": "333333333333"}, Condition={"StringEquals": {"aws:x": f"9{PROD}"}}),
    )
    made = twin(source)
    assert made.policy is not None
    assert not isinstance(made.policy, Unknown)
    assert made.policy["Statement"][0]["Principal"] == {"AWS": "333333333333"}
    assert made.policy["Statement"][0]["Condition"] == {"StringEquals": {"aws:x": f"9{PROD}"}}


def test_statements_that_say_the_same_in_other_words_are_equal() -> None:
    one = {"Effect": "Allow", "Principal": {"AWS": [PROD, TEST]}, "Action": ["b", "a"], "Resource": "r"}
    other = {
        "Sid": "x", "Resource": ["r"], "Action": ["a", "b"], "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{TEST}:root", f"arn:aws:iam::{PROD}:root"]},
    }  # fmt: skip
    assert normal_statement(one) == normal_statement(other)
    assert normal_statement({**one, "Principal": "*"}) == normal_statement({**one, "Principal": {"AWS": "*"}})
    assert normal_statement(one) != normal_statement({**other, "Effect": "Deny"})


# ---- consumers


def test_a_consumer_that_begins_earlier_in_the_target_is_by_design() -> None:
    source = replace(provisioned(), subscriptions=(Subscription("f", "LATEST"),))
    (one,) = differences(
        source, replace(twin(source), subscriptions=(Subscription("f", "TRIM_HORIZON"),)), PLACE, TERMS
    )
    assert (one.place, one.verdict) == ("f start", "accepted")
    early = replace(provisioned(), subscriptions=(Subscription("f", "TRIM_HORIZON"),))
    (one,) = differences(early, replace(twin(early), subscriptions=(Subscription("f", "LATEST"),)), PLACE, TERMS)
    assert (one.verdict, one.remedy) == ("differs", "by hand")


def test_a_consumer_that_the_configuration_knows_as_the_targets_is_by_design() -> None:
    source = replace(provisioned(), subscriptions=())
    target = replace(twin(source), subscriptions=(Subscription("streams_test_a:live"), Subscription("stranger")))
    assert found(source, target, replace(TERMS, own_consumers=("streams_test_*",))) == [("consumers", "stranger")]


def test_what_only_the_target_has_is_never_the_clones_to_remove() -> None:
    source = replace(
        provisioned(), deletion_protection=False, recovery=Recovery(), stream=None, subscriptions=(), ttl=None
    )
    there = twin(source)
    richer = replace(
        there,
        deletion_protection=True,
        recovery=Recovery(True, 35),
        stream="KEYS_ONLY",
        ttl="until",
        subscriptions=(Subscription("mine"),),
        global_indexes=(*there.global_indexes, Index("own", (SK,))),
        tags={"application": "app", "stage": "prod", "own": "1"},
    )
    shown = demanded(differences(source, richer, PLACE, TERMS))
    assert len(shown) == 7
    assert {one.remedy for one in shown} == {"by hand"}


def test_another_stream_view_is_changed_only_where_nobody_listens() -> None:
    there = replace(twin(provisioned()), stream="KEYS_ONLY")
    (one,) = differences(provisioned(), there, PLACE, TERMS)
    assert one.remedy == "by hand"
    unheard = replace(there, subscriptions=())
    shown = differences(provisioned(), unheard, PLACE, TERMS)
    assert [one.remedy for one in shown if one.fact == "stream"] == ["change"]


def test_what_is_shown_holds_no_address() -> None:
    target = replace(twin(provisioned()), tags={"application": "app", "stage": "prod", "owner": "ann@private.example"})
    (one,) = differences(provisioned(), target, PLACE, TERMS)
    assert "ann@" in one.target
    assert "ann@" not in repr(shown(one))
