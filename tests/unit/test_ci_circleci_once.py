"""A CircleCI pipeline is known as ours by the flags of when it was decided; it has deployed when it is out of setup."""

from __future__ import annotations

import pytest

from downstage.errors import CiError
from tests.unit.test_ci_circleci_deploy import Place, trigger
from tests.unit.test_ci_circleci_deploy import place as place


def test_a_deployment_that_changes_the_flag_it_was_given_is_still_known_as_ours(place: Place) -> None:
    """Blue and green: killed after the start, and what was started switches the colour."""
    server = place[0]
    server.known_parameters = {"colour"}
    flags = {"colour": "alpha"}
    intent = trigger(place, {"colour": "${flags.colour}"}, flags=flags).intent()
    ours = server.pipeline(trigger="api", login="machine-user")
    ours["trigger_parameters"] = {"colour": "alpha"}
    server.workflow(ours, "deploy", ("running", "success"))
    flags["colour"] = "beta"
    trigger(place, {"colour": "${flags.colour}"}, flags=flags).deploy(intent)
    assert server.count("POST") == 0
    assert "alpha" not in str(intent)


def test_what_was_decided_is_what_is_started_and_mended_settings_count(place: Place) -> None:
    """Killed before the start; meanwhile the flag is another, and the person mends the parameter's name."""
    server = place[0]
    server.known_parameters = {"colour"}
    intent = trigger(place, {"color": "${flags.colour}"}, flags={"colour": "alpha"}).intent()
    with pytest.raises(CiError, match="Unexpected argument"):
        trigger(place, {"color": "${flags.colour}"}, flags={"colour": "beta"}).deploy(intent)
    trigger(place, {"colour": "${flags.colour}"}, flags={"colour": "beta"}).deploy(intent)
    assert server.pipelines[0]["trigger_parameters"] == {"colour": "alpha"}


def test_an_intent_of_an_older_version_kept_no_flags(place: Place) -> None:
    server = place[0]
    server.known_parameters = {"colour"}
    trigger(place, {"colour": "${flags.colour}"}, flags={"colour": "alpha"}).deploy({"began": "x", "newest": 0})
    assert server.pipelines[0]["trigger_parameters"] == {"colour": "alpha"}


@pytest.mark.parametrize("workflow", [None, "deploy", "setup"])
def test_a_pipeline_in_setup_has_deployed_nothing_yet(place: Place, workflow: str | None) -> None:
    """Dynamic configuration: the setup workflow has long succeeded when the real ones begin."""
    server = place[0]
    server.setup = ("setup-pending", "setup", "setup", "pending")
    deployer = trigger(place, {}, workflow=workflow)
    deployer.deploy(deployer.intent())
    assert [each["name"] for each in server.workflows] == ["setup", "deploy"]
    assert workflow == "setup" or server.workflows[1]["status"] == "success"


def test_a_setup_workflow_that_fails_ends_it_at_once(place: Place) -> None:
    server, _, clock = place
    server.setup, server.setup_ends = ("setup",), "failed"
    deployer = trigger(place, {}, workflow="deploy")
    intent = deployer.intent()
    with pytest.raises(CiError, match="ended as 'failed'"):
        deployer.deploy(intent)
    assert sum(clock.slept) == 0


def test_a_setup_that_continues_with_nothing_is_one_error_in_bounded_work(place: Place) -> None:
    server = place[0]
    server.setup = ("setup",) * 1000
    deployer = trigger(place, {})
    intent = deployer.intent()
    with pytest.raises(CiError, match="has not ended within 120 minutes, it is 'setup'"):
        deployer.deploy(intent)
    assert server.count("GET") < 3 * 7200 / 30 + 20
