"""The one exception to "production is only read", and its bounds; the configuration of exports and what a plan says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from downstage.app.looks import read_from
from downstage.config.load import load
from downstage.domain.export import ExportPlan, root_of
from downstage.domain.plan import RefreshPlan
from downstage.domain.refs import ExportBucket
from downstage.errors import ConfigError, GuardRefused
from downstage.planning import guards
from downstage.planning.build import build_plan
from tests.unit.test_guards import PLAN, PROD, TABLE, TEST, refused

ID = "01800000000000-0a1b2c3d"
ARN = f"{TABLE.source.arn}/export/{ID}"
BUCKET = ExportBucket(PROD, "raw-prod")
EXPORT = ExportPlan(BUCKET, "downstage")
ROOT = f"downstage/AWSDynamoDB/{ID}/"
KEYS = (f"{ROOT}_started", f"{ROOT}data/a.json.gz")


def planned(export: ExportPlan = EXPORT) -> RefreshPlan:
    return replace(PLAN, tables=(replace(TABLE, export=export),))


def test_the_runs_own_export_may_be_deleted() -> None:
    guards.check_export_delete(planned(), EXPORT, BUCKET, ARN, ROOT, KEYS)
    bare = replace(EXPORT, prefix="")
    guards.check_export_delete(planned(bare), bare, BUCKET, ARN, root_of("", ARN), [])


def test_one_that_was_given_may_be_deleted_if_the_plan_says_so() -> None:
    given = ExportPlan(BUCKET, arn=ARN)
    guards.check_export_delete(planned(given), given, BUCKET, ARN, f"elsewhere/AWSDynamoDB/{ID}/", [])


@pytest.mark.parametrize(
    ("export", "bucket", "arn", "root", "keys", "why"),
    [
        (EXPORT, ExportBucket(PROD, "documents-prod"), ARN, ROOT, KEYS, "not the export bucket that the plan names"),
        (EXPORT, ExportBucket(TEST, "raw-prod"), ARN, ROOT, KEYS, "not the export bucket that the plan names"),
        (
            EXPORT,
            BUCKET,
            ARN.replace("prod-alpha", "prod-beta"),
            ROOT,
            KEYS,
            "not the export bucket that the plan names",
        ),
        (EXPORT, BUCKET, ARN.replace(PROD, TEST), ROOT, KEYS, "not the export bucket that the plan names"),
        (replace(EXPORT, keep=True), BUCKET, ARN, ROOT, KEYS, "the plan keeps this export"),
        (replace(EXPORT, prefix="", arn=ARN + "0"), BUCKET, ARN, ROOT, KEYS, "the plan keeps this export"),
        (EXPORT, BUCKET, ARN, "downstage/AWSDynamoDB/", (), "not the one of this export"),
        (EXPORT, BUCKET, ARN, f"downstage/AWSDynamoDB/{ID}", (), "not the one of this export"),
        (EXPORT, BUCKET, ARN, "", KEYS, "not the one of this export"),
        (EXPORT, BUCKET, ARN, f"downstage/{ID}/", (), "not the one of this export"),
        (EXPORT, BUCKET, ARN, "downstage/AWSDynamoDB/01800000000000-ffffffff/", (), "not the one of this export"),
        (EXPORT, BUCKET, f"{TABLE.source.arn}/export/", "downstage/AWSDynamoDB//", (), "not the one of this export"),
        (EXPORT, BUCKET, ARN, f"other/AWSDynamoDB/{ID}/", (), "does not lie below the prefix that the plan names"),
        (EXPORT, BUCKET, ARN, f"AWSDynamoDB/{ID}/", (), "does not lie below the prefix that the plan names"),
        (EXPORT, BUCKET, ARN, ROOT, (*KEYS, "downstage/other"), "outside the export's own folder"),
        (EXPORT, BUCKET, ARN, ROOT, (ROOT.rstrip("/") + "x",), "outside the export's own folder"),
    ],
)
def test_nothing_else_is_deleted_in_production(
    export: ExportPlan, bucket: ExportBucket, arn: str, root: str, keys: tuple[str, ...], why: str
) -> None:
    refused(lambda: guards.check_export_delete(planned(export), export, bucket, arn, root, keys), why, bucket.name)


def test_an_export_that_the_plan_does_not_know_is_not_deleted() -> None:
    refused(lambda: guards.check_export_delete(PLAN, EXPORT, BUCKET, ARN, ROOT, KEYS), "not the export bucket")


def test_one_source_has_one_export() -> None:
    again = replace(TABLE, target=replace(TABLE.target, name="app-test-2"), export=replace(EXPORT, prefix="elsewhere"))
    plan = replace(PLAN, tables=(replace(TABLE, export=EXPORT), again))
    with pytest.raises(GuardRefused, match="name different exports"):
        guards.check_exports(plan)


def test_one_account_for_both_sides_takes_no_exports() -> None:
    one = replace(planned(), target=replace(PLAN.target, account=PROD))
    refused(lambda: guards.check_exports(one), "a raw export stays in production's", "raw-prod")
    guards.check_exports(planned())


# -- the configuration

CONFIG = """\
version: 1
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test:
    account: "222222222222"
    region: us-east-1
    refresh:
      from: prod
      tables:
        - {from: app-prod, to: app-test}
        - {from: users-prod, to: users-test%s}
