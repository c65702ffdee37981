"""A table read from an export's files: every item once, from any cursor on; and no damaged file is ever done."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing

import orjson
import pytest

from downstage.copying import export as reading
from downstage.copying.export import ExportReader
from downstage.copying.pacing import Backoff
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, ExportDamaged, Unreachable
from downstage.ports import Item, Page, Piece, RawItem
from downstage.testing.exports import MemoryExports, data_file, export_text, part_etag
from downstage.testing.tables import MemoryTables
from downstage.wire import export as wire
from downstage.wire.export import DataFile, parse_files

ARN = "arn:aws:dynamodb:us-east-1:111111111111:table/app-prod/export/01800000000000-0a1b2c3d"
BUCKET = ExportBucket("111111111111", "raw-prod")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of about 400 bytes and ranges of 100, so that small files have many of both."""
    monkeypatch.setattr(wire, "STRETCH", 400)
    monkeypatch.setattr(reading, "RANGE", 100)


def item(number: int) -> Item:
    return {
        "pk": {"S": f"item|{number}"},
        "text": {"S": f"{random.Random(number).random()}"},
        "n": {"N": f"{number}.50"},
    }


class Place(MemoryExports):
    """The files of one export in memory. `reads` counts how often each file was asked for; `fault` is called before."""

    def __init__(self, *files: Sequence[Item]) -> None:
        super().__init__(MemoryTables([]), BUCKET.account, [])
        text = export_text(ARN, "", [(data_file(items), len(items)) for items in files])
        self.objects |= text.objects
        self.listed: tuple[DataFile, ...] = parse_files(
            text.objects[next(k for k in text.objects if "files.json" in k)]
        )
        self.reads: Counter[str] = Counter()
        self.slept: list[float] = []
        self.fault: Callable[[str, int], None] = lambda _key, _start: None

    def read(self, bucket: ExportBucket, key: str, start: int, length: int, etag: str | None) -> Piece:
        self.reads[key] += 1
        self.fault(key, start)
        return super().read(bucket, key, start, length, etag)

    def damage(self, number: int, content: bytes, *, listed: bool = False) -> None:
        """Puts other bytes in the place of a data file; `listed`: with the ETag that the manifest lists."""
        file = self.listed[number]
        self.objects[file.key] = content
        if listed:
            files = list(self.listed)
            files[number] = DataFile(file.key, file.md5, part_etag(content), file.items)
            self.listed = tuple(files)

    def pages(self, segment: int = 0, total: int = 1, cursor: Item | None = None, most: int = 10**9) -> list[Page]:
        """At most so many pages; the reader is closed afterwards."""

        async def read() -> list[Page]:
            reader = ExportReader(BUCKET, self.listed, self, backoff=Backoff(tries=3), sleep=self.slept.append)
            found: list[Page] = []
            async with aclosing(reader.pages(segment, total, cursor)) as pages:
                async for page in pages:
                    found.append(page)
                    if len(found) == most:
                        break
            return found

        return asyncio.run(read())


def items_in(pages: Sequence[Page]) -> list[RawItem]:
    return [raw for page in pages for raw in page.items]


def written(*files: Sequence[Item]) -> list[RawItem]:
    return [orjson.dumps(item) for file in files for item in file]


FILES = [[item(number) for number in range(first, first + 30)] for first in (0, 100, 200)]


def test_every_item_comes_once_as_it_was_written() -> None:
    place = Place(*FILES)
    pages = place.pages()
    assert items_in(pages) == written(*FILES)
    assert len(pages) > 20
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_segments_share_the_files(total: int) -> None:
    place = Place(*FILES)
    found = [items_in(place.pages(segment, total)) for segment in range(total)]
    assert sorted(raw for part in found for raw in part) == sorted(written(*FILES))


def test_from_every_cursor_on_come_exactly_the_rest() -> None:
    place = Place(*FILES)
    pages = place.pages()
    for number, page in enumerate(pages[:-1], 1):
        cursor = orjson.loads(orjson.dumps(page.cursor))
        assert items_in(place.pages(cursor=cursor)) == items_in(pages[number:])


def test_what_is_behind_a_cursor_is_not_read_again_but_for_its_own_file() -> None:
    place = Place(*FILES)
    cursor = next(page.cursor for page in place.pages() if page.cursor and page.cursor["file"] == 1)
    place.reads.clear()
    place.pages(cursor=cursor)
    assert set(place.reads) == {file.key for file in place.listed[1:]}


