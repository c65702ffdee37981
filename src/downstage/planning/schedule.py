"""The schedule: into how many segments a table is cut, and in which order lanes are handed out to whoever is free.

Nobody knows beforehand what a segment holds or how fast a table takes it, so the order must do without:

* segments are small, so that the last ones end together, and a range that holds much is many of them;
* tables stand side by side: the lane in the middle of one table is in the middle of the queue. Each table has its
  whole time to take what it can, and one that throttles holds nobody else up;
* neighbours in a table are not written at one time: their order follows no key;
* what was heavy the last time begins early: the order alone rests on that, never what is read.

What comes of it is simulated in bench/schedule.py, and told in docs/planning.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from downstage.ports import Checkpoint, Lane

INTERLEAVED = 4
"""Segments that one worker reads at a time: while one waits for an answer, another is masked."""

_LANES_A_WORKER = 4
_SEGMENT_BYTES = 32 * 1024 * 1024
_MOST_SEGMENTS = 100_000
_HEAVY = 4
"""A segment with so many times the items of the mean one has a lane of its own."""

_EARLY = 0.25
"""Heavy lanes begin in so much of a table's time: not at its end, and not all at once, where one throttles the next."""

Weights = Mapping[int, int]
"""Items of segments, as they were found before."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One table for one task, cut into segments. `name` makes the order of its own; those `done` need no lane."""

    task: str
    name: str
    segments: int
    done: frozenset[int] = frozenset()
    weights: Weights = field(default_factory=dict)


def segments_of(size: int, workers: int, wanted: int | None = None) -> int:
    """Into how many segments a table of `size` bytes is cut: many more than lanes, and more of them if it is large."""
    if wanted is not None:
        return wanted
    least = _LANES_A_WORKER * INTERLEAVED * workers
    return min(max(least, size // _SEGMENT_BYTES), _MOST_SEGMENTS)


def weights_of(checkpoints: Sequence[Checkpoint], counter: str, segments: int) -> Weights:
    """How many items the segments held; nothing if they were cut otherwise."""
    if not checkpoints or checkpoints[0].total_segments != segments:
        return {}
    return {each.segment: each.counters.get(counter, 0) for each in checkpoints}


def in_order(cuts: Sequence[Cut], workers: int) -> list[Lane]:
    """The lanes of all tables, in the order in which they are to be handed out. Where there are few segments (an export
    of few files), fewer make a lane, so that each of the `workers` has one."""
    placed: list[tuple[float, int, Lane]] = []
    for number, cut in enumerate(cuts):
        heavy, others = _parted(cut)
        share = sum(cut.weights[segment] for segment in heavy) / max(sum(cut.weights.values()), 1)
        early = max(_EARLY, share)
        width = _width(len(others), workers)
        together = [tuple(others[first : first + width]) for first in range(0, len(others), width)]
        for place, segment in enumerate(heavy):
            placed.append((early * place / len(heavy), number, Lane(cut.task, (segment,))))
        for place, segments in enumerate(together):
            middle = (place + 0.5) / len(together)
            placed.append((_beside(middle, share, early), number, Lane(cut.task, segments)))
    return [lane for _, _, lane in sorted(placed, key=lambda each: each[:2])]


def _beside(place: float, share: float, early: float) -> float:
    """Where a lane of the others goes, whose place among them is given: they are thinner where the heavy ones stand, so
    that every part of the queue holds its part of the table's items."""
    if share >= 1.0:
        return place
    within = (early - share) / (1 - share)
    if place < within:
        return place / within * early
    return early + (place - within) / (1 - within) * (1 - early)


def lanes_in(cut: Cut, workers: int) -> int:
    """How many lanes a table makes of which nothing is known."""
    return -(-cut.segments // _width(cut.segments, workers))


def _width(segments: int, workers: int) -> int:
    return max(1, min(INTERLEAVED, segments // workers))


def _parted(cut: Cut) -> tuple[list[int], list[int]]:
    """What is left of it: the heavy ones, the heaviest first, and the others; else in an order that is the same each
    time and follows no key."""
    limit = _HEAVY * sum(cut.weights.values()) / max(len(cut.weights), 1)
    left = sorted(
        (segment for segment in range(cut.segments) if segment not in cut.done),
        key=lambda segment: zlib.crc32(f"{cut.name}/{segment}".encode()),
    )
    heavy = [segment for segment in left if cut.weights.get(segment, 0) > limit]
    others = [segment for segment in left if cut.weights.get(segment, 0) <= limit]
    return sorted(heavy, key=lambda segment: cut.weights[segment], reverse=True), others
