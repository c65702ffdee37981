"""The wipe in several regions: what is deleted where, in which order, from what was recorded, and what refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from downstage.domain.environment import Environment
from downstage.domain.events import Note
from downstage.domain.plan import Wipe
from downstage.errors import (
    AwsError,
    ConfigError,
    DownstageError,
    GuardRefused,
    NotFound,
    Unreachable,
)
from downstage.planning.wiping import WipePlace, check_places, check_wipe, doomed
from downstage.testing.faults import Killed, Trip
from downstage.testing.search import MemoryDomains, MemoryIndex
from downstage.testing.simple import FixedIdentity
from downstage.testing.tables import MemoryTables
from downstage.testing.world import DOMAIN, FLAGS, INDEX, KEYS, LOWER, PRODUCTION, REGION, TARGET, TEST, World, plan_of
from downstage.workflow.wipe import places_of

WEST, NORTH = "us-west-1", "eu-north-1"
ALONE = ["preflight", "wipe"]


def world(*regions: str, **wipe: Any) -> World:
    """A world whose wipe reaches `regions` too, each with a table and a domain that match and some that do not."""
    patterns: Mapping[str, Any] = {"tables": ("app-test*",), "domains": ("search-test*",), **wipe}
    made = World(plan=plan_of(wipe=Wipe(**patterns, further=regions)))
    for region in regions:
        tables, domains = MemoryTables(made.writes, region), MemoryDomains(made.writes)
        for name in ("app-test-west", "app-prod", FLAGS, "downstage-control"):
            tables.create(name, KEYS)
        for domain in ("search-test-west", "other"):
            domains.create(domain, {})
        domains.index("search-test-west").put("left", "1", {})
        made.further[region] = tables, domains
    made.target_domains.index(DOMAIN).put(INDEX, "1", {})
    made.writes.clear()
    return made


def replicated(there: World, name: str, region: str) -> None:
    """Makes a table of the target's own region a global one."""
    tables, _ = there.further[region]
    tables.create(name, KEYS)
    there.target_tables.copies[name] = {region: tables}
    tables.copies[name] = {REGION: there.target_tables}


def test_every_region_is_wiped_by_the_same_patterns() -> None:
    there = world(WEST, NORTH)
    there.refresh(chosen=ALONE)
    assert there.writes == [
        f"delete index {INDEX}",
        f"delete domain {DOMAIN}",
        f"delete table {TARGET}",
        *["delete index left", "delete domain search-test-west", "delete table app-test-west"] * 2,
    ]
    for tables, domains in there.further.values():
        assert list(tables.names()) == sorted(["app-prod", FLAGS, "downstage-control"])
        assert list(domains.names()) == ["other"]
    record = there.journal.step("run-1", "wipe")
    assert record is not None
    assert record.detail == "3 tables and 3 search domains deleted in 3 regions"
    ids = {"tables": {"app-test-west": "id-1"}, "domains": {"search-test-west": "made 1"}}
    found = {"tables": ["app-test-west"], "domains": ["search-test-west"], "ids": ids}
    assert record.intent == {
        "tables": [TARGET],
        "domains": [DOMAIN],
        "ids": {"tables": {TARGET: "id-1"}, "domains": {DOMAIN: "made 1"}},
        "further": {WEST: found, NORTH: found},
        "recorded": True,
    }


def test_one_region_is_recorded_as_it_always_was() -> None:
    there = world()
    there.refresh(chosen=ALONE)
    record = there.journal.step("run-1", "wipe")
    assert record is not None
    ids = {"tables": {TARGET: "id-1"}, "domains": {DOMAIN: "made 1"}}
    assert record.intent == {"tables": [TARGET], "domains": [DOMAIN], "ids": ids, "recorded": True}
    assert record.detail == "1 tables and 1 search domains deleted"


def test_a_replica_goes_with_its_table() -> None:
    there = world(WEST)
    replicated(there, TARGET, WEST)
    there.refresh(chosen=ALONE)
    tables, _ = there.further[WEST]
    assert TARGET not in tables.names()
    assert there.writes.index(f"delete table {TARGET} in {WEST}") < there.writes.index(f"delete table {TARGET}")


