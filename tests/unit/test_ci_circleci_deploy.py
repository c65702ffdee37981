"""Deployment by CircleCI: the right workflow is rerun, once, whatever is lost or killed on the way, and followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from downstage.ci.circleci import CircleCi
from downstage.ci.circleci_deploy import RerunDeployer, TriggerDeployer
from downstage.ci.circleci_start import PipelineStart
from downstage.ci.http import TRIES
from downstage.errors import CiError, CiUnreachable, ConfigError
from downstage.testing.simple import JumpingClock
from tests.ci_servers.circleci import PROJECT, CircleCiServer
from tests.ci_servers.places import circleci_place, kept
from tests.ci_servers.server import Fault, Reply

Place = tuple[CircleCiServer, CircleCi, JumpingClock]


@pytest.fixture
def place() -> Iterator[Place]:
    with circleci_place() as made:
        yield made


def rerunner(place: Place, *, patience: float = 7200.0, project: str = PROJECT) -> RerunDeployer:
    _, client, clock = place
    return RerunDeployer(client, clock, project=project, branch="test", name="build-and-deploy", patience=patience)


def trigger(
    place: Place,
    parameters: dict[str, Any],
    *,
    workflow: str | None = None,
    definition: str | None = None,
    own: str | None = None,
    flags: dict[str, str] | None = None,
) -> TriggerDeployer:
    _, client, clock = place
    return TriggerDeployer(
        PipelineStart(client, clock, PROJECT, "test", definition, own),
        parameters=parameters,
        workflow=workflow,
        patience=7200.0,
        flags=kept(lambda: flags or {}),
    )


@pytest.fixture
def history(place: Place) -> dict[str, Any]:
    """Pipelines of several branches; on `test` the newest ones failed, or have no such workflow."""
    server = place[0]
    oldest = server.pipeline()
    server.workflow(oldest, "build-and-deploy", "success")
    right = server.pipeline()
    first = server.workflow(right, "build-and-deploy", "success")
    place[2].time += 60
    wanted = server.workflow(right, "build-and-deploy", "success")
    server.workflow(right, "lint", "failed")
    server.workflow(server.pipeline(), "build-and-deploy", "failed")
    server.workflow(server.pipeline(branch="main"), "build-and-deploy", "success")
    server.workflow(server.pipeline(), "lint", "success")
    return {"pipeline": right, "wanted": wanted, "first": first}


def test_the_newest_successful_workflow_of_the_name_on_the_branch_is_rerun(
    place: Place, history: dict[str, Any]
) -> None:
    server, _, clock = place
    deployer = rerunner(place)
    deployer.check()
    intent = deployer.intent()
    assert intent["workflow"] == history["wanted"]["id"]
    assert intent["began"].endswith("Z")
    assert server.count("POST") == 0
    said = deployer.deploy(intent)
    reran = server.workflows[-1]
    assert reran["pipeline_id"] == history["pipeline"]["id"]
    assert said == (
        "CircleCI reran build-and-deploy: https://app.circleci.com/pipelines/"
        f"{PROJECT}/{history['pipeline']['number']}/workflows/{reran['id']}"
    )
    assert server.count("POST") == 1
    assert server.count("POST", "/rerun") == 1
    assert sum(clock.slept) < 120


def test_what_a_killed_attempt_started_is_found_and_followed(place: Place, history: dict[str, Any]) -> None:
    server = place[0]
    intent = rerunner(place).intent()
    server.workflow(history["pipeline"], "build-and-deploy", ("running", "running", "success"))  # then it was killed
    assert rerunner(place).deploy(intent).endswith(server.workflows[-1]["id"])
    assert server.count("POST") == 0


def test_a_later_attempt_looks_with_patience_before_it_starts_anything(place: Place, history: dict[str, Any]) -> None:
    server, _, clock = place
    intent = rerunner(place).intent()

    def appear() -> None:  # the listing lags behind the start
        if len(clock.slept) == 2:
            server.workflow(history["pipeline"], "build-and-deploy", "success")

    clock.on_sleep = appear
    rerunner(place).deploy(intent)
    assert server.count("POST") == 0


@pytest.mark.parametrize("reply", [None, Reply(502, {"message": "bad gateway"})])
def test_a_rerun_whose_answer_is_lost_is_found_and_not_sent_again(
    place: Place, history: dict[str, Any], reply: Reply | None
) -> None:
    server = place[0]
    deployer = rerunner(place)
    intent = deployer.intent()
    server.faults.append(Fault("POST", "/rerun", reply, lose=True))
    assert deployer.deploy(intent).endswith(server.workflows[-1]["id"])
    assert server.count("POST") == 1


def test_a_rerun_that_may_or_may_not_have_begun_is_an_error_and_the_next_attempt_looks_again(
    place: Place, history: dict[str, Any]
) -> None:
    server = place[0]
    deployer = rerunner(place)
    intent = deployer.intent()
    server.faults.append(Fault("POST", "/rerun", None))
    with pytest.raises(CiUnreachable, match=r"it cannot be told whether a rerun of .* was started"):
        deployer.deploy(intent)
    assert server.count("POST") == 1
    rerunner(place).deploy(intent)
    assert server.count("POST") == 2


@pytest.mark.parametrize("status", ["failed", "error", "canceled", "unauthorized", "not_run"])
def test_one_that_ends_badly_says_so_and_is_not_started_again_by_us(
    place: Place, history: dict[str, Any], status: str
) -> None:
    server = place[0]
    server.unfold = ("running", "failing", status)
    deployer = rerunner(place)
    intent = deployer.intent()
    with pytest.raises(CiError, match=rf"ended as '{status}': see https://app.*rerun it there, then resume"):
        deployer.deploy(intent)
    with pytest.raises(CiError, match=f"ended as '{status}'"):
        rerunner(place).deploy(intent)
    assert server.count("POST") == 1
    server.workflow(history["pipeline"], "build-and-deploy", "success")  # a person reran it
    assert rerunner(place).deploy(intent).endswith(server.workflows[-1]["id"])
    assert server.count("POST") == 1


@pytest.mark.parametrize(("status", "words"), [("running", "it is 'running'"), ("on_hold", "it waits for an approval")])
def test_a_workflow_that_never_ends_is_one_error_in_bounded_work(
    place: Place, history: dict[str, Any], status: str, words: str
) -> None:
    server, _, clock = place
    server.unfold = (status,)
    deployer = rerunner(place, patience=3600.0)
    intent = deployer.intent()
    before = clock.now()
    with pytest.raises(CiError, match=f"has not ended within 60 minutes, .*{words}") as caught:
        deployer.deploy(intent)
    assert "\n" not in str(caught.value)
    assert 3600 <= clock.now() - before < 3700
    assert server.count("GET") < 2 * 3600 / 30 + 20


def test_hiccups_while_it_is_followed_do_not_end_it(place: Place, history: dict[str, Any]) -> None:
    server, _, clock = place
    server.unfold = ("running", "running", "running", "success")
    deployer = rerunner(place)
    intent = deployer.intent()
    hiccups = Fault("GET", "/workflow", Reply(503), times=2 * TRIES)

    def stumble() -> None:
        if not server.faults:
            server.faults.append(hiccups)

    clock.on_sleep = stumble
    deployer.deploy(intent)
    assert hiccups.times == 0
    assert server.count("POST") == 1


def test_a_circleci_that_is_gone_for_good_ends_it_in_bounded_time(place: Place, history: dict[str, Any]) -> None:
    server, _, clock = place
    server.unfold = ("running",)
    deployer = rerunner(place)
    intent = deployer.intent()
    clock.on_sleep = lambda: server.faults.append(Fault("GET", "/workflow", Reply(503), times=9))
    before = clock.now()
    with pytest.raises(CiUnreachable, match="answered 503"):
        deployer.deploy(intent)
    assert clock.now() - before < 1200


def test_where_nothing_succeeded_the_check_says_so_in_bounded_work(place: Place) -> None:
    server = place[0]
    for _ in range(70):
        server.workflow(server.pipeline(), "build-and-deploy", "failed")
    with pytest.raises(CiError, match="knows no successful workflow build-and-deploy in the 50 newest pipelines"):
        rerunner(place).check()
    assert server.count("GET", "/workflow") == 50


def test_a_bad_token_and_a_wrong_project_are_one_clear_line_each(place: Place, history: dict[str, Any]) -> None:
    with pytest.raises(CiError, match=r"could not list the pipelines of github/acme/nothing: .* 404"):
        rerunner(place, project="github/acme/nothing").check()
    with circleci_place(token="CCIPAT_stale") as stale:
        with pytest.raises(CiError) as caught:
            rerunner(stale).check()
        assert len(stale[0].calls) == 1
    assert "renew what env:CIRCLE_TOKEN holds" in str(caught.value)
    assert "stale" not in str(caught.value)


def test_a_pipeline_is_triggered_with_parameters_and_flags_and_all_its_workflows_followed(place: Place) -> None:
    server = place[0]
    server.pipeline()
    server.known_parameters = {"run_build_and_deploy", "colour"}
    server.starts = ("deploy", "smoke")
    deployer = trigger(place, {"run_build_and_deploy": True, "colour": "${flags.colour}"}, flags={"colour": "alpha"})
    deployer.check()
    intent = deployer.intent()
    assert intent["newest"] == 1
    deployer.deploy(intent)
    assert server.pipelines[0]["trigger_parameters"] == {"run_build_and_deploy": True, "colour": "alpha"}
    assert server.count("POST") == 1


def test_a_pipeline_of_the_github_app_is_run_by_its_definition(place: Place) -> None:
    server = place[0]
    deployer = trigger(place, {}, definition="b3c1a0de-0000-4000-8000-000000000001")
    deployer.deploy(deployer.intent())
    assert server.count("POST", "/pipeline/run") == 1


def test_only_the_named_workflow_has_to_succeed(place: Place) -> None:
    server = place[0]
    intent = trigger(place, {}, workflow="deploy").intent()
    started = server.pipeline(trigger="api", login="machine-user")
    server.workflow(started, "lint", "failed")
    server.workflow(started, "deploy", ("running", "success"))
    trigger(place, {}, workflow="deploy").deploy(intent)
    with pytest.raises(CiError, match="ended as 'failed'"):
        trigger(place, {}).deploy(intent)
    assert server.count("POST") == 0


def test_the_pipeline_of_a_killed_attempt_is_told_from_those_of_others(place: Place) -> None:
    server = place[0]
    intent = trigger(place, {}).intent()
    server.workflow(server.pipeline(), "deploy", "running")
    server.workflow(server.pipeline(trigger="api", login="somebody-else"), "deploy", "running")
    server.workflow(server.pipeline(trigger="api", login="machine-user"), "deploy", ("running", "success"))
    here = server.pipeline(trigger="api", login="machine-user")  # the one in which the refresh itself goes on
    server.workflow(here, "refresh", "running")
    trigger(place, {}, own=here["id"]).deploy(intent)
    assert server.count("POST") == 0


def test_what_somebody_started_since_the_intent_is_not_taken_for_ours(place: Place) -> None:
    """Between the mark and our start the same token starts another pipeline on the branch."""
    server = place[0]
    server.known_parameters = {"colour"}
    deployer = trigger(place, {"colour": "alpha"})
    intent = deployer.intent()
    server.workflow(server.pipeline(trigger="api", login="machine-user"), "deploy", "failed")
    deployer.deploy(intent)
    assert server.count("POST") == 1
    assert server.pipelines[0]["trigger_parameters"] == {"colour": "alpha"}


@pytest.mark.parametrize("nested", [False, True])
def test_of_several_after_a_lost_answer_ours_is_that_with_our_parameters(place: Place, nested: bool) -> None:
    server = place[0]
    server.known_parameters = {"colour"}
    deployer = trigger(place, {"colour": "alpha"})
    intent = deployer.intent()
    theirs = server.pipeline(trigger="api", login="machine-user")
    theirs["trigger_parameters"] = {"circleci": {"colour": "beta"}} if nested else {"colour": "beta"}
    server.workflow(theirs, "deploy", "failed")
    server.faults.append(Fault("POST", "/pipeline", None, lose=True))
    deployer.deploy(intent)
    assert server.count("POST") == 1
    assert len(server.pipelines) == 2


def test_several_that_cannot_be_told_apart_are_a_question_not_a_guess(place: Place) -> None:
    server = place[0]
    server.faults.append(Fault("POST", "/pipeline", None))
    intent = (deployer := trigger(place, {})).intent()
    for _ in range(2):
        server.workflow(server.pipeline(trigger="api", login="machine-user"), "deploy", "success")
    with pytest.raises(CiUnreachable, match="which of 2 newer starts of a pipeline of github/acme/app is ours"):
        deployer.deploy(intent)


def test_the_pipeline_in_which_we_run_is_not_taken_for_the_deployment(place: Place) -> None:
    server = place[0]
    intent = trigger(place, {}).intent()
    here = server.pipeline(trigger="api", login="machine-user")
    server.workflow(here, "refresh", "running")
    trigger(place, {}, own=here["id"]).deploy(intent)
    assert server.count("POST") == 1


def test_a_parameter_that_circleci_does_not_know_is_said_in_its_words(place: Place) -> None:
    deployer = trigger(place, {"unknown": True})
    intent = deployer.intent()
    with pytest.raises(CiError, match=r"answered 400, saying 'Unexpected argument\(s\): unknown'"):
        deployer.deploy(intent)


def test_a_flag_that_does_not_exist_starts_nothing(place: Place) -> None:
    deployer = trigger(place, {"colour": "${flags.color}"}, flags={"colour": "alpha"})
    intent = deployer.intent()
    with pytest.raises(ConfigError, match=r"\$\{flags.color\} names no flag; known: colour"):
        deployer.deploy(intent)
    assert place[0].count("POST") == 0


def test_a_pipeline_whose_configuration_is_broken_ends_at_once(place: Place) -> None:
    server = place[0]
    intent = trigger(place, {}).intent()
    broken = server.pipeline(trigger="api", login="machine-user")
    broken["state"] = "errored"
    broken["errors"] = [{"type": "config", "message": "jane.roe@mail.example.org broke it"}]
    with pytest.raises(CiError, match=r"ended as 'errored \(config\)'") as caught:
        trigger(place, {}).deploy(intent)
    assert "@" not in str(caught.value)


def test_an_answer_of_another_shape_is_an_error_and_not_a_traceback(place: Place, history: dict[str, Any]) -> None:
    server = place[0]
    server.faults.append(Fault("GET", "/pipeline", Reply(200, {"items": [{"id": 1}], "next_page_token": None})))
    with pytest.raises(CiError, match="not of the shape that it publishes"):
        rerunner(place).check()
