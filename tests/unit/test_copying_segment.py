"""The copy loop: what a checkpoint promises, what a resumed segment counts, what never reaches the target."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstage.copying.segment import OLDEST_EXPIRY, CopyTask, Mask, copy_segment
from downstage.errors import AwsError, JournalError, MaskingError
from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, ItemReader, ItemWriter, Page, RawItem
from downstage.proof import digest
from downstage.testing.faults import Killed, RefusingWriter, Trip, faulty
from downstage.testing.tables import MemoryReader, MemoryTable, MemoryWriter
from downstage.testing.world import KEY

SEALER = KeySealer(KEY)
PSEUDONYMS = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com")
START = Checkpoint(0, 1)
CUT_OFF = 1_800_000_000.0


def items_of(count: int) -> list[Item]:
    return [{"pk": {"S": f"user|{n:02}@court.example.org"}, "n": {"N": str(n)}} for n in range(count)]


class PickyMask:
    """Masks for real, but cannot mask an item with the attribute `bad`."""

    def __init__(self) -> None:
        self._mask = ItemMasker(PSEUDONYMS)

    @property
    def replaced(self) -> int:
        return self._mask.replaced

    @property
    def kept(self) -> int:
        return self._mask.kept

    @property
    def opaque(self) -> int:
        return self._mask.opaque

    @property
    def unknown(self) -> int:
        return self._mask.unknown

    def mask_bytes(self, item: RawItem) -> RawItem:
        if b'"bad"' in item:
            raise MaskingError("it cannot be masked")
        return self._mask.mask_bytes(item)


class Copying:
    """One segment's copy, its parts in memory: `saved`, `quarantined` and the tables can be looked at."""

    def __init__(self, items: Sequence[Item], *, page_size: int = 3, ttl: str | None = None) -> None:
        self.source = MemoryTable("source", ("pk",), "1")
        self.source.put(items)
        self.target = MemoryTable("target", ("pk",), "2")
        self.page_size = page_size
        self.task = CopyTask("run-1/copy/target", ("pk",), ttl, CUT_OFF if ttl else None)
        self.saved: list[Checkpoint] = []
        self.quarantined: list[tuple[Item, str]] = []
        self.mask: Mask = PickyMask()
        self.writer: ItemWriter = MemoryWriter(self.target)
        self.reader: ItemReader = MemoryReader(self.source, page_size)

    def run(self, start: Checkpoint = START, save: Callable[[Checkpoint], None] | None = None) -> Checkpoint:
        return asyncio.run(
            copy_segment(
                self.task,
                start,
                reader=self.reader,
                mask=self.mask,
                writer=self.writer,
                sealer=SEALER,
                save=save or self.saved.append,
                quarantine=lambda item, reason: self.quarantined.append((orjson.loads(item), reason)),
            )
        )

    @property
    def last(self) -> Checkpoint:
        return self.saved[-1] if self.saved else START

    @property
    def proof(self) -> int:
        """The digest of what really stands in the target."""
        total = 0
        for item in self.target.all():
            total = digest.add(total, digest.item_digest(item))
        return total


def test_everything_is_masked_written_and_counted() -> None:
    copying = Copying(items_of(7))
    done = copying.run()
    assert done == copying.last
    assert done.done
    assert done.cursor is None
    counted = {name: count for name, count in done.counters.items() if count}
    assert counted == {"read": 7, "written": 7, "addresses": 7}
    assert done.digest == copying.proof
    assert len(copying.target.items) == 7
    assert b"court.example.org" not in orjson.dumps(copying.target.all())


def test_a_done_segment_is_not_touched_again() -> None:
    copying = Copying(items_of(3))
    done = copying.run()
    copying.writer = faulty(copying.writer, Trip(1))
    copying.reader = faulty(copying.reader, Trip(1))
    assert copying.run(done) is done


