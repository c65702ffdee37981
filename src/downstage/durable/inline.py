"""Runs a workflow in this process. What makes it survive a crash is the journal; this only runs branches together.

The first branch that fails decides the error; the others are waited for, because their side effects are under way
and their checkpoints are worth keeping.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class InlineDurable:
    """Implements `ports.Durable` with threads."""

    def together(self, *branches: Callable[[], None]) -> None:
        """Runs all branches at once and returns when all have ended. Raises the first error, by branch order."""
        with ThreadPoolExecutor(len(branches), thread_name_prefix="branch") as pool:
            futures = [pool.submit(branch) for branch in branches]
        for future in futures:
            future.result()
