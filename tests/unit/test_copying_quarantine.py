"""How many items may be left out: counted once each, over all lanes and retries, and told in one line without data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from downstage.config.load import load
from downstage.copying.quarantine import Quarantine, refuse_too_many
from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import MaxQuarantine
from downstage.errors import ConfigError, TooManyQuarantined
from downstage.journals.memory import MemoryJournal
from downstage.planning.build import build_plan
from downstage.ports import Item, RunRecord
from downstage.testing.world import TARGET, World, case, plan_of

TASK = "copy/app-test"


class Counted(MemoryJournal):
    """A journal that counts how often it is asked for the entries."""

    asked = 0

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        self.asked += 1
        return super().quarantined(run_id, task)


def journal_of_a_run() -> Counted:
    journal = Counted()
    journal.create_run(RunRecord("run-1", "test", "refresh", "running", 1, "", "", {}))
    return journal


def lane(journal: Counted, limit: int | None, lanes: int = 1) -> Quarantine:
    return Quarantine(journal, "run-1", 1, TASK, limit=limit, workers=lanes, key_hash=lambda item: f"hash of {item!r}")


def enter(quarantine: Quarantine, numbers: range, reason: str = "it cannot be masked") -> None:
    for number in numbers:
        quarantine(b"%d" % number, reason)


def test_the_limit_itself_is_borne_and_one_more_is_not() -> None:
    journal = journal_of_a_run()
    quarantine = lane(journal, 100)
    enter(quarantine, range(99))
    quarantine(b"ada@court.example.org", "the item is larger than 400 KB")
    with pytest.raises(TooManyQuarantined) as caught:
        quarantine(b"one more", "it cannot be masked")
    said = str(caught.value)
    assert said == (
        "table app-test: 101 items were quarantined, more than the 100 of 'max_quarantine' (100 × it cannot be masked; "
        "1 × the item is larger than 400 KB): mend them in the source or mend the masking and start a new refresh, or "
        "raise 'refresh.max_quarantine' and resume the run"
    )
    assert caught.value.exit_code == 1


def test_a_redone_page_counts_once() -> None:
    journal = journal_of_a_run()
    for _ in range(5):
        enter(lane(journal, 10), range(10))
    assert len(journal.quarantined("run-1", TASK)) == 10


def test_lanes_that_quarantine_at_one_time_stop_before_twice_the_limit() -> None:
    journal = journal_of_a_run()
    lanes = [lane(journal, 1000, lanes=4) for _ in range(4)]
    with pytest.raises(TooManyQuarantined):
        _take_turns(lanes)
    assert 1000 < len(journal.quarantined("run-1", TASK)) < 2000
    with pytest.raises(TooManyQuarantined):
        refuse_too_many(TASK, journal.quarantined("run-1", TASK), 1000)


def _take_turns(lanes: Sequence[Quarantine]) -> None:
    for number in range(3000):
        lanes[number % len(lanes)](b"%d" % number, "it cannot be masked")


def test_the_journal_is_asked_a_few_times_and_not_once_an_item() -> None:
    journal = journal_of_a_run()
    enter(lane(journal, 10_000, lanes=2), range(10_000))
    assert journal.asked <= 20


def test_none_is_borne_where_none_is_allowed() -> None:
    with pytest.raises(TooManyQuarantined, match="1 items were quarantined, more than the 0"):
        enter(lane(journal_of_a_run(), 0), range(1))


@pytest.mark.parametrize(
    ("configured", "about", "limit"),
    [
        (None, 0, 100),
        (None, 100_000, 100),
        (None, 5_000_000, 5_000),
        (7, 5_000_000, 7),
        (0, 10, 0),
        ("0.5%", 1_000, 5),
        ("0.5 %", 199, 0),
        ("100%", 12, 12),
    ],
)
def test_what_the_configuration_allows(tmp_path: Path, configured: int | str | None, about: int, limit: int) -> None:
    assert _max_quarantine(tmp_path, configured).of(about) == limit


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "many", "101%", "-1%", "%"])
def test_what_it_does_not_understand_it_refuses(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ConfigError, match="max_quarantine must be a number of items, or a percentage"):
        _max_quarantine(tmp_path, wrong)


def _max_quarantine(folder: Path, configured: object) -> MaxQuarantine:
    refresh: dict[str, object] = {"from": "prod", "tables": [{"from": "app-prod", "to": "app-test"}]}
    document = {
        "version": 1,
        "environments": {
            "prod": {"account": "111111111111", "region": "us-east-1", "protected": True},
            "test": {
                "account": "222222222222",
                "region": "us-east-1",
                "refresh": refresh | ({} if configured is None else {"max_quarantine": configured}),
            },
        },
        "masking": {"key": "env:KEY"},
    }
    path = folder / "downstage.yaml"
    path.write_text(json.dumps(document))
    loaded = load(path, environ={}, overrides={})
    return build_plan(loaded.config, "test", base=loaded.base).max_quarantine


# -- in a run


def too_large(count: int) -> list[Item]:
    return [{"pk": {"S": f"big|{n}"}, "sk": {"S": "x" * (401 * 1024)}, "twins": twins()} for n in range(count)]


def twins() -> Item:
    """What cannot be masked: two names of one map become one."""
    return {"M": {"ada@court.example.org": {"S": "1"}, "ADA@court.example.org": {"S": "2"}}}


def test_a_run_over_the_limit_stops_and_goes_on_when_the_limit_is_raised() -> None:
    items = [*(case(number, f"p{number}@court.example.org") for number in range(8)), *too_large(4)]
    world = World(items, plan_of(max_quarantine=MaxQuarantine(3, 0.0)))
    with pytest.raises(TooManyQuarantined, match="4 items were quarantined, more than the 3"):
        world.refresh()
    record = world.journal.step("run-1", "copy")
    assert record is not None
    assert record.state == StepState.FAILED
    assert "court.example.org" not in orjson.dumps([record.detail]).decode()
    assert not world.consumers.enabled
    assert world.outcome().exit_code == 1, "a run that did not finish is not one that left something out"

    writes = len(world.writes)
    with pytest.raises(TooManyQuarantined):
        world.resume()
    assert f"put {TARGET}" not in world.writes[writes:], "with the limit that it stopped at, it copies no more"

    world.plan = plan_of(max_quarantine=MaxQuarantine(4, 0.0))
    world.resume()
    outcome = world.outcome()
    (table,) = outcome.tables
    assert (table.read, table.written, table.quarantined) == (12, 8, 4)
    assert (outcome.result, outcome.exit_code) == (Result.INCOMPLETE, 6)
    assert len(world.journal.quarantined("run-1", f"copy/{TARGET}")) == 4
