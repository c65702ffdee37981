"""Servers and clients ready to use, as context managers; the contract's violations are raised at the end. And flags
of a run as deployers are given them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from downstage.ci import circleci, github
from downstage.ci.kept_flags import KeptFlags
from downstage.console.redaction import redact
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.testing.simple import JumpingClock
from tests.ci_servers.circleci import PREFIX, TOKEN, CircleCiServer
from tests.ci_servers.github import TOKEN as GITHUB_TOKEN
from tests.ci_servers.github import GitHubServer
from tests.ci_servers.server import serving


@contextmanager
def circleci_place(token: str = TOKEN) -> Iterator[tuple[CircleCiServer, circleci.CircleCi, JumpingClock]]:
    """A CircleCI, a client of it, and the clock that both go by."""
    clock = JumpingClock()
    with serving(CircleCiServer(clock), PREFIX) as server:
        yield server, circleci.connect(server.url, "env:CIRCLE_TOKEN", token.encode, clock=clock, redact=redact), clock
    assert not server.contract.violations, "\n".join(server.contract.violations)


@contextmanager
def github_place(token: str = GITHUB_TOKEN) -> Iterator[tuple[GitHubServer, github.GitHub, JumpingClock]]:
    """A GitHub, a client of it, and the client's clock."""
    clock = JumpingClock()
    with serving(GitHubServer()) as server:
        client = github.connect(
            server.url, "github/acme/app", "env:GITHUB_TOKEN", token.encode, clock=clock, redact=redact
        )
        yield server, client, clock


def kept(read: Callable[[], Mapping[str, str]], run_id: str = "test-20260101-050000-1a2b") -> KeptFlags:
    """Flags that read so, kept for that run."""
    return KeptFlags(read, lambda: KeySealer(MaskKey(bytes(range(32)))), run_id)
