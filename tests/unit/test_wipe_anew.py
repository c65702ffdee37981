"""A wipe that is gone on with deletes the very tables and domains that it has recorded, and nothing that was made under
their names since; and whose turn it is is asked between two deletions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.errors import AwsError, RunConflict
from downstage.testing.simple import InOrder
from downstage.testing.world import DOMAIN, KEYS, TARGET, World
from downstage.workflow.refresh import forget_from, run_steps
from tests.unit.test_workflow_wipe import ALONE, WEST, world


def stuck(there: World, region: str = "") -> None:
    """A refresh whose wipe has failed before it came to the tables' end."""
    tables = there.further[region][0] if region else there.target_tables
    delete = tables.delete

    def fail(*_given: Any) -> bool:
        raise AwsError("the table is not deleted after 10 minutes")

    tables.delete = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(AwsError):
        there.refresh(chosen=ALONE)
    tables.delete = delete  # type: ignore[method-assign]
    there.writes.clear()


@pytest.mark.parametrize("region", ["", WEST])
def test_a_table_that_somebody_has_made_anew_since_is_not_deleted_by_a_run_that_goes_on(region: str) -> None:
    there = world(WEST)
    tables, name = (there.further[region][0], "app-test-west") if region else (there.target_tables, TARGET)
    stuck(there, region)
    tables.create(name, KEYS)
    with pytest.raises(RunConflict) as caught:
        there.resume(chosen=ALONE)
    said = str(caught.value)
    assert f"table {name} was made anew since run run-1 recorded what it deletes: it is left as it is" in said
    assert "'downstage resume run-1 --from wipe' records and deletes what is there now" in said
    assert "\n" not in said
    assert name in tables.names()
    assert there.writes == []  # not even what is still the same
    taken = there.journal.take_over("run-1")
    forget_from(there.journal, taken, "wipe")
    there.refresh(taken, chosen=ALONE)
    assert name not in tables.names()


def test_a_domain_that_somebody_has_made_anew_since_is_not_deleted_either() -> None:
    there = world()
    stuck(there)
    there.target_domains.create(DOMAIN, {})
    there.writes.clear()
    with pytest.raises(RunConflict, match=f"search domain {DOMAIN} was made anew since run run-1"):
        there.resume(chosen=ALONE)
    assert there.writes == []


def test_a_table_that_is_made_anew_while_others_are_deleted_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    there = world()
    there.target_tables.create("app-test-a", KEYS)
    delete = there.target_tables.delete

    def deleting(name: str, regions: Any = ()) -> bool:
        there.target_tables.create("app-test-a", KEYS)  # a deployment, while this one is waited for
        return delete(name, regions)

    monkeypatch.setattr(there.target_tables, "delete", deleting)
    with pytest.raises(RunConflict, match="table app-test-a was made anew"):
        there.refresh(chosen=ALONE)
    assert "app-test-a" in there.target_tables.names()


def by_name_alone(there: World) -> None:
    """The record as an earlier version has written it."""
    run, record = there.journal.run("run-1"), there.journal.step("run-1", "wipe")
    assert run is not None
    assert record is not None
    intent = {name: value for name, value in record.intent.items() if name != "ids"}
    there.journal.save_step("run-1", run.epoch, replace(record, intent=intent))


def test_a_record_of_before_that_holds_names_only_deletes_nothing_that_it_cannot_know() -> None:
    there = world()
    stuck(there)
    by_name_alone(there)
    with pytest.raises(RunConflict, match="may have been made anew since run run-1 recorded, by its name alone"):
        there.resume(chosen=ALONE)
    assert there.writes == []


@pytest.mark.parametrize("what", ["table", "search domain"])
def test_what_has_no_identity_passes_for_nothing(what: str) -> None:
    there = world()
    admin: Any = there.target_tables if what == "table" else there.target_domains
    admin.identity = lambda name: "" if name in admin.names() else None
    with pytest.raises(RunConflict, match=f"{what} .* may have been made anew"):
        there.refresh(chosen=ALONE)
    assert there.writes == []


def test_a_record_of_before_of_what_is_gone_is_gone_on_with() -> None:
    there = world()
    stuck(there)
    by_name_alone(there)
    del there.target_tables.tables[TARGET]
    there.resume(chosen=ALONE)
    record = there.journal.step("run-1", "wipe")
    assert record is not None
    assert record.state == "done"


def test_what_may_not_be_told_from_its_successor_is_found_before_anything_is_written() -> None:
    there = world()

    def denied(_domain: str) -> str:
        raise AwsError("AWS denies it", "AccessDeniedException")

    there.target_domains.identity = denied  # type: ignore[method-assign, assignment]
    with pytest.raises(AwsError, match="AWS denies it"):
        there.refresh(chosen=["preflight"])
    assert there.writes == []


def test_whose_turn_it_is_is_asked_between_two_deletions() -> None:
    there = world()
    for number in range(3):
        there.target_tables.create(f"app-test-{number}", KEYS)
        there.target_domains.index(DOMAIN).put(f"index-{number}", "1", {})
    parts, seen = there.parts(there.begin()), []
    parts = replace(parts, still_ours=lambda: seen.append(len(there.writes)))
    run_steps(parts, InOrder(), ALONE)
    assert len(there.writes) == 9  # four indices, a domain, four tables
    deletions = [*range(4), *range(5, 9)]  # before each index and each table; the domain goes with its last index
    assert not set(deletions) - set(seen)
