"""Search in a refresh: the domain made again as it was, consumers that nobody named, records that the streams have
lost, documents made from the tables, and a wait that does not go on for ever."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from downstage.domain.events import Note
from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import Backfill, RefreshPlan, Streams
from downstage.errors import (
    ConfigError,
    GuardRefused,
    JournalError,
    LeakFound,
    NotFound,
    RunConflict,
    UsageError,
    VerificationFailed,
)
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Made, TableFacts
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import DOMAIN, FUNCTION, INDEX, KEY, SOURCE, TARGET, World, plan_of
from downstage.workflow.prepare import values_before
from downstage.workflow.refresh import STEPS, forget_from

DAY = 24 * 3600.0
ATTRIBUTES = Backfill(attributes=("*",))
DEFINITION = {"settings": {}, "mappings": {"properties": {"filed": {"type": "date"}}}, "aliases": {"cases": {}}}


def with_backfill(backfill: Backfill | None = ATTRIBUTES, **changes: Any) -> RefreshPlan:
    plan = plan_of(**changes)
    assert plan.search is not None
    return replace(plan, search=replace(plan.search, backfill=backfill))


def given(world: World, index: str, definition: Any = DEFINITION) -> None:
    """The target's domain has that index alone, made so."""
    documents = world.target_domains.index(DOMAIN)
    for name in documents.indices():
        documents.delete(name)
    documents.create(index, definition)


def notes(world: World) -> str:
    return "\n".join(event.text for event in world.events.events if isinstance(event, Note))


def detail(world: World, step: str, run_id: str = "run-1") -> str:
    record = world.journal.step(run_id, step)
    return "" if record is None else record.detail


def up_to(step: str) -> Sequence[str]:
    return STEPS[: STEPS.index(step) + 1]


def lossy(world: World) -> World:
    """The streams forget: whoever is switched on finds no record of before."""
    switch = world.consumers.switch

    def forget(consumer: Any, on: bool) -> None:
        if on:
            world.target_tables[TARGET].records.clear()
        switch(consumer, on)

    world.consumers.switch = forget  # type: ignore[method-assign]
    return world


def a_day_after_the_copy(world: World) -> World:
    """What is copied is verified a day later, when the stream has forgotten it."""
    world.refresh(chosen=up_to("verify-tables"))
    world.clock.time += DAY
    return lossy(world)


# ---- the domain made again


def test_an_index_that_no_deployment_makes_is_as_it_was_before_its_first_document() -> None:
    world = World()
    given(world, "app-old")
    world.refresh()
    documents = world.target_domains.index(DOMAIN)
    assert documents.definition("app-old") == DEFINITION
    assert world.writes.index("create index app-old", world.writes.index("deploy")) < world.writes.index(
        f"switch {FUNCTION} on"
    )
    assert world.outcome().result is Result.PROVEN


def test_what_the_deployment_has_made_is_left_as_it_is() -> None:
    world = World()
    given(world, INDEX)
    world.target_domains.index(DOMAIN).create("app-v1", {**DEFINITION, "aliases": {"app": {}}})
    deploy = world.deployer.deploy

    def newer(intent: Any) -> str:
        said = deploy(intent)
        world.target_domains.index(DOMAIN).create("app-v2", {**DEFINITION, "aliases": {"app": {}}})
        return said

    world.deployer.deploy = newer  # type: ignore[method-assign]
    world.refresh()
    assert world.target_domains.index(DOMAIN).definition(INDEX) == {}
    assert world.target_domains.index(DOMAIN).indices() == [INDEX, "app-v2"]  # an alias has one index, as deployed


def test_a_domain_that_the_deployment_does_not_make_is_made_after_its_record() -> None:
    world = World()
    given(world, INDEX)
    deploy = world.deployer.deploy

    def without_search(intent: Any) -> str:
        said = deploy(intent)
        world.target_domains.domains.pop(DOMAIN)
        return said

    world.deployer.deploy = without_search  # type: ignore[method-assign]
    world.refresh()
    assert world.target_domains.index(DOMAIN).definition(INDEX) == DEFINITION
    assert world.outcome().result is Result.PROVEN


