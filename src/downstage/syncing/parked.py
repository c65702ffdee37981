"""What a sync has parked, settled one key at a time by the listings of that one key: copied, deleted, found equal, left
out, or named as failed after a few rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from downstage.domain.plan import BucketPair
from downstage.ports import ObjectTransfer
from downstage.syncing.deletes import Deletes
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import UNLISTED_ARCHIVE, Action
from downstage.syncing.results import ARCHIVED_CODES, Results

_ROUNDS = 3


class Parked:
    """The settling of one range's parked keys. `uploads` are the large copies that were left unfinished, by key."""

    def __init__(
        self,
        pair: BucketPair,
        transfer: ObjectTransfer,
        lookup: Lookup,
        deletes: Deletes,
        results: Results,
        uploads: dict[str, str],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._pair = pair
        self._transfer = transfer
        self._lookup = lookup
        self._deletes = deletes
        self._results = results
        self._uploads = uploads
        self._sleep = sleep

    async def settled(self, key: str) -> dict[str, int] | None:
        """What the key came to, as counters; None if the time was up while it was copied."""
        pair, code = self._pair, "PreconditionFailed"
        target_key = pair.options.target_prefix + key
        for attempt in range(_ROUNDS):
            if attempt:
                await self._sleep(float(attempt))
            operation, target = await self._lookup.both(key)
            if operation is None and target is None:
                return self._results.deleted(key) if self._deletes.was_sent(key) else {}
            if operation is None:
                return self._results.unchanged(key, target)
            if operation.action is Action.SKIP:
                return self._results.skipped(key, operation.reason, target)
            if operation.action is Action.DELETE:
                code = await self._deletes.alone(key)
                if not code:
                    return self._results.deleted(key)
                continue
            assert operation.source is not None
            upload = self._uploads.pop(key, "")
            copy = partial(self._transfer.go_on, upload=upload) if upload else self._transfer.copy
            result = await copy(pair.source, pair.target, operation.source, target_key)
            if result.refusal == "unfinished":
                self._uploads[key] = result.code
                return None
            if not result.refusal:
                return self._results.copied(operation.source, key, result)
            if result.code in ARCHIVED_CODES:
                return self._results.skipped(key, UNLISTED_ARCHIVE, target)
            code = result.code
        return self._results.failed(key, code)
