"""What the lanes of a deep comparison do, whatever lies behind the ports: production, or memory in a test.

    target, source                 read one side into the spill: names and digests
    locate-target, locate-source   find the keys of what differs, by reading its pages again
    reread                         look at each difference by key, on both sides
    mend                           make the target what the source, masked, is now: the only phase that writes

A lane's task is `PHASE/TABLE`; its segments are the table's, or parts of the list of differences for the last two.
Every phase can be cut off anywhere and begun again: what is done is in the spill, and mending looks before it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import orjson

from downstage.copying.segment import CopyTask, Mask, expiry
from downstage.domain.together import together
from downstage.errors import MaskingError
from downstage.ports import Item, ItemGetter, ItemMender, ItemReader, Journal, Lane, RawItem, Sealer
from downstage.proof import digest
from downstage.verify.item_names import ItemNames, key_reader
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Difference, Side
from downstage.verify.survey import Scan, Shape, locate, open_key, survey_segment
from downstage.workflow.parts import DeepWork
from downstage.workflow.reference import copy_task

CHUNKS = 32
"""Parts of the list of differences, so that several lanes can take it."""

_AT_ONCE = 16
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Tools:
    """Both sides of one table. `shape` masks as the copy did, and leaves out what the copy left out.

    `quarantined` says of a source key whether the copy has quarantined that item.
    """

    source: ItemReader
    target: ItemReader
    source_items: ItemGetter
    target_items: ItemMender
    shape: Shape
    quarantined: Callable[[Item], bool]
    names: ItemNames
    sealer: Sealer


def phase_of(lane: Lane) -> str:
    """What a lane is to do."""
    return lane.task.partition("/")[0]


async def deep_lane(tools: Tools, work: DeepWork, run_id: str, epoch: int, lane: Lane) -> None:
    """Does what is left of one lane."""
    with Spill(work.spill, epoch) as spill:
        phase = phase_of(lane)
        if phase in _SIDES:
            await _read(tools, work, run_id, lane, spill)
            return
        each = {"reread": _reread, "mend": _mend}[phase]
        for chunk in lane.segments:
            key_of = key_reader(work.table.key_names)
            await _in_turn(partial(each, tools, spill, key_of), list(spill.differences(chunk, CHUNKS)))


_SIDES = {
    "target": Side.TARGET,
    "source": Side.SOURCE,
    "locate-target": Side.TARGET,
    "locate-source": Side.SOURCE,
}


async def _read(tools: Tools, work: DeepWork, run_id: str, lane: Lane, spill: Spill) -> None:
    """The phases that scan: the lane's segments together."""
    phase, side = phase_of(lane), _SIDES[phase_of(lane)]
    named = "source" if side is Side.SOURCE else "target"
    scan = Scan(
        side,
        work.table.segments,
        f"{run_id}/deep/{named}/{work.table.target}",
        spill,
        reader=tools.source if side is Side.SOURCE else tools.target,
        shape=tools.shape if side is Side.SOURCE else _as_it_is,
        key_of=key_reader(work.table.key_names),
        names=tools.names,
        sealer=tools.sealer,
    )
    if phase.startswith("locate"):
        wanted = spill.wanted(side, lane.segments)
        await together([locate(scan, segment, wanted.get(segment, {})) for segment in lane.segments])
    else:
        await together([survey_segment(scan, segment) for segment in lane.segments])


async def _reread(tools: Tools, spill: Spill, key_of: Callable[[RawItem], Item], difference: Difference) -> None:
    """What is there now, on both sides."""
    if difference.reread or difference.twins:
        return
    name = difference.name
    source_key = open_key(tools.sealer, difference.source_key, name) if difference.source_key else None
    try:
        wanted, target_key = await _wanted(tools, key_of, difference, source_key)
    except MaskingError:
        wanted, target_key = None, _target_key(tools, difference)
    current = await tools.target_items.get(target_key) if target_key is not None else None
    left_out = current is None and source_key is not None and tools.quarantined(source_key)
    spill.keep_second_look(
        difference.id, _covered(tools, name, wanted), _covered(tools, name, current), quarantined=left_out
    )


async def _mend(tools: Tools, spill: Spill, key_of: Callable[[RawItem], Item], difference: Difference) -> None:
    """Makes one row of the target what the masked source is now; notes before each write what is about to be done.

    What is written is read back. A row that will not become so is left, and the proof will name it; so is one whose
    source cannot be masked any more.
    """
    if difference.verdict not in ("genuine", "untold") or difference.mended or difference.twins:
        return
    name = difference.name
    source_key = open_key(tools.sealer, difference.source_key, name) if difference.source_key else None
    try:
        wanted, target_key = await _wanted(tools, key_of, difference, source_key)
    except MaskingError:
        return
    expected = _covered(tools, name, wanted)
    if target_key is None:
        spill.keep_mended(difference.id, None)
        return
    for _ in range(_TRIES):
        current = await tools.target_items.get(target_key)
        if _covered(tools, name, current) == expected:
            spill.keep_mended(difference.id, expected)
            return
        spill.keep_action(difference.id, "delete" if wanted is None else "put", expected)
        if wanted is None:
            await tools.target_items.delete(target_key)
        else:
            await tools.target_items.put(wanted, new=current is None)


async def _wanted(
    tools: Tools, key_of: Callable[[RawItem], Item], difference: Difference, source_key: Item | None
) -> tuple[RawItem | None, Item | None]:
    """What the source, masked, holds now, and the key of the target's row, as far as it is known. Raises MaskingError
    if it cannot be masked."""
    item = await tools.source_items.get(source_key) if source_key is not None else None
    wanted = tools.shape(item) if item is not None else None
    target_key = _target_key(tools, difference)
    return wanted, key_of(wanted) if target_key is None and wanted is not None else target_key


def _target_key(tools: Tools, difference: Difference) -> Item | None:
    return open_key(tools.sealer, difference.target_key, difference.name) if difference.target_key else None


def _covered(tools: Tools, name: bytes, item: RawItem | None) -> bytes | None:
    return None if item is None else tools.names.cover(name, digest.raw_digest(item))


def _as_it_is(item: RawItem) -> RawItem:
    return item


async def _in_turn(each: Callable[[Difference], Coroutine[Any, Any, None]], differences: Sequence[Difference]) -> None:
    """`_AT_ONCE` at a time."""
    for first in range(0, len(differences), _AT_ONCE):
        await together([each(one) for one in differences[first : first + _AT_ONCE]])


def shape_of(mask: Mask, task: CopyTask) -> Shape:
    """What the copy makes of an item: masked, or None for one that is expired or that cannot be masked."""
    is_expired = expiry(task)

    def shape(item: RawItem) -> RawItem | None:
        return None if is_expired(item) else mask.mask_bytes(item)

    return shape


def quarantined_by(journal: Journal, work: DeepWork, key_hash: Callable[[str], str]) -> Callable[[Item], bool]:
    """Says of a source key whether the copy has quarantined that item. The entries are read when the first is asked
    for: the phases that scan, which have most of the lanes, never do."""

    @cache
    def entered() -> frozenset[str]:
        return frozenset(entry for entry, _ in journal.quarantined(work.copy_run, copy_task(work.table.target)))

    def is_quarantined(key: Item) -> bool:
        text = orjson.dumps([key.get(name) for name in work.table.key_names]).decode()
        return bool(entered()) and key_hash(text) in entered()

    return is_quarantined
