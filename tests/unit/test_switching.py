"""Flags and consumers are written one after the other, and whose turn it is is asked before each; and what a run has
switched on itself, before it was begun again from an earlier step, is nobody else's doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from downstage.domain.plan import Streams
from downstage.errors import AwsError, LeaseLost
from downstage.ports import Consumer
from downstage.testing.faults import Killed
from downstage.testing.simple import InOrder
from downstage.testing.world import FUNCTION, TARGET, World, plan_of
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import STEPS, forget_from, run_steps
from downstage.workflow.were_on import BY_THE_RUN, SWITCHING
from tests.unit.search_world import notes, up_to

SECOND = "streams_test_2"


def world_of_two() -> World:
    world = World(plan=plan_of(streams=Streams((FUNCTION, SECOND))))
    world.consumers.add(SECOND, TARGET, world.target_tables[TARGET].stream_arn)
    return world


def lost_after(world: World, write: str) -> Callable[[], None]:
    """The environment is another run's from that write on."""

    def check() -> None:
        if write in world.writes:
            raise LeaseLost("lost")

    return check


def off_again(world: World) -> dict[str, object]:
    off = world.journal.step("run-1", "consumers-off")
    assert off is not None
    return dict(off.result)


# ---- whose turn it is, between two writes


def test_no_flag_is_written_once_the_environment_is_anothers() -> None:
    world = world_of_two()
    first, second = (f"flag {flag.label}" for flag in world.plan.flags)
    parts = replace(world.parts(world.begin()), still_ours=lost_after(world, first))
    with pytest.raises(LeaseLost):
        run_steps(parts, InOrder(), up_to("flags"))
    assert first in world.writes
    assert second not in world.writes


@pytest.mark.parametrize("way", ["off", "on"])
def test_no_consumer_is_switched_once_the_environment_is_anothers(way: str) -> None:
    world = world_of_two()
    run = world.begin()
    before = "deploy" if way == "off" else "parity"
    world.refresh(run, chosen=up_to(before))
    if way == "off":  # a deployment that switches them on, as it does where nobody holds them off
        for consumer in list(world.consumers.mappings.values()):
            world.consumers.switch(consumer, on=True)
    world.writes.clear()
    parts = replace(
        world.parts(world.journal.take_over("run-1")), still_ours=lost_after(world, f"switch {FUNCTION} {way}")
    )
    with pytest.raises(LeaseLost):
        run_steps(parts, InOrder(), up_to(f"consumers-{way}"))
    assert f"switch {FUNCTION} {way}" in world.writes
    assert f"switch {SECOND} {way}" not in world.writes


def test_nor_when_a_run_goes_on_and_finds_them_on() -> None:
    world = world_of_two()
    world.refresh(chosen=up_to("consumers-off"))
    for consumer in list(world.consumers.mappings.values()):
        world.consumers.switch(consumer, on=True)
    world.writes.clear()
    parts = replace(
        world.parts(world.journal.take_over("run-1")), still_ours=lost_after(world, f"switch {FUNCTION} off")
    )
    with pytest.raises(LeaseLost):
        run_steps(parts, InOrder(), STEPS)
    assert world.writes == [f"switch {FUNCTION} off"]


def test_who_gives_a_run_up_asks_before_each_consumer() -> None:
    world = world_of_two()
    world.refresh(chosen=up_to("consumers-off"))
    world.writes.clear()
    taken = world.journal.take_over("run-1")
    with pytest.raises(LeaseLost):
        put_back(
            world.journal,
            taken,
            world.consumers,
            world.plan,
            lost_after(world, f"switch {FUNCTION} on"),
            lambda _one: True,
            world.journal,
            "",
        )
    assert world.writes == [f"switch {FUNCTION} on"]


# ---- who has switched them on


def begun_again(step: str) -> World:
    """A refresh that had its consumers on, and is begun again from that step by somebody."""
    world = world_of_two()
    world.refresh(chosen=up_to("index"))
    assert world.consumers.enabled == [FUNCTION, SECOND]
    world.events.events.clear()
    forget_from(world.journal, world.journal.take_over("run-1"), step)
    return world


