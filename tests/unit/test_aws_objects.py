"""The hot calls against a strict S3 of our own: what passes is tried again, the rest is told without key or message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from downstage.aws.objects import S3Objects
from downstage.aws.s3_endpoint import BucketEndpoint
from downstage.copying.pacing import Backoff
from downstage.domain.environment import Environment
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, CredentialsError, NotFound, Unreachable
from downstage.ports import CopyResult
from downstage.testing.s3_faults import Call, Strike
from downstage.testing.s3_server import FakeS3, serving

SOURCE, TARGET = SourceBucket("111111111111", "from"), TargetBucket("222222222222", "to")
Result = TypeVar("Result")


class Keys:
    access_key, secret_key, token = "222222222222", "secret", None


class FakeSession:
    """What the transfer asks of a session."""

    def __init__(self, endpoint: str | None) -> None:
        self.environment = Environment("test", "222222222222", "eu-west-1", endpoint=endpoint)

    def credentials(self) -> Any:
        return Keys()


def with_objects(use: Callable[[S3Objects, FakeS3], Awaitable[Result]]) -> Result:
    with serving() as fake:
        source, target = fake.bucket("from", SOURCE.account), fake.bucket("to", TARGET.account)
        for key in ("a", "b", "mail/ada@court.example.org"):
            source.add(key, b"x")
        target.add("old", b"x")
        target.add("odd\x01", b"x")

        async def run() -> Result:
            session: Any = FakeSession(fake.endpoint)
            objects = S3Objects(session, "us-east-1", connections=4, backoff=Backoff(0.001, 0.002, 4))
            try:
                return await use(objects, fake)
            finally:
                objects.close()

        found = asyncio.run(run())
        assert not fake.unguarded, "every call names an owner"
        assert fake.forged == 0
        return found


def struck(operation: str, *strikes: Strike | None) -> Callable[[Call], Strike | None]:
    """Strikes the first calls of one operation."""
    left = list(strikes)
    return lambda call: left.pop(0) if call.operation == operation and left else None


@pytest.mark.parametrize(
    "strikes",
    [
        (Strike.SLOW_DOWN,),
        (Strike.BROKEN, Strike.ERROR_IN_200),
        (Strike.RESET,),
        (Strike.CUT,),
        (Strike.ERROR_IN_200, Strike.ERROR_IN_200, Strike.SLOW_DOWN),
    ],
)
@pytest.mark.parametrize("operation", ["CopyObject", "ListObjectsV2", "DeleteObjects"])
def test_what_passes_is_tried_again(operation: str, strikes: tuple[Strike, ...]) -> None:
    async def use(objects: S3Objects, fake: FakeS3) -> None:
        fake.fault = struck(operation, *strikes)
        page = await objects.page(SOURCE, limit=2)
        assert ([entry.key for entry in page.entries], page.more) == (["a", "b"], True)
        assert (await objects.copy(SOURCE, TARGET, page.entries[0], "a")).refusal == ""
        assert await objects.delete(TARGET, ["old", "odd\x01"]) == {}
        assert sorted(fake.buckets["to"].likeness()) == ["a"]
        assert fake.calls[operation] == 1 + len(strikes)

    with_objects(use)


def test_what_does_not_pass_is_told_with_its_last_word() -> None:
    async def use(objects: S3Objects, fake: FakeS3) -> None:
        item = (await objects.page(SOURCE)).entries[2]
        fake.fault = lambda call: Strike.SLOW_DOWN
        assert await objects.copy(SOURCE, TARGET, item, "x") == CopyResult(refusal="busy", code="SlowDown")
        with pytest.raises(Unreachable, match=r"could not list bucket from: .*\(SlowDown\)"):
            await objects.page(SOURCE)
        with pytest.raises(Unreachable) as caught:
            await objects.delete(TARGET, ["mail/ada@court.example.org"])
        assert "ada" not in str(caught.value)

    with_objects(use)


def test_an_object_that_is_another_now_or_gone_is_a_value() -> None:
    async def use(objects: S3Objects, fake: FakeS3) -> None:
        page = await objects.page(SOURCE)
        fake.buckets["from"].add("a", b"another")
        fake.buckets["from"].delete("b")
        changed = await objects.copy(SOURCE, TARGET, page.entries[0], "a")
        gone = await objects.copy(SOURCE, TARGET, page.entries[1], "b")
        assert (changed.refusal, gone.refusal) == ("changed", "gone")

    with_objects(use)


def test_the_wrong_owner_is_refused_and_a_bucket_that_is_not_there_is_told() -> None:
    async def use(objects: S3Objects, fake: FakeS3) -> None:
        with pytest.raises(AwsError, match=r"could not list bucket from: AWS denies it \(AccessDenied\)"):
            await objects.page(SourceBucket("333333333333", "from"))
        with pytest.raises(NotFound, match="could not list bucket nothing: it does not exist"):
            await objects.page(SourceBucket("111111111111", "nothing"))
        item = (await objects.page(SOURCE)).entries[0]
        stranger = TargetBucket("333333333333", "to")
        assert (await objects.copy(SOURCE, stranger, item, "a")).code == "AccessDenied"
        with pytest.raises(AwsError, match="AccessDenied"):
            await objects.delete(stranger, ["old"])
        assert "old" in fake.buckets["to"].likeness()

    with_objects(use)


def test_credentials_that_s3_does_not_take_end_everything() -> None:
    async def use(objects: S3Objects, fake: FakeS3) -> None:
        fake.secret = "another"
        with pytest.raises(CredentialsError, match="SignatureDoesNotMatch"):
            await objects.page(SOURCE)
        fake.forged = 0

    with_objects(use)


@pytest.mark.parametrize(
    ("bucket", "region", "endpoint", "host", "root"),
    [
        ("docs", "eu-west-1", None, "docs.s3.eu-west-1.amazonaws.com", ""),
        ("docs.old", "eu-west-1", None, "s3.eu-west-1.amazonaws.com", "/docs.old"),
        ("docs", "cn-north-1", None, "docs.s3.cn-north-1.amazonaws.com.cn", ""),
        ("docs", "eu-west-1", "http://127.0.0.1:9", "127.0.0.1:9", "/docs"),
    ],
)
def test_where_a_bucket_is_asked(bucket: str, region: str, endpoint: str | None, host: str, root: str) -> None:
    async def look() -> None:
        session: Any = FakeSession(endpoint)
        place = BucketEndpoint(session, bucket, region, connections=1)
        assert (place.host, place.root) == (host, root)
        place.close()

    asyncio.run(look())
