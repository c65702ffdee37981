"""One side of a sync: the pages of a listing between two keys, one page read ahead, their order checked.

A listing that is not strictly increasing would make the merge delete what it must keep, so it ends the sync: buckets
are known that list in no order (directory buckets). Continuation tokens are never used: a page begins after the last
key of the one before it, so that any page can be asked for again, by anyone, at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from operator import lt

from downstage.domain.plan import BucketPair
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import VerificationFailed
from downstage.ports import ObjectFacts, ObjectPage, ObjectTransfer
from downstage.syncing.keys import KeyFilter
from downstage.syncing.merge import Same, Side, Stretch, decide


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys after `after`, up to `until` and with it; None is without bound. Relative to the prefix."""

    after: str | None = None
    until: str | None = None


class Listing:
    """The keys of one bucket in one range, page by page."""

    def __init__(
        self, transfer: ObjectTransfer, bucket: SourceBucket | TargetBucket, prefix: str, keys: KeyRange
    ) -> None:
        self._transfer = transfer
        self._bucket = bucket
        self._prefix = prefix
        self._until = keys.until
        self._last = keys.after
        self._ahead: asyncio.Task[ObjectPage] | None = None
        self._ended = False

    def read_ahead(self) -> None:
        """Asks for the next page, if it is not asked for already."""
        if self._ahead is None and not self._ended:
            after = None if self._last is None else self._prefix + self._last
            self._ahead = asyncio.create_task(self._transfer.page(self._bucket, prefix=self._prefix, start_after=after))

    async def page(self) -> tuple[list[str], list[ObjectFacts], bool]:
        """Relative keys, entries, and whether that was the last page. Raises VerificationFailed for disorder."""
        self.read_ahead()
        assert self._ahead is not None
        task, self._ahead = self._ahead, None
        try:
            entries, more = await task
        except asyncio.CancelledError:
            task.cancel()
            raise
        if self._prefix:
            if not all(entry.key.startswith(self._prefix) for entry in entries):
                raise self._disorder()
            cut = len(self._prefix)
            keys = [entry.key[cut:] for entry in entries]
        else:
            keys = [entry.key for entry in entries]
        if (keys and self._last is not None and keys[0] <= self._last) or not all(map(lt, keys, keys[1:])):
            raise self._disorder()
        if keys:
            self._last = keys[-1]
        self._ended = not more
        if self._until is not None and keys and keys[-1] > self._until:
            until = self._until
            inside = sum(key <= until for key in keys)
            keys, entries = keys[:inside], entries[:inside]
            self._ended = True
        self.read_ahead()
        return keys, list(entries), self._ended

    async def close(self) -> None:
        """Ends what is under way."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
            self._ahead = None

    def _disorder(self) -> VerificationFailed:
        return VerificationFailed(
            f"bucket {self._bucket.name}: its listing is not in key order, so nothing can be concluded from it; "
            "nothing more was copied or deleted"
        )


async def stretches(
    pair: BucketPair,
    keys: KeyRange,
    transfer: ObjectTransfer,
    chosen: KeyFilter,
    same: Same,
    *,
    personal: Callable[[list[str]], None] = lambda keys: None,
    target_seen: Callable[[list[ObjectFacts]], None] = lambda entries: None,
) -> AsyncIterator[Stretch]:
    """The merge of both listings in one range. `personal` is told of keys of the source that hold an address (they take
    no part), `target_seen` of every entry of the target, before anything is decided on it."""
    listings = (
        Listing(transfer, pair.source, pair.options.source_prefix, keys),
        Listing(transfer, pair.target, pair.options.target_prefix, keys),
    )
    source, target = Side(), Side()

    async def fill(side: Side, listing: Listing, *, ours: bool) -> None:
        while side.spent and not side.ended:
            names, entries, side.ended = await listing.page()
            if ours:
                left_out, found = chosen.source(names)
                if found:
                    personal(found)
            else:
                target_seen(entries)
                left_out = chosen.target(names)
            if left_out is not None:
                kept = [place for place in range(len(names)) if place not in left_out]
                names, entries = [names[place] for place in kept], [entries[place] for place in kept]
            side.keys, side.entries, side.at = names, entries, 0

    for listing in listings:
        listing.read_ahead()
    try:
        while True:
            await fill(source, listings[0], ours=True)
            await fill(target, listings[1], ours=False)
            if source.spent and target.spent:
                return
            yield decide(source, target, same, delete=pair.delete)
    finally:
        for listing in listings:
            await listing.close()
