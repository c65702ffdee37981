"""Hostile input costs linear work. Work is counted (calls, characters looked at), never timed."""

from __future__ import annotations

import base64
import contextlib
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import zstandard

from downstage.errors import MaskingError
from downstage.masking import address, base64_text, gate, zstd
from downstage.masking.base64_text import Token, readings
from downstage.masking.inline import Codec, Decoded
from downstage.masking.kernel import KERNEL, Kernel
from downstage.masking.look import MAXIMUM_DECODED
from downstage.masking.nested import NestedMasker
from downstage.masking.raw import RawMasker
from downstage.masking.walk import AddressWalk

SIZE = 400_000


class Work:
    """What one masking cost."""

    def __init__(self) -> None:
        self.replaced = 0
        self.characters = 0
        self.scanned = 0
        self.steps = 0

    def replace(self, found: str) -> str:
        self.replaced += 1
        self.characters += len(found)
        return found


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted = Work()
    find, run_start, in_word = address.find, address._run_start, address._in_word
    view, decode = Codec.view, base64_text.decode

    def counting_find(text: str) -> Iterator[address.Span]:
        counted.scanned += len(text)
        return find(text)

    def counting_run(text: str, floor: int, at: int, allowed: str) -> int:
        counted.steps += 1
        return run_start(text, floor, at, allowed)

    def counting_word(character: str) -> bool:
        counted.steps += 1
        return in_word(character)

    def counting_view(self: Codec, text: str) -> Decoded | None:
        counted.scanned += len(text)
        return view(self, text)

    def counting_decode(token: str, *, whole: bool) -> Token | None:
        counted.scanned += len(token)
        return decode(token, whole=whole)

    monkeypatch.setattr(address, "find", counting_find)
    monkeypatch.setattr(address, "_run_start", counting_run)
    monkeypatch.setattr(address, "_in_word", counting_word)
    monkeypatch.setattr(Codec, "view", counting_view)
    monkeypatch.setattr(base64_text, "decode", counting_decode)
    return counted


