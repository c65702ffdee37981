"""A refresh holds a lease in the target's account unless the configuration says otherwise: a laptop, whose journal is a
file, and a CI, whose journal is the control table, exclude each other. Who only looks makes no table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from downstage.app import carrying, looks
from downstage.app.entering import new_run
from downstage.app.places import SqlitePlace
from downstage.app.runs import Project
from downstage.app.wiring import RunPlaces
from downstage.aws.control_table import ControlTable
from downstage.aws.lease import EnvironmentLease
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.events import Note
from downstage.errors import GuardRefused, HeldByAnother, JournalError, RunConflict, UsageError
from downstage.ports import StepRecord
from downstage.testing.simple import Recorder
from downstage.workflow.refresh import STEPS
from tests.unit.lease_world import Clock
from tests.unit.lease_world import nowhere as nowhere
from tests.unit.lease_world import shared_clock as shared_clock

CONFIG = """
version: 1
state: {state}
environments:
  prod: {{account: "111111111111", region: us-east-1, protected: true}}
  test: {{account: "123456789012", region: us-east-1, refresh: {{from: prod}}}}
masking: {{key: "env:KEY"}}
{more}
"""
LOWER = Environment("test", "123456789012", "us-east-1")

Make = Callable[..., Project]


@pytest.fixture
def machine(tmp_path: Path) -> Make:
    """A machine with a state directory of its own; with `CI` set, or not."""

    def made(name: str, *, ci: bool = False, more: str = "") -> Project:
        path = tmp_path / f"{name}.yaml"
        path.write_text(CONFIG.format(state=name, more=more))
        return Project(Project.open(path).config, {"CI": "true"} if ci else {})

    return made


def table() -> ControlTable:
    return ControlTable(Session(LOWER), "downstage-control", sleep=lambda _seconds: None)


def table_names() -> list[str]:
    names: list[str] = Session(LOWER).client("dynamodb").list_tables()["TableNames"]
    return names


def lease_of(clock: Clock) -> EnvironmentLease:
    return EnvironmentLease(table(), "test", clock=clock, who="another machine")


@pytest.mark.parametrize("ci", [True, False])
def test_a_laptop_and_another_machine_exclude_each_other_by_default(machine: Make, clock: Clock, ci: bool) -> None:
    laptop, other = machine("laptop"), machine("other", ci=ci)
    assert (laptop.kind, other.kind) == ("sqlite", "dynamodb" if ci else "sqlite")
    for first, second in ((laptop, other), (other, laptop)):
        with (
            first.exclusive("test", "run-1"),
            pytest.raises(RunConflict, match=r"run-1 \(.*downstage cancel run-1"),
            second.exclusive("test", "run-2"),
        ):
            pass


def test_a_run_that_is_parked_in_ci_keeps_the_environment_from_a_laptop(machine: Make, clock: Clock) -> None:
    run = machine("ci", ci=True).enqueue("test", ("preflight",))
    with pytest.raises(RunConflict, match=f"belongs to run {run.run_id}, which is parked"):
        machine("laptop").start("test", "wipe", ("wipe",), Recorder())
    assert machine("laptop").runs() == []


def test_who_says_sqlite_has_a_lock_file_alone_and_is_told(machine: Make, clock: Clock) -> None:
    lease_of(clock).acquire("run-1")
    events = Recorder()
    explicit = machine("explicit", more="journal: sqlite")
    with explicit.exclusive("test", "run-2", events=events) as turn:
        assert turn.lease is None
    said = [event.text for event in events.events if isinstance(event, Note)]
    assert len(said) == 1
    assert "another machine could refresh test" in said[0]
    assert "another machine could refresh test" in explicit.exclusion("test")
    named = machine("named", more="journal: sqlite\ncontrol_table: downstage-ours")
    assert "the lease in table downstage-ours in account 123456789012" in named.exclusion("test")
    assert "the lease in table downstage-control in account" in machine("laptop").exclusion("test")


def test_looking_makes_no_table_and_writing_makes_it(machine: Make, clock: Clock) -> None:
    laptop, ci = machine("laptop"), machine("ci", ci=True)
    for project in (laptop, ci):
        assert project.holder("test") is None
        assert project.runs() == []
        assert list(project.known("test").runs()) == []
        assert looks._lease_problems(project, "test", pytest.fail) == []
        assert not project.ask_to_stop(a_record(project))
    assert table_names() == []
    with laptop.exclusive("test", "run-1", leased=False):
        pass
    assert table_names() == []
    with laptop.exclusive("test", "run-1"):
        assert table_names() == ["downstage-control"]


def a_record(project: Project) -> Any:
    return new_run(project._sides("test"), "test", "refresh", ("preflight",), "running")


def test_the_table_is_made_in_no_account_but_the_configured_one(machine: Make, tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(CONFIG.format(state="wrong", more="").replace("123456789012", "333333333333"))
    wrong = Project(Project.open(path).config, {})
    with pytest.raises(GuardRefused, match="333333333333"), wrong.exclusive("test", "run-1"):
        pass
    assert table_names() == []


def test_check_says_who_has_the_environment_and_that_the_lease_cannot_be_read(
    machine: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, notes = machine("laptop"), list[str]()
    holder = lease_of(clock)
    holder.acquire("run-1")
    assert looks._lease_problems(laptop, "test", notes.append) == []
    assert len(notes) == 1
    assert "run run-1's (held; another machine" in notes[0]
    holder.release()
    assert looks._lease_problems(laptop, "test", pytest.fail) == []

    def denied(*_named: Any) -> Any:
        raise JournalError("could not read the control table: AWS denies it; allow it in the role's policy")

    monkeypatch.setattr(ControlTable, "get", denied)
    (problem,) = looks._lease_problems(laptop, "test", pytest.fail)
    assert "AWS denies it" in str(problem)


def test_whether_a_run_of_this_file_is_cut_off_is_known_without_aws(
    machine: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = machine("laptop")
    run = laptop.enqueue("test", ("preflight",))
    laptop.journal("test").take_over(run.run_id)
    monkeypatch.setattr(ControlTable, "get", lambda *_: pytest.fail("AWS was asked"))
    assert [state for _, state in laptop.runs()] == ["cut off"]
    with laptop.lock("test").held(run_id=run.run_id):
        assert [state for _, state in laptop.runs()] == ["running"]


# ---- what another machine has loaded


def test_a_run_of_a_laptop_is_not_resumed_over_what_another_one_has_loaded(
    machine: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's journal is a file over there; the lease tells of it."""
    carried: list[RunPlaces] = []
    known: list[set[str]] = []

    def carry(setting: carrying.Setting, record: Any, *, resumed: bool) -> Any:
        carried.append(setting.places)
        assert setting.known is not None
        known.append({run.run_id for run in setting.known().runs()})
        setting.turn.keeps = False
        raise Carried

    monkeypatch.setattr(carrying, "carry", carry)
    laptop, other, ci = machine("laptop"), machine("other"), machine("ci", ci=True)
    of_ci = replace(a_record(ci), state="finished")
    ci.journal("test").create_run(of_ci)
    with pytest.raises(Carried):
        laptop.start("test", "refresh", STEPS, Recorder())
    assert isinstance(carried[0].journal, SqlitePlace)
    assert carried[0].lease is not None  # workers watch it
    (run,) = (run for run, _ in laptop.runs())
    assert known == [{run.run_id, of_ci.run_id}]
    laptop.journal("test").end_run(run.run_id, 1, "failed", "now")
    with other.exclusive("test", "far"):
        pass  # it has only looked
    with pytest.raises(Carried):
        laptop.resume(run.run_id, Recorder())
    with other.exclusive("test", "far") as turn:
        turn.loading()
    laptop.journal("test").end_run(run.run_id, 2, "failed", "now")
    with pytest.raises(RunConflict, match="far, whose journal is not here, has loaded test since"):
        laptop.resume(run.run_id, Recorder())
    with pytest.raises(Carried):
        laptop.start("test", "refresh", STEPS, Recorder())
    (newest,) = (each for each, _ in laptop.runs() if each.run_id != run.run_id)
    assert (newest.settings["loaded_before"], newest.settings["loads_before"]) == ("far", 1)
    laptop.journal("test").end_run(newest.run_id, 1, "failed", "now")
    with pytest.raises(Carried):
        laptop.resume(newest.run_id, Recorder())
    assert laptop.loader("test", "far") == "far"
    with laptop.exclusive("test", newest.run_id) as turn:
        turn.loading()
    assert laptop.loader("test", "far") == "far"  # behind the last, which is known
    with pytest.raises(UsageError, match="no run farther"):
        laptop.loader("test", "farther")


