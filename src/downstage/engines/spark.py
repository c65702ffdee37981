"""The Spark engine: lanes as tasks of a Spark application, on this machine or on a cluster.

A lane is one task of one small job: it is handed out as soon as a slot is free, tells of its end when it ends, and one
that fails stops the others. Items never reach Spark: a task does its reading and writing itself, and keeps its place in
the journal. So nothing depends on what Spark gives back, and a task that is run again goes on where it was.

Spark runs a lane again that died, whatever it died of (executor, worker, memory). Our own errors it is not told of:
they come back as values, and are raised here as they were. Progress is the journal's; accumulators are not used, for
they lose what failed attempts had done.
"""

from __future__ import annotations

import pickle
import queue
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from zipimport import zipimporter

from downstage import __version__
from downstage.engines.own_code import code_mark
from downstage.engines.spark_session import DESCRIPTION, SparkSettings, context_of, last_breath
from downstage.errors import ConfigError, DownstageError, SegmentEnded
from downstage.ports import Lane

_PATIENCE = 5.0
_NOTICED = 0.5
"""Seconds that `stop` waits: a process that a signal ends has the journal and a report to write besides."""

_ONCE_MORE = 0.1
_ARRIVAL = 300.0
_STOPPED = "the lanes were stopped: resume the run"
_KIND = re.compile(r"^(?:[\w.]+\.)?LaneDied: (\w+)$", re.MULTILINE)
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'$", re.MULTILINE)
_ENDED = re.compile(r"SparkContext was shut down|Master removed our application|stopped SparkContext")


class LaneDied(Exception):
    """A lane ended by something that is no error of ours. Holds the kind of it alone: the text might quote an item."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a lane; `error` is None if it ended well."""

    lane: Lane
    error: BaseException | None


