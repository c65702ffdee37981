"""CircleCI as what runs a refresh: who waits is told how it ended; a run that was cut goes on in the next pipeline."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from downstage.ci.circleci import CircleCi
from downstage.ci.circleci_start import PipelineStart
from downstage.ci.circleci_unattended import CircleCiUnattended
from downstage.errors import CiError
from downstage.testing.simple import JumpingClock
from tests import ci_servers
from tests.ci_servers.circleci import PROJECT, CircleCiServer
from tests.ci_servers.places import circleci_place
from tests.ci_servers.server import Fault, Reply

Place = tuple[CircleCiServer, CircleCi, JumpingClock]
RUN = "mig-20260102-050000-1a2b"


@pytest.fixture
def place() -> Iterator[Place]:
    with circleci_place() as made:
        yield made


def unattended(place: Place, *, approval: bool = True) -> CircleCiUnattended:
    _, client, clock = place
    waiting = {"workflow": "glue-to-mig", "job": "wait-for-refresh"} if approval else None
    start = PipelineStart(client, clock, PROJECT, "migration")
    return CircleCiUnattended(start, "mig", {"run_build_and_deploy": False}, waiting)


@pytest.mark.parametrize("well", [True, False])
def test_only_the_workflow_that_waits_for_this_run_is_told(place: Place, well: bool) -> None:
    server, _, clock = place
    stale = server.workflow(server.pipeline(branch="migration"), "glue-to-mig", "on_hold", waits_for="wait-for-refresh")
    clock.time += 30 * 86400
    pipeline = server.pipeline(branch="migration")
    waiting = server.workflow(pipeline, "glue-to-mig", "on_hold", waits_for="wait-for-refresh")
    others = [
        server.workflow(pipeline, "glue-to-mig", "on_hold", waits_for="another-gate"),
        server.workflow(pipeline, "other", "on_hold", waits_for="wait-for-refresh"),
        server.workflow(pipeline, "glue-to-mig", "canceled", waits_for="wait-for-refresh"),
        server.workflow(server.pipeline(branch="test"), "glue-to-mig", "on_hold", waits_for="wait-for-refresh"),
    ]
    clock.time += 60
    since = clock.now()
    for _ in range(30):
        server.pipeline(branch="migration")
    before = [dict(workflow) for workflow in (stale, *others)]
    told = unattended(place).ended(well=well, since=since)
    assert waiting["status"] == ("running" if well else "canceled")
    assert [dict(workflow) for workflow in (stale, *others)] == before
    assert len(told) == 1
    assert told[0].startswith(f"{'approved' if well else 'cancelled'}: glue-to-mig (https://app.circleci.com/")
    assert server.count("POST") == 1


def test_where_nobody_waits_nothing_is_asked(place: Place) -> None:
    server = place[0]
    assert unattended(place, approval=False).ended(well=True, since=0.0) == []
    assert server.calls == []
    assert unattended(place).ended(well=True, since=0.0) == []
    assert server.count("POST") == 0


def test_the_next_pipeline_is_given_the_run(place: Place) -> None:
    server = place[0]
    server.known_parameters = {"downstage_refresh_mig", "downstage_run", "run_build_and_deploy"}
    server.pipeline(branch="migration")
    one = unattended(place)
    said = one.go_on(RUN, one.mark())
    started = server.pipelines[0]
    assert started["vcs"]["branch"] == "migration"
    assert started["trigger_parameters"] == {
        "downstage_refresh_mig": True,
        "downstage_run": RUN,
        "run_build_and_deploy": False,
    }
    assert said == "CircleCI goes on with it in pipeline 2 of github/acme/app"


def test_the_next_pipeline_is_started_once_though_the_answer_is_lost(place: Place) -> None:
    server = place[0]
    server.known_parameters = {"downstage_refresh_mig", "downstage_run", "run_build_and_deploy"}
    server.faults.append(Fault("POST", "/pipeline", None, lose=True))
    one = unattended(place)
    assert "pipeline 1" in one.go_on(RUN, one.mark())
    assert len(server.pipelines) == 1
    assert server.count("POST") == 1


@pytest.mark.parametrize("reply", [None, Reply(503), Reply(404, {"message": "Pipeline not found"})])
def test_a_next_pipeline_that_cannot_be_looked_at_goes_on_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch, reply: Reply | None
) -> None:
    server = place[0]
    server.known_parameters = {"downstage_refresh_mig", "downstage_run", "run_build_and_deploy"}
    started = "5f000000-0000-4000-8000-000000000001"
    monkeypatch.setattr(ci_servers.circleci, "new_id", lambda: started)
    looks = Fault("GET", f"/{started}", reply, times=99)
    server.faults.append(looks)
    one = unattended(place)
    assert one.go_on(RUN, one.mark()) == f"CircleCI goes on with it in pipeline {started} of github/acme/app"
    assert looks.times < 99
    assert server.count("POST") == 1


def test_a_pipeline_without_the_parameters_is_said_in_circlecis_words(place: Place) -> None:
    one = unattended(place)
    with pytest.raises(CiError, match=r"Unexpected argument.*downstage_refresh_mig, downstage_run"):
        one.go_on(RUN, one.mark())
