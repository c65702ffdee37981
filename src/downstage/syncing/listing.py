"""One side of a sync: the pages of a listing between two keys, one page read ahead, their order checked.

A listing that is not strictly increasing would make the merge delete what it must keep, so it ends the sync: buckets
are known that list in no order (directory buckets). Continuation tokens are never used: a page begins after the last
key of the one before it, so that any page can be asked for again, by anyone, at any time.

The source's side may come from an inventory instead. That is never authority for a delete: whatever would be deleted
because the inventory does not name it is asked of the source itself first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from operator import lt
from typing import Protocol

from downstage.domain.plan import BucketPair
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.domain.together import few_at_a_time
from downstage.errors import VerificationFailed
from downstage.ports import ObjectFacts, ObjectPage, ObjectTransfer
from downstage.syncing.keys import KeyFilter
from downstage.syncing.left import Mark, unmarked
from downstage.syncing.lookup import Lookup
from downstage.syncing.merge import ARCHIVED, Action, Operation, Same, Side, Stretch, decide, is_archived

_ASKED_AT_ONCE = 32


class SourcePages(Protocol):
    """A listing of the source that is not the bucket's own: pages in UTF-8 byte order of keys, as
    `ObjectTransfer.page` gives them."""

    async def page(self, *, prefix: str = "", start_after: str | None = None, limit: int = 1000) -> ObjectPage: ...


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys after `after`, up to `until` and with it; None is without bound. Relative to the prefix."""

    after: str | None = None
    until: str | None = None


class Listing:
    """The keys of one bucket in one range, page by page; of the bucket itself, unless `listed` is given."""

    def __init__(
        self,
        transfer: ObjectTransfer,
        bucket: SourceBucket | TargetBucket,
        prefix: str,
        keys: KeyRange,
        listed: SourcePages | None = None,
    ) -> None:
        self._ask = partial(transfer.page, bucket) if listed is None else listed.page
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
            self._ahead = asyncio.create_task(self._ask(prefix=self._prefix, start_after=after))

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
    listed: SourcePages | None = None,
    mark: Mark = unmarked,
) -> AsyncIterator[Stretch]:
    """The merge of both listings in one range. `personal` is told of keys of the source that hold an address (they take
    no part), `target_seen` of every entry of the target, before anything is decided on it. `listed` stands in for the
    source's listing; deletes are then what the source itself has confirmed. `mark` marks what is unchanged."""
    lookup = Lookup(pair, transfer, same)
    listings = (
        Listing(transfer, pair.source, pair.options.source_prefix, keys, listed),
        Listing(transfer, pair.target, pair.options.target_prefix, keys),
    )
    source, target = Side(), Side()

    async def fill(side: Side, listing: Listing, *, ours: bool) -> None:
        if side.spent and not side.ended:  # one page: who listens may stop, and the cursor moves, where all is left out
            names, entries, side.ended = await listing.page()
            if names:
                side.upto = names[-1]
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
            if source.spent and target.spent and source.ended and target.ended:
                return
            stretch = decide(source, target, same, delete=pair.delete, mark=mark)
            yield stretch if listed is None else await _confirmed(stretch, lookup, chosen, mark)
    finally:
        for listing in listings:
            await listing.close()


async def _confirmed(stretch: Stretch, lookup: Lookup, chosen: KeyFilter, mark: Mark) -> Stretch:
    """The stretch, with every object that was to be deleted and that the source does have copied, or left alone. A key
    that holds an address takes no part on the source's side, whoever lists it: its object in the target goes."""
    doomed = [
        operation.key
        for operation in stretch.operations
        if operation.action is Action.DELETE and not chosen.is_personal(operation.key)
    ]
    found = await few_at_a_time([lookup.source(key) for key in doomed], _ASKED_AT_ONCE)
    held = {key: facts for key, facts in zip(doomed, found, strict=True) if facts is not None}
    if not held:
        return stretch
    operations: list[Operation] = []
    unchanged = extra = left = 0
    for operation in stretch.operations:
        unchanged += operation.unchanged
        extra += operation.extra
        left += operation.left
        source, target = held.get(operation.key), operation.target
        if operation.action is Action.DELETE and source is not None and target is not None:
            if lookup.same(source, target):
                unchanged += 1
                left += mark(operation.key, target.etag)
                continue
            action, reason = (Action.SKIP, ARCHIVED) if is_archived(source) else (Action.COPY, "")
            operation = Operation(action, operation.key, source, target, reason)
        operations.append(operation._replace(unchanged=unchanged, extra=extra, left=left))
        unchanged = extra = left = 0
    return Stretch(stretch.last, operations, stretch.unchanged + unchanged, stretch.extra + extra, stretch.left + left)
