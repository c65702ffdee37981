"""Consumers of the tables' streams that nobody named: they stop a run before anything is touched, unless they are
allowed; then they are named."""

from __future__ import annotations

from typing import Any

import pytest

from downstage.domain.outcome import Result
from downstage.domain.plan import Streams
from downstage.errors import GuardRefused
from downstage.testing.world import FUNCTION, TARGET, World, plan_of
from tests.unit.search_world import detail, up_to


def test_a_consumer_that_nobody_named_stops_the_run_before_anything_is_touched() -> None:
    world = World()
    world.consumers.add("audit", TARGET, world.target_tables[TARGET].stream_arn)
    with pytest.raises(GuardRefused, match="audit of app-test") as caught:
        world.refresh()
    assert caught.value.exit_code == 3
    assert world.writes == []


def test_one_that_the_deployment_brings_stops_it_before_anything_is_copied() -> None:
    world = World()
    deploy = world.deployer.deploy

    def with_another(intent: Any) -> str:
        said = deploy(intent)
        world.consumers.add("audit", TARGET, world.target_tables[TARGET].stream_arn)
        return said

    world.deployer.deploy = with_another  # type: ignore[method-assign]
    with pytest.raises(GuardRefused, match="audit of app-test"):
        world.refresh()
    assert f"put {TARGET}" not in world.writes
    assert world.consumers.enabled == ["audit"]  # it is not ours to switch


def test_it_may_be_allowed_and_is_named_then() -> None:
    world = World(plan=plan_of(streams=Streams((FUNCTION,), others="warn")))
    world.deployer.deploy = _and_audit(world)  # type: ignore[method-assign]
    world.refresh()
    assert "not held off: audit of app-test" in detail(world, "consumers-off")
    assert world.outcome().result is Result.PROVEN
    assert "audit of app-test" in world.outcome().consumers


@pytest.mark.parametrize("others", ["fail", "warn"])
def test_one_that_is_off_or_on_a_stream_that_is_gone_sees_nothing(others: Any) -> None:
    world = World(plan=plan_of(streams=Streams((FUNCTION,), others=others)))
    world.consumers.add("off", TARGET, world.target_tables[TARGET].stream_arn, enabled=False)
    world.consumers.add("gone", TARGET, "arn:aws:dynamodb:us-east-1:222222222222:table/app-test/stream/old")
    world.refresh()
    assert world.outcome().consumers == "on"


def test_whoever_names_no_function_wants_none_on_the_streams() -> None:
    world = World(plan=plan_of(streams=Streams(())))
    world.consumers.functions = ()
    with pytest.raises(GuardRefused, match=f"{FUNCTION} of {TARGET}"):
        world.refresh()
    for consumer in world.consumers.others([TARGET]):
        world.consumers.remove(consumer)
    world.writes.clear()
    world.refresh(world.begin("run-2"), chosen=up_to("consumers-off"))
    assert detail(world, "consumers-off", "run-2") == "0 off"


def test_looking_for_them_can_be_switched_off() -> None:
    world = World(plan=plan_of(streams=Streams((FUNCTION,), others="off")))
    world.consumers.add("audit", TARGET, world.target_tables[TARGET].stream_arn)
    world.refresh()
    assert "audit" not in world.outcome().consumers


def _and_audit(world: World) -> Any:
    deploy = world.deployer.deploy

    def with_another(intent: Any) -> str:
        said = deploy(intent)
        world.consumers.add("audit", TARGET, world.target_tables[TARGET].stream_arn)
        return said

    return with_another
