"""A refresh whose source is an export to S3: a point in time, proven, resumed anywhere, and deleted afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from downstage.domain.export import ExportPlan, ExportSource
from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import BucketPair, RefreshPlan, TablePair
from downstage.domain.refs import ExportBucket, SourceBucket, SourceTable, TargetBucket, TargetTable
from downstage.errors import AwsError, ConfigError, DownstageError, ExportDamaged, GuardRefused, RunConflict
from downstage.planning.essence import essence
from downstage.planning.schedule import in_order
from downstage.ports import ExportFacts, RestoreWindow
from downstage.report.model import as_document, schema
from downstage.report.wording import limits
from downstage.testing.exports import data_file, export_text
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import KEYS, PROD, REGION, SOURCE, TARGET, TEST, World, case, plan_of, some_items
from downstage.wire import export as wire
from downstage.workflow.cuts import cuts_of
from downstage.workflow.parts import TableWork
from downstage.workflow.prepare import problems_of
from downstage.workflow.refresh import STEPS
from downstage.workflow.sums import whole

BUCKET = ExportBucket(PROD, "raw-prod")
STARTED = ExportPlan(BUCKET, "downstage/raw")
ARN = f"arn:aws:dynamodb:{REGION}:{PROD}:table/{SOURCE}/export/01700000000000-0a1b2c3d"
PAIR = TablePair(SourceTable(PROD, REGION, SOURCE), TargetTable(TEST, REGION, TARGET))


def plan(export: ExportPlan = STARTED, **changes: Any) -> RefreshPlan:
    """A refresh of the one table, without buckets."""
    return plan_of(tables=(replace(PAIR, export=export),), **({"buckets": ()} | changes))


def given(world: World, **changes: Any) -> None:
    """An export that is there already, of the table as it is now."""
    items = list(world.source_tables[SOURCE].items.values())
    fields = {"table_id": world.source_tables[SOURCE].table_id, **changes}
    text = export_text(ARN, "", [(data_file(items[:4]), 4), (data_file(items[4:]), len(items) - 4)], **fields)
    world.exports.objects |= text.objects
    world.exports.exports[ARN] = ExportFacts(
        arn=ARN,
        status="COMPLETED",
        table_arn=PAIR.source.arn,
        table_id=world.source_tables[SOURCE].table_id,
        bucket=BUCKET.name,
        bucket_owner=PROD,
        prefix="",
        format="DYNAMODB_JSON",
        kind="FULL_EXPORT",
    )


def said(world: World) -> str:
    return "\n".join(limits(world.outcome()))


def problems(world: World) -> list[DownstageError]:
    return problems_of(world.parts(world.begin("looks")))


def test_a_refresh_from_an_export_is_proven_and_the_raw_data_are_gone() -> None:
    world = World(plan=plan())
    scanned = World(plan=plan_of(buckets=()))
    for one in (world, scanned):
        one.refresh()
    outcome = world.outcome()
    assert (outcome.result, outcome.exit_code) == (Result.PROVEN, 0)
    (table,) = outcome.tables
    assert (table.read, table.written, table.expired, table.addresses) == (9, 8, 1, 13)
    assert world.target_tables[TARGET].items == scanned.target_tables[TARGET].items
    assert table.digest_written == scanned.outcome().tables[0].digest_written
    assert not world.exports.objects
    (export,) = outcome.exports
    assert (export.table, export.ours, export.exported) == (SOURCE, True, "2027-01-15T07:55:00Z")
    assert export.place == "s3://raw-prod/downstage/raw/AWSDynamoDB/01800000000000-0a1b2c3d/"
    assert export.deleted


def test_the_report_says_that_it_was_a_point_in_time_and_when_it_was_deleted() -> None:
    world = World(plan=plan())
    world.refresh()
    assert f"{SOURCE} was read from an export, exported at 15 Jan 2027, 07:55:00 UTC: a point in time" in said(world)
    assert f"The raw export of {SOURCE}, s3://raw-prod/downstage/raw/AWSDynamoDB/" in said(world)
    assert "was deleted at 15 Jan 2027" in said(world)
    assert "not a point in time" not in said(world)


def test_the_json_report_holds_the_exports_as_its_schema_says() -> None:
    world = World(plan=plan())
    world.refresh()
    (found,) = as_document(world.outcome())["exports"]
    one = schema()["$defs"]["export"]
    Draft202012Validator(one).validate(found)
    assert sorted(one["required"]) == sorted(found)
    assert "exports" in schema()["required"]


def test_a_live_table_beside_it_is_still_said_to_be_none() -> None:
    both = (
        replace(PAIR, export=STARTED),
        TablePair(SourceTable(PROD, REGION, "users"), TargetTable(TEST, REGION, "app-test2")),
    )
    world = World(plan=plan_of(tables=both, buckets=(), wipe=None, deploy=None, search=None, streams=None))
    world.source_tables.create("users", KEYS).put([case(1, "x@court.example.org")])
    world.target_tables.create(TARGET, KEYS)
    world.target_tables.create("app-test2", KEYS)
    world.refresh(chosen=[name for name in STEPS if name not in ("wipe", "deploy")])
    assert "users was read from 15 Jan 2027" in said(world)
    assert f"{SOURCE} was read from an export" in said(world)


def test_one_table_may_be_copied_from_its_export_and_alive() -> None:
    alive = TablePair(SourceTable(PROD, REGION, SOURCE), TargetTable(TEST, REGION, "app-test2"))
    world = World(plan=plan_of(tables=(replace(PAIR, export=STARTED), alive), buckets=(), wipe=None, deploy=None))
    for name in (TARGET, "app-test2"):
        world.target_tables.create(name, KEYS)
    world.refresh(chosen=("export",))
    world.source_tables[SOURCE].put([case(1000, "later@court.example.org")])
    world.resume(chosen=("copy",))
    exported, live = world.outcome().tables
    assert (exported.read, live.read) == (9, 10)
    assert (exported.read_from, live.read_from != "") == ("", True)
    assert "this is not a point in time" in said(world)


def test_what_changes_in_production_after_the_export_is_not_copied() -> None:
    world = World(plan=plan())
    world.refresh(chosen=STEPS[: STEPS.index("flags")])
    world.source_tables[SOURCE].put([case(1000, "later@court.example.org")])
    world.resume()
    assert world.outcome().tables[0].read == 9
    assert world.outcome().result is Result.PROVEN


def test_all_tables_are_exported_as_of_one_instant() -> None:
    world = World(plan=plan())
    world.refresh()
    (order,) = world.exports.orders
    assert order.at == world.exports.restorable.latest
    assert (order.token, order.bucket, order.prefix) == (f"run-1/{SOURCE}", BUCKET, "downstage/raw")
    for window in (RestoreWindow(5.0, 4.0), RestoreWindow(0.0, float("inf"))):
        another = World(plan=plan())
        another.exports.restorable = window
        another.refresh()
        assert another.exports.orders[0].at is None


def test_nothing_is_touched_before_the_export_is_complete_and_checked() -> None:
    world = World(plan=plan())
    world.refresh()
    assert world.writes[0] == f"export run-1/{SOURCE}"
    assert world.clock.slept[:2] == [1.0, 2.0]


def failing(world: World, error: type[DownstageError], text: str, at: str = "export") -> None:
    """The run ends in that step; nothing of the target was touched and nothing is copied."""
    with pytest.raises(error, match=text):
        world.refresh()
    assert not [write for write in world.writes if not write.startswith("export ")]
    step = world.journal.step("run-1", at)
    assert step is not None
    assert step.state == StepState.FAILED


def test_an_export_that_fails_is_told_in_the_words_of_aws() -> None:
    world = World(plan=plan())

    def fail() -> None:
        for arn, facts in world.exports.exports.items():
            world.exports.exports[arn] = replace(
                facts, status="FAILED", failure="S3NoSuchBucket The bucket is not there"
            )

    world.clock.on_sleep = fail
    failing(world, AwsError, f"export of table {SOURCE} has failed: S3NoSuchBucket The bucket is not there")


def test_waiting_is_bounded_and_the_export_is_found_again() -> None:
    world = World(plan=plan(replace(STARTED, patience=600.0)))
    world.exports.looks = 10**6
    failing(world, AwsError, "has not ended after 0.2 hours: resume the run later")
    assert 600 <= sum(world.clock.slept) <= 640
    world.exports.looks = 0
    world.resume()
    assert len(world.exports.exports) == 1
    assert world.outcome().result is Result.PROVEN
    assert "still stands" not in said(world)


def test_the_report_of_a_failed_run_says_where_the_raw_data_stand() -> None:
    world = World(plan=plan(replace(STARTED, patience=60.0)))
    world.exports.looks = 10**6
    with pytest.raises(AwsError):
        world.refresh()
    place = "s3://raw-prod/downstage/raw/AWSDynamoDB/01800000000000"
    assert f"The raw export of {SOURCE} still stands at {place}" in said(world)


def test_recovery_that_is_off_is_one_problem_of_check() -> None:
    world = World(plan=plan())
    world.exports.recovery = set()
    (problem,) = problems(world)
    assert isinstance(problem, ConfigError)
    assert "\n" not in str(problem)
    off = f"table {SOURCE}: point-in-time recovery is off, and an export needs it: switch it on, or remove 'export'"
    assert off in str(problem)
    failing(world, ConfigError, "point-in-time recovery is off", "preflight")


def test_an_instant_that_recovery_does_not_reach_is_a_problem() -> None:
    for at in (1.0, 1_899_999_999.0):
        world = World(plan=plan(replace(STARTED, at=at)))
        (problem,) = problems(world)
        assert "does not reach to 'export.time'" in str(problem)
    world = World(plan=plan(replace(STARTED, at=1_790_000_000.0)))
    assert not problems(world)
    world.refresh()
    assert world.exports.orders[0].at == 1_790_000_000.0


def test_a_bucket_of_another_account_is_a_problem() -> None:
    world = World(plan=plan())
    world.exports.buckets[BUCKET.name] = TEST
    (problem,) = problems(world)
    assert f"the export bucket raw-prod does not belong to account {PROD}" in str(problem)


@pytest.mark.parametrize("account", [TEST, "333333333333"])
def test_a_bucket_that_the_plan_places_elsewhere_is_refused(account: str) -> None:
    world = World(plan=plan(replace(STARTED, bucket=ExportBucket(account, "raw"))))
    refusals = [str(problem) for problem in problems(world) if isinstance(problem, GuardRefused)]
    assert "a raw export stays in production's" in refusals[0]
    with pytest.raises(GuardRefused):
        world.refresh(chosen=["export"])
    assert not world.writes


def test_a_bucket_that_is_synced_is_refused() -> None:
    pair = BucketPair(SourceBucket(PROD, BUCKET.name), TargetBucket(TEST, "copies"))
    world = World(plan=plan(buckets=(pair,)))
    with pytest.raises(GuardRefused, match="raw exports would reach the target"):
        world.refresh(chosen=["export"])
    assert not world.writes


def test_an_export_by_arn_is_read_and_stays() -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    before = dict(world.exports.objects)
    world.refresh()
    assert world.outcome().result is Result.PROVEN
    assert world.exports.objects == before
    assert not world.exports.orders
    stands = f"The raw export of {SOURCE} (given by its ARN) still stands at s3://raw-prod/AWSDynamoDB/01700000000000"
    assert stands in said(world)


def test_an_export_by_arn_goes_if_that_is_asked_for() -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=False)))
    given(world)
    world.exports.objects["AWSDynamoDB/01700000000001-other/data/x.gz"] = b"of somebody else"
    world.refresh()
    assert list(world.exports.objects) == ["AWSDynamoDB/01700000000001-other/data/x.gz"]
    assert "(given by its ARN), s3://raw-prod/AWSDynamoDB/01700000000000-0a1b2c3d/, was deleted" in said(world)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"exportType": "INCREMENTAL_EXPORT"}, "the export is INCREMENTAL_EXPORT, which holds only what has changed"),
        ({"outputFormat": "ION"}, "the export's format is ION, which is not read"),
        ({"table_id": "id-of-before"}, "is of an earlier table of that name"),
        ({"exportArn": ARN[:-1]}, "is of another export"),
        ({"itemCount": 10}, "lists files of another number of items than the 10 of the summary"),
    ],
)
def test_an_export_that_is_not_what_is_needed_is_refused(changes: dict[str, Any], text: str) -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world, **changes)
    failing(world, DownstageError, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "ION"}, "the export's format is ION"),
        ({"table_arn": "arn:aws:dynamodb:us-east-1:111111111111:table/other"}, "is of another table"),
        ({"bucket": "other"}, "lies in bucket other"),
        ({"bucket_owner": TEST}, f"of account {TEST}"),
        ({"status": "FAILED"}, "AWS gives no reason"),
    ],
)
def test_check_finds_that_an_export_by_arn_cannot_be_read(changes: dict[str, Any], text: str) -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    world.exports.exports[ARN] = replace(world.exports.exports[ARN], **changes)
    (problem,) = problems(world)
    assert text in str(problem)
    assert "\n" not in str(problem)


def test_an_arn_that_aws_does_not_know_is_a_problem() -> None:
    (problem,) = problems(World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True))))
    assert "there is no export" in str(problem)


@pytest.mark.parametrize(("content", "text"), [(None, "is not there"), (b"x", "was written again")])
def test_a_missing_or_rewritten_data_file_is_found_before_anything_is_touched(content: bytes | None, text: str) -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    key = next(key for key in world.exports.objects if "/data/" in key)
    del world.exports.objects[key]
    if content is not None:
        world.exports.objects[key] = content
    failing(world, ExportDamaged, text)


def test_a_manifest_that_its_checksum_contradicts_is_refused() -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    key = next(key for key in world.exports.objects if key.endswith("manifest-files.json"))
    world.exports.objects[key] += b"\n"
    failing(world, ExportDamaged, "has another MD5 than its checksum file says")


def test_a_file_outside_the_exports_folder_is_refused() -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    root = "AWSDynamoDB/01700000000000-0a1b2c3d/"
    key = root + "manifest-files.json"
    world.exports.objects[key] = world.exports.objects[key].replace(root.encode(), b"AWSDynamoDB/01600000000000-other/")
    del world.exports.objects[root + "manifest-files.md5"]
    failing(world, ExportDamaged, "lists a file outside the export's own folder")


def test_a_manifest_that_changes_during_the_run_stops_the_copy() -> None:
    world = World(plan=plan(ExportPlan(BUCKET, arn=ARN, keep=True)))
    given(world)
    world.refresh(chosen=STEPS[: STEPS.index("copy")])
    key = next(key for key in world.exports.objects if key.endswith("manifest-files.json"))
    world.exports.objects[key] = b"".join(reversed(world.exports.objects[key].splitlines(keepends=True)))
    with pytest.raises(ExportDamaged, match="is not what it was when the run began"):
        world.resume()


def test_a_data_file_that_is_damaged_later_is_never_done_and_the_export_stays() -> None:
    world = World(plan=plan())
    world.refresh(chosen=STEPS[: STEPS.index("copy")])
    objects = world.exports.objects
    key = max((key for key in objects if "/data/" in key), key=lambda key: len(objects[key]))
    objects[key] = data_file([case(7, "other@court.example.org")])
    with pytest.raises(ExportDamaged, match="was written again") as caught:
        world.resume()
    assert key in str(caught.value)
    assert not whole(world.journal.checkpoints("run-1", f"copy/{TARGET}"))
    assert objects
    assert "still stands" in said(world)
    assert world.outcome().result is Result.FAILED


def test_the_export_outlives_tables_that_are_not_verified() -> None:
    world = World(plan=plan())
    world.refresh(
        chosen=[name for name in STEPS if name not in ("verify-tables", "index", "verify-index", "consumers-on")]
    )
    step = world.journal.step("run-1", "discard-export")
    assert step is not None
    assert step.detail == "1 exports stay: the tables were not verified"
    assert world.exports.objects


def test_keep_keeps_it() -> None:
    world = World(plan=plan(replace(STARTED, keep=True)))
    world.refresh()
    assert world.exports.objects
    assert world.outcome().result is Result.PROVEN
    assert "still stands at" in said(world)


def test_verifying_again_discards_what_the_first_run_could_not() -> None:
    world = World(plan=plan())
    world.refresh(chosen=[name for name in STEPS if name != "discard-export"])
    assert world.exports.objects
    again = world.begin("run-2", "verify", copy_run="run-1")
    world.refresh(again, chosen=("verify-tables", "verify-buckets", "discard-export"))
    assert not world.exports.objects
    assert world.outcome("run-2").exports[0].deleted


def test_verifying_once_more_says_when_it_was_deleted_and_deletes_nothing() -> None:
    world = World(plan=plan())
    world.refresh()
    (before,) = world.outcome().exports
    world.clock.sleep(3600)
    world.writes.clear()
    again = world.begin("run-2", "verify", copy_run="run-1")
    world.refresh(again, chosen=("verify-tables", "verify-buckets", "discard-export"))
    assert world.outcome("run-2").exports == (before,)
    assert not world.writes


def test_what_is_deleted_goes_through_a_guard_and_is_deleted_for_good() -> None:
    world = World(plan=plan())
    world.exports.delete = lambda bucket, versions: None  # type: ignore[method-assign]
    with pytest.raises(AwsError, match="is still there after it was deleted"):
        world.refresh()
    assert world.outcome().exit_code == 1
    world.exports.objects["elsewhere"] = b"x"
    world.exports.versions = lambda bucket, root: iter([("elsewhere", "null")])  # type: ignore[method-assign]
    with pytest.raises(GuardRefused, match="lies outside the export's own folder"):
        world.resume()
    assert "elsewhere" in world.exports.objects


def test_the_copy_alone_says_that_the_export_is_missing() -> None:
    world = World(plan=plan())
    with pytest.raises(ConfigError, match="the step 'export' has not been run"):
        world.refresh(chosen=STEPS[STEPS.index("flags") : STEPS.index("verify-tables")])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("items_a_file", [2, 100])
def test_killed_at_any_call_it_goes_on_to_the_proof_with_one_export(
    after: bool, items_a_file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a file, and when AWS has forgotten the token that makes a start unrepeatable."""
    monkeypatch.setattr(wire, "STRETCH", 300)

    def world_of_files() -> World:
        world = World(plan=plan())
        world.exports.most, world.exports.remembers = items_a_file, False
        return world

    first, untouched = world_of_files(), Trip()
    first.refresh(trip=untouched)
    digest = first.outcome().tables[0].digest_written
    names = untouched.names
    last = max(place for place, name in enumerate(names) if name.startswith("MemoryExports."))
    moments = {1 + place for place, name in enumerate(names) if "Export" in name} | set(range(1, last, 9))
    assert names.count("ExportReader.pages") >= 5
    for moment in sorted(moments):
        world = world_of_files()
        with pytest.raises(Killed):
            world.refresh(trip=Trip(moment, after=after))
        world.resume()
        outcome = world.outcome()
        assert (outcome.result, outcome.tables[0].digest_written) == (Result.PROVEN, digest)
        assert len(world.exports.orders) == 1
        assert not world.exports.objects
        assert outcome.exports[0].deleted


