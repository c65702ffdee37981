"""Progress of lanes, told from the journal: so it is true after retries, dead workers and resumes.

A thread looks at the checkpoints now and then while the lanes run. It may miss a beat (a journal that is busy costs
a look, never the run); the last look is made by the caller's own thread when the lanes have ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from downstage.domain.events import Progress
from downstage.errors import JournalError
from downstage.workflow.parts import Parts, TableWork
from downstage.workflow.sums import summed

_POLL = 0.5
_REST = 20
"""A look may cost a journal that is far away much reading: it rests so many times as long as the look took."""


@contextmanager
def watching(parts: Parts, task: str, works: Sequence[TableWork], counter: str) -> Iterator[None]:
    """While the block runs, emits `Progress` of `counter` for each table of the task; and once more at its end."""
    totals = {work.target: _about(parts, task, work) for work in works}

    def tell() -> None:
        for work in works:
            done = summed(parts.journal.checkpoints(parts.run.run_id, f"{task}/{work.target}")).get(counter, 0)
            total, estimated = totals[work.target]
            parts.emit(Progress(task, work.target, done, max(done, total) or None, "items", estimated))

    with telling(tell, task):
        yield


@contextmanager
def telling(tell: Callable[[], None], task: str) -> Iterator[None]:
    """While the block runs, calls `tell` now and then, in a thread of its own; and once more at the block's end."""
    stop = threading.Event()
    watcher = threading.Thread(target=_repeat, args=(tell, stop), name=f"watch-{task}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    tell()


def _about(parts: Parts, task: str, work: TableWork) -> tuple[int, bool]:
    """How many items to expect: what was written, or the table's own count, which lags by hours."""
    if task == "verify":
        return summed(parts.journal.checkpoints(parts.copy_run, f"copy/{work.target}")).get("written", 0), False
    if work.export is not None:
        return work.export.items, False
    return parts.source_tables.facts(work.source).items, True


def _repeat(tell: Callable[[], None], stop: threading.Event) -> None:
    wait = _POLL
    while not stop.wait(wait):
        began = time.monotonic()
        try:
            tell()
        except JournalError:
            continue
        wait = max(_POLL, (time.monotonic() - began) * _REST)
