"""What is around a run: the clock, who watches, keys, who we are."""

from __future__ import annotations

from typing import Protocol

from downstage.domain.environment import Caller
from downstage.domain.events import Event


class Clock(Protocol):
    """Time, injected: `now` is seconds since the epoch (UTC), `monotonic` never goes back."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class EventSink(Protocol):
    """Whoever watches. Called from several threads; must not raise and must not block for long."""

    def emit(self, event: Event) -> None: ...


class KeySource(Protocol):
    """Where the masking key comes from. `read` gives the raw key bytes or raises ConfigError / AwsError."""

    def read(self, reference: str) -> bytes: ...


class Identity(Protocol):
    """Who we are on one side, asked anew on each call."""

    def caller(self) -> Caller: ...