def test_each_byte_is_fetched_once() -> None:
    place = Place(*FILES)
    place.pages()
    assert place.reads == {file.key: -(-len(place.objects[file.key]) // 100) for file in place.listed}


@pytest.mark.parametrize("files", [(), ([],), ([], []), (FILES[0], []), ([], FILES[0]), (FILES[0][:1],)])
def test_empty_files_and_none_at_all_end_the_segment(files: tuple[list[Item], ...]) -> None:
    pages = Place(*files).pages()
    assert items_in(pages) == written(*files)
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]


def test_a_file_may_lack_its_last_line_end_and_an_empty_one_every_byte() -> None:
    import gzip

    for content, items in ((gzip.compress(b'{"Item":{"pk":{"S":"a"}}}'), 1), (b"", 0)):
        place = Place([])
        text = export_text(ARN, "", [(content, items)])
        place.objects |= text.objects
        place.listed = parse_files(text.objects[next(key for key in text.objects if "files.json" in key)])
        assert len(items_in(place.pages())) == items


def broken(place: Place, said: str, file: int = 1) -> list[Page]:
    """The read stops, naming the file. Gives the pages up to there: none ends the file, and none the segment."""
    found: list[Page] = []

    async def read() -> None:
        reader = ExportReader(BUCKET, place.listed, place, backoff=Backoff(tries=3), sleep=place.slept.append)
        async for page in reader.pages(0, 1, None):
            found.append(page)

    with pytest.raises(ExportDamaged, match=said) as caught:
        asyncio.run(read())
    assert place.listed[file].key in str(caught.value)
    assert "item|" not in str(caught.value)
    assert "nothing of it counts as copied" in str(caught.value)
    assert all(page.cursor is not None and page.cursor["file"] <= file for page in found)
    return found


def test_a_file_that_is_missing_stops() -> None:
    place = Place(*FILES)
    del place.objects[place.listed[1].key]
    broken(place, "is listed in the manifest, but is not there")


def test_a_file_that_was_written_again_is_not_even_begun() -> None:
    place = Place(*FILES)
    place.damage(1, data_file([item(999)] * 30))
    found = broken(place, "was written again")
    assert items_in(found) == written(FILES[0])


def test_a_wrong_md5_stops_before_the_files_last_page() -> None:
    place = Place(*FILES)
    place.damage(1, data_file([*FILES[1][:-1], item(999)]), listed=True)
    found = broken(place, "has another MD5 than the manifest says")
    assert len(items_in(found)) < 60


@pytest.mark.parametrize("end", [1, 40, 0.5, -1])
def test_a_truncated_file_stops(end: float) -> None:
    place = Place(*FILES)
    content = place.objects[place.listed[1].key]
    place.damage(1, content[: int(end * len(content)) if 0 < end < 1 else int(end)], listed=True)
    broken(place, "is cut off")


def test_a_damaged_file_stops() -> None:
    place = Place(*FILES)
    content = bytearray(place.objects[place.listed[1].key])
    content[len(content) // 2] ^= 0xFF
    place.damage(1, bytes(content), listed=True)
    broken(place, r"is not gzip, or is damaged|is not one|has another MD5|is cut off")


@pytest.mark.parametrize("listed", [29, 31, 0])
def test_another_number_of_items_than_listed_stops(listed: int) -> None:
    place = Place(*FILES)
    file = place.listed[1]
    place.listed = (place.listed[0], DataFile(file.key, file.md5, file.etag, listed), place.listed[2])
    broken(place, f"holds 30 items, and the manifest says {listed}")


def test_who_goes_on_in_a_file_that_is_another_now_is_stopped() -> None:
    """The pages before were of other bytes (damaged on the way, say): what is written must not become a proof."""
    place = Place(*FILES)
    cursor = place.pages(most=3)[-1].cursor
    assert cursor is not None
    assert cursor["file"] == 0
    for changed in ({"digest": "0" * 32}, {"size": cursor["size"] - 1}, {"size": 10**9}):
        with pytest.raises(ExportDamaged, match=r"is not the file that was read before|is cut off"):
            place.pages(cursor=cursor | changed)


def test_what_does_not_come_through_is_tried_again_and_not_for_ever() -> None:
    place = Place(*FILES)
    failures = iter([True, True, False] * 1000)

    def now_and_then(key: str, start: int) -> None:
        if next(failures):
            raise Unreachable("the answer broke off")

    place.fault = now_and_then
    assert items_in(place.pages()) == written(*FILES)
    assert place.slept

    def always(key: str, start: int) -> None:
        raise Unreachable("the answer broke off")

    place.fault = always
    place.reads.clear()
    with pytest.raises(Unreachable, match="does not come through: resume the run"):
        place.pages()
    assert place.reads.total() == 4


def test_a_refusal_is_told_as_it_is() -> None:
    place = Place(*FILES)

    def denied(key: str, start: int) -> None:
        raise AwsError("AWS denies it", "AccessDenied")

    place.fault = denied
    with pytest.raises(AwsError, match="AWS denies it"):
        place.pages()


def test_whoever_stops_early_has_read_no_further_than_a_page_ahead() -> None:
    place = Place(*FILES)
    first = orjson.dumps(place.pages(most=1)[0].cursor)
    assert orjson.loads(first)["file"] == 0
    assert set(place.reads) == {place.listed[0].key}
    assert place.reads.total() < len(place.objects[place.listed[0].key]) / 100