def test_a_replica_in_a_region_that_is_not_wiped_stops_the_run_before_anything_is_written() -> None:
    there = world(WEST)
    elsewhere = MemoryTables(there.writes, NORTH)
    there.target_tables.copies[TARGET] = {NORTH: elsewhere}
    with pytest.raises(GuardRefused) as caught:
        there.refresh()
    assert f"wiping table '{TARGET}' in {REGION}: it has a replica in {NORTH}, which 'wipe.regions'" in str(
        caught.value
    )
    assert there.writes == []


def test_a_table_that_is_itself_a_replica_of_one_elsewhere_is_refused_too() -> None:
    there = world(WEST)
    there.further[WEST][0].copies["app-test-west"] = {NORTH: MemoryTables(there.writes, NORTH)}
    with pytest.raises(GuardRefused, match=f"wiping table 'app-test-west' in {WEST}: it has a replica in {NORTH}"):
        there.refresh()
    assert there.writes == []


def test_a_replica_in_another_account_is_not_ours_to_delete() -> None:
    there = world(WEST)
    there.target_tables.copies[TARGET] = {WEST: MemoryTables(there.writes, WEST, "111111111111")}
    with pytest.raises(GuardRefused, match="lies in account 111111111111"):
        there.refresh()
    assert there.writes == []


def test_a_replica_that_was_added_after_the_preflight_is_seen_by_the_step() -> None:
    there = world(WEST)
    there.refresh(chosen=["preflight"])
    there.target_tables.copies[TARGET] = {NORTH: MemoryTables(there.writes, NORTH)}
    with pytest.raises(GuardRefused, match=NORTH):
        there.resume(chosen=ALONE)
    assert there.writes == []


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ({"tables": ("app-prod",)}, ""),  # the source's, and production has an account of its own
        ({"tables": ("deploy-te*",)}, "holds flags"),
        ({"tables": ("downstage-*",)}, "own names"),
        ({"domains": ("*",)}, "fewer than 3"),
    ],
)
def test_the_guards_hold_in_every_region(patterns: Mapping[str, Any], said: str) -> None:
    there = world(WEST, **patterns)
    if not said:
        there.refresh(chosen=ALONE)
        return
    with pytest.raises(GuardRefused, match=said):
        there.refresh()
    assert there.writes == []


def test_what_is_read_in_the_same_account_is_wiped_in_no_region() -> None:
    shared = Environment("prod", TEST, REGION)
    there = world(WEST, tables=("app-prod*",))
    there.plan = plan_of(source=shared, wipe=there.plan.wipe)
    places = places_of(there.parts(there.begin()))
    with pytest.raises(GuardRefused, match="which is read from"):
        check_wipe(there.plan, places)


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_is_killed_anywhere_in_the_wipe_goes_on_from_what_was_recorded(after: bool) -> None:
    quiet = world(WEST)
    replicated(quiet, TARGET, WEST)
    trip = Trip()
    quiet.refresh(chosen=["preflight"])
    quiet.resume(trip=trip, chosen=ALONE)
    assert trip.calls > 20
    for at in range(1, trip.calls + 1):
        there = world(WEST)
        replicated(there, TARGET, WEST)
        there.refresh(chosen=["preflight"])
        with pytest.raises(Killed):
            there.resume(trip=Trip(at, after=after), chosen=ALONE)
        begun = there.journal.step("run-1", "wipe")
        recorded = bool(begun and begun.intent)
        if recorded:  # a table that is made now is not what the run set out to delete
            there.further[WEST][0].create("app-test-new", KEYS)
        there.resume(chosen=ALONE)
        tables, domains = there.further[WEST]
        assert TARGET not in there.target_tables.names()
        assert list(tables.names()) == sorted(
            ["app-prod", FLAGS, "downstage-control", *(["app-test-new"] if recorded else [])]
        )
        assert list(domains.names()) == ["other"]


