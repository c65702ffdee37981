"""The deletes of one range: gathered, sent up to 1,000 at a time, heard of key by key, each counted once.

S3 may have carried out what was sent though no answer was heard: the time was up, or we were killed. What was sent is
in the checkpoint before it goes out, so the next call knows: a key of it that the target has no more was deleted by us,
and is counted then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import takewhile
from typing import Any

from downstage.domain.plan import BucketPair
from downstage.domain.together import few_at_a_time
from downstage.ports import ObjectTransfer
from downstage.syncing.allowance import Allowance
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import Operation
from downstage.syncing.results import Results
from downstage.syncing.window import Place, Window

_AT_ONCE = 1000
_LOOKUPS = 32


class Deletes:
    """Of one range. `state` is what `state()` gave an earlier call. `save` saves the checkpoint; `refused` is told of
    S3's word for each key that stayed, and may raise; `ended` is called whenever a batch has ended, with the error that
    it ended with, if any."""

    def __init__(
        self,
        pair: BucketPair,
        transfer: ObjectTransfer,
        lookup: Lookup,
        window: Window,
        allowance: Allowance,
        results: Results,
        state: Mapping[str, Any],
        *,
        save: Callable[[], None],
        refused: Callable[[str], None],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        self._pair = pair
        self._transfer = transfer
        self._lookup = lookup
        self._window = window
        self._allowance = allowance
        self._results = results
        self._save = save
        self._refused = refused
        self._ended = ended
        self._gathered: list[tuple[Place, Operation]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._sent: dict[str, None] = {}
        self._unheard: dict[str, None] = dict.fromkeys(sorted(state.get("sent", ())))

    @property
    def under_way(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._running)

    def add(self, place: Place, operation: Operation) -> None:
        """One more, which is sent with others. Raises GuardRefused if it is more than were planned."""
        self._allowance.take(operation.key)
        self._gathered.append((place, operation))
        if len(self._gathered) >= _AT_ONCE:
            self.begin()

    def begin(self) -> None:
        """Sends what was gathered."""
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._sent |= dict.fromkeys(operation.key for _, operation in gathered)
            self._save()  # what is sent counts, though we be killed before the cursor passes it
            task = asyncio.create_task(self._carry_out(gathered))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def forget(self, is_left: Callable[[str], bool]) -> None:
        """Gives up what was gathered and lies beyond a copy that was left undone: the next call comes to it."""
        self._gathered = [each for each in self._gathered if not is_left(each[1].key)]

    async def stop(self) -> None:
        """Waits for no answer any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def alone(self, key: str) -> str:
        """Deletes one object now; gives S3's word for why it stays, if it does."""
        self._allowance.take(key)
        self._sent[key] = None
        self._save()
        name = self._pair.options.target_prefix + key
        failed = await self._transfer.delete(self._pair.target, [name])
        self._heard(key)
        if failed:
            self._allowance.give_back(key)
        return failed.get(name, "")

    async def carried_out_earlier(self, until: str | None = None, issued: Sequence[Operation] = ()) -> deque[str]:
        """Of the keys up to `until` (None: all) what an earlier call sent and heard nothing of, and the target has no
        more. `issued` are operations of this call up to there."""
        keys = list(takewhile(lambda key: until is None or key <= until, self._unheard))
        if keys:
            ours = {operation.key for operation in issued} | self._sent.keys()  # this call has sent them again itself
            ours |= {operation.key for _, operation in self._gathered}
            keys = [key for key in keys if key not in ours and key not in self._window.parked]
            held = await few_at_a_time([self._lookup.target(key) for key in keys], _LOOKUPS)
            keys = [key for key, facts in zip(keys, held, strict=True) if facts is None]
        return deque(keys)

    def count(self, gone: deque[str], until: str | None = None) -> None:
        """Counts those before `until`, in the order of keys as the window wants it."""
        while gone and (until is None or gone[0] < until):
            key = gone.popleft()
            self._unheard.pop(key)
            self._window.end(self._window.begin(key, {}), self._results.deleted(key))

    def was_sent(self, key: str) -> bool:
        """Whether an earlier call sent it and heard nothing of it."""
        return key in self._unheard

    def state(self) -> Mapping[str, Collection[str]]:
        """For the checkpoint; keys are in it, so it is sealed."""
        return {"sent": [*(self._sent | self._unheard)]}

    async def _carry_out(self, gathered: list[tuple[Place, Operation]]) -> None:
        error: BaseException | None = None
        try:
            await self._delete(gathered)
        except asyncio.CancelledError:
            raise
        except BaseException as raised:  # noqa: BLE001 - it is raised by the one who issues operations
            error = raised
        self._running.discard(asyncio.current_task())
        self._ended(error)

    async def _delete(self, gathered: list[tuple[Place, Operation]]) -> None:
        prefix = self._pair.options.target_prefix
        failed = await self._transfer.delete(self._pair.target, [prefix + operation.key for _, operation in gathered])
        for place, operation in gathered:
            if prefix + operation.key not in failed:
                self._heard(operation.key)
                self._window.end(place, self._results.deleted(operation.key))
        for place, operation in gathered:  # after those that are done, which a refusal must not keep from being told
            if prefix + operation.key in failed:
                self._heard(operation.key)
                self._allowance.give_back(operation.key)
                self._window.park(place)
                self._refused(failed[prefix + operation.key])

    def _heard(self, key: str) -> None:
        self._sent.pop(key, None)
        self._unheard.pop(key, None)
