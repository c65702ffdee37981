"""Documents made from the tables: in a refresh whose streams have lost records, and by the command alone, which proves
what it made, is resumed wherever it was killed, and makes nothing where personal data was found."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import Backfill, RefreshPlan
from downstage.errors import ConfigError, GuardRefused, LeakFound, RunConflict, UsageError, VerificationFailed
from downstage.ports import Made, TableFacts
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import DOMAIN, FUNCTION, INDEX, TARGET, World, case
from downstage.workflow.reference import REPAIR
from downstage.workflow.refresh import LEAK_SCAN
from tests.unit.search_world import (
    ATTRIBUTES,
    DAY,
    DEFINITION,
    a_day_after_the_copy,
    detail,
    lossy,
    notes,
    up_to,
    with_backfill,
)

# ---- records that the streams have lost


def sized(world: World, items: int, size: int) -> None:
    facts = world.source_tables.facts

    def told(name: str) -> TableFacts:
        return replace(facts(name), items=items, size=size)

    world.source_tables.facts = told  # type: ignore[method-assign]


@pytest.mark.parametrize("backfill", [None, ATTRIBUTES, replace(ATTRIBUTES, automatic=False)])
def test_a_load_that_outlasts_the_streams_is_told_before_the_wipe(backfill: Backfill | None) -> None:
    world = World(plan=with_backfill(backfill))
    sized(world, 400_000_000, 400_000_000 * 1024)  # 28 h at 4,000 writes a second, 2 h to verify
    world.refresh(chosen=("preflight",))
    said = notes(world)
    assert "at least 30 h" in said
    assert "keeps its records for 24 h" in said
    assert ("configure 'search.backfill'" in said) is (backfill is None)
    assert ("downstage index backfill" in said) is (backfill is not None and not backfill.automatic)


def test_an_ordinary_load_is_not_told_of() -> None:
    world = World()
    sized(world, 10_000_000, 10_000_000 * 1024)
    world.refresh(chosen=("preflight",))
    assert "24 h" not in notes(world)


def test_a_consumer_that_starts_late_is_told_of_before_the_wipe() -> None:
    world = World()
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.mappings[consumer.uuid] = replace(consumer, starts="LATEST")
    world.refresh(chosen=("preflight",))
    assert f"{FUNCTION} of {TARGET}: starts at LATEST" in notes(world)


def test_what_the_streams_have_lost_is_made_from_the_tables() -> None:
    world = a_day_after_the_copy(World(plan=with_backfill()))
    world.resume()
    assert detail(world, "backfill") == "5 documents made, 0 were there already"
    outcome = world.outcome()
    assert (outcome.result, outcome.search[0].found) == (Result.PROVEN, 5)
    assert "loading" not in notes(world)
    assert "a stream keeps records for 24 h" in notes(world)


def test_what_a_consumer_that_starts_late_may_have_missed_is_made_from_the_tables() -> None:
    world = World(plan=with_backfill())
    world.refresh(chosen=up_to("verify-tables"))
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.mappings[consumer.uuid] = replace(consumer, starts="LATEST")
    lossy(world).resume()
    assert detail(world, "backfill").startswith("5 documents made")
    assert world.outcome().result is Result.PROVEN


def test_a_run_that_goes_on_the_day_after_its_consumers_were_on_lost_nothing() -> None:
    world = World(plan=with_backfill())
    world.refresh(chosen=up_to("consumers-on"))
    world.clock.time += 2 * DAY
    world.resume()
    assert detail(world, "backfill") == "not needed: the streams kept every record"


def test_a_run_that_goes_on_too_late_says_so_at_once() -> None:
    world = World(plan=with_backfill())
    world.refresh(chosen=up_to("verify-tables"))
    world.clock.time += DAY
    world.events.events.clear()
    world.resume(chosen=("verify-buckets",))
    assert "the first ones will be lost before the consumers are on" in notes(world)
    soon = World(plan=with_backfill())
    soon.refresh(chosen=up_to("verify-tables"))
    soon.events.events.clear()
    soon.resume(chosen=("verify-buckets",))
    assert "will be lost" not in notes(soon)


def test_documents_that_the_consumer_made_are_left_alone() -> None:
    world = World(plan=with_backfill())
    world.refresh(chosen=up_to("verify-tables"))
    world.clock.time += DAY  # but this stream has kept them
    world.resume()
    assert detail(world, "backfill") == "0 documents made, 5 were there already"


@pytest.mark.parametrize("backfill", [None, replace(ATTRIBUTES, automatic=False)])
def test_without_leave_to_make_them_it_is_told_and_the_wait_ends(backfill: Backfill | None) -> None:
    world = a_day_after_the_copy(World(plan=with_backfill(backfill)))
    with pytest.raises(VerificationFailed, match=rf"{INDEX} 0 of 5"):
        world.resume()
    assert detail(world, "backfill").startswith("not done, though records were lost")


# ---- the backfill alone


def lost(plan: RefreshPlan | None = None) -> World:
    """A refresh that has failed at `index`, for its documents never came."""
    world = lossy(World(plan=plan or with_backfill()))
    with pytest.raises(VerificationFailed):
        world.refresh()
    return world


def backfill(world: World, run_id: str = "fill-1", *, dry: bool = False, trip: Trip | None = None, **more: Any) -> None:
    settings = {"verified_run": "run-1", **({"dry_run": True} if dry else {}), **more}
    steps = ("backfill",) if dry else ("backfill", "index", "verify-index")
    world.refresh(world.begin(run_id, "backfill", **settings), chosen=steps, trip=trip)


def test_the_command_makes_the_documents_and_proves_them_and_the_run_goes_on() -> None:
    world = lost()
    backfill(world)
    filled = world.outcome("fill-1")
    assert (filled.exit_code, filled.search[0].found, filled.leaks.scanned_documents) == (0, 5, 5)
    world.resume()
    assert world.outcome().result is Result.PROVEN


def test_a_dry_run_says_what_it_would_do_and_sends_nothing() -> None:
    world = lost()
    before = list(world.writes)
    backfill(world, dry=True)
    assert re.fullmatch(
        rf"would make 5 documents \({INDEX} 5; 0.0 MB\); nothing was written", detail(world, "backfill", "fill-1")
    )
    assert world.writes == before
    assert world.outcome("fill-1").exit_code == 0


def test_one_index_alone_is_filled_and_proven() -> None:
    plan = with_backfill()
    assert plan.search is not None
    more = replace(plan.search.expectations[0], index="app-user", condition="sk.S == 'profile'")
    both = replace(plan, search=replace(plan.search, expectations=(*plan.search.expectations, more)))
    world = World(plan=both)
    world.source_domains.index("search-prod").create("app-user", DEFINITION)
    with pytest.raises(VerificationFailed, match="app-user 0 of 3"):
        lossy(world).refresh()
    backfill(world, indexes=["app-user"])
    assert world.target_domains.index(DOMAIN).count("app-user") == 3
    assert world.target_domains.index(DOMAIN).count(INDEX) == 0
    assert [index.index for index in world.outcome("fill-1").search] == ["app-user"]
    with pytest.raises(UsageError, match="--index nothing"):
        backfill(world, "fill-2", indexes=["nothing"])


def test_it_says_what_is_missing_in_the_configuration() -> None:
    world = lost(with_backfill(None))
    with pytest.raises(ConfigError, match=r"search\.backfill is not configured"):
        backfill(world)


def test_a_function_that_is_not_there_is_told_before_the_wipe() -> None:
    world = World(plan=with_backfill(Backfill(call="no_such_module_here:f")))
    with pytest.raises(ConfigError, match="cannot import 'no_such_module_here'"):
        world.refresh()
    assert world.writes == []


def test_nothing_is_made_of_a_table_that_was_made_anew_since() -> None:
    world = lost()
    world.target_tables.create(TARGET, ("pk", "sk"))
    with pytest.raises(RunConflict, match="re-created since it was verified"):
        backfill(world)


def test_nothing_is_made_where_personal_data_was_found() -> None:
    world = lost()
    world.target_tables[TARGET].put([case(7, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        world.refresh(world.begin("run-2", "leaks"), chosen=(LEAK_SCAN,))
    before = list(world.writes)
    with pytest.raises(GuardRefused, match="run run-2 found personal data"):
        backfill(world)
    assert world.writes == before


def test_what_a_later_attempt_found_gone_stops_it_no_more() -> None:
    world = lossy(World(plan=with_backfill()))
    world.refresh(chosen=up_to("sync"))
    table = world.target_tables[TARGET]
    table.put([case(7, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        world.resume()
    world.refresh(world.begin("run-2", "repair", copy_run="run-1"), chosen=(REPAIR, "verify-tables"))
    with pytest.raises(VerificationFailed):  # the documents never come
        world.resume()
    assert world.journal.findings("run-1")
    backfill(world)
    assert detail(world, "backfill", "fill-1").startswith("5 documents made")


def test_what_is_refused_is_told_by_its_class_and_tried_again_when_resumed() -> None:
    world = lost()
    documents = world.target_domains.index(DOMAIN)
    documents.answer = lambda document: Made(400, "mapper_parsing_exception") if "|3" in document.document_id else None
    with pytest.raises(VerificationFailed, match="1 × mapper_parsing_exception"):
        backfill(world)
    assert documents.count(INDEX) == 4
    documents.answer = lambda _document: None
    world.refresh(world.journal.take_over("fill-1"), chosen=("backfill", "index", "verify-index"))
    assert documents.count(INDEX) == 5
    assert world.outcome("fill-1").exit_code == 0


def test_killed_at_every_call_it_ends_with_the_same_documents() -> None:
    whole = lost()
    counted = Trip()
    backfill(whole, trip=counted)
    wanted = whole.target_domains.index(DOMAIN).data
    for after in (False, True):
        for at in range(1, counted.calls + 1, 3):
            world = lost()
            with pytest.raises(Killed):
                backfill(world, trip=Trip(at, after=after))
            if world.journal.run("fill-1") is None:
                continue
            world.refresh(world.journal.take_over("fill-1"), chosen=("backfill", "index", "verify-index"))
            assert world.target_domains.index(DOMAIN).data == wanted
            assert world.outcome("fill-1").exit_code == 0


def test_another_mapping_reads_everything_again() -> None:
    world = lost()
    backfill(world)
    taken = world.journal.take_over("fill-1")
    assert world.plan.search is not None
    world.plan = replace(world.plan, search=replace(world.plan.search, backfill=Backfill(attributes=("pk",))))
    record = world.journal.step("fill-1", "backfill")
    assert record is not None
    world.journal.save_step("fill-1", taken.epoch, replace(record, state=StepState.FAILED.value))
    for again in (True, False):
        world.events.events.clear()
        world.refresh(taken, chosen=("backfill",))
        assert ("another than the one that this backfill began with" in notes(world)) is again
        record = world.journal.step("fill-1", "backfill")
        assert record is not None
        world.journal.save_step("fill-1", taken.epoch, replace(record, state=StepState.FAILED.value))
