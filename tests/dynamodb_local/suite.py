"""The copy against Amazon's own engine: what it reads, writes and refuses, and that the proof holds.

Run by `namespace`, where the engine listens; it is not collected otherwise. Two access keys are two accounts here.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import boto3
import orjson
import pytest

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.aws.http import DynamoTransport
from downstage.copying.segment import CopyTask, copy_segment
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan
from downstage.domain.refs import SourceTable, TargetTable
from downstage.masking.compile import TableShape, compile_masker, compile_pseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, RawItem, Rejected
from downstage.proof import digest
from downstage.verify.compare import verify_segment
from downstage.verify.leaks import LeakScanner

URL = os.environ["DYNAMODB_LOCAL"]
REGION = "us-east-1"
KEY = MaskKey(bytes(range(32)))
PLAN = MaskingPlan("env:X", "u-{token}@test.example.com", "test")
PSEUDONYMS = compile_pseudonyms(PLAN, KEY)
SEGMENTS = 4


@dataclass
class Keys:
    access_key: str
    secret_key: str = "secret"
    token: str | None = None


@dataclass
class Account:
    """One side: a session for our transport, a client of boto3 to look with."""

    access_key: str
    environment: Environment = field(init=False)

    def __post_init__(self) -> None:
        self.environment = Environment(self.access_key, "111111111111", REGION, endpoint=URL)

    def credentials(self) -> Any:
        return Keys(self.access_key)

    @property
    def client(self) -> Any:
        return boto3.client(
            "dynamodb",
            endpoint_url=URL,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key="secret",
        )

    def transport(self) -> DynamoTransport:
        return DynamoTransport(self)  # type: ignore[arg-type]


PRODUCTION, LOWER = Account("production"), Account("lower")


def create(account: Account, name: str) -> None:
    """A table with a composite key and a global index."""
    account.client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "gsi1pk")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "gsi1",
                "KeySchema": [{"AttributeName": "gsi1pk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def table() -> str:
    """A new table on both sides."""
    name = f"table-{uuid.uuid4()}"
    for account in (PRODUCTION, LOWER):
        create(account, name)
    return name


def item(number: int) -> dict[str, Any]:
    """One item with every type there is."""
    return {
        "pk": {"S": f"user|Person{number}@court.example.org"},
        "sk": {"S": f"profile|{number}"},
        "gsi1pk": {"S": f"person{number}@court.example.org"},
        "n": {"N": "12345678901234567890123456789012345678"},
        "d": {"N": f"{number}.00000000000000000000001"},
        "e": {"S": ""},
        "u": {"S": 'é\u2028 𝄞 \\ " / \n'},
        "b": {"B": b"\x00\xff\x80"},
        "eb": {"B": b""},
        "ss": {"SS": ["b", f"person{number}@court.example.org", "a"]},
        "ns": {"NS": ["3", "1.5", "-2"]},
        "bs": {"BS": [b"\x01", b"\x00"]},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "m": {"M": {"zeta": {"L": []}, f"person{number}@court.example.org": {"M": {}}, "alpha": {"N": "1E+2"}}},
        "l": {"L": [{"S": f"mail person{number}@court.example.org"}, {"N": "-0.5"}, {"NULL": True}]},
    }


def fill(account: Account, table: str, items: list[dict[str, Any]]) -> None:
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": one}} for one in items[start : start + 25]]
        assert not account.client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]


async def copied(
    table: str, start: dict[int, Checkpoint], save: Callable[[Checkpoint], None]
) -> list[tuple[RawItem, str]]:
    """Copies all segments at once; gives what was quarantined."""
    source, target = PRODUCTION.transport(), LOWER.transport()
    mask = compile_masker(PLAN, KEY, TableShape(table, ("pk", "sk"), ("gsi1pk",)))
    left_out: list[tuple[RawItem, str]] = []
    try:
        await asyncio.gather(
            *(
                copy_segment(
                    CopyTask("run/copy", ("pk", "sk")),
                    start.get(segment, Checkpoint(segment, SEGMENTS)),
                    reader=ScanReader(source, SourceTable("1", REGION, table)),
                    mask=mask,
                    writer=BatchWriter(target, TargetTable("2", REGION, table)),
                    sealer=KeySealer(KEY),
                    save=save,
                    quarantine=lambda item, reason: left_out.append((item, reason)),
                )
                for segment in range(SEGMENTS)
            )
        )
    finally:
        source.close()
        target.close()
    return left_out


def copy(table: str) -> tuple[dict[int, Checkpoint], list[tuple[RawItem, str]]]:
    done: dict[int, Checkpoint] = {}
    left_out = asyncio.run(copied(table, {}, lambda checkpoint: done.update({checkpoint.segment: checkpoint})))
    return done, left_out


def verified(table: str) -> tuple[int, int, list[Any]]:
    """Digest, number of items and leaks of the target, by a scan of its own in other segments."""
    leaks: list[Any] = []
    scanner = LeakScanner(allowed=PSEUDONYMS.allowed, fingerprint=PSEUDONYMS.fingerprint)

    async def look() -> Checkpoint:
        transport = LOWER.transport()
        try:
            return await verify_segment(
                table,
                "run/verify",
                Checkpoint(0, 1),
                reader=ScanReader(transport, TargetTable("2", REGION, table), consistent=True),
                scanner=scanner,
                expectations=None,
                sealer=KeySealer(KEY),
                save=lambda checkpoint: None,
                leak=leaks.append,
            )
        finally:
            transport.close()

    found = asyncio.run(look())
    return found.digest, found.counters["items"], leaks


def total(checkpoints: dict[int, Checkpoint]) -> int:
    added = 0
    for checkpoint in checkpoints.values():
        added = digest.add(added, checkpoint.digest)
    return added


def test_every_item_arrives_masked_and_typed_to_the_last_digit(table: str) -> None:
    fill(PRODUCTION, table, [item(number) for number in range(600)])
    done, left_out = copy(table)
    assert left_out == []
    assert sum(checkpoint.counters["written"] for checkpoint in done.values()) == 600
    assert verified(table) == (total(done), 600, [])
    pseudonym = PSEUDONYMS.replace("person7@court.example.org")
    found = LOWER.client.query(
        TableName=table,
        IndexName="gsi1",
        KeyConditionExpression="gsi1pk = :p",
        ExpressionAttributeValues={":p": {"S": pseudonym}},
    )["Items"]
    (mine,) = found
    original = item(7)
    for name in ("n", "d", "e", "u", "b", "eb", "t", "z", "sk"):
        expected = original[name]
        if "N" in expected:
            assert Decimal(mine[name]["N"]) == Decimal(expected["N"])
        else:
            assert mine[name] == expected
    assert sorted(mine["ss"]["SS"]) == sorted(["a", "b", pseudonym])
    assert sorted(map(Decimal, mine["ns"]["NS"])) == [Decimal(-2), Decimal("1.5"), Decimal(3)]
    assert sorted(mine["bs"]["BS"]) == [b"\x00", b"\x01"]
    assert set(mine["m"]["M"]) == {"zeta", "alpha", pseudonym}
    assert mine["l"]["L"][0] == {"S": f"mail {pseudonym}"}


def test_a_run_that_is_cut_off_goes_on_from_its_checkpoints_and_the_digest_holds(table: str) -> None:
    fill(PRODUCTION, table, [{**item(number), "pad": {"S": "x" * 20_000}} for number in range(400)])
    done: dict[int, Checkpoint] = {}

    class Cut(Exception):
        pass

    def save_some(checkpoint: Checkpoint) -> None:
        if len(done) == 2 and checkpoint.segment not in done:
            raise Cut
        done[checkpoint.segment] = checkpoint

    with pytest.raises(Cut):
        asyncio.run(copied(table, {}, save_some))
    assert not all(checkpoint.done for checkpoint in done.values()) or len(done) < SEGMENTS
    asyncio.run(copied(table, dict(done), lambda checkpoint: done.update({checkpoint.segment: checkpoint})))
    assert verified(table) == (total(done), 400, [])


def puts(table: str, items: list[dict[str, Any]]) -> list[Rejected]:
    async def put() -> list[Rejected]:
        transport = LOWER.transport()
        try:
            raws = [orjson.dumps(one) for one in items]
            return list(await BatchWriter(transport, TargetTable("2", REGION, table)).put(raws))
        finally:
            transport.close()

    return asyncio.run(put())


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        ({"gsi1pk": {"S": ""}}, "empty"),
        ({"gsi1pk": {"N": "1"}}, "type"),
        ({"pad": {"S": "x" * 410_000}}, "400 KB"),
        ({"n": {"N": "1E+200"}}, "number"),
    ],
)
def test_poison_is_found_and_the_other_items_of_its_batch_are_written(
    table: str, poison: dict[str, Any], reason: str
) -> None:
    plain = [{"pk": {"S": f"{number}"}, "sk": {"S": "x"}} for number in range(24)]
    (rejected,) = puts(table, [*plain[:13], {"pk": {"S": "poison"}, "sk": {"S": "x"}, **poison}, *plain[13:]])
    assert orjson.loads(rejected.item)["pk"] == {"S": "poison"}
    assert reason in rejected.reason or rejected.reason == "DynamoDB refuses the item"
    assert LOWER.client.scan(TableName=table, Select="COUNT")["Count"] == 24


def test_large_pages_and_answers_without_a_length_are_read_whole(table: str) -> None:
    fill(PRODUCTION, table, [{**item(number), "pad": {"S": "y" * 150_000}} for number in range(40)])
    done, left_out = copy(table)
    assert left_out == []
    assert verified(table) == (total(done), 40, [])