%s
masking: {key: "env:KEY"}
"""
GIVEN = "arn:aws:dynamodb:us-east-1:111111111111:table/users-prod/export/01800000000000-0a1b2c3d"


def exports_of(folder: Path, table: str = "", refresh: str = "") -> list[ExportPlan | None]:
    path = folder / "downstage.yaml"
    path.write_text(CONFIG % (table, f"      {refresh}"), encoding="utf-8")
    loaded = load(path, environ={})
    plan = build_plan(loaded.config, "test", base=loaded.base, files=loaded.masking_files)
    return [pair.export for pair in plan.tables]


def test_exports_of_all_tables_and_of_single_ones(tmp_path: Path) -> None:
    raw = ExportBucket("111111111111", "raw-prod")
    every = "export: {bucket: raw-prod, prefix: a/b, kms: alias/raw, patience: 90m}"
    started = ExportPlan(raw, "a/b", "alias/raw", patience=5400.0)
    assert exports_of(tmp_path) == [None, None]
    assert exports_of(tmp_path, refresh=every) == [started, started]
    assert exports_of(tmp_path, ", live: true", every) == [started, None]
    given = ExportPlan(raw, arn=GIVEN, keep=True)
    assert exports_of(tmp_path, f", export: {{bucket: raw-prod, arn: '{GIVEN}'}}", every) == [started, given]
    assert exports_of(tmp_path, f", export: {{bucket: raw-prod, arn: '{GIVEN}', keep: false}}")[1] == replace(
        given, keep=False
    )
    kept = exports_of(tmp_path, ", export: {bucket: raw-prod, keep: true, time: '2027-01-15T08:00:00Z'}")[1]
    assert kept == ExportPlan(raw, keep=True, at=1_800_000_000.0)


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("{prefix: a}", "needs the key 'bucket'"),
        ("{bucket: 's3://raw'}", "export.bucket must be a bucket's name, not its ARN or URL"),
        ("{bucket: raw-prod, prefix: a/}", "export.prefix must be names of letters"),
        ("{bucket: raw-prod, prefix: ../a}", "export.prefix must be names of letters"),
        ("{bucket: raw-prod, time: '2027-01-15'}", "export.time must be an instant with its time zone"),
        ("{bucket: raw-prod, time: yesterday}", "export.time must be an instant with its time zone"),
        ("{bucket: raw-prod, arn: 'arn:aws:s3:::x'}", "export.arn must be an export's ARN"),
        (f"{{bucket: raw-prod, arn: '{GIVEN}', prefix: a}}", "must not hold 'prefix' beside 'arn'"),
        (
            f"{{bucket: raw-prod, arn: '{GIVEN}'}}",
            "names an export of table users-prod; an export by ARN is one table's",
        ),
        ("{bucket: raw-prod, buckets: x}", "unknown key 'buckets'"),
    ],
)
def test_refusals(tmp_path: Path, export: str, said: str) -> None:
    with pytest.raises((ConfigError, GuardRefused)) as caught:
        exports_of(tmp_path, refresh=f"export: {export}")
    assert said in str(caught.value)


def test_live_and_an_own_export_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must not hold both 'live: true' and 'export'"):
        exports_of(tmp_path, ", live: true, export: {bucket: raw-prod}")


def test_a_plan_says_from_where_for_how_much_and_what_becomes_of_it() -> None:
    assert read_from(None, 5) == ""
    assert read_from(EXPORT, 50 * 2**30) == (
        "; read from an export to s3://raw-prod/downstage, about $5.00 at $0.10 a GB, deleted once verified"
    )
    assert (
        read_from(ExportPlan(BUCKET, arn=ARN, keep=True), 5)
        == f"; read from export {ID} in s3://raw-prod, kept afterwards"
    )