def test_a_run_after_one_that_was_given_up_still_knows_how_the_domain_was() -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("wipe"))
    assert DOMAIN not in world.target_domains.domains
    world.refresh(world.begin("run-2"))
    assert detail(world, "capture-search", "run-2").startswith("there is no search domain")
    assert world.target_domains.index(DOMAIN).definition("app-old") == DEFINITION


def test_doing_the_wipe_again_does_not_lose_the_record() -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("wipe"))
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "capture-search")
    world.refresh(taken)
    assert world.target_domains.index(DOMAIN).definition("app-old") == DEFINITION


def test_the_record_of_the_domain_is_sealed() -> None:
    world = World()
    given(world, "app-old", {"aliases": {"a": {"filter": {"term": {"by": "ada@x.org"}}}}})
    world.refresh(chosen=up_to("capture-search"))
    assert detail(world, "capture-search") == f"1 indices of {DOMAIN}"
    assert "ada@x.org" not in repr(vars(world.journal))
    assert "app-old" not in repr(vars(world.journal))


def test_an_address_in_a_definition_is_not_brought_back() -> None:
    world = World()
    by = {"filter": {"term": {"by": "ada@court.example.org"}}}
    given(world, "app-old", {**DEFINITION, "aliases": {"mine": by, "all": {}}})
    synonyms = {"analysis": {"filter": {"s": {"synonyms": ["grace@court.example.org => g"]}}}}
    world.target_domains.index(DOMAIN).create("app-words", {**DEFINITION, "settings": synonyms, "aliases": {}})
    world.refresh()
    documents = world.target_domains.index(DOMAIN)
    assert documents.indices() == [INDEX, "app-old"]
    assert documents.definition("app-old")["aliases"] == {"all": {}}
    assert "index app-old: 1 of its aliases" in notes(world)
    assert "index app-words was not made again" in notes(world)
    assert "@court" not in notes(world)


def test_an_address_in_a_definition_that_the_deployment_brings_is_a_leak() -> None:
    world = World()
    deploy = world.deployer.deploy

    def with_filter(intent: Any) -> str:
        said = deploy(intent)
        by = {"filter": {"term": {"by": "ada@court.example.org"}}}
        world.target_domains.index(DOMAIN).create("app-mine", {**DEFINITION, "aliases": {"mine": by}})
        return said

    world.deployer.deploy = with_filter  # type: ignore[method-assign]
    with pytest.raises(LeakFound):
        world.refresh()
    assert [place.where for place in world.outcome().leaks.places] == ["app-mine"]


def test_a_record_that_was_sealed_with_another_key_is_no_record() -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("wipe"))
    world.key = MaskKey(bytes(range(1, 33)))
    world.refresh(world.begin("run-2"), chosen=up_to("restore-search"))
    assert "sealed with another masking key" in notes(world)
    assert world.target_domains.index(DOMAIN).indices() == [INDEX]


def test_an_index_that_nobody_knows_is_taken_from_the_source_or_told() -> None:
    for known in (True, False):
        world = World()
        given(world, "app-old")
        deploy = world.deployer.deploy

        def without_index(intent: Any, world: World = world, deploy: Any = deploy) -> str:
            said: str = deploy(intent)
            world.target_domains.index(DOMAIN).delete(INDEX)
            return said

        world.deployer.deploy = without_index  # type: ignore[method-assign]
        if known:
            world.source_domains.index("search-prod").create(INDEX, DEFINITION)
        world.refresh()
        if known:
            assert world.target_domains.index(DOMAIN).definition(INDEX) == DEFINITION
        assert (f"has no index {INDEX} yet" in notes(world)) is not known


def test_no_domain_and_no_record_is_told_before_anything_is_copied() -> None:
    world = World()
    world.target_domains.domains.clear()
    deploy = world.deployer.deploy

    def without_search(intent: Any) -> str:
        said = deploy(intent)
        world.target_domains.domains.clear()
        return said

    world.deployer.deploy = without_search  # type: ignore[method-assign]
    with pytest.raises(NotFound, match="the deployment has not made it"):
        world.refresh()
    assert f"put {TARGET}" not in world.writes


