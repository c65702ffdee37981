"""Traps of copying buckets that cost other tools objects, runs or money, each against the strict S3 of our own: the
hot calls. docs/bucket-traps.md lists them all; those of objects above 5 GiB are in test_bucket_traps_large."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from downstage.aws import s3_endpoint
from downstage.aws.objects import S3Objects
from downstage.aws.s3 import Buckets
from downstage.aws.signed import SignedPool
from downstage.copying.pacing import Backoff
from downstage.domain.environment import Environment
from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, DownstageError
from downstage.testing import s3_faults as faults
from downstage.testing.s3_faults import Call, Strike
from downstage.testing.s3_operations import Request, operation_of
from downstage.testing.s3_server import FakeS3, serving
from downstage.testing.s3_signatures import account_of, region_of
from tests.faults.sync_world import FakeSession, Keys, world

SOURCE, TARGET = SourceBucket("111111111111", "docs.prod"), TargetBucket("222222222222", "docs.test")
HOME, AWAY = "us-east-1", "eu-west-1"
NOW = 1_800_000_000.0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Signing(FakeSession):
    """A session whose credentials change when they are asked for anew."""

    keys: list[Any] = field(default_factory=lambda: [Keys()])

    def credentials(self) -> Any:
        return self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]


class Place:
    """Two buckets, the requests that came, and the product's calls."""

    def __init__(self, fake: FakeS3) -> None:
        self.fake = fake
        self.source, self.target = fake.bucket(SOURCE.name, SOURCE.account), fake.bucket(TARGET.name, TARGET.account)
        self.source.add("a", b"content", metadata={"n": "1"})
        self.target.add("old", b"x")
        self.asked: list[Request] = []
        self.endpoint: str | None = fake.endpoint
        self.keys: list[Any] = [Keys()]
        self.options = SyncOptions()
        self.settings: dict[str, Any] = {}
        respond = fake.respond

        def noting(request: Request) -> Any:
            self.asked.append(request)
            return respond(request)

        fake.respond = noting  # type: ignore[method-assign]

    def session(self) -> Any:
        return Signing(Environment("test", TARGET.account, HOME, endpoint=self.endpoint), self.keys)

    def run(self, use: Callable[[S3Objects], Awaitable[Result]]) -> Result:
        """Runs `use` with the product's hot calls."""

        async def running() -> Result:
            objects = S3Objects(
                self.session(), HOME, options=self.options, backoff=Backoff(0.0, 0.0, 4), **self.settings
            )
            try:
                return await use(objects)
            finally:
                objects.close()

        return asyncio.run(running())

    def round(self) -> Any:
        """A listing, a copy and a delete; gives what the copy came to."""

        async def use(objects: S3Objects) -> Any:
            page = await objects.page(SOURCE)
            assert await objects.delete(TARGET, ["old"]) == {}
            return await objects.copy(SOURCE, TARGET, page.entries[0], "a")

        return self.run(use)


@pytest.fixture
def place() -> Any:
    with serving() as fake:
        yield Place(fake)
        assert not fake.trespasses
        assert not fake.unguarded


# -- regions