def test_an_empty_segment_ends() -> None:
    copying = Copying([])
    done = copying.run()
    assert done == Checkpoint(0, 1, None, True, 0, done.counters)
    assert not any(done.counters.values())


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_resume_from_any_page_ends_as_if_nothing_had_happened(page: int) -> None:
    undisturbed = Copying(items_of(10)).run()
    copying = Copying(items_of(10))
    copying.writer = faulty(copying.writer, Trip(page, error=lambda: AwsError("gone")))
    with pytest.raises(AwsError):
        copying.run()
    assert len(copying.saved) == page - 1
    copying.writer = MemoryWriter(copying.target)
    resumed = copying.run(copying.last)
    assert (resumed.digest, resumed.counters) == (undisturbed.digest, undisturbed.counters)
    assert resumed.digest == copying.proof


def test_nothing_is_saved_if_the_writer_dies_with_the_page() -> None:
    for after in (False, True):
        copying = Copying(items_of(2))
        copying.writer = faulty(copying.writer, Trip(1, after=after))
        with pytest.raises(Killed):
            copying.run()
        assert not copying.saved


def test_a_journal_that_dies_after_the_write_costs_one_page_and_no_truth() -> None:
    undisturbed = Copying(items_of(7)).run()
    copying = Copying(items_of(7))
    saves = 0

    def save(checkpoint: Checkpoint) -> None:
        nonlocal saves
        saves += 1
        if saves == 2:
            raise JournalError("the disk is full")
        copying.saved.append(checkpoint)

    with pytest.raises(JournalError):
        copying.run(save=save)
    assert len(copying.target.items) == 6, "the page was written"
    assert len(copying.saved) == 1, "and is not known to be"
    resumed = copying.run(copying.last)
    assert (resumed.digest, resumed.counters) == (undisturbed.digest, undisturbed.counters)


def test_what_cannot_be_masked_is_quarantined_and_never_written() -> None:
    bad = {"pk": {"S": "zz"}, "bad": {"S": "ada@court.example.org"}}
    copying = Copying([*items_of(4), bad])
    done = copying.run()
    assert copying.quarantined == [(bad, "it cannot be masked")]
    assert done.counters["quarantined"] == 1
    assert len(copying.target.items) == 4
    assert done.digest == copying.proof


def test_what_the_target_refuses_is_quarantined_with_its_source_item() -> None:
    copying = Copying(items_of(5))
    copying.writer = RefusingWriter(copying.writer, lambda item: "too large" if item["n"] == {"N": "2"} else None)
    done = copying.run()
    assert copying.quarantined == [(items_of(5)[2], "too large")]
    assert (done.counters["written"], done.counters["quarantined"]) == (4, 1)
    assert done.digest == copying.proof


def test_two_items_of_a_page_with_one_key_after_masking_do_not_overwrite_each_other() -> None:
    copying = Copying([{"pk": {"S": "a"}}, {"pk": {"S": "b"}}])

    class Same:
        replaced = kept = opaque = unknown = 0

        def mask_bytes(self, item: RawItem) -> RawItem:
            return b'{"pk":{"S":"same"},"was":%b}' % orjson.dumps(orjson.loads(item)["pk"])

    copying.mask = Same()
    done = copying.run()
    assert copying.quarantined == [({"pk": {"S": "b"}}, "another item of the page has the same key after masking")]
    assert (done.counters["written"], done.digest) == (1, copying.proof)


