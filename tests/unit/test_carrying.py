"""A run that is carried through: the report says the exit code that the process ends with, whatever stopped it; and a
run in a thread of the runner is cut into pieces as one in a process of its own is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from downstage.app import carrying, halting, successors
from downstage.app.carrying import Finished, Setting
from downstage.app.other_journal import Both
from downstage.app.places import SqlitePlace
from downstage.app.turns import Turn
from downstage.app.wiring import RunPlaces
from downstage.domain.events import Event, StepStarted
from downstage.domain.outcome import Result
from downstage.errors import ConfigError, DownstageError, GuardRefused, JournalError, LeaseLost
from downstage.ports import LastLoad, Recorded, RunRecord
from downstage.testing.world import World, plan_of
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS
from tests.unit.proven_world import ended, leaking, renamed


class Watcher:
    """A sink that calls `then` when a step begins, once."""

    def __init__(self, step: str, then: Callable[[], None]) -> None:
        self._step = step
        self._then = then
        self._armed = True

    def emit(self, event: Event) -> None:
        if self._armed and event == StepStarted(self._step):
            self._armed = False
            self._then()


class Place:
    """A world, and a state directory in which its runs are carried."""

    def __init__(self, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.folder = folder
        self.events: Any = world.events
        self.broken: DownstageError | None = None
        monkeypatch.setattr(carrying, "parts_for", self._parts)

    def _parts(self, *wired: Any, **_more: Any) -> Any:
        if self.broken is not None:
            raise self.broken
        return replace(self.world.parts(wired[2]), events=self.events, still_ours=wired[6])

    def carry(
        self,
        run: RunRecord,
        turn: Turn | None = None,
        *,
        time_box: float | None = None,
        known: Callable[[], Recorded] | None = None,
    ) -> Finished:
        places = RunPlaces(SqlitePlace(self.folder / "journal.sqlite"), None, self.folder)
        setting = Setting(
            cast("Any", None),
            (),
            self.world.journal,
            places,
            self.events,
            turn or Turn(None),
            time_box=time_box,
            known=known,
        )
        return carrying.carry(setting, run, resumed=False)

    def begin(self) -> RunRecord:
        return self.world.begin(steps=list(STEPS))

    def codes(self, finished: Finished) -> set[int]:
        """The exit code as the process, the JSON report, and a report that is made later have it."""
        run = self.world.journal.run(finished.outcome.run_id)
        assert run is not None
        written = json.loads(finished.report.with_suffix(".json").read_text())
        later = outcome_of(self.world.journal, run, STEPS)
        assert later.exit_code == written["exit_code"]
        assert tuple(step.name for step in later.steps if not step.name.startswith("approve")) == STEPS
        return {finished.exit_code, written["exit_code"], later.exit_code}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Place]:
    def made(**plan: Any) -> Place:
        return Place(World(plan=plan_of(**plan)), tmp_path / "state", monkeypatch)

    return made


def test_a_run_that_ends_well_says_so(make: Callable[..., Place]) -> None:
    place = make()
    finished = place.carry(place.begin())
    assert finished.outcome.result is Result.PROVEN
    assert place.codes(finished) == {0}


def test_a_run_that_waits_for_an_approval_says_75_everywhere(make: Callable[..., Place]) -> None:
    place = make(approve=("wipe",))
    finished = place.carry(place.begin())
    assert place.codes(finished) == {75}
    assert finished.outcome.result is Result.INCOMPLETE
    assert "until somebody approves it" in finished.outcome.objections[0].text


@pytest.mark.parametrize("error", [ConfigError("the configuration is wrong"), LeaseLost("the lease is lost")])
def test_an_error_outside_of_any_step_says_its_own_code(make: Callable[..., Place], error: DownstageError) -> None:
    place = make()
    place.broken = error
    finished = place.carry(place.begin())
    assert place.codes(finished) == {error.exit_code}
    assert finished.outcome.result is Result.FAILED
    assert finished.outcome.objections[0].text == f"The run stopped: {error}."


def test_what_stopped_an_earlier_attempt_is_not_said_of_a_later_one(make: Callable[..., Place]) -> None:
    place = make()
    place.broken = ConfigError("the configuration is wrong")
    place.carry(place.begin())
    taken = place.world.journal.take_over("run-1")
    assert outcome_of(place.world.journal, taken, STEPS).exit_code == 1  # not finished: nobody knows more
    place.broken = None
    assert place.codes(place.carry(taken)) == {0}


def test_a_run_that_was_taken_over_says_the_code_of_its_process(make: Callable[..., Place]) -> None:
    place = make()
    run = place.begin()
    taken: list[RunRecord] = []
    place.events = Watcher("copy", lambda: taken.append(place.world.journal.take_over("run-1")))
    finished = place.carry(run)
    written = json.loads(finished.report.with_suffix(".json").read_text())
    assert finished.exit_code == written["exit_code"] == 3


NO_COPY = ["preflight", "wipe", "deploy", "consumers-off", "consumers-on"]
"""A refresh that loads no tables itself: what another has loaded stands there."""


class OneLease:
    """A lease that is held throughout: what was written before each load was told, and which that was."""

    def __init__(self, world: World, last: LastLoad) -> None:
        self._world = world
        self.last_load = last
        self.told: list[list[str]] = []

    def loading(self) -> None:
        self.told.append(list(self._world.writes))

    def check(self) -> None:
        """It is held."""

    def release(self) -> None:
        """The run has ended."""

    def park(self) -> None:
        """The run can go on."""


def test_a_run_says_that_it_loads_before_it_wipes_and_asks_all_journals_before_it_switches_on(
    make: Callable[..., Place],
) -> None:
    place, there = make(), renamed(ended(leaking(), "cancelled"), "run-9")
    lease = OneLease(place.world, LastLoad("run-1", 1))
    run = place.world.begin(steps=NO_COPY)
    asked: list[int] = []

    def known() -> Recorded:
        asked.append(1)
        return Both(place.world.journal, there.journal)

    finished = place.carry(run, Turn(cast("Any", lease)), known=known)
    assert isinstance(finished.error, GuardRefused)
    assert "run run-9 found personal data" in str(finished.error)
    assert asked
    assert not place.world.consumers.enabled
    assert lease.told
    assert not any("wipe" in write or "delete" in write for write in lease.told[0])


def test_a_run_is_told_by_the_lease_who_loaded_last(make: Callable[..., Place]) -> None:
    place = make()
    run = place.world.begin(steps=NO_COPY)
    finished = place.carry(run, Turn(cast("Any", OneLease(place.world, LastLoad("far", 1)))))
    assert isinstance(finished.error, GuardRefused)
    assert "run far has loaded" in str(finished.error)


class FakeTimer:
    """What `threading.Timer` is; the test says when it goes off."""

    last: FakeTimer

    def __init__(self, seconds: float, function: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.daemon = False
        self.seconds, self._function, self._args = seconds, function, args
        self.cancelled = self.started = False
        FakeTimer.last = self

    def start(self) -> None:
        self.started = True

    def cancel(self) -> None:
        self.cancelled = True

    def goes_off(self) -> None:
        assert self.started
        self._function(*self._args)


def in_a_thread(run: Callable[[], Finished]) -> Finished:
    """As the runner carries a run."""
    found: list[Finished] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    thread.join(60)
    return found[0]


@pytest.mark.parametrize("step", ["copy", "verify-tables", "deploy", "index"])
def test_a_run_in_a_thread_is_parked_by_its_time_box_and_goes_on_in_the_next_piece(
    make: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    whole = make()
    whole.carry(whole.begin())
    expected = {name: table.items for name, table in whole.world.target_tables.tables.items()}

    monkeypatch.setattr(threading, "Timer", FakeTimer)
    place = make()
    place.events = Watcher(step, lambda: FakeTimer.last.goes_off())
    turn = Turn(None)
    first = in_a_thread(lambda: place.carry(place.begin(), turn, time_box=3000.0))
    assert FakeTimer.last.seconds == 3000.0
    assert FakeTimer.last.cancelled
    assert turn.keeps
    assert place.codes(first) == {75}
    run = place.world.journal.run("run-1")
    assert run is not None
    assert run.state == "parked"
    assert [one.name for one in first.outcome.steps if one.state == "failed"] == []

    taken = place.world.journal.take_over("run-1")
    second = in_a_thread(lambda: place.carry(taken, time_box=3000.0))
    assert place.codes(second) == {0}
    assert {name: table.items for name, table in place.world.target_tables.tables.items()} == expected
    assert place.world.writes.count("deploy") == 1


def test_a_run_in_a_thread_that_is_taken_over_stops_where_it_waits(
    make: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `cancel` does with a run of the runner that has no lease: nobody sends a signal, and while it waits the run
    writes nothing that would tell it."""
    monkeypatch.setattr(carrying, "watching", partial(successors.watching, pause=0.01))
    place = make()
    clocks: list[Any] = []
    made = place._parts

    def parts_for(*wired: Any, **more: Any) -> Any:
        clocks.append(more["clock"])
        return made(*wired, **more)

    def deploy(_intent: Any) -> str:
        place.world.journal.take_over("run-1")
        clocks[0].sleep(45.0)
        raise AssertionError("it waited to the end")

    monkeypatch.setattr(carrying, "parts_for", parts_for)
    place.world.deployer.deploy = deploy  # type: ignore[method-assign, assignment]
    turn = Turn(None)
    finished = in_a_thread(lambda: place.carry(place.begin(), turn))
    assert isinstance(finished.error, LeaseLost)
    assert "somebody has given it up or goes on with it" in str(finished.error)
    assert turn.keeps
    run = place.world.journal.run("run-1")
    assert run is not None
    assert (run.state, run.epoch) == ("running", 2)  # whoever has it says how it ends


def test_a_journal_that_cannot_be_read_says_nothing_of_a_successor() -> None:
    world = World()
    run = world.begin()
    assert not successors.was_taken(world.journal, run)

    class Broken:
        def run(self, run_id: str) -> None:
            raise JournalError("the disk is gone")

    assert not successors.was_taken(cast("Any", Broken()), run)
    world.journal.take_over("run-1")
    assert successors.was_taken(world.journal, run)


def test_a_wait_in_a_thread_is_cut_short() -> None:
    brake = halting.Brake()
    clock = halting.BrakedClock(brake)
    began: list[float] = []

    def run() -> None:
        with brake.ready(None, LeaseLost("over")):
            threading.Timer(0.05, brake.pull, (LeaseLost("lost"),)).start()
            with pytest.raises(halting.Halted):
                clock.sleep(600.0)
            began.append(1.0)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert began == [1.0]