@pytest.mark.parametrize(("state", "goes_on"), [("parked", True), ("waiting", True), ("interrupted", False)])
def test_a_ci_waits_for_a_parked_run_only_if_it_goes_on(machine: Make, clock: Clock, state: str, goes_on: bool) -> None:
    ci = machine("ci", ci=True)
    run = ci.enqueue("test", STEPS)
    ci.journal("test").end_run(run.run_id, 1, state, "now")
    for outdated in (False, True):
        if outdated:  # as on a machine that took it over and could not end it here
            table().update("lease", "test", "SET loaded_by = :far, loads = :one", FAR)
        with pytest.raises(RunConflict, match="which is parked") as caught:
            ci.start("test", "refresh", STEPS, Recorder())
        assert isinstance(caught.value, HeldByAnother) is (goes_on and not outdated)


def test_a_run_that_cannot_go_on_any_more_does_not_keep_the_lease(machine: Make, clock: Clock) -> None:
    """Else whoever is told to resume it would be sent round in a circle."""
    laptop, other = machine("laptop"), machine("other")
    run = laptop.enqueue("test", STEPS)
    with other.exclusive("test", "far", take_over=True) as turn:
        turn.loading()
    with pytest.raises(RunConflict, match=f"downstage cancel {run.run_id}.*downstage refresh test --take-over"):
        laptop.resume(run.run_id, Recorder())
    with other.exclusive("test", "far-2"):
        pass
    with pytest.raises(RunConflict, match="is queued and cannot go on, for far") as caught:
        laptop.start("test", "refresh", STEPS, Recorder())
    assert not isinstance(caught.value, HeldByAnother)
    laptop.enqueue("test", STEPS, take_over=True)


