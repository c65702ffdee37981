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
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from downstage.domain.plan import BucketPair, Compare
from downstage.errors import AwsError
from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectTransfer, Sealer
from downstage.syncing.allowance import Allowance
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange, SourcePages, stretches
from downstage.syncing.merge import ARCHIVED, Action, Operation, comparing
from downstage.syncing.parked import Parked
from downstage.syncing.results import ARCHIVED_CODES, Results, Told, nobody
from downstage.syncing.window import Place, Window, packed, unpacked

COPIES_AT_ONCE = 192
MOST_PARKED = 1000
_WINDOW = 5000
_DELETES = 1000
_SAVE_SECONDS = 1.0
_DRAIN_SECONDS = 30.0
_IN_A_ROW = 50
"""So many copies in a row that S3 refuses are no single objects' matter."""

_COUNTERS = ("copied", "deleted", "unchanged", "skipped", "failed", "extra", "bytes_copied", "other_etags")


@dataclass(frozen=True, slots=True)
class RangeTask:
    """One range. `context` is what its cursor is sealed for: run, bucket, both accounts, options, range. `deletes` is
    how many objects may be deleted in it. `listed` stands in for the source's listing."""

    context: str
    pair: BucketPair
    keys: KeyRange
    compare: Compare
    deletes: int
    listed: SourcePages | None = None


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
    and one `skipped: REASON` or `failed: REASON` for each reason.
    """
    if checkpoint.done:
        return checkpoint
    work = _Work(task, checkpoint, transfer, sealer, save, told, clock, sleep, stop_at, copies_at_once)
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
        self._counters = dict.fromkeys(_COUNTERS, 0) | dict(checkpoint.counters)
        state = unpacked(sealer.open(checkpoint.cursor, task.context)) if checkpoint.cursor else {}
        self._window = Window(state.get("after"), state.get("parked", []), self._count)
        self._saved_at = clock()
        self._refused_in_a_row = 0
        self._allowance = Allowance(task.pair.target.name, task.deletes, state, self._counters["deleted"])
        self._queue: asyncio.Queue[tuple[Place, Operation]] = asyncio.Queue(copies_at_once)
        self._copies_at_once = copies_at_once
        self._under_way = 0
        self._changed = asyncio.Event()
        self._doomed: list[tuple[Place, Operation]] = []
        self._deleting: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._first_left: str | None = None

    async def run(self, chosen: KeyFilter) -> Checkpoint:
        copiers = [asyncio.create_task(self._copier()) for _ in range(self._copies_at_once)]
        try:
            in_time = await self._merge(chosen)
            await self._drain()
            in_time = in_time and self._first_left is None
            self._doomed = [each for each in self._doomed if not self._is_left(each[1].key)]
            self._begin_delete()
            await self._drain()
            in_time = in_time and not (self._under_way or self._deleting)
            for copier in copiers:
                copier.cancel()
            if in_time:
                in_time = await self._look_again(chosen)
            self._save_now(done=in_time and not self._window.parked)
        except BaseException:
            self._save_now()
            raise
        finally:
            for running in (*copiers, *self._deleting):
                running.cancel()
            await asyncio.gather(*copiers, *self._deleting, return_exceptions=True)
        return self._checkpoint

    # -- the merge

    async def _merge(self, chosen: KeyFilter) -> bool:
        """Issues everything; False if the time was up before."""
        task = self._task
        keys = replace(task.keys, after=self._window.cursor if self._window.cursor is not None else task.keys.after)
        merged = stretches(self._pair, keys, self._transfer, chosen, comparing(task.compare), listed=task.listed)
        try:
            async for stretch in merged:
                for operation in stretch.operations:
                    if self._is_late() or not await self._issue(operation):
                        return False
                if stretch.last:
                    self._window.passed(stretch.last, _between(stretch.unchanged, stretch.extra))
                self._save_if_due()
                if self._is_late():
                    return False
                self._raise_broken()
        finally:
            await merged.aclose()  # type: ignore[attr-defined]
        return True

    async def _issue(self, operation: Operation) -> bool:
        """Whether there was time for it."""
        window = self._window
        while len(window) >= _WINDOW and self._broken is None:
            self._begin_delete()  # what waits for a full batch must not hold up the cursor
            if self._is_late():
                return False
            if len(window.parked) < MOST_PARKED:
                window.park_first()  # thousands have ended while it was going on
            else:
                await self._wait()
        self._raise_broken()
        place = window.begin(operation.key, _between(operation.unchanged, operation.extra))
        if operation.action is Action.SKIP:
            window.end(place, self._results.skipped(operation.key, operation.reason))
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
            self._allowance.take(operation.key)
            self._doomed.append((place, operation))
            if len(self._doomed) >= _DELETES:
                self._begin_delete()
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
            self._refused_in_a_row = 0
            self._window.end(place, self._results.copied(operation.source, operation.key, result))
        elif result.code in ARCHIVED_CODES:
            self._window.end(place, self._results.skipped(operation.key, ARCHIVED))
        else:
            self._window.park(place)
            self._check_refusals(result)
        self._save_if_due()

    async def _copy(self, item: ObjectFacts, key: str) -> CopyResult:
        pair = self._pair
        return await self._transfer.copy(pair.source, pair.target, item, pair.options.target_prefix + key)

    def _check_refusals(self, result: CopyResult) -> None:
        """Raises where it is no single object's matter that copies are refused."""
        if result.refusal in ("changed", "gone"):
            self._refused_in_a_row = 0
        else:
            self._refused_in_a_row += 1
        if self._refused_in_a_row >= _IN_A_ROW or len(self._window.parked) > MOST_PARKED:
            hint = "; allow it in the role's policy, or set 'tags: skip'" if result.code == "AccessDenied" else ""
            if self._task.listed is not None and result.refusal in ("changed", "gone"):
                hint = "; too much has changed since the inventory was made: sync with a newer one, or without"
            raise AwsError(
                f"bucket {self._pair.target.name}: S3 refuses one copy after the other ({result.code}){hint}; "
                "what was copied stands",
                result.code,
            )

    # -- deletes

    def _begin_delete(self) -> None:
        if self._doomed:
            doomed, self._doomed = self._doomed, []
            self._save_now()  # what is sent counts, though we be killed before the cursor passes it
            task = asyncio.create_task(self._guarded(partial(self._delete, doomed)))
            self._deleting.add(task)
            task.add_done_callback(self._delete_ended)

    def _delete_ended(self, task: asyncio.Task[None]) -> None:
        self._deleting.discard(task)
        self._changed.set()

    async def _delete(self, doomed: list[tuple[Place, Operation]]) -> None:
        prefix = self._pair.options.target_prefix
        failed = await self._transfer.delete(self._pair.target, [prefix + operation.key for _, operation in doomed])
        for place, operation in doomed:
            if prefix + operation.key not in failed:
                self._window.end(place, self._results.deleted(operation.key))
        for place, operation in doomed:  # after those that are done, which a refusal must not keep from being told
            if prefix + operation.key in failed:
                self._allowance.give_back(operation.key)
                self._window.park(place)
                self._check_refusals(CopyResult(refusal="refused", code=failed[prefix + operation.key]))
        self._save_if_due()

    # -- what was parked

    async def _look_again(self, chosen: KeyFilter) -> bool:
        """Settles what is parked, one key after the other; False if the time was up before."""
        parked = Parked(self._pair, self._transfer, self._task.compare, self._allowance, self._results, self._sleep)
        for key in list(self._window.parked):
            if self._is_late():
                return False
            self._count(await parked.settled(key))
            del self._window.parked[key]
            self._save_if_due()
        return True

    # -- the run of things

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keeps the first error for whoever issues operations."""
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised by the one who waits
            self._broken = self._broken or error
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
        while (self._under_way or self._deleting) and self._broken is None:
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
        state = packed(after=window.cursor, parked=list(window.parked), **self._allowance.state())
        checkpoint = self._checkpoint
        self._checkpoint = Checkpoint(
            checkpoint.segment,
            checkpoint.total_segments,
            cursor=None if done else self._sealer.seal(state, self._task.context),
            done=done,
            counters=self._counters | {"deleted": self._counters["deleted"] + window.beyond("deleted")},
        )
        self._save(self._checkpoint)


def _between(unchanged: int, extra: int) -> dict[str, int]:
    """The counters of keys that need nothing."""
    if not extra:
        return {"unchanged": unchanged} if unchanged else _NOTHING
    return {"unchanged": unchanged, "extra": extra}


_NOTHING: dict[str, int] = {}