@pytest.mark.parametrize(
    "now",
    [
        replace(STARTED, bucket=ExportBucket(PROD, "raw-other")),
        ExportPlan(BUCKET, "downstage/raw", arn=ARN, keep=False),
    ],
)
def test_a_run_goes_on_with_the_export_that_it_began_with(now: ExportPlan) -> None:
    for done in ("flags", "copy"):
        world = World(plan=plan())
        world.exports.looks = 0
        world.refresh(chosen=STEPS[: STEPS.index(done)])
        world.plan = plan(now)
        with pytest.raises(RunConflict, match="the run began with export"):
            world.resume()
        assert not [write for write in world.writes if write.startswith(("delete 1", "put "))]
    world = World(plan=plan())
    world.refresh(chosen=[name for name in STEPS if name != "discard-export"])
    world.plan = plan(now)
    world.refresh(world.begin("run-2", "verify", copy_run="run-1"), chosen=("verify-tables", "discard-export"))
    assert world.exports.objects
    assert "still stands" in "\n".join(limits(world.outcome("run-2")))


def test_what_a_resumed_run_must_find_again_and_what_may_be_mended() -> None:
    for other in (
        replace(STARTED, bucket=ExportBucket(PROD, "x")),
        replace(STARTED, prefix=""),
        replace(STARTED, arn=ARN),
    ):
        assert essence(plan(other)) != essence(plan())
    for other in (replace(STARTED, keep=True), replace(STARTED, patience=1.0)):
        assert essence(plan(other)) == essence(plan())


def test_few_files_are_spread_over_all_workers() -> None:
    def lanes(files: int, workers: int) -> list[int]:
        world = World(plan=plan())
        parts = world.parts(world.begin())
        source = ExportSource(BUCKET, "r/", "r/m", "0", files, 1, 0.0)
        work = TableWork("s", "t", ("pk",), 64, None, 0.0, export=source)
        assert sum(len(lane.segments) for lane in in_order(cuts_of(parts, "verify", [work]), workers)) == 64
        return sorted(len(lane.segments) for lane in in_order(cuts_of(parts, "copy", [work]), workers))

    assert lanes(1, 8) == [1]
    assert lanes(6, 4) == [1] * 6
    assert lanes(8, 4) == [2] * 4
    assert lanes(40, 4) == [4] * 10


def test_no_item_data_in_the_journal_or_the_events() -> None:
    world = World(plan=plan())
    world.refresh()
    assert b"court.example.org" in orjson.dumps(some_items())
    assert "court.example.org" not in repr(vars(world.journal))
    assert "court.example.org" not in repr(world.events.events)
