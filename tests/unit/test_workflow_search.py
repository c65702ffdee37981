"""Search in a refresh: the domain made again as it was, and a wait that does not go on for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.outcome import Result
from downstage.errors import LeakFound, NotFound, VerificationFailed
from downstage.masking.keys import MaskKey
from downstage.testing.world import DOMAIN, FUNCTION, INDEX, TARGET, World
from downstage.workflow.refresh import forget_from
from tests.unit.search_world import DEFINITION, detail, given, lossy, notes, up_to

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
