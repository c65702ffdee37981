"""What the tests of the lease share: a clock that only sleeping moves, a control table on a mocked AWS, and leases of
one environment on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws

from downstage.app import known_runs, places
from downstage.aws.control_table import ControlTable
from downstage.aws.lease import EnvironmentLease
from downstage.aws.session import Session
from downstage.domain.environment import Environment

LOWER = Environment("test", "123456789012", "us-east-1")
TABLE = "downstage-control"


class Clock:
    """A clock that only `sleep` moves; `each` is called before each sleep, as the world goes on meanwhile."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.each: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.each()
        self.time += seconds


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For tests of whole projects: a mocked AWS, a masking key, and no journal that another test has opened."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    opened = (places.open_journal, places.control_table, places.beating_table)
    for cached in opened:
        cached.cache_clear()
    with mock_aws():
        yield
    for cached in opened:
        cached.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(name="clock")
def shared_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every lease that a project makes."""
    clock = Clock()
    monkeypatch.setattr(known_runs, "SystemClock", lambda: clock)
    return clock


def table() -> ControlTable:
    return ControlTable(Session(LOWER), TABLE, sleep=lambda _seconds: None)


def lease(clock: Clock, who: str = "here", place: str = "", **more: Any) -> EnvironmentLease:
    return EnvironmentLease(table(), "test", clock=clock, who=who, place=place, **more)
