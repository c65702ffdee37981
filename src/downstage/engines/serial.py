"""The serial engine: one lane after another in this process. For tests, debugging and very small tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from downstage.errors import DownstageError
from downstage.ports import Lane


class SerialEngine:
    """Implements `ports.Engine` without any concurrency."""

    def __init__(self) -> None:
        self._stopped = False

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Each lane in turn. Raises DownstageError after `stop`."""
        for lane in lanes:
            if self._stopped:
                raise DownstageError("the lanes were stopped: resume the run")
            work(lane)
            yield lane

    def stop(self) -> None:
        """No further lane begins."""
        self._stopped = True
