"""What a sync has parked, settled one key at a time by the listings of that one key: copied, deleted, found equal, left
out, or named as failed after a few rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from downstage.domain.plan import BucketPair, Compare
from downstage.ports import ObjectTransfer
from downstage.syncing.allowance import Allowance
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import ARCHIVED, Action, comparing
from downstage.syncing.results import ARCHIVED_CODES, Results

_ROUNDS = 3


class Parked:
    """The settling of one range's parked keys."""

    def __init__(
        self,
        pair: BucketPair,
        transfer: ObjectTransfer,
        compare: Compare,
        allowance: Allowance,
        results: Results,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._pair = pair
        self._transfer = transfer
        self._lookup = Lookup(pair, transfer, comparing(compare))
        self._allowance = allowance
        self._results = results
        self._sleep = sleep

    async def settled(self, key: str) -> dict[str, int]:
        """What the key came to, as counters."""
        pair, code = self._pair, "PreconditionFailed"
        target_key = pair.options.target_prefix + key
        for attempt in range(_ROUNDS):
            if attempt:
                await self._sleep(float(attempt))
            operation = await self._lookup.operation(key)
            if operation is None:
                return {"unchanged": 1}
            if operation.action is Action.SKIP:
                return self._results.skipped(key, operation.reason)
            if operation.action is Action.DELETE:
                self._allowance.take(key)
                failed = await self._transfer.delete(pair.target, [target_key])
                if not failed:
                    return self._results.deleted(key)
                self._allowance.give_back(key)
                code = failed[target_key]
                continue
            assert operation.source is not None
            result = await self._transfer.copy(pair.source, pair.target, operation.source, target_key)
            if not result.refusal:
                return self._results.copied(operation.source, key, result)
            if result.code in ARCHIVED_CODES:
                return self._results.skipped(key, ARCHIVED)
            code = result.code
        return self._results.failed(key, code)
