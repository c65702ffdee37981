"""Whoever gives a run up is told how the consumers really stand: what is on and is not to be is switched off first, be
it that the run had them on before it found personal data, or that it was cut off while it switched them on."""

from __future__ import annotations

from typing import Any

import pytest

from downstage.domain.plan import Streams
from downstage.errors import LeakFound, LeaseLost
from downstage.ports import Consumer
from downstage.testing.faults import Killed
from downstage.testing.world import DOMAIN, FUNCTION, INDEX, TARGET, World, case, plan_of
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import STEPS
from tests.unit.proven_world import LEAK, ended, give_up, later, streams_on
from tests.unit.search_world import up_to

SECOND = "streams_test_2"
HERE = f"of {TARGET} in us-east-1"


def world_of_two(*off: str) -> World:
    """Two consumers, of which these are off before anything is done."""
    world = World(plan=plan_of(streams=Streams((FUNCTION, SECOND))))
    world.consumers.add(SECOND, TARGET, world.target_tables[TARGET].stream_arn)
    for consumer in list(world.consumers.mappings.values()):
        if consumer.function in off:
            world.consumers.switch(consumer, on=False)
    world.writes.clear()
    return world


def cut_off_while_switching_on(world: World, after: str) -> World:
    """A refresh that was killed once it had switched that consumer on."""
    switch = world.consumers.switch

    def killed(consumer: Consumer, on: bool) -> None:
        switch(consumer, on)
        if on and consumer.function == after:
            raise Killed("here")

    world.consumers.switch = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.refresh(chosen=up_to("consumers-on"))
    world.consumers.switch = switch  # type: ignore[method-assign]
    world.writes.clear()
    return world


def with_a_leak_after_they_were_on() -> World:
    world = world_of_two()
    world.refresh(chosen=up_to("index"))
    world.target_domains.index(DOMAIN).put(INDEX, "7", case(7, LEAK))
    with pytest.raises(LeakFound):
        world.resume()
    assert world.consumers.enabled == [FUNCTION, SECOND]
    world.writes.clear()
    return ended(world, "failed")


# ---- after a leak


def test_after_a_leak_those_that_the_run_had_on_are_switched_off_and_it_is_said() -> None:
    world = with_a_leak_after_they_were_on()
    assert "switch them off with 'downstage streams off test'" in world.outcome().standing
    said = give_up(world)
    assert not world.consumers.enabled
    assert said.startswith("off, and they stay off: personal data was found; refresh again")
    assert f"on until now, and may have delivered them: {FUNCTION} {HERE}, {SECOND} {HERE}" in said
    assert said in world.outcome().standing
    assert said in world.outcome().consumers
    assert LEAK not in said


def test_of_those_that_were_off_already_no_more_is_said() -> None:
    world = with_a_leak_after_they_were_on()
    for consumer in list(world.consumers.mappings.values()):
        world.consumers.switch(consumer, on=False)
    world.writes.clear()
    assert give_up(world) == "off, and they stay off: personal data was found; refresh again"
    assert world.writes == []


def test_whose_turn_it_is_is_asked_before_each_is_switched_off_and_nothing_is_recorded_that_is_not_so() -> None:
    world = with_a_leak_after_they_were_on()
    taken = world.journal.take_over("run-1")

    def check() -> None:
        if world.writes:
            raise LeaseLost("lost")

    with pytest.raises(LeaseLost):
        put_back(
            world.journal, taken, world.consumers, world.plan, check, lambda _one: True, world.journal, loaded_since=""
        )
    assert world.writes == [f"switch {FUNCTION} off"]
    assert "stay off" not in world.outcome().consumers
    assert f"delivered them: {SECOND} {HERE}" in give_up(world)
    assert not world.consumers.enabled


# ---- half way through switching them on


def test_what_was_off_before_is_switched_off_again() -> None:
    world = cut_off_while_switching_on(world_of_two(FUNCTION, SECOND), after=FUNCTION)
    assert world.consumers.enabled == [FUNCTION]
    said = give_up(world)
    assert not world.consumers.enabled
    assert said == f"off, as they were before; off now, for they were not on before: {FUNCTION} {HERE}"
    assert said in world.outcome().standing


