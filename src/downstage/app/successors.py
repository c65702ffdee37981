"""Noticing that a run has been taken over: whoever gives it up, or goes on with it, raises its epoch in the journal.

From then on the run can write nothing more into its journal, but only a write would tell it so, and a run that waits
for an index, or copies a large object, writes none for minutes. A run with a lease hears it at its next beat; one
without looks into its journal from a thread of its own. This also stops one run of a runner without ending the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from downstage.errors import DownstageError
from downstage.ports import Journal, RunRecord

LOOK = 2.0
"""Seconds between two looks."""


@contextmanager
def watching(journal: Journal, run: RunRecord, taken: Callable[[], None], pause: float = LOOK) -> Iterator[None]:
    """While the block runs, `taken` is called, once and from another thread, when the run has a higher epoch. A journal
    that cannot be read is looked at again."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(pause):
            if was_taken(journal, run):
                if not ended.is_set():
                    taken()
                return

    threading.Thread(target=watch, name="successor-watch", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def was_taken(journal: Journal, run: RunRecord) -> bool:
    """Whether somebody else has the run now; not if that cannot be read."""
    try:
        now = journal.run(run.run_id)
    except DownstageError:
        return False
    return now is not None and now.epoch > run.epoch
