"""The serial engine: one lane after another in this process. For tests, debugging and very small tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from downstage.ports import Lane


class SerialEngine:
    """Implements `ports.Engine` without any concurrency."""

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Each lane in turn."""
        for lane in lanes:
            work(lane)
            yield lane