UNITS = [
    "a", "A", "a.", "aA1-", "#", "é", "éa", "e\u0301", "§", "[", '"', "\\", "\\\\", "%", "&", "=", "=4",
    "\x00", "a\x00",
    "@", "a@", "@a", "a@b ", "#@b.c ", '"@', '"a"@x ', "a@b_", "a@b.co_", "a#" * 40 + "@b ", "é@é", "a@" + "b." * 100,
    "aGVsbG8gd29ybGQgYWdhaW4/", "aGVsbG8gd29ybGQ-", "aGVsbG8gd29ybGQ_aGVs", "/aGVsbG8+", "A" * 76 + "\n", "=\n", "a=\n",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("tail", ["", "@host.example", '"@host.example'])
def test_the_work_is_linear(work: Work, unit: str, tail: str) -> None:
    text = unit * (SIZE // len(unit)) + tail
    assert NestedMasker(work.replace).text(text) == text
    assert work.replaced <= 8 * text.count("@")
    assert work.characters <= 8 * len(text)
    assert work.scanned <= 64 * len(text)
    assert work.steps <= 16 * len(text)


@pytest.mark.parametrize(
    "unit",
    [
        "%25252525%40", "&amp;amp;amp;#64;", "\\\\\\\\\\\\u0040", "=3D3D3D40", "%26amp;\\x5c=3D%25a@b ",
        "%2526&amp;%41\\u0025",
    ],
)  # fmt: skip
def test_escapes_upon_escapes_are_bounded_or_refused(work: Work, unit: str) -> None:
    text = unit * (SIZE // 4 // len(unit))
    with contextlib.suppress(MaskingError):
        NestedMasker(work.replace).text(text)
    assert work.scanned <= 8 * MAXIMUM_DECODED


def test_a_text_that_several_ways_lead_to_is_looked_at_once(work: Work) -> None:
    text = "%41 &#65; \\u0041 =E2=80=94 " * 1000 + "x@y"
    NestedMasker(work.replace).text(text)
    assert work.replaced <= 16


def test_a_stream_that_holds_itself_many_times_is_refused() -> None:
    bomb = b"\0" * 3_000_000
    for _ in range(12):
        bomb = gzip.compress(bomb)
    for masker in (NestedMasker(str).binary, lambda raw: NestedMasker(str).text(base64.b64encode(raw).decode())):
        with pytest.raises(MaskingError):
            masker(bomb)


def test_many_bombs_in_one_text_are_refused_by_their_sum() -> None:
    bomb = base64.b64encode(gzip.compress(b"\0" * 4_000_000)).decode()
    with pytest.raises(MaskingError, match="decodes to more than"):
        NestedMasker(str).text(" ".join([bomb] * 10))


@dataclass
class Counted:
    looked_up: int = 0


def _counting(monkeypatch: pytest.MonkeyPatch, work: Work) -> Counted:
    """Counts how often an item is gone through for one sign or run."""
    counted = Counted()
    add_literals = gate._add_literals

    def counting(text: str, sign: str, literals: gate.Literals, **options: Any) -> bool:
        counted.looked_up += 1
        before = sum(end - start for start, (end, _) in literals.items())
        complete = add_literals(text, sign, literals, **options)
        work.scanned += sum(end - start for start, (end, _) in literals.items()) - before
        return complete

    monkeypatch.setattr(gate, "_add_literals", counting)
    return counted


ITEM_UNITS = [
    "x", "@", "a@", "A", "aGVsbG8gd29ybGQgYWdhaW4/", "aGVsbG8gd29ybGQ-", "%", "%4", "&", "=", "%41", "\\n", '\\"',
    "\\\\", "\\u0041", "é", "＠", "2024-05-16T21:40:46 ", "a@b.co ", "Abcdefgh ", "eHh4eHh4eHg ", '\\"a@b.co\\" ',
]  # fmt: skip


@pytest.mark.parametrize("unit", ITEM_UNITS)
@pytest.mark.parametrize("shape", ["one string", "many strings", "many names"])
def test_the_work_of_the_raw_way_is_linear(work: Work, monkeypatch: pytest.MonkeyPatch, unit: str, shape: str) -> None:
    counted = _counting(monkeypatch, work)
    if shape == "one string":
        raw = '{"v":{"S":"' + unit * (SIZE // len(unit)) + '"}}'
    elif shape == "many strings":
        raw = '{"v":{"L":[' + ",".join([f'{{"S":"{unit}"}}'] * (SIZE // 64)) + "]}}"
    else:
        raw = '{"v":{"M":{' + ",".join(f'"{unit}{place}":{{"N":"1"}}' for place in range(SIZE // 128)) + "}}}"
    nested = NestedMasker(work.replace)
    masked = RawMasker(nested, AddressWalk(nested).attributes)(raw.encode())
    assert orjson.loads(masked) == orjson.loads(raw)
    assert counted.looked_up <= len(gate.SIGNS)
    assert work.replaced <= 16 * len(raw)
    assert work.scanned <= 128 * len(raw)
    assert work.steps <= 32 * len(raw)


@pytest.mark.parametrize("depth", [10, 500, 5000])
def test_deep_nesting_is_masked_or_refused(depth: int) -> None:
    nested = NestedMasker(lambda found: "x@test.example" if found == "a@b.co" else found)
    raw = '{"v":' + '{"L":[' * depth + '{"S":"a@b.co"}' + "]}" * depth + "}"
    mask = RawMasker(nested, AddressWalk(nested).attributes)
    assert mask(raw.encode()) == raw.replace("a@b.co", "x@test.example").encode()
    slow = '{"v":' + '{"L":[' * depth + '{"SS":["a@b.co"]}' + "]}" * depth + "}"
    with contextlib.suppress(MaskingError):
        masked = mask(slow.encode())
        assert masked == slow.replace("a@b.co", "x@test.example").encode()


def test_many_doubtful_runs_are_not_looked_for_one_by_one(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = _counting(monkeypatch, work)
    runs = [base64.b64encode(f"person{place}@x.example".encode()).decode() for place in range(2000)]
    raw = ('{"v":{"L":[' + ",".join(f'{{"S":"{run}"}}' for run in runs) + "]}}").encode()
    nested = NestedMasker(work.replace)
    assert RawMasker(nested, AddressWalk(nested).attributes)(raw) is raw
    assert counted.looked_up == 0


@pytest.mark.parametrize("size", [1000, 100_000])
def test_a_zstd_bomb_is_left_after_the_limit(size: int) -> None:
    """What comes out is counted, not what the frame says that it holds."""
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * size * 1000)
    frames = zstd.decompress(bomb, size, 4)
    assert frames.exceeded
    assert len(frames.content) <= size + 128 * 1024 * 43


@pytest.mark.parametrize("unit", ["A", "Ab-", "Ab/", "Ab+Cd_", "abcdefgh-", "ABCDEFGHIJ/"])
def test_the_readings_of_a_run_are_a_bounded_multiple_of_it(unit: str) -> None:
    run = unit * (SIZE // len(unit))
    assert sum(end - start for start, end in readings(run)) <= 13 * len(run)


@pytest.mark.parametrize(
    ("kernel", "asked"), [(None, ["a", "b", "a"]), (KERNEL, ["a", "b", "a", "b"] if KERNEL else ["a", "b", "a"])]
)
def test_long_addresses_are_not_remembered(kernel: Kernel | None, asked: list[str]) -> None:
    """With the compiled loops no text is: whoever gives the pseudonyms remembers addresses."""
    seen: list[str] = []

    def replace(found: str) -> str:
        seen.append(found)
        return found

    masker = NestedMasker(replace, kernel=kernel)
    for _ in range(2):
        masker.text("a" * 1000 + "@x.example")
        masker.text("b@x.example")
    assert [text[0] for text in seen] == asked
