"""Runs a workflow in this process. What makes it survive a crash is the journal; this only runs branches together.

The first branch that fails decides the error; the others are waited for, because their side effects are under way
and their checkpoints are worth keeping. An interrupt is not made to wait: the threads are daemons, the process may
end, and every branch goes on from its checkpoint when the run is resumed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class InlineDurable:
    """Implements `ports.Durable` with threads."""

    def together(self, *branches: Callable[[], None]) -> None:
        """Runs all branches at once and returns when all have ended. Raises the first error, by branch order."""
        running = [_Branch(branch) for branch in branches]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        for thread in running:
            if thread.error is not None:
                raise thread.error


class _Branch(threading.Thread):
    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__(name="branch", daemon=True)
        self._action = action
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001  raised again by `together`
            self.error = error
