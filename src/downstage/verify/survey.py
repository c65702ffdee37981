"""One segment of one side, read for the deep comparison: a name and a digest of each item, and nothing else of it.

The same shape as the copy loop and the verification, with one difference: a page's checkpoint is kept where its
records are, in the spill, so that both are there or neither. `locate` finds the keys of the few items that turned out
to differ, by reading the pages again on which they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from downstage.errors import MaskingError
from downstage.ports import Item, ItemReader, RawItem, Sealer
from downstage.proof import digest
from downstage.verify.item_names import ItemNames
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Side, Survey

Shape = Callable[[RawItem], RawItem | None]
"""What an item must look like in the target; None if it has expired. Raises MaskingError if it cannot be masked."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One side's scan, and all that it takes. `context` names run, task and table for sealing; `key_of` gives the key
    of an item, `names` names it."""

    side: Side
    total_segments: int
    context: str
    spill: Spill
    reader: ItemReader
    shape: Shape
    key_of: Callable[[RawItem], Item]
    names: ItemNames
    sealer: Sealer

    def where(self, segment: int) -> str:
        """What the cursors of a segment are sealed for."""
        return f"{self.context}/{segment}/{self.total_segments}"


async def survey_segment(scan: Scan, segment: int) -> None:
    """Records what is left of the segment."""
    survey = scan.spill.survey(scan.side, segment)
    if survey.done:
        return
    where = scan.where(segment)
    cursor = orjson.loads(scan.sealer.open(survey.cursor, where)) if survey.cursor else None
    async with aclosing(scan.reader.pages(segment, scan.total_segments, cursor)) as pages:
        async for page in pages:
            total, records, unmaskable = survey.digest, [], 0
            for item in page.items:
                try:
                    shaped = scan.shape(item)
                except MaskingError:
                    unmaskable += 1
                    continue
                if shaped is None:
                    continue
                found = digest.raw_digest(shaped)
                name = scan.names.of(digest.canonical(scan.key_of(shaped)))
                total = digest.add(total, found)
                records.append((name, scan.names.cover(name, found)))
            began = survey.cursor
            survey = Survey(
                cursor=scan.sealer.seal(orjson.dumps(page.cursor), where) if page.cursor is not None else None,
                done=page.cursor is None,
                digest=total,
                items=survey.items + len(records),
                left_out=survey.left_out + len(page.items) - len(records),
                pages=survey.pages + 1,
                unmaskable=survey.unmaskable + unmaskable,
            )
            scan.spill.save_page(scan.side, segment, began, survey, records)


async def locate(scan: Scan, segment: int, wanted: Mapping[int, set[bytes]]) -> None:
    """Keeps the sealed keys of the `wanted` names (by page) that are still there.

    A page is read from where it began. Items that were put in since may have pushed a wanted one to the next page, so
    reading goes on until all are found, or something comes that stood on a later page.
    """
    where = scan.where(segment)
    for number, missing in sorted(wanted.items()):
        began = scan.spill.page_start(scan.side, segment, number)
        cursor = orjson.loads(scan.sealer.open(began, where)) if began else None
        left = set(missing)
        async with aclosing(scan.reader.pages(segment, scan.total_segments, cursor)) as pages:
            async for page in pages:
                last: bytes | None = None
                for item in page.items:
                    try:
                        shaped = scan.shape(item)
                    except MaskingError:
                        continue
                    if shaped is None:
                        continue
                    key = scan.key_of(shaped)
                    last = scan.names.of(digest.canonical(key))
                    if last in left:
                        left.discard(last)
                        theirs = seal_key(scan.sealer, scan.key_of(item), last) if scan.side is Side.SOURCE else None
                        scan.spill.keep_keys(last, theirs, seal_key(scan.sealer, key, last))
                stood = scan.spill.page_of(scan.side, last) if last is not None else None
                if not left or (stood is not None and stood > number):
                    break


def seal_key(sealer: Sealer, key: Item, name: bytes) -> str:
    """A key under seal, bound to the item's name."""
    return sealer.seal(orjson.dumps(key), f"key/{name.hex()}")


def open_key(sealer: Sealer, sealed: str, name: bytes) -> Item:
    """The key that `seal_key` sealed."""
    key: Item = orjson.loads(sealer.open(sealed, f"key/{name.hex()}"))
    return key
