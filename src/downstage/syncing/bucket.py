"""The sync of one key range of one bucket: merge, copy and delete, checkpoint, until the range is done or time is up.

Copies go on many at a time, in any order; the cursor (see `window`) is the last key below which all is done, and is
saved, sealed, only after that is so. A copy that S3 refuses for the object's own sake, or that turns out slow, is
parked; what is parked is looked at again at the end, by the listings of that one key: it is copied, deleted, found
equal, or named as failed. Deletes are counted against an allowance that the plan pass set: a source that shrinks under
our hands empties nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectTransfer, Sealer
from downstage.syncing.allowance import Allowance
from downstage.syncing.deletes import Deletes
from downstage.syncing.keys import KeyFilter
from downstage.syncing.left import LEFT, MODULUS, mark, unmarked
from downstage.syncing.listing import stretches
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import UNLISTED_ARCHIVE, Action, Operation, comparing
from downstage.syncing.parked import Parked
from downstage.syncing.pausing import pausing
from downstage.syncing.refusals import Refusals
from downstage.syncing.results import ARCHIVED_CODES, Results, Told, between, nobody
from downstage.syncing.task import RangeTask
from downstage.syncing.window import Place, Window, packed, unpacked

COPIES_AT_ONCE = 192
MOST_PARKED = 1000
_WINDOW = 5000
_SAVE_SECONDS = 1.0
_DRAIN_SECONDS = 30.0
_COUNTERS = ("copied", "deleted", "unchanged", "skipped", "failed", "extra", "bytes_copied", "other_etags")


async def sync_range(
    task: RangeTask,
    checkpoint: Checkpoint,
    *,
    transfer: ObjectTransfer,
    sealer: Sealer,
    save: Callable[[Checkpoint], None],
    chosen: KeyFilter,
    told: Told = nobody,
    stop_at: float | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    copies_at_once: int = COPIES_AT_ONCE,
) -> Checkpoint:
    """Syncs what is left of the range; gives the last checkpoint, which is `done` unless the time was up.

    From `stop_at` (seconds of `clock`) on nothing new begins. Counters: copied, deleted, unchanged, skipped, failed,
    extra (of the target alone, and kept), bytes_copied, other_etags (copies whose ETag is another than the source's),
    and one `skipped: REASON` or `failed: REASON` for each reason. Its digest is of what the sync leaves in the target
    (see `left`), without what is of the target alone, and whole unless something has failed.
    """
    if checkpoint.done:
        return checkpoint
    work = _Work(task, checkpoint, transfer, sealer, save, told, clock, sleep, stop_at, copies_at_once)
    async with pausing(transfer, stop_at, clock):
        return await work.run(chosen)


class _Work:
    """One attempt at one range."""

    def __init__(
        self,
        task: RangeTask,
        checkpoint: Checkpoint,
        transfer: ObjectTransfer,
        sealer: Sealer,
        save: Callable[[Checkpoint], None],
        told: Told,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        stop_at: float | None,
        copies_at_once: int,
    ) -> None:
        self._task = task
        self._pair = task.pair
        self._transfer = transfer
        self._sealer = sealer
        self._save = save
        self._results = Results(task.pair, told)
        self._clock = clock
        self._sleep = sleep
        self._stop_at = stop_at
        self._checkpoint = checkpoint
        self._counters = dict.fromkeys(_COUNTERS, 0) | dict(checkpoint.counters) | {LEFT: checkpoint.digest}
        self._lookup = Lookup(task.pair, transfer, comparing(task.compare))
        state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
        self._window = Window(state.get("after"), state.get("parked", []), self._count)
        self._uploads: dict[str, str] = state.get("uploads", {})
        self._saved_at = clock()
        self._refusals = Refusals(task, MOST_PARKED)
        self._allowance = Allowance(task.pair.target.name, task.deletes, state, self._counters["deleted"])
        self._queue: asyncio.Queue[tuple[Place, Operation]] = asyncio.Queue(copies_at_once)
        self._copies_at_once = copies_at_once
        self._under_way = 0
        self._changed = asyncio.Event()
        self._deletes = Deletes(
            task.pair,
            transfer,
            self._lookup,
            self._window,
            self._allowance,
            self._results,
            state,
            save=self._save_now,
            refused=lambda code: self._refusals.check(CopyResult("", "refused", code), len(self._window.parked)),
            ended=self._batch_ended,
        )
        self._broken: BaseException | None = None
        self._first_left: str | None = None

    async def run(self, chosen: KeyFilter) -> Checkpoint:
        copiers = [asyncio.create_task(self._copier()) for _ in range(self._copies_at_once)]
        try:
            in_time = await self._merge(chosen)
            await self._drain()
            in_time = in_time and self._first_left is None
            self._deletes.forget(self._is_left)
            self._deletes.begin()
            await self._drain()
            in_time = in_time and not (self._under_way or self._deletes.under_way)
            for copier in copiers:
                copier.cancel()
            if in_time:
                in_time = await self._look_again(chosen)
            self._save_now(done=in_time and not self._window.parked)
        except BaseException:
            self._save_now()
            raise
        finally:
            for copier in copiers:
                copier.cancel()
            await asyncio.gather(*copiers, return_exceptions=True)
            await self._deletes.stop()
        return self._checkpoint

    # -- the merge

    async def _merge(self, chosen: KeyFilter) -> bool:
        """Issues everything; False if the time was up before."""
        task = self._task
        merged = stretches(
            self._pair,
            task.rest(self._window.cursor),
            self._transfer,
            chosen,
            comparing(task.compare),
            listed=task.listed,
            mark=mark if task.marked else unmarked,
        )
        try:
            async for stretch in merged:
                gone = await self._deletes.carried_out_earlier(stretch.last, stretch.operations)
                for operation in stretch.operations:
                    self._deletes.count(gone, operation.key)
                    if self._is_late() or not await self._issue(operation):
                        return False
                if stretch.last:
                    self._deletes.count(gone)
                    self._window.passed(stretch.last, between(stretch))
                self._save_if_due()
                if self._is_late():
                    return False
                self._raise_broken()
        finally:
            await merged.aclose()  # type: ignore[attr-defined]
        self._deletes.count(await self._deletes.carried_out_earlier())
        return True

    async def _issue(self, operation: Operation) -> bool:
        """Whether there was time for it."""
        window = self._window
        while len(window) >= _WINDOW and self._broken is None:
            self._deletes.begin()  # what waits for a full batch must not hold up the cursor
            if self._is_late():
                return False
            if len(window.parked) < MOST_PARKED:
                window.park_first()  # thousands have ended while it was going on
            else:
                await self._wait()
        while operation.action is Action.DELETE and len(window) and self._broken is None:
            if not self._allowance.is_full(operation.key, window.cursor, window.parked):
                break
            self._deletes.begin()
            if self._is_late():
                return False
            if self._deletes.under_way or len(window.parked) >= MOST_PARKED:
                await self._wait(1.0)
            else:
                window.park_first()  # a copy: names of deletes that have ended wait for the cursor behind it
        self._raise_broken()
        place = window.begin(operation.key, between(operation))
        if operation.action is Action.SKIP:
            window.end(place, self._results.skipped(operation.key, operation.reason, operation.target))
        elif operation.action is Action.COPY:
            self._under_way += 1
            while self._queue.full() and not self._is_late() and self._broken is None:
                await self._wait(1.0)
            self._raise_broken()
            if self._is_late():  # it was never begun: the cursor stays before it
                self._under_way -= 1
                self._leave(operation.key)
                return False
            self._queue.put_nowait((place, operation))
        else:
            self._deletes.add(place, operation)
        return True

    def _leave(self, key: str) -> None:
        """The copy is left undone. Who issues and who copies find out one before the other: the lowest key counts."""
        self._first_left = key if self._first_left is None else min(self._first_left, key)

    def _is_left(self, key: str) -> bool:
        """Whether the key lies beyond the first copy that was left undone: the next call comes to it."""
        return self._first_left is not None and key > self._first_left

    def _is_late(self) -> bool:
        return self._stop_at is not None and self._clock() >= self._stop_at

    # -- copies

    async def _copier(self) -> None:
        """Takes operations in the order in which they were issued. What it takes when the time is up, or something is
        broken, it leaves undone."""
        while True:
            place, operation = await self._queue.get()
            if self._broken is None and not self._is_late():
                try:
                    await self._carry_out(place, operation)
                except asyncio.CancelledError:
                    raise
                except BaseException as error:  # noqa: BLE001 - it is raised by the one who issues
                    self._broken = self._broken or error
            else:
                self._leave(operation.key)
            self._under_way -= 1
            self._changed.set()

    async def _carry_out(self, place: Place, operation: Operation) -> None:
        assert operation.source is not None
        result = await self._copy(operation.source, operation.key)
        if not result.refusal:
            self._refusals.none()
            self._window.end(place, self._results.copied(operation.source, operation.key, result))
        elif result.refusal == "unfinished":
            self._uploads[operation.key] = result.code
            self._window.park(place)
        elif result.code in ARCHIVED_CODES:
            self._window.end(place, self._results.skipped(operation.key, UNLISTED_ARCHIVE, operation.target))
        else:
            self._window.park(place)
            self._refusals.check(result, len(self._window.parked))
        self._save_if_due()

    async def _copy(self, item: ObjectFacts, key: str) -> CopyResult:
        pair = self._pair
        return await self._transfer.copy(pair.source, pair.target, item, pair.options.target_prefix + key)

    # -- what was parked

    async def _look_again(self, chosen: KeyFilter) -> bool:
        """Settles what is parked, one key after the other; False if the time was up before."""
        parked = Parked(
            self._pair, self._transfer, self._lookup, self._deletes, self._results, self._uploads, self._sleep
        )
        for key in list(self._window.parked):
            if self._is_late():
                return False
            counts = await parked.settled(key)
            if counts is None:
                return False
            self._count(counts)
            del self._window.parked[key]
            self._save_if_due()
        return True

    # -- the run of things

    def _batch_ended(self, error: BaseException | None) -> None:
        self._broken = self._broken or error
        self._save_if_due()
        self._changed.set()

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def _wait(self, most: float | None = None) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._changed.wait()

    async def _drain(self) -> None:
        """Waits until what was issued has ended; not for ever, where the time is up."""
        loop, late = asyncio.get_running_loop(), None
        while (self._under_way or self._deletes.under_way) and self._broken is None:
            if self._is_late():
                late = loop.time() if late is None else late
                if loop.time() - late >= _DRAIN_SECONDS:
                    break  # what has not ended is not below the cursor, or is parked
            await self._wait(None if self._stop_at is None else 1.0)
        self._raise_broken()

    def _count(self, counts: dict[str, int]) -> None:
        for name, number in counts.items():
            self._counters[name] = self._counters.get(name, 0) + number

    def _save_if_due(self) -> None:
        if self._clock() - self._saved_at >= _SAVE_SECONDS:
            self._save_now()

    def _save_now(self, *, done: bool = False) -> None:
        self._saved_at = self._clock()
        window = self._window
        self._allowance.passed(window.cursor, window.parked)
        state = packed(
            after=window.cursor,
            parked=list(window.parked),
            uploads=self._uploads,
            **self._allowance.state(),
            **self._deletes.state(),
        )
        checkpoint = self._checkpoint
        counters = self._counters | {"deleted": self._counters["deleted"] + window.beyond("deleted")}
        left = counters.pop(LEFT) % MODULUS
        self._checkpoint = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=None if done else self._sealer.seal(state, self._task.context),
            done=done,
            digest=left,
            counters=counters,
        )
        self._save(self._checkpoint)
