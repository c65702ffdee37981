"""Who runs lanes, branches and queued runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lane:
    """The segments that one worker takes in turn, for one task."""

    task: str
    segments: tuple[int, ...]


class Engine(Protocol):
    """Runs lanes. `work` is picklable and idempotent: a lane whose worker died is run again from its checkpoints.

    Yields each lane as it ends well; raises the first error that `work` raised, after the other lanes have stopped.
    `stop` may be called from another thread: it ends every lane at once (its checkpoints stand), for good.
    """

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]: ...
    def stop(self) -> None: ...


class Durable(Protocol):
    """Carries a workflow's branches through; what is done is known from the journal, not from here."""

    def together(self, *branches: Callable[[], None]) -> None: ...


class RunQueue(Protocol):
    """Carries runs through that nobody waits for, one at a time for each environment, and takes up again what a dead
    process left. It may carry a run twice, or one that has ended: whoever carries it goes by the journal."""

    def hand_over(self, run_id: str, environment: str) -> None: ...
    def under_way(self) -> set[str]: ...
