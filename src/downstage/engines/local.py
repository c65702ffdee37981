"""The local engine: lanes over spawned worker processes of this machine.

A worker that dies (killed, out of memory) takes its pool with it; the lanes that had not ended are run again in a new
pool, where each goes on from its checkpoints. A lane's own error is not retried: it is raised, after the lanes that
have not begun are dropped. A pool is handed a few lanes more than it has workers, and another whenever one ends: tens
of thousands cost no more each than ten. Spawn, not fork: a child inherits no lock, socket or key. A worker ends with
its parent, even when that was killed: nothing writes to a table that no run is watching.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.process import BaseProcess

from downstage.errors import DownstageError
from downstage.ports import Lane

_POOLS = 4
_WINDOW = 2
"""Lanes that are handed out, by worker: one under way, one at hand."""
_PATIENCE = 1.0
_MERCY = 0.5


class LocalEngine:
    """Implements `ports.Engine` with `workers` processes."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._stopped = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Lanes as they end. Raises DownstageError if workers keep dying, or after `stop`."""
        left = deque(lanes)
        for _ in range(_POOLS):
            if not left:
                return
            yield from self._one_pool(work, left)
            if left and self._stopped.is_set():
                raise DownstageError("the lanes were stopped: resume the run")
        if left:
            raise DownstageError(
                f"worker processes died {_POOLS} times (out of memory?): lower engine.workers, then resume the run"
            )

    def stop(self) -> None:
        """Terminates the workers, and waits for `run` to have noticed."""
        self._stopped.set()
        pool = self._pool
        if pool is not None:
            for worker in _workers_of(pool):
                worker.terminate()
        self._idle.wait(_PATIENCE)

    def _one_pool(self, work: Callable[[Lane], None], left: deque[Lane]) -> Iterator[Lane]:
        """Lanes that end before the pool breaks, taken off those `left`; ends quietly when it does."""
        workers = min(self._workers, len(left))
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare_worker,
        )
        self._pool = pool
        self._idle.clear()
        under_way: dict[Future[None], Lane] = {}
        try:
            while (left or under_way) and not self._stopped.is_set():
                with _deaf_to_interrupts():
                    while left and len(under_way) < _WINDOW * workers:
                        future = pool.submit(work, left[0])
                        under_way[future] = left.popleft()
                ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                    yield under_way.pop(future)
        except BrokenProcessPool:
            return
        finally:
            left.extendleft(reversed(under_way.values()))
            self._pool = None
            _end(pool)
            self._idle.set()


def _workers_of(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    return list((getattr(pool, "_processes", None) or {}).values())


def _end(pool: ProcessPoolExecutor) -> None:
    """Ends the pool now: what has not begun is dropped, what runs is terminated (its checkpoints stand)."""
    workers = _workers_of(pool)
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(_MERCY)
        if worker.is_alive():
            worker.kill()
            worker.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun in this block never see Ctrl-C, not even before they can ignore it; ours waits for its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """Runs first in each worker: Ctrl-C is the parent's to handle, and a worker ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