@pytest.fixture
def regions(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints that are asked, though all of them are answered by the fake: it tells regions by the signature."""
    asked: list[str] = []

    class Nearby(SignedPool):
        def __init__(self, session: Any, service: str, region: str, endpoint: str, **more: Any) -> None:
            asked.append(endpoint)
            super().__init__(session, service, region, place.fake.endpoint, **more)

    monkeypatch.setattr(s3_endpoint, "SignedPool", Nearby)
    place.endpoint = None
    return asked


@pytest.mark.parametrize(
    "elsewhere",
    [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")],
)
def test_a_bucket_in_another_region_is_followed_once_and_stays_found(
    place: Place, regions: list[str], elsewhere: tuple[int, str]
) -> None:
    place.source.region, place.target.region, place.fake.elsewhere = AWAY, "us-gov-west-1", elsewhere

    async def use(objects: S3Objects) -> None:
        for _ in range(3):
            page = await objects.page(SOURCE)
            assert (await objects.copy(SOURCE, TARGET, page.entries[0], "a")).refusal == ""
        assert await objects.delete(TARGET, ["old"]) == {}

    place.run(use)
    assert place.target.likeness() == place.source.likeness()
    hosts = [f"https://s3.{region}.amazonaws.com" for region in (HOME, AWAY, HOME, "us-gov-west-1")]
    assert regions == hosts
    assert place.fake.calls == {"ListObjectsV2": 1 + 3, "CopyObject": 1 + 3, "DeleteObjects": 1}


def test_a_copy_is_signed_by_the_targets_role_for_the_targets_region(place: Place, regions: list[str]) -> None:
    place.source.region, place.target.region = AWAY, HOME
    assert place.round().refusal == ""
    signed = {operation_of(request): (account_of(request), region_of(request)) for request in place.asked}
    assert signed == {
        "ListObjectsV2": (TARGET.account, AWAY),
        "DeleteObjects": (TARGET.account, HOME),
        "CopyObject": (TARGET.account, HOME),
    }


@pytest.mark.parametrize("told", ["example.org/", "", "x", "eu-west-1.example.org", "EU"])
def test_what_is_no_regions_name_is_not_followed(place: Place, regions: list[str], told: str) -> None:
    place.source.region = told or "?"
    with pytest.raises(AwsError, match=r"could not list bucket docs\.prod: it lies in another region") as caught:
        place.round()
    assert "PermanentRedirect" in str(caught.value)
    assert "correct the environment's region" in str(caught.value)
    assert regions == [f"https://s3.{HOME}.amazonaws.com"]
    assert place.fake.calls == {"ListObjectsV2": 1}


def test_an_endpoint_of_ones_own_is_never_left_and_the_region_is_named(place: Place) -> None:
    place.target.region = AWAY
    with pytest.raises(AwsError, match=r"delete objects of bucket docs\.test: it lies in eu-west-1 \(PermanentR"):
        place.round()
    assert len({request.headers["host"] for request in place.asked}) == 1


# -- clocks and credentials


@pytest.mark.parametrize("wrong", [-7200.0, 7200.0])
def test_a_clock_that_is_off_is_corrected_once_and_the_request_sent_again(place: Place, wrong: float) -> None:
    place.fake.clock = lambda: NOW
    place.settings["clock"] = lambda: NOW + wrong
    assert place.round().refusal == ""
    assert place.target.likeness() == place.source.likeness()
    # each bucket's first request was late or early, and nothing after it
    assert place.fake.calls == {"ListObjectsV2": 2, "DeleteObjects": 2, "CopyObject": 1}


def test_a_clock_that_cannot_be_corrected_is_told_in_one_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fake.clock = lambda: NOW
    place.settings["clock"] = lambda: NOW + 7200
    monkeypatch.setattr(SignedPool, "learn_time", lambda self, answer: False)
    with pytest.raises(AwsError, match=r"this machine's clock is wrong \(RequestTimeTooSkewed\); set it"):
        place.round()


def test_credentials_that_expire_under_way_are_renewed_and_the_request_sent_again(place: Place) -> None:
    place.keys = [Keys(token="old"), Keys(token="new")]

    def expired(call: Call) -> Strike | None:
        return Strike.EXPIRED if place.asked[-1].headers["x-amz-security-token"] == "old" else None

    place.fake.fault = expired
    assert place.round().refusal == ""
    assert place.target.likeness() == place.source.likeness()
    assert place.fake.calls["ListObjectsV2"] == 2


# -- keys


def test_an_object_is_never_put_to_no_key_nor_no_key_deleted(place: Place) -> None:
    async def use(objects: S3Objects) -> None:
        item = (await objects.page(SOURCE)).entries[0]
        refused = await objects.copy(SOURCE, TARGET, item, "")
        assert (refused.refusal, refused.code) == ("refused", "EmptyKey")
        assert await objects.delete(TARGET, ["old", ""]) == {"": "EmptyKey"}
        assert await objects.delete(TARGET, [""]) == {"": "EmptyKey"}

    place.run(use)
    assert place.fake.calls == {"ListObjectsV2": 1, "DeleteObjects": 1}
    assert place.fake.buckets.keys() == {SOURCE.name, TARGET.name}
    assert not place.target.objects


# -- archives


def test_a_restored_object_arrives_in_its_archive_if_it_is_to_keep_its_class() -> None:
    with world(3, share_there=0.0, extra=0) as found:
        for key, restored in (("cold", False), ("thawed", True)):
            found.source.add(key, b"1", storage_class="GLACIER", restored=restored)
        result = found.sync(options=SyncOptions(storage_class="same"))
        assert (result.counters["copied"], result.counters["skipped"]) == (4, 1)
        kept = found.target.objects["thawed"]
        assert (kept.storage_class, kept.is_archived, kept.body) == ("GLACIER", True, b"1")
        found.fake.forget()
        again = found.sync(options=SyncOptions(storage_class="same"))
        assert (again.counters["copied"], again.counters["unchanged"]) == (0, 4)
        # the copy cannot be read until it is restored: the proof passes it over
        look = Buckets(found.session())
        listed = {entry.key: entry for entry in look.list(found.pair.target, None)}
        assert look.content(found.pair.target, listed["thawed"], 99) is None
        assert look.content(found.pair.source, listed["thawed"], 99) is not None


def test_a_restored_object_arrives_readable_if_nothing_is_said_of_its_class() -> None:
    with world(0) as found:
        found.source.add("thawed", b"1", storage_class="DEEP_ARCHIVE", restored=True)
        found.sync()
        assert found.target.objects["thawed"].storage_class == "STANDARD"


# -- deletes


def test_deletes_beyond_one_batch_are_each_accounted_for() -> None:
    with world(50, page_size=1000, share_there=1.0, extra=0) as found:
        extra = [f"gone/{number:05d}" for number in range(2500)]
        for key in extra:
            found.target.add(key, b"x")
        stuck = {extra[0]: "AccessDenied", extra[999]: "AccessDenied", extra[1000]: "AccessDenied"}
        passing = {extra[1500]: "InternalError", extra[2499]: "SlowDown"}
        found.fake.undeletable = {**stuck, **passing}
        sent: Counter[str] = Counter()

        def after(call: Call) -> None:
            if call.operation == "DeleteObjects":
                sent["batches"] += 1
                for key in passing:
                    if call.number >= 3:
                        found.fake.undeletable.pop(key, None)

        found.fake.after = after
        result = found.sync()
        assert {key for key, _ in result.failed} == set(stuck)
        assert all("AccessDenied" in reason for _, reason in result.failed)
        assert result.counters["deleted"] == 2500 - len(stuck)
        assert result.counters["failed"] == len(stuck)
        assert set(found.target.objects) == {*found.source.objects, *stuck}
        assert set(found.fake.deletes.values()) == {1}, "nothing is deleted twice"
        told = [key for action, key in found.finished if action == "delete"]
        assert sorted(told) == sorted(set(extra) - set(stuck)), "a line for each that is gone, and for no other"
        assert 3 <= sent["batches"] <= 20


def test_a_copy_that_fails_leaves_what_the_target_had() -> None:
    with world(5, share_there=1.0, extra=0) as found:
        key = min(found.source.objects)
        found.source.add(key, b"newer")
        before = found.target.objects[key]
        found.fake.fault = faults.always("CopyObject", Strike.DENIED, key)
        result = found.sync()
        assert [name for name, _ in result.failed] == [key]
        assert found.target.objects[key] == before
        assert not found.fake.deletes


def test_a_source_bucket_that_is_not_there_deletes_nothing() -> None:
    with world(5, share_there=1.0, extra=2) as found:
        before = found.target.likeness()
        del found.fake.buckets["prod-docs"]
        with pytest.raises(DownstageError, match="does not exist"):
            found.sync()
        assert found.target.likeness() == before
        assert not found.fake.deletes


# -- the list


def test_every_trap_of_the_list_names_tests_that_are_there() -> None:
    root = Path(__file__).parents[2]
    there = {
        name
        for path in (root / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M)
    }
    rows = re.findall(
        r"^\| (\d+) \|.*\| ([^|]+) \|$", (root / "docs/bucket-traps.md").read_text(encoding="utf-8"), re.M
    )
    assert [int(number) for number, _ in rows] == [*range(1, len(rows) + 1)]
    assert len(rows) >= 39
    for number, shown in rows:
        named = set(re.findall(r"`(test_\w+)`", shown))
        assert named or "`bench/" in shown, f"trap {number} is shown by nothing"
        assert named <= there, f"trap {number} names tests that are not there: {sorted(named - there)}"
