"""Faults to wrap round a port: a process that dies at the n-th call, a call that raises, an item that is refused.

A dead process makes no further call: after `Trip` has struck, every port behind it strikes again. `after=True` lets
the fatal call have its effect first, which is the worse case: done, and nobody knows.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import orjson

from downstage.ports import Item, ItemWriter, RawItem, Rejected
from downstage.testing.search import MemoryIndex

Port = TypeVar("Port")


class Killed(BaseException):
    """The process is gone. No handler of ours may catch it."""


class Trip:
    """Counts calls and strikes at the `at`-th (0: never). `lasting`: every later call strikes as well.

    Calls of threads that only watch are let through and not counted, so that the count is the same each time.
    """

    def __init__(
        self,
        at: int = 0,
        *,
        after: bool = False,
        error: Callable[[], BaseException] = Killed,
        lasting: bool = True,
    ) -> None:
        self.at = at
        self.calls = 0
        self.names: list[str] = []
        self.struck = False
        self._after = after
        self._error = error
        self._lasting = lasting
        self._lock = threading.Lock()

    def call(self, name: str) -> bool:
        """Counts one call; True if it is to strike after its effect. Raises if it is to strike before."""
        if threading.current_thread().name.startswith("watch-"):
            return False
        with self._lock:
            self.calls += 1
            self.names.append(name)
            due = self.calls == self.at
            if due or (self.struck and self._lasting):
                if due and self._after:
                    return True
                self.struck = True
                raise self._error()
        return False

    def strike(self) -> None:
        """The effect is there, and the call does not come back."""
        self.struck = True
        raise self._error()


def faulty(port: Port, trip: Trip, only: Sequence[str] = ()) -> Port:
    """`port`, each call of which (or of the methods in `only`) goes through `trip`. A page of a reader is one call."""
    return cast("Port", _Faulty(port, trip, frozenset(only)))


class _Faulty:
    def __init__(self, port: Any, trip: Trip, only: frozenset[str]) -> None:
        self._port = port
        self._trip = trip
        self._only = only

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method) or (self._only and name not in self._only):
            return method
        label = f"{type(self._port).__name__}.{name}"
        if inspect.isasyncgenfunction(method):
            return lambda *args: self._pages(label, method(*args))
        if inspect.iscoroutinefunction(method):
            return lambda *args, **named: self._awaited(label, method, args, named)
        if inspect.isgeneratorfunction(method):
            return lambda *args: self._entries(label, method(*args))
        return lambda *args, **named: self._called(label, method, args, named)

    def _called(self, label: str, method: Any, args: Any, named: Any) -> Any:
        strikes = self._trip.call(label)
        answer = method(*args, **named)
        if strikes:
            self._trip.strike()
        return _Faulty(answer, self._trip, self._only) if isinstance(answer, MemoryIndex) else answer

    async def _awaited(self, label: str, method: Any, args: Any, named: Any) -> Any:
        strikes = self._trip.call(label)
        answer = await method(*args, **named)
        if strikes:
            self._trip.strike()
        return answer

    async def _pages(self, label: str, pages: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async for page in pages:
            if self._trip.call(label):
                self._trip.strike()
            yield page

    def _entries(self, label: str, entries: Iterator[Any]) -> Iterator[Any]:
        if self._trip.call(label):
            self._trip.strike()
        yield from entries


class RefusingWriter:
    """Implements `ports.ItemWriter` over another: items for which `refuses` gives a reason are rejected."""

    def __init__(self, writer: ItemWriter, refuses: Callable[[Item], str | None]) -> None:
        self._writer = writer
        self._refuses = refuses

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]:
        """Puts the others."""
        reasons = ((item, self._refuses(orjson.loads(item))) for item in items)
        rejected = [Rejected(item, reason) for item, reason in reasons if reason is not None]
        refused = [rejection.item for rejection in rejected]
        left = [item for item in items if item not in refused]
        return [*rejected, *(await self._writer.put(left) if left else ())]