def test_of_two_each_is_as_it_was() -> None:
    world = cut_off_while_switching_on(world_of_two(SECOND), after=SECOND)
    assert world.consumers.enabled == [FUNCTION, SECOND]
    said = give_up(world)
    assert world.consumers.enabled == [FUNCTION]
    assert said.startswith(f"{FUNCTION} {HERE} on again, as before")
    assert said.endswith(f"off now, for they were not on before: {SECOND} {HERE}")


@pytest.mark.parametrize("off", [(FUNCTION, SECOND), (SECOND,)])
def test_what_another_run_has_switched_on_since_is_left_on_and_that_is_said(off: tuple[str, ...]) -> None:
    world = ended(cut_off_while_switching_on(world_of_two(*off), after=FUNCTION), "failed")
    streams_on(later(world))
    assert world.consumers.enabled == [FUNCTION, SECOND]
    world.writes.clear()
    said = give_up(world)
    assert world.consumers.enabled == [FUNCTION, SECOND]
    assert world.writes == []
    assert "left on, for run run-8 has switched them on since" in said
    assert f"{SECOND} {HERE}" in said
    assert "off" not in said


def test_nor_what_somebody_switches_on_after_another_run_had_them_off_again() -> None:
    world = ended(cut_off_while_switching_on(world_of_two(FUNCTION, SECOND), after=FUNCTION), "failed")
    streams_on(later(world))
    later(world).refresh(world.begin("run-9", "streams"), chosen=("consumers-off",))
    for consumer in list(world.consumers.mappings.values()):
        world.consumers.switch(consumer, on=True)
    assert "off now, for they were not on before" in give_up(world)
    assert not world.consumers.enabled


def test_what_another_run_had_switched_on_before_it_is_not() -> None:
    world = world_of_two(FUNCTION, SECOND)
    world.refresh(world.begin("run-0"), chosen=STEPS)
    ended(world, "finished", "run-0")
    for consumer in list(world.consumers.mappings.values()):
        world.consumers.switch(consumer, on=False)
    cut_off_while_switching_on(later(world), after=FUNCTION)
    give_up(world)
    assert not world.consumers.enabled


# ---- where they are not this run's to switch


def put(world: World, consumers: Any, loaded_since: str = "") -> str:
    taken = world.journal.take_over("run-1")
    guard = world.parts(taken).guard
    return put_back(world.journal, taken, consumers, world.plan, guard, lambda _one: True, world.journal, loaded_since)


def test_a_newer_run_that_is_half_way_is_not_said_to_have_them_off() -> None:
    world = world_of_two()
    world.refresh(chosen=("preflight", "consumers-off"))
    ended(world, "failed")
    world.refresh(later(world).begin("run-2"), chosen=up_to("deploy"))
    ended(world, "failed", "run-2")
    assert give_up(world).startswith("left as they are: run run-2 holds them")


def test_over_what_an_unknown_run_has_loaded_it_is_told_what_was_on() -> None:
    world = world_of_two(SECOND)
    world.refresh(chosen=up_to("copy"))
    said = put(world, world.consumers, loaded_since="far")
    assert said.startswith("left as they are: run far")
    assert said.endswith(f"on before: {FUNCTION} {HERE}")


def test_where_no_streams_are_configured_nobody_is_sent_to_look_at_them() -> None:
    world = World(plan=plan_of(streams=None, search=None))
    world.refresh(chosen=up_to("copy"))
    assert put(world, None, loaded_since="far") == "as they were: this run did not touch them"


def test_where_none_are_configured_any_more_it_is_said_what_was_on() -> None:
    world = world_of_two(SECOND)
    world.refresh(chosen=up_to("copy"))
    said = put(world, None)
    assert said == f"left as they are: the configuration names none any more; on before the run: {FUNCTION} {HERE}"
