"""One segment of one side, read for the deep comparison: a name and a digest of each item, and nothing else of it.

The same shape as the copy loop and the verification, with one difference: a page's checkpoint is kept where its
records are, in the spill, so that both are there or neither. `locate` finds the keys of the few items that turned out
to differ, by reading the pages again on which they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing

import orjson

from downstage.errors import MaskingError
from downstage.ports import Item, ItemReader, RawItem, Sealer
from downstage.proof import digest
from downstage.verify.item_names import ItemNames
from downstage.verify.spill import Side, Spill, Survey

Shape = Callable[[RawItem], RawItem | None]
"""What an item must look like in the target; None if it has expired. Raises MaskingError if it cannot be masked."""


async def survey_segment(
    side: Side,
    segment: int,
    total_segments: int,
    context: str,
    *,
    spill: Spill,
    reader: ItemReader,
    shape: Shape,
    key_of: Callable[[RawItem], Item],
    names: ItemNames,
    sealer: Sealer,
) -> None:
    """Records what is left of the segment. `context` names run, task and table for sealing."""
    survey = spill.survey(side, segment)
    if survey.done:
        return
    where = f"{context}/{segment}/{total_segments}"
    cursor = orjson.loads(sealer.open(survey.cursor, where)) if survey.cursor else None
    async with aclosing(reader.pages(segment, total_segments, cursor)) as pages:
        async for page in pages:
            total, records, unmaskable = survey.digest, [], 0
            for item in page.items:
                try:
                    shaped = shape(item)
                except MaskingError:
                    unmaskable += 1
                    continue
                if shaped is None:
                    continue
                found = digest.raw_digest(shaped)
                name = names.of(digest.canonical(key_of(shaped)))
                total = digest.add(total, found)
                records.append((name, names.cover(name, found)))
            began = survey.cursor
            survey = Survey(
                cursor=sealer.seal(orjson.dumps(page.cursor), where) if page.cursor is not None else None,
                done=page.cursor is None,
                digest=total,
                items=survey.items + len(records),
                left_out=survey.left_out + len(page.items) - len(records),
                pages=survey.pages + 1,
                unmaskable=survey.unmaskable + unmaskable,
            )
            spill.save_page(side, segment, began, survey, records)


async def locate(
    side: Side,
    segment: int,
    total_segments: int,
    context: str,
    wanted: Mapping[int, set[bytes]],
    *,
    spill: Spill,
    reader: ItemReader,
    shape: Shape,
    key_of: Callable[[RawItem], Item],
    names: ItemNames,
    sealer: Sealer,
) -> None:
    """Keeps the sealed keys of the `wanted` names (by page) that are still there.

    A page is read from where it began. Items that were put in since may have pushed a wanted one to the next page, so
    reading goes on until all are found, or something comes that stood on a later page.
    """
    where = f"{context}/{segment}/{total_segments}"
    for number, missing in sorted(wanted.items()):
        began = spill.page_start(side, segment, number)
        cursor = orjson.loads(sealer.open(began, where)) if began else None
        left = set(missing)
        async with aclosing(reader.pages(segment, total_segments, cursor)) as pages:
            async for page in pages:
                last: bytes | None = None
                for item in page.items:
                    try:
                        shaped = shape(item)
                    except MaskingError:
                        continue
                    if shaped is None:
                        continue
                    key = key_of(shaped)
                    last = names.of(digest.canonical(key))
                    if last in left:
                        left.discard(last)
                        theirs = seal_key(sealer, key_of(item), last) if side is Side.SOURCE else None
                        spill.keep_keys(last, theirs, seal_key(sealer, key, last))
                stood = spill.page_of(side, last) if last is not None else None
                if not left or (stood is not None and stood > number):
                    break


def seal_key(sealer: Sealer, key: Item, name: bytes) -> str:
    """A key under seal, bound to the item's name."""
    return sealer.seal(orjson.dumps(key), f"key/{name.hex()}")


def open_key(sealer: Sealer, sealed: str, name: bytes) -> Item:
    """The key that `seal_key` sealed."""
    key: Item = orjson.loads(sealer.open(sealed, f"key/{name.hex()}"))
    return key
