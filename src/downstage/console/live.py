"""The live display of a run on a terminal: a line for each step that has ended, bars for those that run.

Events change a small state under a lock; the display draws from that state a few times a second. Nothing is
printed while the lock is held: Rich holds its own lock while it asks us what to draw, and the two would wait for
each other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Self, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from downstage.console.lines import count_of, duration, left_of, line_of, percent_of, printable, rate_of
from downstage.console.meter import Meter
from downstage.console.stream import SteadyStream
from downstage.domain.events import (
    Event,
    Note,
    ObjectSynced,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)

_STYLE = {"done": "green", "failed": "bold red", "skipped": "yellow", "stopped": "yellow"}
_MARKS = {"done": "✓", "failed": "✗", "skipped": "–", "stopped": "‖", "running": "•"}
_PLAIN_MARKS = {"done": "ok", "failed": "x", "skipped": "-", "stopped": "=", "running": "*"}
_PAST = {"copy": "copied", "delete": "deleted", "skip": "skipped", "fail": "failed"}
_WIDTH_FOR_BARS = 130
_WIDTH_FOR_RATES = 100
_BAR = 24


class ConsoleSink:
    """Draws on a terminal while its `with` block lasts. `clock` gives seconds that never go back."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, verbose: bool = False) -> None:
        steady = SteadyStream(stream)
        self._clock = clock
        self._verbose = verbose
        self._marks = _MARKS if steady.unicode else _PLAIN_MARKS
        self._console = Console(file=cast(IO[str], steady), highlight=False, markup=False, emoji=False)
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._parts: dict[tuple[str, str], tuple[Meter, str]] = {}
        self._synced: dict[str, Counter[str]] = {}
        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def emit(self, event: Event) -> None:
        """Takes the event in, and prints what is to stay on the screen."""
        with self._lock:
            lasting = self._take(event)
        if lasting is not None:
            self._console.print(lasting)

    def _take(self, event: Event) -> RenderableType | None:
        match event:
            case RunStarted():
                return Text(line_of(event), style="bold")
            case StepStarted():
                self._started[event.step] = self._clock()
            case StepFinished():
                self._forget(event.step)
                return self._ended(event)
            case Progress():
                meter, _ = self._parts.setdefault((event.step, event.subject), (Meter(), event.unit))
                meter.update(event.done, event.total, event.estimated, self._clock())
            case ObjectSynced():
                self._synced.setdefault(event.bucket, Counter())[event.action] += 1
                return Text(line_of(event), style="dim") if self._verbose else None
            case Note():
                return Text(line_of(event))
            case RunFinished():
                pass  # the proof is printed next
        return None

    def _forget(self, step: str) -> None:
        """Takes a step that has ended, and its parts, off the display."""
        self._started.pop(step, None)
        for part in [part for part in self._parts if part[0] == step]:
            del self._parts[part]
            for bucket in [bucket for bucket in self._synced if bucket in part[1]]:
                del self._synced[bucket]
        if not self._started:
            self._synced.clear()

    def _ended(self, event: StepFinished) -> RenderableType:
        style = _STYLE.get(event.state, "")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, min_width=15)
        grid.add_column(no_wrap=True, justify="right", min_width=11)
        grid.add_column(overflow="fold")
        grid.add_row(
            Text(self._marks.get(event.state, "?"), style=style),
            Text(printable(event.step), style="bold" if event.state == "failed" else ""),
            Text("skipped" if event.state == "skipped" else duration(event.seconds), style="dim"),
            Text(printable(event.detail), style=style if event.state == "failed" else ""),
        )
        return grid

    def _picture(self) -> RenderableType:
        """What is going on now; called by the display's own thread."""
        with self._lock:
            return Group(*self._rows())

    def _rows(self) -> Iterator[RenderableType]:
        now = self._clock()
        for step, started in self._started.items():
            yield Text.assemble(
                (self._marks["running"], "cyan"), " ", printable(step), (f"  {duration(now - started)}", "dim")
            )
            yield self._bars(step, now)
        for bucket, counts in self._synced.items():
            said = ", ".join(f"{count:,} {_PAST.get(action, action)}" for action, count in sorted(counts.items()))
            yield Text(f"  {printable(bucket)}: {said}", style="dim", no_wrap=True, overflow="ellipsis")

    def _bars(self, step: str, now: float) -> Table:
        """The parts of one step, as wide as the terminal; widths are fixed, so that all steps stand in line."""
        bars, rates = self._console.width >= _WIDTH_FOR_BARS, self._console.width >= _WIDTH_FOR_RATES
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=1)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        if bars:
            grid.add_column(width=_BAR)
        grid.add_column(no_wrap=True, justify="right", width=4)
        grid.add_column(no_wrap=True, justify="right", width=32)
        if rates:
            grid.add_column(no_wrap=True, justify="right", width=18)
            grid.add_column(no_wrap=True, justify="right", width=17)
        for (owner, subject), (meter, unit) in self._parts.items():
            if owner != step:
                continue
            row: list[RenderableType] = ["", Text(printable(subject))]
            if bars:
                row.append(_bar(meter))
            row += [Text(percent_of(meter)), Text(count_of(meter, unit))]
            if rates:
                row += [Text(rate_of(meter, unit, now), style="cyan"), Text(left_of(meter, now), style="dim")]
            grid.add_row(*row)
        return grid


def _bar(meter: Meter) -> RenderableType:
    if meter.fraction is None:
        return Text("")
    return ProgressBar(total=1.0, completed=meter.fraction, width=_BAR)
