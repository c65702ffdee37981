"""A bucket sync among faults: whatever passes by itself is survived without a copy too many; whatever makes a listing
doubtful ends the sync before it deletes; whatever is one object's own is named and leaves the others alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from downstage.errors import AwsError, DownstageError
from downstage.testing import s3_faults as faults
from downstage.testing.s3_faults import Call, Fault, Strike
from tests.faults.sync_world import strikes, world

OBJECTS = 400
PASSING = {
    ("CopyObject", Strike.SLOW_DOWN): 0.10,
    ("CopyObject", Strike.BROKEN): 0.05,
    ("CopyObject", Strike.ERROR_IN_200): 0.10,
    ("CopyObject", Strike.RESET): 0.05,
    ("CopyObject", Strike.LOST): 0.05,
    ("CopyObject", Strike.CUT): 0.05,
    ("ListObjectsV2", Strike.SLOW_DOWN): 0.10,
    ("ListObjectsV2", Strike.RESET): 0.10,
    ("ListObjectsV2", Strike.CUT): 0.05,
    ("ListObjectsV2", Strike.TORN): 0.05,
    ("DeleteObjects", Strike.SLOW_DOWN): 0.3,
    ("DeleteObjects", Strike.LOST): 0.3,
}


@pytest.mark.parametrize("ranges", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_what_passes_by_itself_costs_one_call_each_time(seed: int, ranges: int) -> None:
    with world(OBJECTS, seed=seed) as found:
        struck = strikes(found, faults.chance(seed, PASSING, attempts=3))
        result = found.sync(ranges=ranges)
        assert found.arrived()
        assert result.complete
        assert not result.failed
        assert struck.of("CopyObject") > 30
        assert found.fake.calls["CopyObject"] == found.wanted + struck.of("CopyObject")
        assert result.counters["copied"] == found.wanted
        assert result.counters["deleted"] == found.unwanted
        assert sorted(found.finished) == sorted(set(found.finished))
        assert len(found.finished) == found.wanted + found.unwanted


def test_without_faults_each_object_costs_one_copy_and_no_look() -> None:
    with world(OBJECTS) as found:
        found.sync()
        assert found.arrived()
        assert found.fake.calls["CopyObject"] == found.wanted
        assert set(found.fake.copies.values()) == {1}
        assert found.fake.calls["HeadObject"] == found.fake.calls["GetObjectTagging"] == 0
        assert found.fake.calls["DeleteObjects"] == 1
        found.fake.forget()
        found.sync()
        assert set(found.fake.calls) == {"ListObjectsV2"}


def test_the_same_connections_are_not_flooded() -> None:
    with world(OBJECTS) as found:
        found.fake.delay = 0.002
        found.sync(connections=8)
        assert found.arrived()
        assert found.fake.most_under_way <= 8


@dataclass
class OnPage:
    """Strikes a bucket's listing at its `number`-th page: in the plan pass (`passing` 1) or in the sync (2), and as
    often as that page is asked for again."""

    bucket: str
    number: int
    strike: Strike
    passing: int = 1
    pages: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> Strike | None:
        if call.operation != "ListObjectsV2" or call.bucket != self.bucket:
            return None
        if call.key not in self.pages:
            self.pages.append(call.key)
        hit = self.pages.index(call.key) == self.number - 1 and call.attempt >= self.passing
        return self.strike if hit else None


@pytest.mark.parametrize("bucket", ["prod-docs", "test-docs"])
@pytest.mark.parametrize("strike", [Strike.DENIED, Strike.UNORDERED, Strike.BROKEN, Strike.TORN])
@pytest.mark.parametrize("page", [1, 7])
def test_a_listing_that_fails_for_good_writes_nothing(bucket: str, strike: Strike, page: int) -> None:
    with world(OBJECTS, share_there=1.0) as found:
        before = found.target.likeness()
        found.fake.fault = OnPage(bucket, page, strike)
        with pytest.raises(DownstageError):
            found.sync()
        assert found.target.likeness() == before
        assert found.fake.copies.total() == found.fake.deletes.total() == 0
        found.fake.fault = faults.none
        found.sync()
        assert found.arrived()


@pytest.mark.parametrize("bucket", ["prod-docs", "test-docs"])
@pytest.mark.parametrize("strike", [Strike.DENIED, Strike.UNORDERED, Strike.BROKEN])
def test_page_seven_that_fails_after_the_plan_ends_the_sync_and_the_next_call_goes_on(
    bucket: str, strike: Strike
) -> None:
    with world(2 * OBJECTS, share_there=0.8, extra=100) as found:
        found.fake.fault = OnPage(bucket, 7, strike, passing=2)
        with pytest.raises(DownstageError):
            found.sync()
        assert found.fake.copies.total() < found.wanted
        assert not set(found.fake.deletes) & set(found.source.objects)
        assert found.fake.deletes.total() == 0
        found.fake.fault = faults.none
        found.sync()
        assert found.arrived()
        assert found.fake.copies.total() == found.wanted


@pytest.mark.parametrize("side", ["prod-docs", "test-docs"])
def test_a_bucket_of_another_account_is_not_touched(side: str) -> None:
    with world(OBJECTS) as found:
        found.fake.buckets[side].owner = "999999999999"
        before = found.target.likeness()
        with pytest.raises(AwsError):
            found.sync()
        assert found.target.likeness() == before
        assert found.fake.copies.total() == found.fake.deletes.total() == 0


def test_what_changes_while_it_is_copied_arrives_as_it_is_in_the_end() -> None:
    with world(OBJECTS) as found:
        changed = {key for key in found.source.objects if key.endswith("0.pdf") or "1 " in key}

        def before(call: Call) -> None:
            if call.operation == "CopyObject" and call.key in changed and call.attempt == 1:
                found.source.add(call.key, b"newer", metadata={"newer": "yes"})

        found.fake.before = before
        result = found.sync()
        refused = changed & set(found.fake.copies)
        assert len(refused) > 10
        assert all(found.fake.copies[key] > 1 for key in refused)
        named = {key for key, _ in result.failed}
        for key in found.source.objects:
            assert key in named or found.target.objects[key].likeness == found.source.objects[key].likeness
        assert named <= changed
        found.fake.before = lambda call: None
        found.sync()
        assert found.arrived()


def test_what_goes_while_it_is_copied_does_not_end_the_sync() -> None:
    with world(OBJECTS, share_there=0.0) as found:
        doomed = sorted(found.source.objects)[::17]

        def before(call: Call) -> None:
            if call.operation == "CopyObject" and call.key in doomed and call.attempt == 1:
                found.source.delete(call.key)

        found.fake.before = before
        result = found.sync()
        assert found.arrived()
        assert set(found.target.objects).isdisjoint(doomed)
        assert {key for key, _ in result.failed} <= set(doomed)
        assert result.counters["copied"] == OBJECTS - len(doomed)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (faults.always("CopyObject", Strike.SLOW_DOWN, "case/000/00007 %.pdf"), "SlowDown"),
        (faults.always("CopyObject", Strike.DENIED, "case/000/00007 %.pdf"), "AccessDenied"),
        (faults.always("CopyObject", Strike.ERROR_IN_200, "case/000/00007 %.pdf"), "InternalError"),
        (faults.always("CopyObject", Strike.RESET, "case/000/00007 %.pdf"), ""),
    ],
)
def test_one_object_that_never_gets_through_is_named_and_the_others_arrive(fault: Fault, word: str) -> None:
    with world(OBJECTS, share_there=0.0) as found:
        found.fake.fault = fault
        result = found.sync()
        ((key, reason),) = result.failed
        assert key == "case/000/00007 %.pdf"
        assert word in reason
        assert key not in found.target.objects
        assert len(found.target.objects) == OBJECTS - 1
        assert result.counters["failed"] == 1
        found.fake.fault = faults.none
        found.sync()
        assert found.arrived()


def test_deletes_that_s3_refuses_are_named_and_the_others_are_done() -> None:
    with world(OBJECTS, extra=40) as found:
        stuck = sorted(set(found.target.objects) - set(found.source.objects))[::10]
        found.fake.undeletable = dict.fromkeys(stuck, "AccessDenied")
        result = found.sync()
        assert {key for key, _ in result.failed} == set(stuck)
        assert result.counters["deleted"] == 40 - len(stuck)
        assert set(found.target.objects) == {*found.source.objects, *stuck}


def test_deletes_that_the_answer_is_silent_about_are_asked_for_again() -> None:
    with world(OBJECTS, extra=40) as found:
        struck = strikes(found, faults.at("DeleteObjects", 1, Strike.HALF))
        result = found.sync()
        assert struck.of("DeleteObjects") == 1
        assert found.arrived()
        assert not result.failed
        assert max(found.fake.deletes.values()) == 1
        assert found.fake.calls["DeleteObjects"] > 1


def test_archived_objects_are_skipped_with_a_reason_and_not_deleted_in_the_target() -> None:
    with world(60, share_there=0.0, extra=0) as found:
        found.source.add("cold", b"1", storage_class="DEEP_ARCHIVE")
        found.source.add("cool", b"1", storage_class="GLACIER")
        found.target.add("cold", b"an older one")
        result = found.sync()
        assert result.counters["skipped"] == 2
        assert any(name.startswith("skipped: ") for name in result.counters)
        assert found.target.objects["cold"].body == b"an older one"
        assert "cool" not in found.target.objects
        assert result.counters["copied"] == 60


@pytest.mark.parametrize("operation", ["UploadPartCopy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("strike", [Strike.DENIED, Strike.BROKEN])
def test_a_multipart_copy_that_fails_is_aborted(operation: str, strike: Strike) -> None:
    with world(20, share_there=0.0, extra=0) as found:
        found.source.add("large", bytes(range(256)) * 40_000, metadata={"a": "b"}, tags={"c": "d e"})
        settings = {"largest_copy": 6 * 1024**2, "part_size": 5 * 1024**2}
        found.fake.fault = faults.always(operation, strike)
        try:
            result = found.sync(settings=settings)
        except AwsError:
            pass
        else:
            assert [key for key, _ in result.failed] == ["large"]
        assert not found.target.uploads
        assert found.target.aborted >= 1
        assert "large" not in found.target.objects
        found.fake.fault = faults.none
        assert found.sync(settings=settings).complete
        assert found.arrived()
        assert found.target.objects["large"].etag.endswith('-2"')


def test_a_large_object_that_changes_between_its_parts_is_never_a_mix_of_two() -> None:
    with world(5, share_there=0.0, extra=0) as found:
        old, new = b"o" * 11 * 1024**2, b"n" * 11 * 1024**2
        found.source.add("large", old)

        def before(call: Call) -> None:
            if call.operation == "UploadPartCopy" and call.number == 2:
                found.source.add("large", new)

        found.fake.before = before
        settings = {"largest_copy": 6 * 1024**2, "part_size": 5 * 1024**2}
        result = found.sync(settings=settings)
        kept = found.target.objects.get("large")
        assert kept is None or kept.body == new
        assert kept is not None or [key for key, _ in result.failed] == ["large"]
