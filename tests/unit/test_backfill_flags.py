"""The flags' values reach the function that makes documents as environment variables, the same in every lane and
attempt, while it runs and no longer; nowhere else do they stand readable."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from downstage.app.index_worker import IndexWorker
from downstage.domain.plan import Backfill
from downstage.errors import ConfigError
from downstage.indexing.flag_environment import flags_shown
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.sealing import KeySealer
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import DOMAIN, INDEX, KEY, World
from downstage.workflow.flag_values import opened_flags
from tests.unit.search_world import DAY, a_day_after_the_copy, up_to, with_backfill

COLOUR, TEXT = "DOWNSTAGE_FLAG_COLOUR", "colour-of-the-run"
CALL = Backfill(call="flagged_search:document")
Seen = list[dict[str, str]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A function of the user's; what flags it has seen, item by item."""
    found: Seen = []

    def document(item: Any) -> Any:
        found.append({name: value for name, value in os.environ.items() if name.startswith("DOWNSTAGE_FLAG_")})
        if item.get("entityName") != {"S": "Case"}:
            return None
        return INDEX, f"{item['pk']['S']}_{item['sk']['S']}", {"colour": os.environ[COLOUR]}

    module = ModuleType("flagged_search")
    module.document = document  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flagged_search", module)
    yield found
    assert not [name for name in os.environ if name.startswith("DOWNSTAGE_FLAG_")]


def flagged(backfill: Backfill = CALL, **changes: Any) -> World:
    return World(plan=with_backfill(backfill, **changes))


def documents(world: World) -> list[str]:
    return [document.source["colour"] for document in world.target_domains.index(DOMAIN).documents(INDEX)]


def test_in_a_refresh_the_function_sees_the_flags_as_they_were_read_back(seen: Seen) -> None:
    world = a_day_after_the_copy(flagged())
    world.resume()
    assert seen
    assert all(flags == {COLOUR: "alpha"} for flags in seen)
    assert set(documents(world)) == {"alpha"}
    assert world.outcome().result.value == "proven"


def test_the_command_alone_shows_them_too(seen: Seen) -> None:
    world = flagged()
    world.refresh(chosen=up_to("verify-buckets"))
    world.refresh(world.begin("run-2", "backfill", verified_run="run-1"), chosen=("backfill",))
    assert set(documents(world)) == {"alpha"}


def test_a_flag_that_turns_over_on_the_way_makes_no_other_documents(seen: Seen) -> None:
    """Killed at each call of the step; then the deployment turns the flags over."""
    quiet, trip = a_day_after_the_copy(flagged()), Trip()
    quiet.resume(chosen=up_to("consumers-on"))
    quiet.resume(chosen=("backfill",), trip=trip)
    first = trip.names.index("MemoryIndex.make") + 1
    for at in range(first, first + 3):
        world = a_day_after_the_copy(flagged())
        world.resume(chosen=up_to("consumers-on"))
        with pytest.raises(Killed):
            world.resume(chosen=("backfill",), trip=Trip(at, after=True))
        for flag in world.plan.flags:
            world.flags.items[flag.label] = {"current": {"S": "beta"}}
        world.flags.parameters["/app/test/colour"] = "beta"
        world.resume()
        assert set(documents(world)) == {"alpha"}


def test_they_stand_in_the_journal_sealed_and_nowhere_readable(seen: Seen, tmp_path: Path) -> None:
    world = flagged()
    world.journal = SqliteJournal(tmp_path / "journal.sqlite")
    world.refresh(chosen=up_to("verify-tables"))
    world.flags.items[world.plan.flags[0].label] = {"current": {"S": TEXT}}
    world.flags.parameters["/app/test/colour"] = TEXT
    world.clock.time += DAY
    world.resume(chosen=up_to("backfill"))
    record = world.journal.step("run-1", "backfill")
    assert record is not None
    assert opened_flags(record.result["flags"], "run-1", KeySealer(KEY)) == {"colour": TEXT}
    assert seen[-1] == {COLOUR: TEXT}
    assert not [path for path in tmp_path.iterdir() if TEXT.encode() in path.read_bytes()]


def test_a_flag_that_is_not_set_stops_the_command_before_anything_is_made(seen: Seen) -> None:
    world = flagged()
    world.refresh(chosen=up_to("verify-buckets"))
    world.flags.parameters.clear()
    world.writes.clear()
    with pytest.raises(ConfigError, match="the flag /app/test/colour is not set"):
        world.refresh(world.begin("run-2", "backfill", verified_run="run-1"), chosen=("backfill",))
    assert world.writes == []


@pytest.mark.parametrize(
    "world", [flagged(Backfill(attributes=("*",))), flagged(flags=())], ids=["no function", "no flags"]
)
def test_without_a_function_or_without_flags_nobody_asks_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("flagged_search")
    module.document = lambda _item: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flagged_search", module)
    a_day_after_the_copy(world).resume(chosen=up_to("consumers-on"))
    trip = Trip()
    world.resume(chosen=("backfill",), trip=trip)
    assert "MemoryReader.pages" in trip.names
    assert "MemoryFlags.read" not in trip.names


def _look_and_die() -> None:
    assert os.environ[COLOUR] == "alpha"
    assert os.environ["DOWNSTAGE_FLAG_TABLE_NAME"] == "t"
    assert "DOWNSTAGE_FLAG_OTHER" not in os.environ
    raise Killed


def test_what_stood_in_the_environment_is_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COLOUR, "of the shell")
    monkeypatch.setenv("DOWNSTAGE_FLAG_OTHER", "of another environment")
    with pytest.raises(Killed), flags_shown({"colour": "alpha", "table.name": "t"}):
        _look_and_die()
    assert os.environ[COLOUR] == "of the shell"
    assert os.environ["DOWNSTAGE_FLAG_OTHER"] == "of another environment"
    assert "DOWNSTAGE_FLAG_TABLE_NAME" not in os.environ
    for name in (COLOUR, "DOWNSTAGE_FLAG_OTHER"):
        monkeypatch.delenv(name)
    with flags_shown({}):
        assert COLOUR not in os.environ


def test_two_lanes_of_one_process_never_see_each_others() -> None:
    """A runner carries two environments: the second lane's flags wait until the first one's are gone."""
    inside, wrong = threading.Event(), []

    def other() -> None:
        inside.wait(10)
        with flags_shown({"colour": "beta"}):
            wrong.extend([] if os.environ[COLOUR] == "beta" else ["beta"])

    thread = threading.Thread(target=other)
    thread.start()
    with flags_shown({"colour": "alpha"}):
        inside.set()
        thread.join(0.2)  # it waits: were it let in, it would be through long before
        assert thread.is_alive()
        assert os.environ[COLOUR] == "alpha"
    thread.join(10)
    assert not wrong
    assert COLOUR not in os.environ


def test_a_worker_is_told_what_is_sealed_and_nothing_else() -> None:
    class Worker:
        def order(self, *_given: Any) -> str:
            return "order"

    world = World()
    run = world.begin()
    work: Any = IndexWorker(Worker()).backfill(run, (), dry=False, only=None, flags="sealed")  # type: ignore[arg-type]
    assert work.args[0].flags == "sealed"