class SparkEngine:
    """Implements `ports.Engine` with at most `workers` lanes at one time. The Spark application begins with the first
    lanes, and goes on until the process ends. Within `arrival` seconds one of its executors must have answered."""

    def __init__(self, workers: int, settings: SparkSettings, *, arrival: float = _ARRIVAL) -> None:
        self._workers = workers
        self._settings = settings
        self._arrival = arrival
        self._stopped = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Lanes as they end. Raises DownstageError if one keeps dying, or after `stop`; ConfigError if there is no
        Spark, no executor comes, or its workers are not ours."""
        if not lanes:
            return
        if self._stopped.is_set():
            raise DownstageError(_STOPPED)
        context = context_of(self._settings, self._workers)
        self._idle.clear()
        try:
            _same_code(context, self._stopped, self._arrival)
            yield from self._lanes(context, work, lanes)
        finally:
            self._idle.set()

    def _lanes(self, context: Any, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        share = _Share(context, _group(), work, lanes, min(self._workers, len(lanes)), self._stopped)
        try:
            for _ in lanes:
                ended = share.next()
                if self._stopped.is_set():
                    raise DownstageError(_STOPPED)
                if ended.error is not None:
                    raise ended.error
                yield ended.lane
        except Exception:  # not an interrupt: who sends one does not wait, and epoch and lease bound what is cut off
            share.end()
            share.outlive()
            raise
        finally:
            share.end()

    def stop(self) -> None:
        """Has the tasks cancelled, and waits a little for `run` to have noticed."""
        self._stopped.set()
        self._idle.wait(_NOTICED)


class _Share:
    """Hands lanes out to threads, each of which waits for one task at a time."""

    def __init__(
        self,
        context: Any,
        group: str,
        work: Callable[[Lane], None],
        lanes: Sequence[Lane],
        threads: int,
        stopped: threading.Event,
    ) -> None:
        from pyspark import InheritableThread

        self._context = context
        self._group = group
        self._task = partial(carry_out, work, code=code_mark())
        self._left: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in lanes:
            self._left.put(lane)
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._over = threading.Event()
        self._cut_off = threading.Event()
        self._stopped = stopped
        self._threads = [
            InheritableThread(self._hand_out, name=f"spark-lane-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def next(self) -> _Ended:
        """The next lane that ends; one without meaning once the engine was stopped."""
        while True:
            try:
                return self._ended.get(timeout=0.2)
            except queue.Empty:
                if self._stopped.is_set():
                    return _Ended(Lane("", ()), None)

    def end(self) -> None:
        """No further lane begins, and what runs is cancelled: its checkpoints stand. For Spark the tasks are over at
        once; their Python goes on for a moment."""
        self._over.set()
        while any(thread.is_alive() for thread in self._threads):
            with suppress(Exception):  # a Spark that is gone has nothing left to cancel
                self._context.cancelJobGroup(self._group)  # again: a job may just have begun
            for thread in self._threads:
                thread.join(_ONCE_MORE)

    def outlive(self) -> None:
        """After `end`: waits until Spark has ended the workers of what was cut off, or must have, for nothing tells of
        them; no longer than until the engine is stopped."""
        if self._cut_off.is_set():
            self._stopped.wait(last_breath(self._context))

    def _hand_out(self) -> None:
        while not (self._over.is_set() or self._stopped.is_set()):
            try:
                lane = self._left.get_nowait()
            except queue.Empty:
                return
            self._ended.put(_Ended(lane, self._one(lane)))

    def _one(self, lane: Lane) -> BaseException | None:
        """Runs one lane as a job of one task; gives what it ended with."""
        from py4j.protocol import Py4JJavaError

        try:
            self._context.setJobGroup(self._group, DESCRIPTION, interruptOnCancel=True)
            (said,) = self._context.parallelize([lane], 1).mapPartitions(self._task).collect()
        except Exception as error:  # noqa: BLE001  of a Spark that died, whatever py4j makes of it: who waits must hear it
            if self._over.is_set():
                self._cut_off.set()
                return None
            if not isinstance(error, Py4JJavaError):
                return DownstageError(
                    f"Spark itself ended under a lane of {lane.task} ({type(error).__name__}; out of memory?): see its "
                    "log, then resume the run"
                )
            return _died(lane, str(error))
        ended: BaseException | None = pickle.loads(said) if said else None  # noqa: S301  of our own worker, over Spark
        return ended


def _died(lane: Lane, said: str) -> DownstageError:
    """What to make of a task that Spark has given up; `said` may quote anything, and is only looked through."""
    missing, kinds = _MISSING.findall(said), _KIND.findall(said)
    if missing and not kinds:
        return ConfigError(
            f"a worker of Spark has no module {missing[-1]}: install downstage {__version__} for the "
            "Python that PYSPARK_PYTHON names, on every machine; then resume the run"
        )
    return DownstageError(
        f"a lane of {lane.task} died again and again on Spark ({kinds[-1] if kinds else 'its process was lost'}"
        "; out of memory?): see the executors' logs, then resume the run"
    )


def carry_out(work: Callable[[Lane], None], lanes: Iterator[Lane], *, code: str) -> Iterator[bytes]:
    """What a task does, in a worker of Spark: one lane, by the driver's own `code` and no other. Yields nothing (`b""`)
    for one that ended well, else our error, pickled. Raises LaneDied for all else, which Spark answers with another
    attempt; and where an attempt that Spark has given up was faster: that one ends here, and if it is this that Spark
    waits for, the next goes on with what is left.
    """
    for lane in lanes:
        try:
            refuse_other_code(code_mark(), code)
            work(lane)
        except SegmentEnded as error:
            raise LaneDied(type(error).__name__) from None
        except DownstageError as error:
            yield pickle.dumps(error)
        except Exception as error:  # noqa: BLE001  whatever it is, its text must not reach Spark's logs
            raise LaneDied(type(error).__name__) from None
        else:
            yield b""
    _forget_archives()


def _forget_archives() -> None:
    """Spark has each task of a worker forget what Python knows of places to import from, and a zip file (Spark's own)
    is then read anew: a tenth of a second of a core. Python makes the entries again if it needs them."""
    for place, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            sys.path_importer_cache.pop(place, None)


def _group() -> str:
    """A name for jobs that are cancelled together."""
    return f"downstage-{uuid.uuid4().hex[:12]}"


def refuse_other_code(theirs: str, ours: str) -> None:
    """Raises ConfigError if a worker has another Downstage than the driver."""
    if theirs != ours:
        raise ConfigError(
            f"a worker of Spark has downstage {theirs}, this is {ours}: install the same on every machine, for the "
            "Python that PYSPARK_PYTHON names (nothing was written there)"
        )


def _same_code(context: Any, stopped: threading.Event, arrival: float) -> None:
    """Raises ConfigError unless the workers have the Downstage that this process is, and one of them answers within
    `arrival` seconds; DownstageError once `stopped`, or if Spark ends meanwhile. Looks once an application."""
    if getattr(context, "_downstage_checked", False):
        return
    theirs = _answer(context, stopped, arrival)
    if isinstance(theirs, Exception):
        raise _told(theirs) from None
    refuse_other_code(theirs, code_mark())
    context._downstage_checked = True


def _answer(context: Any, stopped: threading.Event, arrival: float) -> str | Exception:
    """What a worker says of its Downstage, or what came instead. A thread waits for it: Spark itself would for ever,
    where no executor comes."""
    from pyspark import InheritableThread

    group = _group()
    said: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            context.setJobGroup(group, DESCRIPTION, interruptOnCancel=True)
            (theirs,) = context.parallelize([0], 1).mapPartitions(_code_there).collect()
        except Exception as error:  # noqa: BLE001  whatever py4j makes of it: who waits must hear it
            said.put(error)
        else:
            said.put(theirs)

    asking = InheritableThread(ask, name="spark-look", daemon=True)
    asking.start()
    until = time.monotonic() + arrival
    while not stopped.is_set() and time.monotonic() < until:
        with suppress(queue.Empty):
            return said.get(timeout=0.2)
    for _ in range(10):
        with suppress(Exception):  # a Spark that is gone has nothing left to cancel
            context.cancelJobGroup(group)  # again: the job may just have begun
        asking.join(_PATIENCE / 10)
        if not asking.is_alive():
            break
    if stopped.is_set():
        return DownstageError(_STOPPED)
    return ConfigError(
        f"no executor of Spark has come and answered within {arrival:.0f} s: check that the cluster has workers, and "
        "that spark.executor.memory and spark.executor.cores fit into one of them; then resume the run"
    )


def _told(error: Exception) -> DownstageError:
    """In one line what has kept a worker from answering."""
    from py4j.protocol import Py4JJavaError

    if isinstance(error, DownstageError):
        return error
    if isinstance(error, Py4JJavaError) and not _ENDED.search(str(error)):
        return ConfigError(
            "Spark's workers cannot run Python code of this Downstage: install the same Python and downstage there, or "
            "name a Python that has it (PYSPARK_PYTHON, or spark.archives with a packed environment)"
        )
    return DownstageError(
        f"Spark itself ended before its first lane ({type(error).__name__}; no room for its executors?): see its log, "
        "check engine.spark, then resume the run"
    )


def _code_there(_rows: Iterator[int]) -> Iterator[str]:
    """Which Downstage a worker has."""
    yield code_mark()
