"""From configuration to plan: everything resolved, every default filled in, honest refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.config.example import template
from downstage.domain.environment import Environment
from downstage.domain.plan import (
    BucketPair,
    Deploy,
    EnginePlan,
    IndexExpectation,
    ItemFlag,
    MaskingPlan,
    ParameterFlag,
    Rates,
    RefreshPlan,
    SearchPlan,
    Streams,
    TablePair,
    Wipe,
)
from downstage.domain.refs import SourceBucket, SourceDomain, SourceTable, TargetBucket, TargetDomain, TargetTable
from downstage.errors import ConfigError
from downstage.planning.build import ENGINES, build_plan, environment_of, environments_of
from downstage.planning.guards import check_accounts
from tests.unit.test_config_sample import SAMPLE, changed, read

PROD, TEST, REGION = "111111111111", "222222222222", "us-east-1"


def plan_of(
    directory: Path,
    text: str = SAMPLE,
    *,
    engine: str | None = None,
    workers: int | None = None,
    segments: int | None = None,
) -> RefreshPlan:
    loaded = read(directory, text)
    return build_plan(loaded.config, "test", base=loaded.base, engine=engine, workers=workers, segments=segments)


def test_the_whole_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path) == RefreshPlan(
        source=Environment(
            name="prod",
            account=PROD,
            region=REGION,
            protected=True,
            role=f"arn:aws:iam::{PROD}:role/downstage-read",
            profile="sandbox",
            credentials_file=str(tmp_path / "aws" / "credentials"),
            endpoint="http://127.0.0.1:4566",
            search_endpoints=(("efcms-search-prod-alpha", "http://127.0.0.1:9200"),),
        ),
        target=Environment(name="test", account=TEST, region=REGION, role=f"arn:aws:iam::{TEST}:role/downstage-write"),
        masking=MaskingPlan(key=f"file:{tmp_path / 'mask.key'}", sink="u-{token}@test.example.com", environment="test"),
        engine=EnginePlan(name="local", workers=2, segments=None),
        flags=(
            ItemFlag(
                TargetTable(TEST, REGION, "efcms-deploy-test"),
                {"pk": {"S": "a"}, "sk": {"S": "a"}},
                {"current": {"S": "alpha"}},
            ),
            ParameterFlag("/app/test/destination-table-version", "alpha"),
        ),
        wipe=Wipe(("efcms-test-alpha", "efcms-test-*"), ("efcms-search-test-alpha",)),
        deploy=Deploy("clone", {}),
        streams=Streams(("streams_test_*",), (REGION, "us-west-1")),
        tables=(
            TablePair(SourceTable(PROD, REGION, "efcms-prod-alpha"), TargetTable(TEST, REGION, "efcms-test-alpha")),
        ),
        buckets=(
            BucketPair(
                SourceBucket(PROD, "efcms-documents-prod"), TargetBucket(TEST, "efcms-documents-test"), delete=True
            ),
        ),
        search=SearchPlan(
            target=TargetDomain(TEST, REGION, "efcms-search-test-alpha"),
            source=SourceDomain(PROD, REGION, "efcms-search-prod-alpha"),
            document_id="{pk}_{sk}",
            expectations=(IndexExpectation("efcms-case", "entityName.S == 'Case'"),),
            patience=900.0,
        ),
    )


def test_steps_without_a_stanza_are_not_planned(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SAMPLE[: SAMPLE.index("      flags:")] + SAMPLE[SAMPLE.index("masking:") :])
    assert (plan.flags, plan.tables, plan.buckets) == ((), (), ())
    assert (plan.wipe, plan.deploy, plan.streams, plan.search) == (None, None, None, None)


def test_streams_are_looked_for_in_the_targets_region(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, changed(", regions: [us-east-1, us-west-1]", ""))
    assert plan.streams == Streams(("streams_test_*",), (REGION,))


def test_rates_are_whole_or_automatic_and_shared_by_the_workers(tmp_path: Path) -> None:
    assert plan_of(tmp_path).rates == Rates()
    rates = "      rates: {read: 500, write: auto, verify: 80}\n"
    plan = plan_of(tmp_path, changed("      from: prod\n", f"      from: prod\n{rates}"))
    assert plan.rates == Rates(500.0, None, 80.0)
    assert plan.rates.shared(4) == Rates(125.0, None, 20.0)


@pytest.mark.parametrize("rate", ["0", "-5", "fast", "1.5", "true", "[1]"])
def test_a_rate_that_cannot_be_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(
        ConfigError, match=r"rates\.read must be a number of capacity units a second, at least 1, or auto"
    ):
        plan_of(tmp_path, changed("      from: prod\n", f"      from: prod\n      rates: {{read: {rate}}}\n"))


def test_the_further_regions_of_a_wipe_are_told_apart_from_the_targets_own(tmp_path: Path) -> None:
    regions = "wipe: {regions: [us-west-1, us-east-1, eu-west-1, us-west-1], tables"
    plan = plan_of(tmp_path, changed("wipe: {tables", regions))
    assert plan.wipe is not None
    assert plan.wipe.further == ("us-west-1", "eu-west-1")
    assert plan.wiped_regions == ("us-east-1", "us-west-1", "eu-west-1")
    assert plan_of(tmp_path).wiped_regions == ("us-east-1",)


def test_a_search_domain_needs_no_source(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, changed("        from: efcms-search-prod-alpha\n", ""))
    assert plan.search is not None
    assert plan.search.source is None


@pytest.mark.parametrize("key", ["env:MASK_KEY", "secretsmanager:a", "ssm:/a", "file:/absolute/key"])
def test_other_keys_stay_as_they_are(tmp_path: Path, key: str) -> None:
    assert plan_of(tmp_path, changed("file:mask.key", key)).masking.key == key


def test_keep_lists_are_canonical(tmp_path: Path) -> None:
    keep = "keep: {domains: [ACME.com, acme.com], addresses: [Bob@Acme.com, bob@acme.com]}"
    masking = plan_of(tmp_path, changed("keep: {domains: [], addresses: []}", keep)).masking
    assert (masking.keep_domains, masking.keep_addresses) == (("acme.com",), ("bob@acme.com",))


def test_the_engine_can_be_replaced(tmp_path: Path) -> None:
    assert plan_of(tmp_path, engine="serial", workers=1, segments=8).engine == EnginePlan("serial", 1, 8)
    assert ENGINES == ("local", "serial", "spark", "glue")


@pytest.mark.parametrize(
    ("engine", "workers", "segments", "message"),
    [
        ("seral", None, None, "there is no engine 'seral'; did you mean 'serial'?"),
        ("emr", None, None, "there is no engine 'emr'; known: local, serial, spark, glue"),
        (None, 0, None, "the numbers of workers and segments must be at least 1"),
        (None, None, 0, "the numbers of workers and segments must be at least 1"),
    ],
)
def test_engines_that_cannot_be(
    tmp_path: Path, engine: str | None, workers: int | None, segments: int | None, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(tmp_path, engine=engine, workers=workers, segments=segments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tset", "there is no environment 'tset'; did you mean 'test'?"),
        ("TEST", "there is no environment 'TEST'; did you mean 'test'?"),
        ("xyz", "there is no environment 'xyz'; known: prod, test"),
        ("prod", "environment 'prod' has no 'refresh' in the configuration; environments that can be refreshed: test"),
    ],
)
def test_environments_that_cannot_be_refreshed(tmp_path: Path, name: str, message: str) -> None:
    loaded = read(tmp_path, SAMPLE)
    with pytest.raises(ConfigError) as caught:
        build_plan(loaded.config, name, base=loaded.base)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_environments(tmp_path: Path) -> None:
    loaded = read(tmp_path, SAMPLE)
    environments = environments_of(loaded.config, base=loaded.base)
    assert [environment.name for environment in environments] == ["prod", "test"]
    assert environment_of(loaded.config, "test", base=loaded.base) == environments[1]


@pytest.mark.parametrize("text", [SAMPLE, template()])
def test_a_plan_from_a_good_configuration_passes_the_guard(tmp_path: Path, text: str) -> None:
    loaded = read(tmp_path, text)
    check_accounts(plan_of(tmp_path, text), environments_of(loaded.config, base=loaded.base))
