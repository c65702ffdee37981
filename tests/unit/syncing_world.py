"""What the tests of a bucket's sync share: two buckets that differ in every way, a transfer that does as it is told,
and a clock that is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.masking.compile import compile_pseudonyms
from downstage.masking.nested import NestedMasker
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectPage, ObjectTransfer
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.merge import Action
from downstage.syncing.task import RangeTask
from downstage.syncing.whole import SyncResult, sync_whole
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.world import KEY, plan_of

OPTIONS = SyncOptions(max_delete=MaxDelete(share=1.0))
PAIR = BucketPair(SourceBucket("1", "from"), TargetBucket("2", "to"), delete=True, options=OPTIONS)
SEALER = KeySealer(KEY)
PSEUDONYMS = compile_pseudonyms(plan_of().masking, KEY)
MASKER = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept).text


async def at_once(_seconds: float) -> None:
    """Waits for nothing."""


class Ticking:
    """A clock that goes on by a second a look, so that every chance to save is taken."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class Sync:
    """Two buckets that differ in every way, and what a sync of them said and saved."""

    def __init__(self, pair: BucketPair = PAIR, page_size: int = 3) -> None:
        self.pair = pair
        self.store = MemoryBuckets([])
        for number in range(7):
            self.store.put("from", f"case/{number}-\U0001f4c4.pdf", b"%d" % number)
        self.store.put("from", "cold", b"cold", "GLACIER")
        self.store.put("to", "case/3-\U0001f4c4.pdf", b"3")
        self.store.put("to", "case/4-\U0001f4c4.pdf", b"stale")
        self.store.put("to", "case/old", b"old")
        self.store.put("to", "zzz", b"old")
        self.transfer = MemoryTransfer(self.store, page_size)
        self.saved: list[Checkpoint] = []
        self.finished: list[tuple[Action, str, str]] = []

    def range(self, transfer: ObjectTransfer | None = None, *, deletes: int = 99, **more: Any) -> Checkpoint:
        """The whole key space as one range."""
        context = more.pop("context", "run-1/sync/to")
        task = RangeTask(context, self.pair, KeyRange(), self.pair.options.compare, deletes)
        return asyncio.run(
            sync_range(
                task,
                self.saved[-1] if self.saved else Checkpoint(0, 1),
                transfer=transfer or self.transfer,
                sealer=SEALER,
                save=self.saved.append,
                chosen=KeyFilter(self.pair.options),
                told=lambda *line: self.finished.append(line),
                sleep=at_once,
                **more,
            )
        )

    def whole(self, transfer: ObjectTransfer | None = None, **more: Any) -> SyncResult:
        """Everything: plan pass, gate, sync."""
        return asyncio.run(
            sync_whole(
                self.pair,
                transfer or self.transfer,
                personal=more.pop("personal", MASKER),
                finished=lambda *line: self.finished.append(line),
                sleep=at_once,
                **more,
            )
        )

    def etags(self, bucket: str) -> dict[str, str]:
        """What a bucket holds, but for what cannot be copied."""
        return {key: entry.etag for key, entry in self.store.buckets.get(bucket, {}).items() if key != "cold"}

    @property
    def arrived(self) -> bool:
        """The target holds what the source holds."""
        return self.etags("from") == self.etags("to")


class Odd(MemoryTransfer):
    """A transfer of which a test changes one method."""

    def __init__(self, sync: Sync) -> None:
        super().__init__(sync.store, 3)
        self.on_copy: Callable[[ObjectFacts], CopyResult | None] = lambda item: None
        self.on_page: Callable[[ObjectPage], ObjectPage] = lambda page: page
        self.on_delete: Callable[[Sequence[str]], Mapping[str, str]] = lambda keys: {}
        self.slow: set[str] = set()
        self.open = asyncio.Event()

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        found = self.on_copy(item)
        if found is not None:
            return found
        if item.key in self.slow:
            await self.open.wait()
        return await super().copy(source, target, item, to)

    async def page(self, *where: Any, **how: Any) -> ObjectPage:
        return self.on_page(await super().page(*where, **how))

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        failed = self.on_delete(keys)
        await super().delete(target, [key for key in keys if key not in failed] or ["nothing"])
        return failed


def one_range(transfer: ObjectTransfer, saved: list[Checkpoint]) -> Checkpoint:
    """Syncs the whole key space as one range that may delete a thousand, from the last checkpoint of those `saved`."""
    return asyncio.run(
        sync_range(
            RangeTask("c", PAIR, KeyRange(), "etag", 1000),
            saved[-1] if saved else Checkpoint(0, 1),
            transfer=transfer,
            sealer=SEALER,
            save=saved.append,
            chosen=KeyFilter(OPTIONS),
            sleep=at_once,
        )
    )
