"""What `cancel` puts back is what was on, place by place, and what listens to nothing is called so; and `status` speaks
of the consumers as soon as their tables are gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.plan import Streams
from downstage.errors import AwsError, LeakFound
from downstage.planning.consumers import alive
from downstage.testing.world import FUNCTION, KEYS, TARGET, World, case, plan_of
from downstage.workflow.refresh import LEAK_SCAN
from downstage.workflow.were_on import Mark, remembered
from tests.unit.proven_world import (
    give_up,
)
from tests.unit.search_world import up_to

WEST = "us-west-1"
EAST_STREAM = "arn:aws:dynamodb:us-east-1:222222222222:table/app-test/stream/gone"
WEST_STREAM = "arn:aws:dynamodb:us-west-1:222222222222:table/app-test/stream/1"


def states(world: World) -> dict[tuple[str, str, str], bool]:
    return {(one.function, one.table, one.region): one.enabled for one in world.consumers.mappings.values()}


def rewritten(world: World, *before: str) -> None:
    """What the journal would hold had an earlier version found these on."""
    run = world.journal.run("run-1")
    assert run is not None
    found, off = (world.journal.step("run-1", name) for name in ("preflight", "consumers-off"))
    assert found is not None
    assert off is not None
    world.journal.save_step("run-1", run.epoch, replace(found, result={**found.result, "consumers": list(before)}))
    world.journal.save_step("run-1", run.epoch, replace(off, intent={**off.intent, "enabled": []}))


# ---- what was on, place by place


def test_a_function_that_was_on_in_one_region_alone_is_on_there_alone() -> None:
    world = World()
    world.consumers.add(FUNCTION, TARGET, WEST_STREAM, enabled=False, region=WEST)
    world.refresh(chosen=("preflight", "consumers-off"))
    said = give_up(world)
    assert states(world) == {(FUNCTION, TARGET, "us-east-1"): True, (FUNCTION, TARGET, WEST): False}
    assert f"{FUNCTION} of {TARGET} in us-east-1 on again, as before" in said
    assert WEST not in said


def test_a_function_of_two_tables_that_was_on_at_one_is_on_at_that_one() -> None:
    world = World()
    other = world.target_tables.create("app-test-2", KEYS)
    (first,) = world.consumers.consumers([TARGET])
    world.consumers.switch(first, on=False)
    world.consumers.add(FUNCTION, "app-test-2", other.stream_arn)
    pair = world.plan.tables[0]
    second = replace(pair, target=replace(pair.target, name="app-test-2"))
    world.plan = replace(world.plan, tables=(pair, second))
    world.refresh(chosen=("preflight", "consumers-off"))
    assert not world.consumers.enabled
    give_up(world)
    assert states(world) == {(FUNCTION, TARGET, "us-east-1"): False, (FUNCTION, "app-test-2", "us-east-1"): True}


def test_a_record_of_before_names_functions_and_means_them_wherever_they_are() -> None:
    world = World()
    world.consumers.add(FUNCTION, TARGET, WEST_STREAM, enabled=False, region=WEST)
    world.refresh(chosen=("preflight", "consumers-off"))
    rewritten(world, FUNCTION)
    assert FUNCTION in world.outcome().standing
    assert f"{FUNCTION} of {TARGET} in us-east-1, {FUNCTION} of {TARGET} in us-west-1 on again" in give_up(world)
    assert set(states(world).values()) == {True}


def test_a_record_of_before_of_one_that_is_gone_names_it() -> None:
    world = World()
    world.refresh(chosen=("preflight", "consumers-off"))
    rewritten(world, "streams_old")
    assert give_up(world) == "none on again; not there any more: streams_old"


def test_both_forms_of_a_record_are_read() -> None:
    assert remembered(["f", ["f", "t", "r"]]) == [Mark("f"), Mark("f", "t", "r")]
    assert remembered(None) == []


# ---- streams that are gone


def deployed_without_consumers(world: World) -> None:
    """A deployment that makes the table and leaves the consumers on the stream of the one before."""

    def deploy(_intent: Any) -> str:
        world.target_tables.create(TARGET, KEYS)
        return "1 table"

    world.deployer.deploy = deploy  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("step", ["wipe", "deploy", "consumers-off"])
def test_one_whose_table_was_made_anew_listens_to_nothing_and_is_not_called_on(step: str) -> None:
    world = World()
    deployed_without_consumers(world)
    world.refresh(chosen=up_to(step))
    said = give_up(world)
    assert said == (
        "none on again; 1 listens to a stream that is gone, and delivers nothing: deploy again "
        f"({FUNCTION} of {TARGET} in us-east-1)"
    )
    assert said in world.outcome().standing
    assert said in world.outcome().consumers


def test_what_listens_to_nothing_is_not_switched() -> None:
    world = World()
    deployed_without_consumers(world)
    world.refresh(chosen=up_to("consumers-off"))
    world.writes.clear()
    give_up(world)
    assert world.writes == []


def test_some_on_and_some_deaf() -> None:
    world = World()
    world.consumers.add("streams_test_2", TARGET, EAST_STREAM)
    world.consumers.functions = ("streams_*",)
    world.refresh(chosen=("preflight", "consumers-off"))
    said = give_up(world)
    assert said.startswith(f"{FUNCTION} of {TARGET} in us-east-1 on again, as before")
    assert "1 listens to a stream that is gone, and delivers nothing: deploy again (streams_test_2" in said


def test_one_that_was_made_anew_on_the_new_stream_is_on_and_the_old_one_no_news() -> None:
    world = World()
    world.consumers.add(FUNCTION, TARGET, EAST_STREAM)
    world.refresh(chosen=("preflight", "consumers-off"))
    assert "gone" not in give_up(world)


# ---- never after a leak


def test_not_after_a_leak_that_another_command_found() -> None:
    world = World()
    world.refresh(chosen=up_to("sync"))
    world.target_tables[TARGET].put([case(7, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        world.refresh(world.begin("run-2", "leaks"), chosen=(LEAK_SCAN,))
    assert "personal data" in give_up(world)
    assert not world.consumers.enabled


# ---- in plain words, before they are switched off


@pytest.mark.parametrize("step", ["wipe", "deploy"])
def test_status_speaks_of_them_as_soon_as_the_wipe_has_begun(step: str) -> None:
    world = World()

    def broken(*_arguments: Any) -> str:
        raise AwsError("the deployment failed")

    if step == "deploy":
        world.deployer.deploy = broken  # type: ignore[method-assign, assignment]
    else:
        world.target_tables.delete = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(AwsError):
        world.refresh()
    run = world.journal.run("run-1")
    assert run is not None
    world.journal.end_run("run-1", run.epoch, "failed", "now")
    outcome = world.outcome()
    assert f"has not switched the consumers off (on before: {FUNCTION} of {TARGET} in us-east-1)" in outcome.standing
    assert "deliver nothing" in outcome.standing
    assert "'downstage streams status test'" in outcome.standing
    assert "as they were" not in outcome.consumers
    assert "deliver nothing" in outcome.consumers


@pytest.mark.parametrize("kind", ["wipe", "refresh"])
@pytest.mark.parametrize(("configured", "said"), [(True, "not switched off by this run"), (False, "as they were")])
def test_without_a_preflight_it_is_the_configuration_that_says_whether_there_are_any(
    kind: str, configured: bool, said: str
) -> None:
    world = World() if configured else World(plan=plan_of(streams=None))
    world.refresh(world.begin("run-1", kind), chosen=("wipe",))
    run = world.journal.run("run-1")
    assert run is not None
    world.journal.end_run("run-1", run.epoch, "failed", "now")
    outcome = world.outcome()
    assert outcome.consumers.startswith(said)
    assert ("deliver nothing" in outcome.standing) is (configured and kind == "refresh")


def test_before_the_wipe_they_are_as_they_were() -> None:
    world = World()
    world.refresh(chosen=up_to("flags"))
    assert world.outcome().consumers == "as they were"
    assert "onsumers" not in world.outcome().standing


def test_where_none_is_configured_nothing_is_said_of_them() -> None:
    world = World(plan=plan_of(streams=None, search=None))
    world.refresh(chosen=up_to("deploy"))
    assert world.outcome().consumers == "as they were"
    assert "onsumers" not in world.outcome().standing


def test_which_is_alive_is_told_by_the_table_and_of_a_replica_not_at_all() -> None:
    world = World(plan=plan_of(streams=Streams((FUNCTION,))))
    (living,) = world.consumers.consumers([TARGET])
    tables = world.target_tables
    assert alive(world.plan, living, tables)
    assert not alive(world.plan, replace(living, stream_arn=EAST_STREAM), tables)
    assert not alive(world.plan, replace(living, table="no-such-table"), tables)
    assert alive(world.plan, replace(living, stream_arn=WEST_STREAM, region=WEST), tables)


def test_whoever_switches_them_off_by_command_is_told_how_they_come_on_again() -> None:
    world = World()
    world.refresh(world.begin("run-8", "streams"), chosen=("consumers-off",))
    assert world.outcome("run-8").consumers == "off, until 'downstage streams on test'"
