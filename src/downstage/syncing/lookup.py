"""What one key needs, asked of both sides now: for keys that stand outside a merge (parked, or renamed).

A listing with the key as its prefix shows the key first, if it is there: the same facts in the same form as in the
merge, without a HEAD.
"""

from __future__ import annotations

from downstage.domain.plan import BucketPair
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.ports import ObjectFacts, ObjectTransfer
from downstage.syncing.merge import ARCHIVED, Action, Operation, Same, is_archived


class Lookup:
    """Looks at single keys of one pair."""

    def __init__(self, pair: BucketPair, transfer: ObjectTransfer, same: Same) -> None:
        self._pair = pair
        self._transfer = transfer
        self.same = same

    async def operation(self, key: str, to: str | None = None) -> Operation | None:
        """What `key` (relative) needs, if its copy stands at `to` (the same, if not given); None for nothing."""
        return (await self.both(key, to))[0]

    async def both(self, key: str, to: str | None = None) -> tuple[Operation | None, ObjectFacts | None]:
        """What `key` needs, and what the target holds."""
        name = key if to is None else to
        source, target = await self.source(key), await self.target(name)
        if source is None:
            doomed = target is not None and self._pair.delete
            return Operation(Action.DELETE, name, None, target) if doomed else None, target
        if target is not None and self.same(source, target):
            return None, target
        if is_archived(source):
            return Operation(Action.SKIP, name, source, target, ARCHIVED), target
        return Operation(Action.COPY, name, source, target), target

    async def source(self, key: str) -> ObjectFacts | None:
        """The source's object at `key` (relative), if there is one."""
        return await self._facts(self._pair.source, self._pair.options.source_prefix + key)

    async def target(self, key: str) -> ObjectFacts | None:
        """The target's object at `key` (relative), if there is one."""
        return await self._facts(self._pair.target, self._pair.options.target_prefix + key)

    async def _facts(self, bucket: SourceBucket | TargetBucket, key: str) -> ObjectFacts | None:
        page = await self._transfer.page(bucket, prefix=key, limit=1)
        return page.entries[0] if page.entries and page.entries[0].key == key else None
