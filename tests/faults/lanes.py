"""One table copied over real sockets by the real reader, writer, transport and loop, in this process, with short waits.

What a worker does (`app.worker`), put together again so that a test may hold time-outs and back-off short and look at
the digest that was written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import orjson

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.aws.http import DynamoTransport
from downstage.aws.session import Session
from downstage.copying.pacing import Backoff
from downstage.copying.rates import Pace
from downstage.copying.segment import CopyTask, copy_segment
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan
from downstage.domain.refs import SourceTable, TargetTable
from downstage.masking.compile import ItemMasker, TableShape, compile_masker
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, RawItem
from downstage.proof import digest
from tests.faults.endpoint import PROD, TEST, Endpoint, Item, Table

KEY = MaskKey(bytes(range(32)))
KEYS = ("pk", "sk")
SOURCE, TARGET = "app-prod", "app-test"
PLAN = MaskingPlan("env:KEY", "u-{token}@test.example.com", "test")

QUICK = Backoff(first=0.001, ceiling=0.02, tries=60)
UNPACED = 1e9


def items_of(count: int) -> list[Item]:
    """Invented people, cases and numbers of every type that a copy could spoil."""
    return [
        {
            "pk": {"S": f"user|p{number}@court.example.org"},
            "sk": {"S": f"case|{number % 7}"},
            "amount": {"N": f"{number}.50"},
            "tags": {"SS": ["b", "a", f"t{number}"]},
            "more": {
                "M": {"mail": {"S": f"see p{number}@court.example.org"}, "raw": {"B": "AAEC"}, "no": {"NULL": True}}
            },
        }
        for number in range(count)
    ]


def tables_of(count: int, page_items: int = 40) -> tuple[Table, Table]:
    """A filled source and an empty target."""
    source = Table(SOURCE, KEYS, page_items=page_items, account=PROD)
    source.put(items_of(count))
    return source, Table(TARGET, KEYS, page_items=page_items)


@dataclass(frozen=True)
class Keys:
    """Credentials as botocore gives them."""

    access_key: str
    secret_key: str = "secret"
    token: str | None = None


class _FixedSession:
    """A session with fixed credentials."""

    def __init__(self, environment: Environment, keys: Keys) -> None:
        self.environment = environment
        self._keys = keys

    def credentials(self) -> Keys:
        return self._keys


def fixed_session(environment: Environment, keys: Keys) -> Session:
    """A session that needs no credential chain."""
    return cast("Session", _FixedSession(environment, keys))


@dataclass
class Lane:
    """A copy of one table in `segments`, all open at one time; `saved` holds the last checkpoint of each."""

    endpoint: Endpoint
    segments: int = 4
    within: float = 2.0
    backoff: Backoff = QUICK
    sessions: tuple[Session, Session] | None = None
    saved: dict[int, Checkpoint] = field(default_factory=dict)
    quarantined: list[tuple[RawItem, str]] = field(default_factory=list)

    def run(self) -> None:
        """Copies what is left. Raises what a segment raises."""
        asyncio.run(self._run())

    @property
    def total(self) -> int:
        """The digest of what was written, over all segments."""
        total = 0
        for checkpoint in self.saved.values():
            total = digest.add(total, checkpoint.digest)
        return total

    @property
    def done(self) -> bool:
        return len(self.saved) == self.segments and all(checkpoint.done for checkpoint in self.saved.values())

    def counted(self, name: str) -> int:
        return sum(checkpoint.counters[name] for checkpoint in self.saved.values())

    async def _run(self) -> None:
        sessions = self.sessions or (
            fixed_session(Environment("prod", PROD, "us-east-1", endpoint=self.endpoint.url), Keys("AKIAPROD")),
            fixed_session(Environment("test", TEST, "us-east-1", endpoint=self.endpoint.url), Keys("AKIATEST")),
        )
        made = [DynamoTransport(session, within=self.within) for session in sessions]
        tasks = [asyncio.create_task(self._segment(made[0], made[1], number)) for number in range(self.segments)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for transport in made:
                transport.close()

    async def _segment(self, source: DynamoTransport, target: DynamoTransport, number: int) -> None:
        dice = random.Random(number)

        def save(checkpoint: Checkpoint) -> None:
            self.saved[checkpoint.segment] = checkpoint

        await copy_segment(
            CopyTask("run-1/copy/app-test", KEYS),
            self.saved.get(number, Checkpoint(number, self.segments)),
            reader=ScanReader(
                source, SourceTable(PROD, "", SOURCE), pace=Pace(UNPACED), backoff=self.backoff, dice=dice
            ),
            mask=masker(),
            writer=BatchWriter(
                target, TargetTable(TEST, "", TARGET), pace=Pace(UNPACED), backoff=self.backoff, dice=dice
            ),
            sealer=KeySealer(KEY),
            save=save,
            quarantine=lambda item, reason: self.quarantined.append((item, reason)),
        )


def masker() -> ItemMasker:
    """The mask of the copy."""
    return compile_masker(PLAN, KEY, TableShape(SOURCE, KEYS))


def masked(items: Sequence[Item]) -> dict[bytes, Item]:
    """What must stand in the target, by key."""
    mask = masker()
    made = [orjson.loads(mask.mask_bytes(orjson.dumps(item))) for item in items]
    return {orjson.dumps([item[name] for name in KEYS]): item for item in made}


def proof_of(table: Table) -> int:
    """The digest of what really stands in a table."""
    total = 0
    for item in table.items.values():
        total = digest.add(total, digest.item_digest(item))
    return total
