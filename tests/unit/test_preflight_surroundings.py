"""The preflight's looks round a refresh: what is a problem, what is only told, and that one hides no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from downstage.app.disk import look_at_disk
from downstage.domain.events import Note
from downstage.domain.plan import MaskingPlan
from downstage.errors import AwsError, ConfigError, DownstageError, GuardRefused
from downstage.planning.surroundings import (
    JOURNAL_BYTES,
    SPILLED_BYTES,
    Surroundings,
    check_bucket,
    check_clock,
    check_disk,
    check_masking_key,
    check_source_role,
)
from downstage.ports import BucketFacts, DiskFacts, KeyUse, TableFacts
from downstage.testing.surroundings import (
    DENIED,
    MemoryBucketKeys,
    MemoryPermissions,
    MemorySecrets,
    harmless,
)
from downstage.testing.world import COPIES, DOCUMENTS, FUNCTION, SOURCE, World, bucket_pair, plan_of
from downstage.workflow.prepare import problems_of

TABLE_ARN = f"arn:aws:dynamodb:us-east-1:111111111111:table/{SOURCE}"


def problems(world: World, around: Surroundings) -> list[DownstageError]:
    world.around = around
    return problems_of(world.parts(world.begin()))


def notes(world: World) -> list[str]:
    return [event.text for event in world.events.events if isinstance(event, Note)]


def told(check: Callable[[Callable[[str], None]], None]) -> list[str]:
    heard: list[str] = []
    check(heard.append)
    return heard


# -- all together


def test_nothing_stands_in_the_way_and_the_consumers_are_named() -> None:
    world = World()
    assert problems(world, harmless()) == []
    assert f"consumer found: {FUNCTION} of table app-test in us-east-1 (Enabled)" in notes(world)


def test_every_problem_is_listed_at_once_and_nothing_is_touched() -> None:
    world = World()
    world.plan = replace(world.plan, masking=replace(world.plan.masking, key="secretsmanager:mask"))
    found = problems(
        world,
        harmless(
            source_role=MemoryPermissions(("dynamodb:*", "*")),
            key_probe=MemorySecrets("secretsmanager:mask"),
            bucket_keys=MemoryBucketKeys({COPIES: "alias/gone"}),
            disk=DiskFacts("state", 10**12, writable=False),
            ahead=-400.0,
        ),
    )
    assert [type(problem) for problem in found] == [AwsError, GuardRefused, ConfigError, GuardRefused, ConfigError]
    for problem, words in zip(found, ("clock", "only be read", "alias/gone", "masking.key", "state:"), strict=True):
        assert words in str(problem)
    assert world.writes == []


def test_what_aws_denies_is_told_and_stops_nothing() -> None:
    world = World()
    world.plan = replace(world.plan, masking=replace(world.plan.masking, key="ssm:/mask"))
    found = problems(
        world,
        harmless(
            source_role=MemoryPermissions(error=DENIED),
            key_probe=MemorySecrets(error=DENIED),
            bucket_keys=MemoryBucketKeys(error=DENIED),
        ),
    )
    assert found == []
    heard = " | ".join(notes(world))
    for words in (
        "source's role: whether it may change",
        "masking.key: whether the target's role",
        "its encryption is",
    ):
        assert words in heard


def test_a_pattern_that_finds_no_consumer_is_told_while_another_finds_one() -> None:
    world = World()
    assert world.plan.streams is not None
    world.plan = replace(world.plan, streams=replace(world.plan.streams, functions=(FUNCTION, "streams_prod_*")))
    assert problems(world, harmless()) == []
    assert "streams.functions: no consumer of the target tables is named 'streams_prod_*'" in notes(world)


def test_a_refresh_does_not_begin_with_a_key_that_is_not_secret() -> None:
    world = World()
    world.plan = replace(world.plan, masking=replace(world.plan.masking, key="secretsmanager:mask"))
    world.around = harmless(key_probe=MemorySecrets("secretsmanager:mask"))
    with pytest.raises(GuardRefused, match=r"masking\.key"):
        world.refresh()
    assert world.writes == []


# -- the source's role


def test_the_roles_actions_and_places_are_named() -> None:
    role = MemoryPermissions(("dynamodb:PutItem", TABLE_ARN), ("s3:Delete*", f"arn:aws:s3:::{DOCUMENTS}/*"))
    with pytest.raises(GuardRefused) as refused:
        check_source_role(plan_of(), role, lambda _text: None)
    said = str(refused.value)
    assert "dynamodb:PutItem, s3:DeleteObject, s3:DeleteObjectVersion" in said
    assert f"table {SOURCE}, bucket {DOCUMENTS}" in said
    assert role.asked == [TABLE_ARN, f"arn:aws:s3:::{DOCUMENTS}", f"arn:aws:s3:::{DOCUMENTS}/*"]


@pytest.mark.parametrize(
    "grant",
    ["dynamodb:UpdateItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLDelete", "dynamodb:DeleteTable", "dynamodb:*"],
)
def test_each_way_to_change_data_counts(grant: str) -> None:
    with pytest.raises(GuardRefused):
        check_source_role(plan_of(), MemoryPermissions((grant, TABLE_ARN)), lambda _text: None)


def test_a_role_that_reads_is_fine() -> None:
    reads = [(f"dynamodb:{name}", "*") for name in ("Scan", "GetItem", "Query", "DescribeTable")]
    assert told(lambda note: check_source_role(plan_of(), MemoryPermissions(*reads, ("s3:Get*", "*")), note)) == []


def test_a_prefix_is_asked_for_as_what_lies_under_it() -> None:
    role = MemoryPermissions()
    plan = plan_of(buckets=(bucket_pair(source_prefix="case/"),))
    check_source_role(plan, role, lambda _text: None)
    assert f"arn:aws:s3:::{DOCUMENTS}/case/*" in role.asked


def test_it_may_be_borne_if_the_configuration_says_so() -> None:
    role = MemoryPermissions(("dynamodb:PutItem", "*"))
    (note,) = told(lambda note: check_source_role(plan_of(source_role="warn"), role, note))
    assert "dynamodb:PutItem on table" in note
    assert "should only read" in note


def test_a_grant_that_was_seen_before_the_look_was_denied_counts() -> None:
    class Once(MemoryPermissions):
        def allowed(self, actions: object, resource: str) -> list[str]:
            if self.asked:
                raise DENIED
            self.asked.append(resource)
            return ["dynamodb:PutItem"]

    with pytest.raises(GuardRefused, match="PutItem"):
        check_source_role(plan_of(), Once(), lambda _text: None)


# -- the masking key


def test_an_old_key_is_as_secret_as_the_new_one() -> None:
    masking = MaskingPlan("secretsmanager:new", "u-{token}@test.example.com", "test", old_keys=("ssm:/old",))
    probe = MemorySecrets("ssm:/old")
    with pytest.raises(GuardRefused, match=r"masking\.old_keys \(ssm:/old\)"):
        check_masking_key(plan_of(masking=masking), probe, lambda _text: None)


# -- buckets


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (BucketFacts(versioned=False, expires_versions=None), None),
        (BucketFacts(versioned=None, expires_versions=None), "whether it keeps versions is not known"),
        (BucketFacts(versioned=True, expires_versions=True), "a lifecycle rule removes old ones"),
        (BucketFacts(versioned=True, expires_versions=False), "no lifecycle rule removes old ones"),
        (BucketFacts(versioned=True, expires_versions=None), "whether a lifecycle rule removes old ones is not known"),
    ],
)
def test_versions_are_told(facts: BucketFacts, words: str | None) -> None:
    world = World()
    world.store.settings = facts
    heard = told(lambda note: check_bucket(bucket_pair(), world.store, MemoryBucketKeys(), note))
    assert (heard == []) if words is None else (words in heard[0])


@pytest.mark.parametrize(("use", "words"), [("usable", None), ("denied", "KMS denies it to our role")])
def test_a_buckets_default_key(use: KeyUse, words: str | None) -> None:
    keys = MemoryBucketKeys({COPIES: "alias/copies"}, {"alias/copies": use})
    heard = told(lambda note: check_bucket(bucket_pair(), World().store, keys, note))
    assert (heard == []) if words is None else (words in heard[0])


def test_the_configured_key_goes_before_the_buckets_own() -> None:
    keys = MemoryBucketKeys({COPIES: "alias/copies"}, {"alias/copies": "usable"})
    with pytest.raises(ConfigError, match="alias/mine, which is not there or disabled"):
        check_bucket(bucket_pair(kms_key="alias/mine"), World().store, keys, lambda _text: None)


# -- clock and disk


@pytest.mark.parametrize(("ahead", "told_of"), [(0.0, False), (59.9, False), (-60.0, True), (300.0, True)])
def test_a_clock_that_is_a_little_off_is_told(ahead: float, told_of: bool) -> None:
    heard = told(lambda note: check_clock(harmless(ahead=ahead), note))
    assert bool(heard) == told_of
    if told_of:
        assert ("behind" if ahead < 0 else "ahead of") in heard[0]


@pytest.mark.parametrize("ahead", [300.1, -3600.0])
def test_a_clock_that_is_far_off_is_a_problem(ahead: float) -> None:
    with pytest.raises(AwsError, match=r"set it \(NTP\)"):
        check_clock(harmless(ahead=ahead), lambda _text: None)


def test_a_clock_that_cannot_be_compared_is_told() -> None:
    def silent() -> float:
        raise DENIED

    (note,) = told(lambda note: check_clock(replace(harmless(), seconds_ahead=silent), note))
    assert note.startswith("clock: not compared")


def table(items: int) -> TableFacts:
    return TableFacts("t", "arn", "id", "ACTIVE", ("pk",), items, 0)


def test_the_disk_must_hold_the_journal_and_should_hold_a_comparison() -> None:
    little = harmless(disk=DiskFacts("state", JOURNAL_BYTES - 1, writable=True))
    with pytest.raises(ConfigError, match="67 MB"):
        check_disk(little, [], lambda _text: None)
    some = harmless(disk=DiskFacts("state", JOURNAL_BYTES + SPILLED_BYTES * 1000, writable=True))
    assert told(lambda note: check_disk(some, [table(1000), table(10)], note)) == []
    (note,) = told(lambda note: check_disk(some, [table(1001)], note))
    assert "if a proof fails" in note


def test_the_disk_is_looked_at_without_making_the_directory(tmp_path: Path) -> None:
    state = tmp_path / "not" / "there"
    facts = look_at_disk(state)
    assert facts.writable
    assert facts.free > 0
    assert not (tmp_path / "not").exists()
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    assert not look_at_disk(file / "state").writable