def test_credentials_of_another_account_in_one_region_stop_the_wipe() -> None:
    there = world(WEST)
    parts = there.parts(there.begin())
    strange = WipePlace(WEST, FixedIdentity("333333333333"), *there.further[WEST])
    with pytest.raises(GuardRefused, match="333333333333"):
        check_places(there.plan, [places_of(parts)[0], strange], (PRODUCTION, LOWER))


def test_a_region_that_cannot_be_reached_is_never_left_out() -> None:
    there = world(WEST)
    there.further.clear()
    for steps in (["preflight"], ["wipe"]):
        with pytest.raises(ConfigError, match="plan again"):
            there.refresh(there.begin(f"run-{steps[0]}"), chosen=steps)
    assert there.writes == []


class Unmade(MemoryDomains):
    """A region whose domain is still being made: it has no address."""

    def index(self, domain: str) -> MemoryIndex:
        raise NotFound(f"there is no search domain {domain}")


def test_a_domain_that_is_still_being_made_is_deleted_all_the_same() -> None:
    there = world(WEST)
    domains = Unmade(there.writes)
    domains.create("search-test-west", {})
    there.further[WEST] = there.further[WEST][0], domains
    there.refresh(chosen=ALONE)
    assert list(domains.names()) == []


class Inside(MemoryDomains):
    """A region whose domains answer in a network of their own alone, or are gone by the time they are asked."""

    def __init__(self, writes: list[str], error: type[AwsError]) -> None:
        super().__init__(writes)
        self._error = error

    def index(self, domain: str) -> MemoryIndex:
        error, writes = self._error, self._writes

        class Silent(MemoryIndex):
            def indices(self) -> list[str]:
                raise error(f"search domain {domain}: could not list the indices: the endpoint does not answer")

        return Silent(domain, writes)


@pytest.mark.parametrize("error", [Unreachable, NotFound])
def test_a_domain_of_a_further_region_that_does_not_answer_is_deleted_and_told(error: type[AwsError]) -> None:
    there = world(WEST)
    domains = Inside(there.writes, error)
    domains.create("search-test-west", {})
    there.further[WEST] = there.further[WEST][0], domains
    there.refresh(chosen=ALONE)
    assert list(domains.names()) == []
    assert "app-test-west" not in there.further[WEST][0].names()
    assert [one.text for one in there.events.events if isinstance(one, Note) and "endpoint" in one.text] == [
        f"in region {WEST}: search domain search-test-west: could not list the indices: the endpoint does not answer; "
        "the domain is deleted with what it holds"
    ]


def test_a_domain_of_the_first_region_that_does_not_answer_stops_the_run() -> None:
    there = world(WEST)
    domains = Inside(there.writes, Unreachable)
    domains.create(DOMAIN, {})
    there.target_domains = domains
    with pytest.raises(Unreachable):
        there.refresh(chosen=ALONE)
    assert list(domains.names()) == [DOMAIN]


class Denied(MemoryTables):
    """A region that our role may not look into."""

    def names(self) -> list[str]:
        raise AwsError("environment test: could not list the tables: AWS denies it", "AccessDeniedException")


def test_what_aws_says_in_another_region_is_told_with_its_name() -> None:
    there = world(WEST)
    there.further[WEST] = Denied([], WEST), there.further[WEST][1]
    with pytest.raises(
        DownstageError, match=f"^in region {WEST}: environment test: could not list the tables"
    ) as caught:
        there.refresh(chosen=["preflight"])
    assert isinstance(caught.value, AwsError)


def test_what_is_doomed_is_told_by_region() -> None:
    there = world(WEST)
    found = {one.region: (one.tables, one.domains) for one in doomed(there.plan, places_of(there.parts(there.begin())))}
    assert found == {
        REGION: ((TARGET,), (DOMAIN,)),
        WEST: (("app-test-west",), ("search-test-west",)),
    }
    assert doomed(plan_of(wipe=None), ()) == []
