"""GitHub Actions: a workflow is dispatched once and its run followed, whatever GitHub says of the run it began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from downstage.ci.github import DispatchStart, GitHub
from downstage.ci.github_deploy import GitHubDeployer, GitHubUnattended
from downstage.errors import CiError, CiUnreachable
from downstage.testing.simple import JumpingClock
from tests.ci_servers.github import GitHubServer
from tests.ci_servers.places import github_place, kept
from tests.ci_servers.server import Fault, Reply

Place = tuple[GitHubServer, GitHub, JumpingClock]


@pytest.fixture
def place() -> Iterator[Place]:
    with github_place() as made:
        yield made


RUN = "test-20260101-050000-1a2b"


def deployer(
    place: Place,
    inputs: dict[str, Any] | None = None,
    *,
    workflow: str = "deploy.yml",
    patience: float = 7200.0,
    shown: str = "",
    flags: dict[str, str] | None = None,
) -> GitHubDeployer:
    _, client, clock = place
    start = DispatchStart(client, clock, workflow, "test", shown=shown)
    read = kept(lambda: flags or {"colour": "alpha"}, RUN)
    return GitHubDeployer(start, inputs=inputs or {}, patience=patience, flags=read)


@pytest.mark.parametrize(("details", "posts"), [("given", 1), ("none", 1), ("refused", 2)])
def test_it_is_dispatched_once_whether_or_not_github_says_which_run_that_is(
    place: Place, details: str, posts: int
) -> None:
    server = place[0]
    server.run("deploy.yml")
    server.details = details
    one = deployer(place, {"colour": "${flags.colour}", "force": True, "times": 2})
    one.check()
    said = one.deploy(one.intent())
    assert server.inputs == [{"colour": "alpha", "force": "true", "times": "2"}]
    assert said == f"GitHub ran deploy.yml: {server.runs[0]['html_url']}"
    assert server.count("POST") == posts
    assert len(server.runs) == 2


def test_the_run_of_a_killed_attempt_is_found(place: Place) -> None:
    server = place[0]
    server.run("deploy.yml")
    intent = deployer(place).intent()
    server.run("deploy.yml", event="push")
    server.run("deploy.yml", branch="main")
    server.run("other.yml")
    ours = server.run("deploy.yml")
    assert deployer(place).deploy(intent).endswith(ours["html_url"])
    assert server.count("POST") == 0


@pytest.mark.parametrize("reply", [None, Reply(502)])
def test_a_dispatch_whose_answer_is_lost_is_found_and_not_sent_again(place: Place, reply: Reply | None) -> None:
    server = place[0]
    server.faults.append(Fault("POST", "/dispatches", reply, lose=True))
    one = deployer(place)
    one.deploy(one.intent())
    assert server.count("POST") == 1
    server.faults.append(Fault("POST", "/dispatches", None))
    with pytest.raises(CiUnreachable, match=r"it cannot be told whether the workflow deploy.yml"):
        one.deploy(one.intent())
    assert server.count("POST") == 2


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "skipped", "neutral", "startup_failure"])
def test_only_success_is_success(place: Place, conclusion: str) -> None:
    server = place[0]
    server.unfold = (("in_progress", None), ("completed", conclusion))
    one = deployer(place)
    intent = one.intent()
    with pytest.raises(CiError, match=f"ended as '{conclusion}': see https://github.com/acme/app/actions/runs/"):
        one.deploy(intent)
    server.runs[0].update(status="completed", conclusion="success")  # a person reran it: its id stays
    deployer(place).deploy(intent)
    assert server.count("POST") == 1


def test_a_run_that_waits_for_ever_is_one_error_in_bounded_work(place: Place) -> None:
    server, _, clock = place
    server.unfold = (("waiting", None),)
    one = deployer(place, patience=1800.0)
    before = clock.now()
    with pytest.raises(CiError, match="has not ended within 30 minutes, it is 'waiting'"):
        one.deploy(one.intent())
    assert clock.now() - before < 1900
    assert server.count("GET") < 80


def test_what_the_check_finds(place: Place) -> None:
    with pytest.raises(CiError, match=r"could not look at the workflow nosuch.yml of github/acme/app: .* 404"):
        deployer(place, workflow="nosuch.yml").check()
    place[0].workflows["deploy.yml"] = "disabled_inactivity"
    with pytest.raises(CiError, match="is 'disabled_inactivity': enable it at GitHub"):
        deployer(place).check()
    with github_place(token="stale") as other, pytest.raises(CiError, match="renew what env:GITHUB_TOKEN holds"):
        deployer(other).check()
    place[0].faults.append(Fault("GET", "/deploy.yml", Reply(200, {"no": "state"})))
    with pytest.raises(CiError, match="not of the shape that it documents"):
        deployer(place).check()


def test_what_somebody_dispatched_since_the_intent_is_not_taken_for_ours(place: Place) -> None:
    server = place[0]
    one = deployer(place)
    intent = one.intent()
    theirs = server.run("deploy.yml")
    said = one.deploy(intent)
    assert not said.endswith(theirs["html_url"])
    assert server.count("POST") == 1


@pytest.mark.parametrize("killed_before", [True, False])
def test_a_resumed_deployment_takes_no_colleagues_dispatch_for_its_own(place: Place, killed_before: bool) -> None:
    """The workflow shows in its run-name for which refresh it was dispatched; a person's dispatch is for none."""
    server = place[0]
    server.titled = "deploy (run: {refresh})"
    server.run("deploy.yml")["display_title"] = "deploy (run: )"
    intent = deployer(place, shown="refresh").intent()
    if not killed_before:
        ours = server.run("deploy.yml")
        ours["display_title"] = f"deploy (run: {RUN})"
    theirs = [server.run("deploy.yml") for _ in range(2)]
    theirs[0]["display_title"] = "deploy (run: )"
    theirs[1]["display_title"] = "deploy (run: mig-20260101-050000-9f9f)"
    said = deployer(place, shown="refresh").deploy(intent)
    if killed_before:
        assert server.inputs == [{"refresh": RUN}]
        assert said.endswith(server.runs[0]["html_url"])
    else:
        assert server.count("POST") == 0
        assert said.endswith(ours["html_url"])


