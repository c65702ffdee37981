"""Progress of lanes, told from the journal: so it is true after retries, dead workers and resumes.

A thread looks at the checkpoints now and then while the lanes run. It may miss a beat (a journal that is busy costs
a look, never the run); the last look is made by the caller's own thread when the lanes have ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from downstage.domain.events import Progress
from downstage.errors import JournalError
from downstage.workflow.parts import Parts, TableWork
from downstage.workflow.sums import summed

_POLL = 0.5


@contextmanager
def watching(parts: Parts, task: str, works: Sequence[TableWork], counter: str) -> Iterator[None]:
    """While the block runs, emits `Progress` of `counter` for each table of the task; and once more at its end."""
    totals = {work.target: _about(parts, task, work) for work in works}
    stop = threading.Event()

    def tell() -> None:
        for work in works:
            done = summed(parts.journal.checkpoints(parts.run.run_id, f"{task}/{work.target}")).get(counter, 0)
            total, estimated = totals[work.target]
            parts.emit(Progress(task, work.target, done, max(done, total) or None, "items", estimated))

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
    return parts.source_tables.facts(work.source).items, True


def _repeat(tell: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(_POLL):
        try:
            tell()
        except JournalError:
            continue