@pytest.mark.parametrize("step", ["copy", "verify-tables", "parity", "consumers-on"])
def test_what_the_run_has_switched_on_itself_is_not_called_somebody_elses_doing(step: str) -> None:
    world = begun_again(step)
    world.resume(chosen=up_to("restore-search"))
    assert not world.consumers.enabled
    assert (
        f"{FUNCTION} of {TARGET} in us-east-1, {SECOND} of {TARGET} in us-east-1: this run had switched it on"
        in notes(world)
    )
    assert "may have seen data that are not proven" not in notes(world)
    assert "switched on by somebody" not in world.outcome().consumers
    assert not {"again", BY_THE_RUN, SWITCHING} & off_again(world).keys()
    if step != "copy":
        world.resume()
        assert world.consumers.enabled == [FUNCTION, SECOND]
        assert world.outcome().result.value == "proven"


def test_from_before_the_consumers_off_it_is_that_step_that_switches_them_off() -> None:
    world = begun_again("deploy")
    world.resume(chosen=up_to("consumers-off"))
    assert not world.consumers.enabled
    assert "may have seen" not in notes(world)
    assert not {"again", BY_THE_RUN} & off_again(world).keys()


def test_what_somebody_switches_on_after_that_is_somebodys_doing() -> None:
    world = begun_again("verify-tables")
    world.resume(chosen=up_to("restore-search"))
    (consumer,) = (one for one in world.consumers.mappings.values() if one.function == SECOND)
    world.consumers.switch(consumer, on=True)
    world.resume(chosen=up_to("restore-search"))
    assert f"{SECOND} of {TARGET} in us-east-1: switched on since this run switched it off" in notes(world)
    assert f"switched on by somebody while nothing was proven, and off again: {SECOND}" in world.outcome().consumers


def test_nor_is_another_place_of_the_same_function_the_runs_doing() -> None:
    world = begun_again("verify-tables")
    world.consumers.add(
        FUNCTION, TARGET, "arn:aws:dynamodb:us-west-1:222222222222:table/app-test/stream/1", region="us-west-1"
    )
    world.resume(chosen=up_to("restore-search"))
    assert not world.consumers.enabled
    assert f"{FUNCTION} of {TARGET} in us-west-1: switched on since this run switched it off" in notes(world)
    assert off_again(world)["again"] == [[FUNCTION, TARGET, "us-west-1"]]


def test_one_that_the_run_has_not_switched_on_is_told_of_for_itself() -> None:
    world = world_of_two()
    world.refresh(chosen=up_to("index"))
    on, run = world.journal.step("run-1", "consumers-on"), world.journal.run("run-1")
    assert on is not None
    assert run is not None
    world.journal.save_step("run-1", run.epoch, replace(on, intent={**on.intent, "consumers": [FUNCTION]}))
    forget_from(world.journal, world.journal.take_over("run-1"), "verify-tables")
    world.resume(chosen=up_to("restore-search"))
    assert f"{FUNCTION} of {TARGET} in us-east-1: this run had switched it on" in notes(world)
    assert f"{SECOND} of {TARGET} in us-east-1: switched on since" in notes(world)


@pytest.mark.parametrize("error", [Killed, AwsError])
def test_a_look_that_is_cut_off_between_two_switches_is_told_and_made_good(error: type[BaseException]) -> None:
    world = begun_again("verify-tables")
    switch = world.consumers.switch

    def stuck(consumer: Consumer, on: bool) -> None:
        if consumer.function == SECOND:
            raise error("it is still Disabling")
        switch(consumer, on)

    world.consumers.switch = stuck  # type: ignore[method-assign]
    with pytest.raises(error):
        world.resume(chosen=up_to("verify-tables"))
    assert world.consumers.enabled == [SECOND]
    assert "some may be on and some off" in world.outcome().standing
    assert "some may be on and some off" in world.outcome().consumers
    world.consumers.switch = switch  # type: ignore[method-assign]
    world.resume(chosen=up_to("verify-tables"))
    assert not world.consumers.enabled
    assert "The consumers are off" in world.outcome().standing
    assert "may have seen" not in notes(world)
