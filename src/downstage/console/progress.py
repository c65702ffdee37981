"""Event sinks for whoever watches a run: a live display for a terminal, lines for a log, JSON lines for a machine.

A sink never raises and may be called by any thread. Rich is imported only when a terminal is there to draw on.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self, TextIO

from downstage.console.lines import line_of, progress_line
from downstage.console.meter import Meter
from downstage.console.stream import SteadyStream
from downstage.domain.events import Event, Progress

PROGRESS_SECONDS = 5.0


class Sink(Protocol):
    """An event sink that lasts as long as its `with` block."""

    def emit(self, event: Event) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _LineSink:
    """What the sinks that write lines share: a steady stream, and nothing to start or stop."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = SteadyStream(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()


class PlainSink(_LineSink):
    """Plain lines; the progress of one subject at most every `PROGRESS_SECONDS`, and when it is complete.

    `clock` gives seconds that never go back.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._lock = threading.Lock()
        self._meters: dict[tuple[str, str], Meter] = {}
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, event: Event) -> None:
        """Writes the event's line, if it is due."""
        line = self._progress(event) if isinstance(event, Progress) else line_of(event)
        if line:
            self._stream.line(line)

    def _progress(self, event: Progress) -> str:
        subject = (event.step, event.subject)
        now = self._clock()
        with self._lock:
            meter = self._meters.setdefault(subject, Meter())
            meter.update(event.done, event.total, event.estimated, now)
            when, done = self._said.get(subject, (float("-inf"), -1))
            if now - when < PROGRESS_SECONDS and not (meter.complete and done != event.done):
                return ""
            self._said[subject] = (now, event.done)
            return progress_line(event, meter, now)


class JsonSink(_LineSink):
    """Each event one line: `time` (ISO 8601, UTC), `event` (the class in snake case), then its fields.

    `clock` gives seconds since the epoch.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        super().__init__(stream)
        self._clock = clock

    def emit(self, event: Event) -> None:
        """Writes the event, ASCII only, whole."""
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
        self._stream.line(json.dumps({"time": moment.replace("+00:00", "Z"), "event": name, **asdict(event)}))


def sink_for(stream: TextIO, json: bool, verbose: bool = False) -> Sink:
    """The sink that fits: JSON lines if asked for, the live display on a terminal, else plain lines.

    `verbose` shows each object on a terminal too; plain lines and JSON always have them.
    """
    if json:
        return JsonSink(stream)
    if not SteadyStream(stream).isatty() or os.environ.get("TERM") == "dumb":
        return PlainSink(stream)
    from downstage.console.live import ConsoleSink

    return ConsoleSink(stream, verbose=verbose)
