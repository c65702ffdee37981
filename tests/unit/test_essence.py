"""What may change between a run and its resumption, and what may not: both ways, for every part of a plan."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from downstage.domain.environment import Environment
from downstage.domain.plan import (
    BucketPair,
    Deploy,
    EnginePlan,
    IndexExpectation,
    ItemFlag,
    ParameterFlag,
    Rates,
    RefreshPlan,
    SearchPlan,
    Streams,
    TablePair,
    Wipe,
)
from downstage.domain.refs import SourceBucket, SourceTable, TargetBucket, TargetTable
from downstage.domain.table_schema import ParityTerms
from downstage.planning.essence import _matters, essence
from downstage.testing.world import COPIES, DOCUMENTS, FLAGS, PROD, REGION, SOURCE, TARGET, TEST, plan_of

PLAN = plan_of()


def moved(environment: Environment) -> Environment:
    """The same environment, reached in another way from another directory."""
    return replace(
        environment,
        role="arn:aws:iam::222222222222:role/other",
        profile="other",
        credentials_file="/elsewhere/credentials",
        endpoint="http://127.0.0.1:1",
        search_endpoints=(("search-test", "http://127.0.0.1:2"),),
    )


def search(**changes: Any) -> SearchPlan:
    assert PLAN.search is not None
    return replace(PLAN.search, **changes)


def pair(**changes: Any) -> TablePair:
    return replace(PLAN.tables[0], **changes)


HARMLESS: dict[str, RefreshPlan] = {
    "ways in and endpoints": replace(PLAN, source=moved(PLAN.source), target=moved(PLAN.target)),
    "engine, workers, segments": replace(PLAN, engine=EnginePlan("local", 9, 99)),
    "rates": replace(PLAN, rates=Rates(1.0, 2.0)),
    "patience": replace(PLAN, search=search(patience=1.0)),
    "where the key and the lock are": replace(PLAN, masking=replace(PLAN.masking, key="file:/elsewhere/key")),
    "what tables may differ in": replace(PLAN, tables=(pair(terms=ParityTerms(accept=("billing",))),)),
    "the deployer's own settings": replace(PLAN, deploy=Deploy("memory", {"branch": "other"})),
    "who must approve": replace(PLAN, approve=("wipe",)),
    "what is borne of the source's role": replace(PLAN, source_role="warn"),
}
TELLING: dict[str, RefreshPlan] = {
    "source account": replace(PLAN, source=replace(PLAN.source, account="333333333333")),
    "target account": replace(PLAN, target=replace(PLAN.target, account="333333333333")),
    "target region": replace(PLAN, target=replace(PLAN.target, region="eu-west-1")),
    "a source table": replace(PLAN, tables=(pair(source=SourceTable(PROD, REGION, "app-prod-2")),)),
    "a target table": replace(PLAN, tables=(pair(target=TargetTable(TEST, REGION, "app-test-2")),)),
    "one table more": replace(PLAN, tables=(*PLAN.tables, pair(source=SourceTable(PROD, REGION, "more")))),
    "a bucket": replace(PLAN, buckets=(BucketPair(SourceBucket(PROD, DOCUMENTS), TargetBucket(TEST, "x"), True),)),
    "delete": replace(PLAN, buckets=(BucketPair(SourceBucket(PROD, DOCUMENTS), TargetBucket(TEST, COPIES), False),)),
    "what is wiped": replace(PLAN, wipe=Wipe(("app-test-only",), ())),
    "whether it is wiped": replace(PLAN, wipe=None),
    "where it is wiped": replace(PLAN, wipe=Wipe(("app-test*",), ("search-test*",), ("us-west-1",))),
    "who deploys": replace(PLAN, deploy=Deploy("clone", {})),
    "consumers": replace(PLAN, streams=Streams(("another",))),
    "an item flag": replace(
        PLAN, flags=(ItemFlag(TargetTable(TEST, REGION, FLAGS), {"pk": {"S": "colour"}}, {"current": {"S": "beta"}}),)
    ),
    "a parameter": replace(PLAN, flags=(ParameterFlag("/app/test/colour", "beta"),)),
    "document ids": replace(PLAN, search=search(document_id="{pk}")),
    "what an index must hold": replace(PLAN, search=search(expectations=(IndexExpectation("case", "other"),))),
    "no search": replace(PLAN, search=None),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_may_be_mended_in_between(what: str) -> None:
    assert HARMLESS[what] != PLAN
    assert essence(HARMLESS[what]) == essence(PLAN)


@pytest.mark.parametrize("what", TELLING)
def test_what_makes_it_another_refresh(what: str) -> None:
    assert essence(TELLING[what]) != essence(PLAN)


def test_the_digest_does_not_depend_on_where_it_is_made() -> None:
    assert (PLAN.tables[0].source.name, PLAN.tables[0].target.name) == (SOURCE, TARGET)
    assert essence(PLAN) == essence(plan_of())
    assert len(essence(PLAN)) == 16


def test_a_run_from_before_there_were_further_regions_is_the_same_refresh() -> None:
    assert _matters(PLAN)["wipe"] == [["app-test*"], ["search-test*"]]


def test_every_setting_of_a_plan_was_thought_of() -> None:
    """A new field must be put on one of the two sides here, by a decision."""
    decided = {"source", "target", "flags", "wipe", "deploy", "streams", "tables", "buckets", "search"}
    free = {"masking", "engine", "rates", "max_quarantine", "approve", "exporter", "source_role", "max_delete", "sync"}
    assert {field.name for field in fields(RefreshPlan)} - free == decided
