"""The spill: both sides joined by name, resumable page by page, and nothing in it that says anything of an item."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import orjson
import pytest

from downstage.errors import JournalError, RunConflict
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Item, RawItem
from downstage.proof import digest
from downstage.testing.faults import Killed, Trip, faulty
from downstage.testing.tables import MemoryReader, MemoryTable
from downstage.verify.item_names import ItemNames, key_reader, shown
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Counts, Side, Survey
from downstage.verify.survey import Scan, locate, open_key, survey_segment

KEY = MaskKey(bytes(range(32)))
NAMES = ItemNames(KEY.derive(ItemNames.label("test")))
SEALER = KeySealer(KEY)
SEGMENTS = 3


def table(*items: Item) -> MemoryTable:
    made = MemoryTable("t", ("pk",), "id")
    made.put(items)
    return made


def person(number: int, **more: Item) -> Item:
    return {"pk": {"S": f"person-{number}@court.example.org"}, **more}


def scan_of(spill: Spill, side: Side, reader: MemoryReader) -> Scan:
    return Scan(
        side, SEGMENTS, f"run/{side.name}", spill, reader, lambda item: item, key_reader(("pk",)), NAMES, SEALER
    )


def read(spill: Spill, side: Side, source: MemoryTable, trip: Trip | None = None) -> None:
    reader = MemoryReader(source, 2)
    for segment in range(SEGMENTS):
        asyncio.run(
            survey_segment(
                scan_of(spill if trip is None else faulty(spill, trip, ["save_page"]), side, reader), segment
            )
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run.t.sqlite"


def test_what_differs_is_counted_and_kept(path: Path) -> None:
    same = [person(number) for number in range(20)]
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table(*same, person(30), person(31), person(32, n={"N": "1"})))
        read(spill, Side.TARGET, table(*same, person(32, n={"N": "2"}), person(33)))
        assert spill.count() == Counts(missing=2, extra=1, differing=1)
        spill.keep_differences()
        spill.keep_differences()
        differences = list(spill.differences())
        parts = [difference.id for chunk in range(4) for difference in spill.differences(chunk, 4)]
    assert len(differences) == 4
    assert sorted(parts) == [difference.id for difference in differences]
    kinds = [(one.source_digest is not None, one.target_digest is not None) for one in differences]
    assert sorted(kinds) == [(False, True), (True, False), (True, False), (True, True)]


def test_numbers_and_sets_that_are_written_differently_are_the_same(path: Path) -> None:
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table({"pk": {"N": "1.0"}, "s": {"SS": ["a", "b"]}}))
        read(spill, Side.TARGET, table({"pk": {"N": "1"}, "s": {"SS": ["b", "a"]}}))
        assert spill.count() == Counts()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_segment_that_was_cut_off_at_any_page_goes_on_and_doubles_nothing(path: Path, after: bool) -> None:
    items = [person(number) for number in range(20)]
    trip = Trip()
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table(*items), trip)
    total = sum(digest.item_digest(item) for item in items) % digest.MODULUS
    assert trip.calls > 8
    for at in range(1, trip.calls + 1):
        place = path.with_name(f"{at}.sqlite")
        with Spill.begin(place, 1) as spill, pytest.raises(Killed):
            read(spill, Side.SOURCE, table(*items), Trip(at, after=after))
        with Spill.begin(place, 2) as spill:
            read(spill, Side.SOURCE, table(*items))
            surveys = spill.surveys(Side.SOURCE).values()
            assert sum(survey.digest for survey in surveys) % digest.MODULUS == total
            assert spill.count() == Counts(missing=20)


def test_whoever_was_taken_over_writes_nothing_more(path: Path) -> None:
    with Spill.begin(path, 1) as old, Spill.begin(path, 2) as new:
        with pytest.raises(RunConflict):
            old.save_page(Side.SOURCE, 0, None, Survey(pages=1), [(b"n" * 16, b"d" * 16)])
        new.save_page(Side.SOURCE, 0, None, Survey(pages=1), [])
        assert new.count() == Counts()


@pytest.mark.parametrize("anew", [False, True])
def test_nobody_is_taken_over_by_who_was_before_them(path: Path, anew: bool) -> None:
    """A process of an earlier attempt that wakes up late must stop, not take the file from its successor."""
    with Spill.begin(path, 2) as new:
        new.save_page(Side.SOURCE, 0, None, Survey(pages=1), [(b"n" * 16, b"d" * 16)])
        with pytest.raises(RunConflict, match="taken over by another process"):
            Spill.begin(path, 1, anew=anew)
        new.save_page(Side.SOURCE, 0, None, Survey(pages=2), [])
    with Spill.begin(path, 2, anew=anew) as again:
        assert again.survey(Side.SOURCE, 0).pages == (0 if anew else 2)


def test_a_file_that_cannot_be_read_is_made_anew_if_nothing_of_it_is_wanted(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(JournalError):
        Spill.begin(path, 1)
    with Spill.begin(path, 1, anew=True) as spill:
        assert spill.count() == Counts()


def test_keys_are_found_again_though_items_were_put_in_between(path: Path) -> None:
    items = [person(number) for number in range(20)]
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table(*items))
        read(spill, Side.TARGET, table())
        spill.count()
        spill.keep_differences()
        now = table(*items[:15], *(person(number) for number in range(100, 160)))
        reader = MemoryReader(now, 2)
        everywhere = spill.wanted(Side.SOURCE)
        for segment in range(SEGMENTS):
            assert spill.wanted(Side.SOURCE, (segment,)) == {n: everywhere[n] for n in everywhere if n == segment}
        assert spill.items(Side.SOURCE) == 20
        for segment, wanted in everywhere.items():
            asyncio.run(locate(scan_of(spill, Side.SOURCE, reader), segment, wanted))
        found = {one.name: open_key(SEALER, one.source_key, one.name) for one in spill.differences() if one.source_key}
    assert sorted(orjson.dumps(key) for key in found.values()) == sorted(orjson.dumps(item) for item in items[:15])


def test_the_file_holds_neither_items_nor_keys_nor_digests_that_a_guess_could_be_tried_on(path: Path) -> None:
    item = person(7, name={"S": "Ada Lovelace"})
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table(item))
        spill.count()
        spill.keep_differences()
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    raw: RawItem = orjson.dumps({"pk": item["pk"]})
    guesses = [b"court.example.org", b"Lovelace", digest.item_digest(item).to_bytes(16, "big")]
    guesses += [hashlib.blake2b(raw, digest_size=16).digest(), hashlib.sha256(raw).digest()]
    assert not [guess for guess in guesses if guess in left]


def test_a_covered_digest_comes_back_only_under_its_name() -> None:
    name, other = NAMES.of(b"a"), NAMES.of(b"b")
    assert NAMES.uncover(name, NAMES.cover(name, 5)) == 5
    assert NAMES.uncover(other, NAMES.cover(name, 5)) != 5
    assert len(shown(name)) == 16
    with pytest.raises(TypeError):
        NAMES.__reduce__()
    assert "…" in repr(NAMES)


def test_the_file_and_what_lies_beside_it_are_deleted(path: Path) -> None:
    with Spill.begin(path, 1) as spill:
        read(spill, Side.SOURCE, table(person(1)))
    Spill.discard(path)
    assert not list(path.parent.iterdir())
    Spill.discard(path)
