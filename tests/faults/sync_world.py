"""Two buckets on the fake S3, a sync of the product over real connections, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from downstage.aws.objects import S3Objects
from downstage.copying.pacing import Backoff
from downstage.domain.environment import Environment
from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.syncing.whole import SyncResult, sync_whole
from downstage.testing.s3_faults import Call, Fault, Strike
from downstage.testing.s3_server import FakeS3, serving

PROD, TEST, REGION = "111111111111", "222222222222", "us-east-1"
AT_ONCE = Backoff(first=0.0, ceiling=0.0, tries=8)
"""No wait between tries: a test waits for nobody."""


async def _at_once(seconds: float) -> None:
    await asyncio.sleep(0)


@dataclass(frozen=True)
class Keys:
    """What a session's credentials are to the product."""

    access_key: str = TEST
    secret_key: str = "secret"
    token: str | None = None


@dataclass(frozen=True)
class FakeSession:
    """As much of `aws.session.Session` as the hot calls need."""

    environment: Environment

    def credentials(self) -> Any:
        return Keys()

    def client(self, service: str, region: str | None = None) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.environment.endpoint,
            region_name=REGION,
            aws_access_key_id=TEST,
            aws_secret_access_key="secret",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, proxies={}),
        )


@dataclass
class Strikes:
    """A fault that counts what it struck."""

    fault: Fault
    struck: Counter[tuple[str, Strike]] = field(default_factory=Counter)

    def __call__(self, call: Call) -> Strike | None:
        strike = self.fault(call)
        if strike is not None:
            self.struck[call.operation, strike] += 1
        return strike

    def of(self, operation: str) -> int:
        """How many calls of an operation were struck."""
        return sum(count for (name, _), count in self.struck.items() if name == operation)


class World:
    """Filled by `fill`; `sync` may be called again and again."""

    def __init__(self, fake: FakeS3) -> None:
        self.fake = fake
        self.source = fake.bucket("prod-docs", PROD)
        self.target = fake.bucket("test-docs", TEST)
        self.finished: list[tuple[str, str]] = []
        self.wanted = 0
        self.unwanted = 0

    def fill(self, objects: int, seed: int = 1, *, share_there: float = 0.5, extra: int | None = None) -> None:
        """So many objects of production: the target has a share of them, some of those as they were, and some that
        production has not."""
        dice = random.Random(seed)
        for number in range(objects):
            key = f"case/{number // 50:03d}/{number:05d} {'é+%41'[number % 5]}.pdf"
            made = self.source.add(
                key,
                b"%d" % number,
                metadata={"n": str(number)},
                tags={"n": str(number)},
                headers={"content-type": "application/pdf"},
            )
            if dice.random() < share_there:
                if dice.random() < 0.8:
                    self.target.put(key, made)
                else:
                    self.target.add(key, b"as it was")
                    self.wanted += 1
            else:
                self.wanted += 1
        for number in range(objects // 10 if extra is None else extra):
            self.target.add(f"case/{number:03d}/gone {number}.pdf", b"old")
            self.unwanted += 1

    @property
    def pair(self) -> BucketPair:
        return BucketPair(
            SourceBucket(PROD, "prod-docs"),
            TargetBucket(TEST, "test-docs"),
            delete=True,
            options=SyncOptions(max_delete=MaxDelete(share=1.0)),
        )

    def session(self) -> Any:
        """The target's, as the product's adapters take it."""
        return FakeSession(Environment("test", TEST, REGION, endpoint=self.fake.endpoint))

    def sync(
        self,
        *,
        connections: int = 32,
        settings: dict[str, Any] | None = None,
        options: SyncOptions | None = None,
        **how: Any,
    ) -> SyncResult:
        """One call of the product."""
        pair = self.pair if options is None else replace(self.pair, options=options)

        def finished(action: Any, key: str, reason: str) -> None:
            self.finished.append((str(action), key))

        async def run() -> SyncResult:
            transfer = S3Objects(
                self.session(),
                REGION,
                options=pair.options,
                connections=connections,
                backoff=AT_ONCE,
                dice=random.Random(0),
                **(settings or {}),
            )
            try:
                return await sync_whole(pair, transfer, finished=finished, smallest=100, sleep=_at_once, **how)
            finally:
                transfer.close()

        return asyncio.run(run())

    def arrived(self) -> bool:
        """The target is the source, in content and all that hangs on it."""
        return self.target.likeness() == self.source.likeness()

    def clean(self) -> None:
        """What must hold whatever went wrong: nobody wrote to production, every call named the owners, each signature
        was right, no upload was left behind."""
        assert self.fake.trespasses == []
        assert not self.fake.unguarded
        assert self.fake.forged == 0
        assert not self.target.uploads


@contextmanager
def world(objects: int = 0, *, page_size: int = 50, **filled: Any) -> Iterator[World]:
    """A world that serves until the block ends, and is clean then."""
    with serving(FakeS3(page_size=page_size)) as fake:
        made = World(fake)
        if objects:
            made.fill(objects, **filled)
        yield made
        made.clean()


def strikes(found: World, fault: Callable[[Call], Strike | None]) -> Strikes:
    """Sets a fault that counts."""
    counting = Strikes(fault)
    found.fake.fault = counting
    return counting