FAR = {":far": {"S": "far"}, ":one": {"N": "1"}}


def test_nor_for_one_that_is_not_known_or_was_killed(machine: Make, clock: Clock) -> None:
    """Nobody who is parked on a laptop tells a CI how it ends."""
    ci, laptop = machine("ci", ci=True), machine("laptop")
    with laptop.exclusive("test", "laptop-1") as turn:
        with pytest.raises(HeldByAnother):
            ci.start("test", "refresh", STEPS, Recorder())
        clock.time += 600
        with pytest.raises(RunConflict, match="if it is dead, resume it") as caught:
            ci.start("test", "refresh", STEPS, Recorder())
        assert not isinstance(caught.value, HeldByAnother)
        turn.keeps = True
    with pytest.raises(RunConflict, match="which is parked") as caught:
        ci.start("test", "refresh", STEPS, Recorder())
    assert not isinstance(caught.value, HeldByAnother)


def test_nor_over_what_ci_has_loaded(machine: Make, clock: Clock) -> None:
    laptop, ci = machine("laptop"), machine("ci", ci=True)
    old = laptop.enqueue("test", ("wipe",))
    laptop.journal("test").end_run(old.run_id, 1, "failed", "now")
    clock.time += 3600
    with ci.exclusive("test", "x", take_over=True):
        newer = replace(a_record(ci), started="2099-01-01T00:00:00Z")
        ci.journal("test").create_run(newer)
        ci.journal("test").save_step(newer.run_id, 1, StepRecord("wipe", "failed", 1.0, ""))
        ci.journal("test").end_run(newer.run_id, 1, "failed", "now")
    with pytest.raises(RunConflict, match=f"{newer.run_id} has changed test since"):
        laptop.resume(old.run_id, Recorder())
    assert laptop.loader("test", newer.run_id) == newer.run_id


class Carried(Exception):
    """The run would be carried now."""
