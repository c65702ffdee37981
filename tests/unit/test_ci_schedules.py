"""Schedules are brought to the configuration: what differs, what is ours, what is left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from downstage.ci.circleci import CircleCi
from downstage.ci.circleci_schedules import CircleCiSchedules
from downstage.ci.github_schedules import GitHubSchedules
from downstage.domain.schedule import FoundSchedule, SchedulePlan, Timetable
from downstage.errors import CiError, ConfigError
from downstage.planning.schedules import Change, Kind, carry_out, reconcile
from downstage.ports import ScheduleStore
from downstage.testing.simple import JumpingClock
from tests.ci_servers.circleci import PROJECT, CircleCiServer
from tests.ci_servers.places import circleci_place
from tests.ci_servers.server import Fault, Reply

Place = tuple[CircleCiServer, CircleCi, JumpingClock]

TEST = SchedulePlan(
    "test",
    "downstage-test",
    "circleci",
    Timetable((5,), (1,)),
    {"branch": "test", "parameters": {"run_build_and_deploy": False}, "actor": "system"},
)
MIG = SchedulePlan(
    "mig",
    "downstage-mig",
    "circleci",
    Timetable((5,), (2,)),
    {"branch": "migration", "parameters": {"run_build_and_deploy": False}, "actor": "system"},
)


@pytest.fixture
def place() -> Iterator[Place]:
    with circleci_place() as made:
        yield made


def changes(store: ScheduleStore, plans: Sequence[SchedulePlan]) -> list[Change]:
    wanted = {plan.name: store.settings(plan) for plan in plans}
    return reconcile(wanted, store.found(wanted), "downstage-")


def apply(store: ScheduleStore, plans: Sequence[SchedulePlan]) -> list[tuple[str, str]]:
    found = changes(store, plans)
    for change in found:
        carry_out(store, change)
    return [(change.kind.value, change.name) for change in found]


def test_what_is_wanted_against_what_is_there() -> None:
    wanted = {"downstage-a": {"x": 1}, "downstage-b": {"x": 1}, "by-hand": {"x": 1}, "downstage-new": {"x": 1}}
    found = [
        FoundSchedule("downstage-b", "2", {"x": 2, "y": 3}),
        FoundSchedule("downstage-a", "1", {"x": 1}),
        FoundSchedule("by-hand", "3", {"x": 9}),
        FoundSchedule("downstage-gone", "4", {}),
        FoundSchedule("nightly", "5", {}),
        FoundSchedule("downstage-a", "6", {"x": 1}),
    ]
    by_name = [(c.kind, c.name, c.differences, c.adopted) for c in reconcile(wanted, found, "downstage-")]
    assert by_name == [
        (Kind.KEEP, "downstage-a", (), False),
        (Kind.UPDATE, "downstage-b", (("x", 2, 1), ("y", 3, None)), False),
        (Kind.UPDATE, "by-hand", (("x", 9, 1),), True),
        (Kind.CREATE, "downstage-new", (), False),
        (Kind.REMOVE, "downstage-a", (), False),
        (Kind.REMOVE, "downstage-gone", (), False),
        (Kind.LEAVE, "nightly", (), False),
    ]


def test_circleci_is_brought_to_the_configuration_and_then_nothing_is_left_to_do(place: Place) -> None:
    server, client, _ = place
    store = CircleCiSchedules(client, PROJECT)
    server.schedule("nightly", parameters={"branch": "main"})
    server.schedule("downstage-gone")
    server.schedule("weekly", timetable={"per-hour": 1, "hours-of-day": [1], "days-of-week": ["SUN"]})
    assert apply(store, [TEST, MIG]) == [
        ("create", "downstage-test"),
        ("create", "downstage-mig"),
        ("remove", "downstage-gone"),
        ("not ours", "nightly"),
        ("not ours", "weekly"),
    ]
    mig = next(schedule for schedule in server.schedules if schedule["name"] == "downstage-mig")
    assert mig["parameters"] == {"branch": "migration", "run_build_and_deploy": False}
    assert mig["actor"]["login"] == "system-actor"
    assert mig["timetable"] == {
        "per-hour": 1,
        "hours-of-day": [5],
        "days-of-month": [2],
        "months": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    }
    writes = len([call for call in server.calls if call.method != "GET"])
    assert {kind for kind, _ in apply(store, [TEST, MIG])} == {"same", "not ours"}
    assert len([call for call in server.calls if call.method != "GET"]) == writes


def test_the_seeds_own_schedule_is_adopted_by_its_name_and_not_made_a_second_time(place: Place) -> None:
    server, client, _ = place
    store = CircleCiSchedules(client, PROJECT)
    server.schedule(
        "glue-to-mig-schedule",
        actor="current",
        parameters={"branch": "migration", "run_build_and_deploy": False},
        timetable={"per-hour": 1, "hours-of-day": [5], "days-of-week": [], "days-of-month": [2]},
    )
    adopted = replace(MIG, name="glue-to-mig-schedule")
    (change,) = changes(store, [adopted])
    assert change.adopted
    assert [name for name, _, _ in change.differences] == ["actor", "description"]
    carry_out(store, change)
    assert len(server.schedules) == 1
    assert server.schedules[0]["actor"]["login"] == "system-actor"
    assert [change.kind for change in changes(store, [adopted])] == [Kind.KEEP]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (replace(TEST, timetable=Timetable((6,), (1,))), ("hours", [5], [6])),
        (replace(TEST, timetable=Timetable((5,), (1,), months=("MAR",))), "months"),
        (replace(TEST, timetable=Timetable((5,), weekdays=("SAT",))), "days"),
        (replace(TEST, options={**TEST.options, "branch": "other"}), ("branch", "test", "other")),
        (replace(TEST, options={**TEST.options, "parameters": {"n": 1}}), "parameters"),
        (replace(TEST, options={**TEST.options, "actor": "current"}), ("actor", "system", "current")),
    ],
)
def test_every_difference_is_seen_told_and_mended(place: Place, changed: SchedulePlan, difference: Any) -> None:
    store = CircleCiSchedules(place[1], PROJECT)
    apply(store, [TEST])
    (change,) = changes(store, [changed])
    assert change.kind is Kind.UPDATE
    first = change.differences[0]
    assert difference in (first, first[0])
    carry_out(store, change)
    assert [each.kind for each in changes(store, [changed])] == [Kind.KEEP]
    assert len(place[0].schedules) == 1


def test_a_schedule_that_vanished_meanwhile_is_removed_already(place: Place) -> None:
    server, client, _ = place
    store = CircleCiSchedules(client, PROJECT)
    server.schedule("downstage-gone")
    (change,) = changes(store, [])
    server.schedules.clear()
    carry_out(store, change)


def test_one_that_vanished_before_it_was_changed_is_one_clear_line(place: Place) -> None:
    server, client, _ = place
    store = CircleCiSchedules(client, PROJECT)
    apply(store, [TEST])
    (change,) = changes(store, [replace(TEST, timetable=Timetable((6,), (1,)))])
    server.schedules.clear()
    with pytest.raises(CiError, match="could not change the schedule downstage-test: CircleCI answered 404"):
        carry_out(store, change)


def test_a_bad_token_and_a_limit_when_listing(place: Place) -> None:
    server, client, clock = place
    server.faults.append(Fault("GET", "/schedule", Reply(429, {"message": "slow"}, {"Retry-After": "9"})))
    assert changes(CircleCiSchedules(client, PROJECT), []) == []
    assert clock.slept == [9.0]
    with (
        circleci_place(token="CCIPAT_stale") as (_, stale, _),
        pytest.raises(CiError, match="could not list the schedules of github/acme/app: CircleCI answered 401"),
    ):
        changes(CircleCiSchedules(stale, PROJECT), [TEST])


def test_a_minute_cannot_be_chosen_at_circleci(place: Place) -> None:
    with pytest.raises(ConfigError, match="names a minute, which cannot be chosen at CircleCI"):
        CircleCiSchedules(place[1], PROJECT).settings(replace(TEST, timetable=Timetable((5,), (1,), minute=7)))


GITHUB = replace(TEST, via="github", options={"branch": "test", "token": "env:GITHUB_TOKEN"})


def test_githubs_cron_is_a_file_that_is_written_whole_and_then_kept(tmp_path: Path) -> None:
    directory = tmp_path / ".github" / "workflows"
    store = GitHubSchedules(directory, [GITHUB])
    assert apply(store, [GITHUB]) == [("create", "downstage-test")]
    text = (directory / "downstage-test.yml").read_text()
    assert 'cron: "0 5 1 * *"' in text
    assert apply(store, [GITHUB]) == [("same", "downstage-test")]
    assert (directory / "downstage-test.yml").read_text() == text
    assert [path.name for path in directory.iterdir()] == ["downstage-test.yml"]


def test_of_a_file_that_is_there_only_the_cron_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "downstage-test.yml"
    path.write_text("on:\n  schedule:\n    - cron: '0 3 * * *'  # at night\njobs: {mine: {}}\n")
    (tmp_path / "nightly.yaml").write_text("on: {schedule: [{cron: '1 1 * * *'}]}\non2:\n  - cron: 1 1 * * *\n")
    (tmp_path / "downstage-gone.yml").write_text("on:\n  schedule:\n    - cron: '0 3 * * *'\n")
    (tmp_path / "build.yml").write_text("on: push\n")
    store = GitHubSchedules(tmp_path, [GITHUB])
    assert apply(store, [GITHUB]) == [
        ("update", "downstage-test"),
        ("remove", "downstage-gone"),
        ("not ours", "nightly"),
    ]
    assert path.read_text() == 'on:\n  schedule:\n    - cron: "0 5 1 * *"  # at night\njobs: {mine: {}}\n'
    assert sorted(each.name for each in tmp_path.iterdir()) == ["build.yml", "downstage-test.yml", "nightly.yaml"]


@pytest.mark.parametrize("text", ["on: push\n", "on:\n  schedule:\n    - cron: '1 1 * * *'\n    - cron: '2 2 * * *'\n"])
def test_a_file_of_that_name_without_one_cron_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "downstage-test.yml"
    path.write_text(text)
    with pytest.raises(CiError, match="has not exactly one cron to change"):
        apply(GitHubSchedules(tmp_path, [GITHUB]), [GITHUB])
    assert path.read_text() == text


def test_a_name_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="its name may hold letters"):
        GitHubSchedules(tmp_path, []).settings(replace(GITHUB, name="../../etc/x"))