# ---- consumers that nobody named


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


# ---- the wait


def test_a_stall_says_which_index_what_lambda_says_and_what_to_do() -> None:
    world = lossy(World())
    world.refresh(chosen=up_to("consumers-on"))
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.mappings[consumer.uuid] = replace(
        consumer, last_result="PROBLEM: Function call failed for ada@court.example.org"
    )
    began = world.clock.time
    with pytest.raises(VerificationFailed) as caught:
        world.resume()
    said = str(caught.value)
    assert caught.value.exit_code == 4
    for part in (
        f"{INDEX} 0 of 5",
        f"{FUNCTION} of {TARGET} is Enabled, last result: PROBLEM: Function call failed",
        "'downstage index backfill test'",
        "'downstage resume run-1'",
    ):
        assert part in said
    assert "ada@" not in said
    assert 60 < world.clock.time - began < 80
    assert len(world.clock.slept) < 40


def test_a_stall_with_a_consumer_that_is_off_says_so() -> None:
    world = lossy(World())
    world.refresh(chosen=up_to("consumers-on"))
    (consumer,) = world.consumers.consumers([TARGET])
    world.consumers.switch(consumer, on=False)
    with pytest.raises(VerificationFailed, match=r"is Disabled.*'downstage streams on test'"):
        world.resume()


def test_progress_starts_the_patience_anew() -> None:
    world = lossy(World())
    world.refresh(chosen=up_to("consumers-on"))
    arriving = [item for item in world.target_tables[TARGET].all() if "filed" in item]

    def one_more() -> None:
        if len(world.clock.slept) % 12 == 0 and arriving:
            world.deliver(arriving.pop())

    world.clock.on_sleep = one_more
    began = world.clock.time
    world.resume()
    assert world.clock.time - began > 100  # more than the patience of 60 s, in all
    assert world.outcome().result is Result.PROVEN


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
    run = world.journal.run("run-1")
    assert run is not None
    world.journal.add_finding("run-1", run.epoch, "verify/app-test", {"where": TARGET})
    before = list(world.writes)
    with pytest.raises(GuardRefused, match="personal data was found"):
        backfill(world)
    assert world.writes == before


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


# ---- what flags were before


def test_what_flags_were_is_in_the_journal_sealed_and_nowhere_readable(tmp_path: Path) -> None:
    world = World()
    for flag in world.plan.flags:
        world.flags.write(flag)
    secret = "s3cr3t of ada@court.example.org"
    label = world.plan.flags[0].label
    world.flags.items[label] = {"current": {"S": secret}}
    world.flags.parameters["/app/test/colour"] = secret
    path = tmp_path / "journal.sqlite"
    world.journal = SqliteJournal(path)
    world.refresh(chosen=up_to("flags"))
    run = world.journal.run("run-1")
    assert run is not None
    found = values_before(world.journal, run, KeySealer(KEY))
    assert found == [(label, {"current": {"S": secret}}), ("/app/test/colour", secret)]
    with sqlite3.connect(path) as base:
        text = "\n".join(base.iterdump())
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert "run-1" in text
    for piece in ("s3cr3t", "ada@court"):
        assert piece not in text
        assert piece.encode() not in kept
    with pytest.raises(JournalError):
        values_before(world.journal, run, KeySealer(MaskKey(bytes(range(1, 33)))))


def test_a_second_look_at_the_flags_does_not_take_the_place_of_the_first() -> None:
    world = World()
    world.flags.parameters["/app/test/colour"] = "old"
    world.refresh(chosen=up_to("flags"))
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "flags")
    world.refresh(taken, chosen=("flags",))
    found = dict(values_before(world.journal, taken, KeySealer(KEY)))
    assert found["/app/test/colour"] == "old"
    assert SOURCE not in world.target_tables.tables
