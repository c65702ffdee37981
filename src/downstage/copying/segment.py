"""THE loop: one segment of one table, read → mask → write → checkpoint, until the segment ends.

A pure coroutine. It is handed everything it touches, so the same lines run in a test with fakes, in a local worker
process, in a Spark executor and in AWS Glue. Its rules:

* a page's checkpoint is saved only when every item of the page is acknowledged, quarantined or expired;
* an item that cannot be masked is quarantined and never written;
* the cursor is sealed before the journal sees it; what a redone page adds to the digest is added once;
* an item is expired only if DynamoDB itself would delete it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Protocol

import orjson

from downstage.errors import MaskingError
from downstage.ports import Checkpoint, ItemReader, ItemWriter, RawItem, Sealer
from downstage.proof import digest
from downstage.wire.attributes import finder

Save = Callable[[Checkpoint], None]

OLDEST_EXPIRY = 5 * 366 * 86400.0
"""DynamoDB never deletes an item whose TTL lies more than five years back (0 means "never" in many an application)."""


class Mask(Protocol):
    """Masks one item, or raises MaskingError. It counts addresses `replaced` and `kept` by a keep list, `opaque`
    binaries, and values `unknown` to the lock."""

    @property
    def replaced(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def opaque(self) -> int: ...
    @property
    def unknown(self) -> int: ...
    def mask_bytes(self, item: RawItem) -> RawItem: ...


@dataclass(frozen=True, slots=True)
class CopyTask:
    """What one segment's copy needs besides its parts.

    `context` names run, task and table for sealing. `expired_before` is the instant (seconds since the epoch) below
    which an item's `ttl_attribute` means expired, down to `OLDEST_EXPIRY` before it; it is fixed in the plan and
    never moves with the clock.
    """

    context: str
    key_names: tuple[str, ...]
    ttl_attribute: str | None = None
    expired_before: float | None = None


@dataclass(slots=True)
class _Counts:
    read: int = 0
    written: int = 0
    expired: int = 0
    quarantined: int = 0
    addresses: int = 0
    kept: int = 0
    opaque: int = 0
    unknown: int = 0


async def copy_segment(
    task: CopyTask,
    checkpoint: Checkpoint,
    *,
    reader: ItemReader,
    mask: Mask,
    writer: ItemWriter,
    sealer: Sealer,
    save: Save,
    quarantine: Callable[[RawItem, str], None],
    canaries: Callable[[Sequence[RawItem]], None] = lambda _items: None,
) -> Checkpoint:
    """Copies what is left of the segment that `checkpoint` names; returns its last checkpoint, which is `done`.

    `quarantine` is told the *source* item and a reason; `canaries` is shown the source items of each page before any
    of them is written. Raises whatever reader, writer or `save` raise; the segment can then be called again with its
    last saved checkpoint.
    """
    if checkpoint.done:
        return checkpoint
    context = f"{task.context}/{checkpoint.segment}/{checkpoint.total_segments}"
    counts = _Counts(**checkpoint.counters)
    total = checkpoint.digest
    identify = finder(task.key_names)
    expired_of = expiry(task)
    cursor = orjson.loads(sealer.open(checkpoint.cursor, context)) if checkpoint.cursor else None
    async with aclosing(reader.pages(checkpoint.segment, checkpoint.total_segments, cursor)) as pages:
        async for page in pages:
            canaries(page.items)
            before = mask.replaced, mask.kept, mask.opaque, mask.unknown
            masked, left_out = _mask_page(page.items, mask, identify, expired_of)
            counts.addresses += mask.replaced - before[0]  # now: while we wait, another segment masks
            counts.kept += mask.kept - before[1]
            counts.opaque += mask.opaque - before[2]
            counts.unknown += mask.unknown - before[3]
            expired = len(page.items) - len(masked) - len(left_out)
            rejected = await writer.put([new for _, new in masked]) if masked else ()
            refused = {identify(rejection.item): rejection.reason for rejection in rejected}
            for old, new in masked:
                reason = refused.get(identify(new)) if refused else None
                if reason is None:
                    total = digest.add(total, digest.raw_digest(new))
                    counts.written += 1
                else:
                    left_out.append((old, reason))
            for old, reason in left_out:
                quarantine(old, reason)
            counts.read += len(page.items)
            counts.quarantined += len(left_out)
            counts.expired += expired
            checkpoint = Checkpoint(
                segment=checkpoint.segment,
                total_segments=checkpoint.total_segments,
                cursor=sealer.seal(orjson.dumps(page.cursor), context) if page.cursor is not None else None,
                done=page.cursor is None,
                digest=total,
                counters=asdict(counts),
            )
            save(checkpoint)
    return checkpoint


def _mask_page(
    items: Sequence[RawItem],
    mask: Mask,
    identify: Callable[[RawItem], tuple[bytes, ...]],
    is_expired: Callable[[RawItem], bool],
) -> tuple[list[tuple[RawItem, RawItem]], list[tuple[RawItem, str]]]:
    """(source, masked) pairs to write, and (source, reason) of those that cannot be masked; expired ones in neither."""
    masked: list[tuple[RawItem, RawItem]] = []
    left_out: list[tuple[RawItem, str]] = []
    taken: set[tuple[bytes, ...]] = set()
    for item in items:
        if is_expired(item):
            continue
        try:
            new = mask.mask_bytes(item)
        except MaskingError as error:
            left_out.append((item, str(error)))
            continue
        identity = identify(new)
        if identity in taken:
            left_out.append((item, "another item of the page has the same key after masking"))
            continue
        taken.add(identity)
        masked.append((item, new))
    return masked, left_out


def expiry(task: CopyTask) -> Callable[[RawItem], bool]:
    """Says whether an item is expired. One without the attribute, or with a non-number in it, is not."""
    if task.ttl_attribute is None or task.expired_before is None:
        return lambda _item: False
    find, until = finder((task.ttl_attribute,)), task.expired_before

    def is_expired(item: RawItem) -> bool:
        (value,) = find(item)
        number = (orjson.loads(value) or {}).get("N")
        return number is not None and until - OLDEST_EXPIRY <= float(number) < until

    return is_expired
