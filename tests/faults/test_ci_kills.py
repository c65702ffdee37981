"""A deployment at a CI is started once, whichever call to the CI the process dies at, and the refresh ends proven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from downstage.ci import circleci, github
from downstage.ci.circleci import CircleCi
from downstage.ci.circleci_deploy import RerunDeployer, TriggerDeployer
from downstage.ci.circleci_start import PipelineStart
from downstage.ci.github import DispatchStart, GitHub
from downstage.ci.github_deploy import GitHubDeployer
from downstage.console.redaction import redact
from downstage.domain.outcome import Result
from downstage.ports import Deployer
from downstage.testing.faults import Killed, Trip, faulty
from downstage.testing.world import MemoryDeployer, World
from tests.ci_servers.circleci import PREFIX, PROJECT, TOKEN, CircleCiServer
from tests.ci_servers.github import TOKEN as GITHUB_TOKEN
from tests.ci_servers.github import GitHubServer
from tests.ci_servers.places import kept
from tests.ci_servers.server import Call, JsonServer, Reply, serving

Ready = tuple[World, JsonServer, Callable[[Trip | None], Deployer]]


def deploys(world: World) -> None:
    """What the CI's job does: tables, domain and consumers anew."""
    job = MemoryDeployer(world)
    job.deploy(job.intent())


class DeployingCircleCi(CircleCiServer):
    """Whatever is started here deploys, and then switches the flag that it was given, as blue and green do."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self._world = world
        self.known_parameters = {"colour"}
        self.flags = {"colour": "alpha"}

    def answer(self, call: Call) -> Reply:
        reply = super().answer(call)
        if call.method == "POST":
            deploys(self._world)
            self.flags["colour"] = "beta"
        return reply


class DeployingGitHub(GitHubServer):
    """Whatever is started here deploys."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def answer(self, call: Call) -> Reply:
        reply = super().answer(call)
        if call.method == "POST":
            deploys(self._world)
        return reply


@contextmanager
def at_circleci(kind: str) -> Iterator[Ready]:
    world = World()
    with serving(DeployingCircleCi(world), PREFIX) as server:
        server.workflow(server.pipeline(), "deploy", "success")

        def deployer(trip: Trip | None) -> Deployer:
            client: CircleCi = circleci.connect(server.url, "t", TOKEN.encode, clock=world.clock, redact=redact)
            client = client if trip is None else faulty(client, trip)
            if kind == "rerun":
                return RerunDeployer(
                    client, world.clock, project=PROJECT, branch="test", name="deploy", patience=3600.0
                )
            start = PipelineStart(client, world.clock, PROJECT, "test")
            parameters = {"colour": "${flags.colour}"} if kind == "trigger" else {}
            flags = kept(lambda: dict(server.flags))
            return TriggerDeployer(start, parameters=parameters, workflow="deploy", patience=3600.0, flags=flags)

        yield world, server, deployer
    assert not server.contract.violations, server.contract.violations


@contextmanager
def at_github(kind: str) -> Iterator[Ready]:
    world = World()
    with serving(DeployingGitHub(world)) as server:
        server.details = kind
        server.run("deploy.yml")

        def deployer(trip: Trip | None) -> Deployer:
            client: GitHub = github.connect(
                server.url, "github/acme/app", "t", GITHUB_TOKEN.encode, clock=world.clock, redact=redact
            )
            client = client if trip is None else faulty(client, trip)
            start = DispatchStart(client, world.clock, "deploy.yml", "test")
            return GitHubDeployer(start, inputs={}, patience=3600.0, flags=kept(dict))

        yield world, server, deployer


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("place", "kind", "calls"),
    [
        (at_circleci, "rerun", 8),
        (at_circleci, "trigger", 8),
        (at_circleci, "bare", 8),
        (at_github, "given", 6),
        (at_github, "none", 7),
    ],
    ids=["circleci-rerun", "circleci-trigger", "circleci-without-parameters", "github", "github-without-details"],
)
def test_killed_at_any_call_it_is_started_once(place: Any, kind: str, calls: int, after: bool) -> None:
    at, struck = 0, True
    while struck:
        at += 1
        with place(kind) as (world, server, deployer):
            world.deployer = deployer(trip := Trip(at, after=after))
            try:
                world.refresh()
            except Killed:
                world.deployer = deployer(None)
                world.resume()
            struck = trip.struck
            where = f"call {at} ({trip.names[-1]})"
            assert server.count("POST") == 1, where
            assert world.writes.count("deploy") == 1, where
            assert world.outcome().result is Result.PROVEN, where
    assert at == calls, "killed at each of them, and once at none"
