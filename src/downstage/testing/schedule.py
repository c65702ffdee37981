"""A refresh's copy on a clock that only the simulation moves: lanes from the real schedule, workers and tables from the
model of `plan`.

A worker takes the next lane as soon as it is free, and reads the lane's segments side by side. What it gets through is
limited by its core, by how fast one segment can be read page after page, and by its equal share of what the table
takes, which is where pacing on throttles settles. Between two ends of segments nothing changes, so time goes from one
to the next. A worker is idle from the moment the queue has no lane for it until the last lane ends.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from downstage.planning import assumptions as given
from downstage.ports import Lane

SEGMENT_RATE = 16_000.0
"""Assumed items a second of the measured size that one segment gives: a page of 1 MB in 60 ms, one after the other."""

_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Simulated:
    """How long it took; the idle share of the run, of the worker that was idle longest and of all together."""

    seconds: float
    idle_most: float
    idle: float


@dataclass(slots=True)
class _Busy:
    """A worker's lane: its task, and the items that are left in each of its segments."""

    task: str
    left: list[float]
    core: float

    @property
    def wish(self) -> float:
        """Items a second that it could get through."""
        return min(1 / self.core, SEGMENT_RATE * len(self.left))


def simulate(
    lanes: Sequence[Lane],
    workers: int,
    items: Mapping[str, Sequence[float]],
    takes: Mapping[str, float],
    *,
    core: float = given.COPY_SECONDS,
) -> Simulated:
    """Runs it. `items` are those of each task's segments; `takes` is how many a second its table takes; `core` are the
    seconds of a worker's core that one item costs."""
    queue, busy = deque(lanes), dict[int, _Busy]()
    now, free_since = 0.0, [0.0] * workers
    while True:
        for worker in range(workers):
            if worker not in busy and queue:
                given_out = queue.popleft()
                segments = items[given_out.task]
                busy[worker] = _Busy(given_out.task, [segments[segment] for segment in given_out.segments], core)
        if not busy:
            break
        rates = _rates(busy, takes)
        passed = max(min(min(lane.left) * len(lane.left) / rates[worker] for worker, lane in busy.items()), _NOTHING)
        now += passed
        for worker, lane in list(busy.items()):
            through = rates[worker] * passed / len(lane.left)
            lane.left = [each - through for each in lane.left if each - through > _NOTHING]
            if not lane.left:
                del busy[worker]
                free_since[worker] = now
    idle = [(now - since) / now for since in free_since]
    return Simulated(now, max(idle), sum(idle) / workers)


def _rates(busy: Mapping[int, _Busy], takes: Mapping[str, float]) -> dict[int, float]:
    """What each worker gets through: its wish, or an equal share of what those that wish less leave of the table."""
    of_task: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for worker, lane in busy.items():
        of_task[lane.task].append((lane.wish, worker))
    rates = {}
    for task, wishes in of_task.items():
        left = takes[task]
        for place, (wish, worker) in enumerate(sorted(wishes)):
            rates[worker] = min(wish, left / (len(wishes) - place))
            left -= rates[worker]
    return rates


def spread(segments: int, items: float, dense: tuple[float, float] | None = None) -> list[float]:
    """The items of each segment of a table: evenly, but for one range of its key space that is `dense`: what part of
    the space it is, and what part of the items it holds."""
    if dense is None:
        return [items / segments] * segments
    width, share = dense
    begin = 1 / 3
    found = []
    for segment in range(segments):
        low, high = segment / segments, (segment + 1) / segments
        within = max(0.0, min(high, begin + width) - max(low, begin))
        found.append(items * (share * within / width + (1 - share) * (high - low - within) / (1 - width)))
    return found
