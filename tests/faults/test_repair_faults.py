"""A repair over real sockets while the endpoint misbehaves: GetItem, PutItem and DeleteItem are lost, damaged, refused
and done without an answer, and afterwards the table is what was written, and nothing else was touched."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from downstage.aws.dynamodb import ItemMenderByKey, ItemReaderByKey
from downstage.aws.http import DynamoTransport
from downstage.copying.pacing import Backoff
from downstage.copying.rates import Pace
from downstage.domain.environment import Environment
from downstage.domain.plan import EnginePlan
from downstage.domain.refs import SourceTable, TargetTable
from downstage.errors import AwsError, Unreachable
from downstage.ports import Item, RawItem
from downstage.testing.world import KEYS, PROD, SOURCE, TARGET, TEST, World, case, plan_of
from downstage.workflow.reference import REPAIR
from downstage.workflow.refresh import STEPS
from tests.faults.endpoint import Endpoint, Mischief, Table
from tests.faults.lanes import QUICK, UNPACED, Keys, fixed_session

CHANGES = ("GetItem", "PutItem", "DeleteItem")
FAULTS: dict[str, dict[str, float]] = {
    "throttles": {"throttle": 0.40},
    "server errors": {"500": 0.25, "503": 0.25},
    "answers that never come": {"lost": 0.40},
    "resets in mid-body": {"reset": 0.40},
    "truncated bodies": {"truncated": 0.20, "truncated chunks": 0.20},
    "corrupt bodies": {"corrupt": 0.40},
}


class OverSockets:
    """Implements `ports.ItemMender` on the endpoint; a connection a call, as each call here has an event loop of its
    lane."""

    def __init__(self, endpoint: Endpoint, table: SourceTable | TargetTable, backoff: Backoff) -> None:
        self._endpoint, self._table, self._backoff = endpoint, table, backoff
        self._dice = random.Random(7)

    async def get(self, key: Item) -> RawItem | None:
        transport = self._transport()
        try:
            return await self._reader(transport).get(key)
        finally:
            transport.close()

    async def put(self, item: RawItem, *, new: bool) -> bool:
        transport = self._transport()
        try:
            return await self._mender(transport).put(item, new=new)
        finally:
            transport.close()

    async def delete(self, key: Item) -> bool:
        transport = self._transport()
        try:
            return await self._mender(transport).delete(key)
        finally:
            transport.close()

    def _transport(self) -> DynamoTransport:
        lower = self._table.account == TEST
        name, key = ("test", "AKIATEST") if lower else ("prod", "AKIAPROD")
        environment = Environment(name, self._table.account, "us-east-1", endpoint=self._endpoint.url)
        return DynamoTransport(fixed_session(environment, Keys(key)), within=0.5)

    def _reader(self, transport: DynamoTransport) -> ItemReaderByKey:
        return ItemReaderByKey(transport, self._table, pace=Pace(UNPACED), backoff=self._backoff, dice=self._dice)

    def _mender(self, transport: DynamoTransport) -> ItemMenderByKey:
        assert isinstance(self._table, TargetTable), "production is never written to"
        return ItemMenderByKey(
            transport, self._table, KEYS[0], pace=Pace(UNPACED), backoff=self._backoff, dice=self._dice
        )


def tampered() -> tuple[World, dict[bytes, Item]]:
    """Forty copied items of which ten are gone, ten altered, ten added; and what the target must hold."""
    items = [case(number, f"q{number}@court.example.org") for number in range(40)]
    world = World(items, plan_of(engine=EnginePlan("serial", 1, 4)))
    world.refresh(chosen=STEPS[: STEPS.index("sync") + 1])
    target = world.target_tables[TARGET]
    written = dict(target.items)
    keys = sorted(written)
    for key in keys[:10]:
        del target.items[key]
    for key in keys[10:20]:
        target.items[key] = target.items[key] | {"filed": {"N": "4711"}}
    target.put([{"pk": {"S": f"case|{number}"}, "sk": {"S": "nobody wrote this"}} for number in range(10)])
    return world, written


def on_sockets(world: World, endpoint: Endpoint, backoff: Callable[[], Backoff] = lambda: QUICK) -> None:
    """Single items are read and changed over the endpoint, which holds the very tables of the world."""
    endpoint.tables[SOURCE].items = world.source_tables[SOURCE].items
    endpoint.tables[TARGET].items = world.target_tables[TARGET].items
    world.source_items = lambda name: OverSockets(endpoint, SourceTable(PROD, "", name), backoff())
    world.target_items = lambda name: OverSockets(endpoint, TargetTable(TEST, "", name), backoff())


def repair(world: World) -> None:
    run = world.begin("run-2", kind="repair", copy_run="run-1")
    world.refresh(run, chosen=(REPAIR, "verify-tables"))


def tables() -> tuple[Table, Table]:
    return Table(SOURCE, KEYS, account=PROD), Table(TARGET, KEYS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_repair_comes_through(name: str) -> None:
    world, written = tampered()
    mischief = Mischief(FAULTS[name], CHANGES, random.Random(3))
    with Endpoint(*tables(), mischief=mischief).serving() as endpoint:
        on_sockets(world, endpoint)
        repair(world)
        assert set(endpoint.fired) == set(FAULTS[name]), "a fault that was to strike did not"
        assert set(CHANGES) <= set(endpoint.requests)
    assert world.target_tables[TARGET].items == written
    found = world.outcome("run-2").tables[0]
    assert found.proven
    assert found.repaired is not None
    assert (found.repaired.put, found.repaired.deleted, found.repaired.left) == (20, 10, 0)


@pytest.mark.parametrize("operation", ["PutItem", "DeleteItem"])
def test_a_change_that_was_made_and_nobody_knows_is_found_made(operation: str) -> None:
    """The second attempt may be refused by its own condition; then the row is read, and is what it must be."""
    world, written = tampered()
    mischief = Mischief({"lost": 1.0}, (operation,), at_most=5)
    with Endpoint(*tables(), mischief=mischief).serving() as endpoint:
        on_sockets(world, endpoint)
        repair(world)
        assert endpoint.fired["lost"] == 5
        if operation == "PutItem":  # in place of what is there: done again without harm
            assert max(endpoint.tables[TARGET].puts.values()) == 6
    assert world.target_tables[TARGET].items == written
    assert world.outcome("run-2").tables[0].proven


def test_an_endpoint_that_stays_bad_ends_the_repair_and_the_next_attempt_finishes_it() -> None:
    world, written = tampered()
    patience = [Backoff(first=0.001, ceiling=0.002, tries=3)]
    with Endpoint(*tables()).serving() as endpoint:
        on_sockets(world, endpoint, lambda: patience[0])
        count = 0

        def turn_bad(operation: str) -> None:
            nonlocal count
            count += operation == "PutItem"
            if count == 7:
                endpoint.mischief = Mischief({"lost": 1.0}, CHANGES)

        endpoint.on_request = turn_bad
        with pytest.raises((Unreachable, AwsError)):
            repair(world)
        assert world.target_tables[TARGET].items != written
        endpoint.on_request = lambda _operation: None
        endpoint.mischief = Mischief()
        patience[0] = QUICK
        world.resume("run-2", chosen=(REPAIR, "verify-tables"))
    assert world.target_tables[TARGET].items == written
    assert world.outcome("run-2").tables[0].proven