def test_a_workflow_that_shows_nothing_is_followed_as_before(place: Place) -> None:
    """`run_input` is given, and nobody has put it into the run-name: our own killed dispatch must still be found."""
    server = place[0]
    intent = deployer(place, shown="refresh").intent()
    ours = server.run("deploy.yml")
    assert deployer(place, shown="refresh").deploy(intent).endswith(ours["html_url"])
    assert server.count("POST") == 0


def test_what_was_decided_is_what_is_dispatched(place: Place) -> None:
    server = place[0]
    intent = deployer(place, {"colour": "${flags.colour}"}).intent()
    deployer(place, {"colour": "${flags.colour}"}, flags={"colour": "beta"}).deploy(intent)
    assert server.inputs == [{"colour": "alpha"}]


@pytest.mark.parametrize("reply", [None, Reply(404)])
def test_a_run_that_cannot_be_looked_at_goes_on_all_the_same(place: Place, reply: Reply | None) -> None:
    server, client, clock = place
    unattended = GitHubUnattended(DispatchStart(client, clock, "deploy.yml", "test", shown="run"))
    mark = unattended.mark()
    server.faults.append(Fault("GET", "/9000000000", reply, times=99))
    assert unattended.go_on(RUN, mark) == "GitHub goes on with it: run 9000000000 of github/acme/app"
    assert server.count("POST") == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_going_on_is_told_from_other_runs_by_the_title_that_the_rendered_workflow_gives(
    place: Place, arrived: bool
) -> None:
    server, client, clock = place
    server.workflows["downstage-test.yml"] = "active"
    server.details = "none"  # whose answer does not name the run
    unattended = GitHubUnattended(DispatchStart(client, clock, "downstage-test.yml", "test", shown="run"))
    mark = unattended.mark()
    server.run("downstage-test.yml")["display_title"] = "downstage-refresh-test (run: new)"
    server.faults.append(Fault("POST", "/dispatches", None, lose=arrived))
    if not arrived:
        with pytest.raises(CiUnreachable, match="cannot be told whether"):
            unattended.go_on(RUN, mark)
        return
    server.titled = "downstage-refresh-test (run: {run})"
    said = unattended.go_on(RUN, mark)
    assert said.endswith(server.runs[0]["html_url"])
    assert server.count("POST") == 1


def test_a_refresh_goes_on_in_a_fresh_run_of_its_workflow(place: Place) -> None:
    server, client, clock = place
    server.workflows["downstage-test.yml"] = "active"
    unattended = GitHubUnattended(DispatchStart(client, clock, "downstage-test.yml", "test"))
    said = unattended.go_on(RUN, unattended.mark())
    assert server.inputs == [{"run": RUN}]
    assert said == f"GitHub goes on with it: {server.runs[0]['html_url']}"
    assert unattended.ended(well=True, since=0.0) == ()
