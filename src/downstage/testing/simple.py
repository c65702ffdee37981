"""The small fakes: clock, events, identity, flags, and a Durable that runs one branch after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from downstage.domain.environment import Caller
from downstage.domain.events import Event
from downstage.domain.plan import Flag, ItemFlag


class JumpingClock:
    """Implements `ports.Clock`. Stands still but for `sleep`, which jumps at once and is kept in `slept`.

    `on_sleep` is called after each jump: there a test lets the world move.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Jumps."""
        self.time += seconds
        self.slept.append(seconds)
        self.on_sleep()


class Recorder:
    """Implements `ports.EventSink`: keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Keeps it."""
        self.events.append(event)


class FixedIdentity:
    """Implements `ports.Identity`: always the same account."""

    def __init__(self, account: str) -> None:
        self.account = account

    def caller(self) -> Caller:
        """Who we are."""
        return Caller(self.account, f"arn:aws:sts::{self.account}:assumed-role/downstage/test")


class MemoryFlags:
    """Implements `ports.FlagStore`. `items` by flag label, `parameters` by name."""

    def __init__(self, writes: list[str]) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.parameters: dict[str, str] = {}
        self._writes = writes

    def write(self, flag: Flag) -> None:
        """Sets it."""
        self._writes.append(f"flag {flag.label}")
        if isinstance(flag, ItemFlag):
            self.items[flag.label] = {**self.items.get(flag.label, {}), **flag.values}
        else:
            self.parameters[flag.name] = flag.value

    def read(self, flag: Flag) -> Mapping[str, Any] | str | None:
        """What it is now."""
        if isinstance(flag, ItemFlag):
            return self.items.get(flag.label)
        return self.parameters.get(flag.name)


class InOrder:
    """Implements `ports.Durable` without threads, so that a test sees the same order of calls each time."""

    def together(self, *branches: Callable[[], None]) -> None:
        """Runs every branch, in order; raises the first error once all have ended."""
        errors: list[Exception] = []
        for branch in branches:
            try:
                branch()
            except Exception as error:  # noqa: BLE001  raised below
                errors.append(error)
        if errors:
            raise errors[0]