@pytest.mark.parametrize(
    ("value", "expired"),
    [
        (None, False),
        ({"S": "1"}, False),
        ({"M": {"N": {"N": "1"}}}, False),
        ({"N": str(int(CUT_OFF) - 1)}, True),
        ({"N": str(CUT_OFF - 0.5)}, True),
        ({"N": str(int(CUT_OFF))}, False),
        ({"N": str(int(CUT_OFF) + 1)}, False),
        ({"N": "9E+125"}, False),
        ({"N": "0"}, False),
        ({"N": "-1"}, False),
        ({"N": str(int(CUT_OFF - OLDEST_EXPIRY))}, True),
        ({"N": str(int(CUT_OFF - OLDEST_EXPIRY) - 1)}, False),
    ],
)
def test_what_counts_as_expired(value: dict[str, Any] | None, expired: bool) -> None:
    item: Item = {"pk": {"S": "a"}} | ({"expires": value} if value is not None else {})
    done = Copying([item], ttl="expires").run()
    assert done.counters["expired"] == int(expired)
    assert done.counters["written"] == int(not expired)
    assert Copying([item]).run().counters["written"] == 1, "without a TTL attribute nothing expires"


def test_a_sealed_cursor_says_nothing_and_fits_its_own_segment_only() -> None:
    copying = Copying(items_of(7))
    copying.run()
    first = copying.saved[0]
    assert first.cursor is not None
    assert b"court" not in base64.b64decode(first.cursor)
    assert "court" not in first.cursor
    for moved in (replace(first, segment=1), replace(first, total_segments=2)):
        with pytest.raises(JournalError, match="cannot be opened"):
            copying.run(moved)
    copying.task = replace(copying.task, context="run-2/copy/target")
    with pytest.raises(JournalError, match="cannot be opened"):
        copying.run(first)


def test_the_reader_is_closed_when_the_copy_fails() -> None:
    closed = []

    class Reader:
        async def pages(self, segment: int, total: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
            try:
                while True:
                    yield Page([orjson.dumps(item) for item in items_of(1)], {"pk": {"S": "a"}})
            finally:
                await asyncio.sleep(0)
                closed.append(True)

    copying = Copying([])
    copying.reader = Reader()
    copying.writer = faulty(copying.writer, Trip(2))

    async def failing() -> list[bool]:
        with pytest.raises(Killed):
            await copy_segment(
                copying.task,
                START,
                reader=copying.reader,
                mask=copying.mask,
                writer=copying.writer,
                sealer=SEALER,
                save=copying.saved.append,
                quarantine=lambda item, reason: None,
            )
        return list(closed)

    assert asyncio.run(failing()) == [True], "before the loop ends, not when garbage is collected"


KINDS = st.sampled_from(["plain", "bad", "refused", "expired"])


@settings(max_examples=60, deadline=None)
@given(kinds=st.lists(KINDS, max_size=12), page_size=st.integers(1, 5), faults=st.lists(st.integers(1, 6), max_size=3))
def test_every_item_is_accounted_for_whatever_fails(kinds: list[str], page_size: int, faults: list[int]) -> None:
    items: list[Item] = []
    for number, kind in enumerate(kinds):
        item: Item = {"pk": {"S": f"{number:02}@court.example.org"}}
        item |= {"expires": {"N": "1799999999"}} if kind == "expired" else {kind: {"BOOL": True}}
        items.append(item)

    def copying() -> Copying:
        made = Copying(items, page_size=page_size, ttl="expires")
        made.writer = RefusingWriter(made.writer, lambda item: "refused" if "refused" in item else None)
        return made

    undisturbed = copying().run()
    disturbed = copying()
    calm = disturbed.writer
    for place, fault in enumerate(faults):
        disturbed.writer = faulty(calm, Trip(fault, after=bool(place % 2)))
        try:
            disturbed.run(disturbed.last)
        except Killed:
            continue
    disturbed.writer = calm
    done = disturbed.run(disturbed.last)
    counters = done.counters
    assert counters["read"] == len(items) == counters["written"] + counters["quarantined"] + counters["expired"]
    assert (done.digest, counters) == (undisturbed.digest, undisturbed.counters)
    assert done.digest == disturbed.proof
    assert {orjson.dumps(item) for item, _ in disturbed.quarantined} == {
        orjson.dumps(item) for item in items if "bad" in item or "refused" in item
    }
