"""Raw items in and out: the gate names every decoder, what is clean is the same object, and the rest is masked exactly
as the walk over the decoded item does it. Zstandard and damaged streams are shown here too."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import random
import re
import zlib
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import zstandard

from downstage.errors import MaskingError
from downstage.masking import base64_text, gate
from downstage.masking.base64_text import readings
from downstage.masking.clean_runs import BINARIES, CleanRuns
from downstage.masking.email import EmailPseudonyms
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS
from downstage.masking.keys import MaskKey
from downstage.masking.nested import NestedMasker
from downstage.masking.raw import RawMasker
from downstage.masking.walk import AddressWalk
from downstage.ports import Item
from tests.packing import gzipped

PSEUDONYMS = EmailPseudonyms(MaskKey(bytes(range(64))), "test", "u-{token}@test.example.com", ["ours.example"])
ADDRESS = "bob.lee@agency.example"
BOB = PSEUDONYMS.replace(ADDRESS)


class Masker:
    """A RawMasker that counts how often it goes the slow way."""

    def __init__(self) -> None:
        self.nested = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept)
        self.walk = AddressWalk(self.nested)
        self.raw = RawMasker(self.nested, self._slow)
        self.slow = 0

    def _slow(self, item: Item) -> Item:
        self.slow += 1
        return self.walk.attributes(item)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def doubtful(runs: CleanRuns, text: str) -> list[str]:
    return runs.doubtful(text, runs.unknown(text))


def slowly(item: Item) -> bytes:
    return orjson.dumps(AddressWalk(NestedMasker(PSEUDONYMS.replace)).attributes(item))


CLEAN: list[Item] = [
    {"pk": {"S": "case|101-18"}, "sk": {"S": "6f2b1c1e-8a37-4f4e-9a52-0f6f0c1d2e3f"}},
    {"createdAt": {"S": "2024-05-16T21:40:46.415Z"}, "isOnDocketRecord": {"BOOL": True}, "n": {"N": "1e-400"}},
    {
        "text": {"S": 'one\ntwo\r\n\t"three"'},
        "é": {"S": "Gr\u00fc\u00dfe \U0001f600"},
        "S": {"S": "B"},
        "B": {"S": "S"},
    },
    {"a": {"S": "50% of 3 = 1.5 & more; Hughes & Park"}, "b": {"SS": ["B", "BS ", "x"]}, "c": {"NULL": True}},
    {"b": {"B": b64(b"\x00\x01\xff")}, "c": {"B": b64(b"nothing here")}, "B": {"M": {"BS": {"L": []}}}},
    {"at": {"S": "meet @noon"}, "kept": {"S": "ops@ours.example"}, "p": {"S": BOB}, "@": {"S": "\\u0040"}},
    {},
]


@pytest.mark.parametrize("item", CLEAN)
def test_a_clean_item_is_the_same_object(item: Item) -> None:
    raw = orjson.dumps(item)
    masker = Masker()
    assert masker.raw(raw) is raw
    assert masker.raw(raw) is raw


@pytest.mark.parametrize("item", CLEAN[:4])
def test_a_clean_item_is_not_decoded(item: Item) -> None:
    masker = Masker()
    masker.raw(orjson.dumps(item))
    assert masker.slow == 0


IN_PLACE = [
    ADDRESS,
    f"Served on {ADDRESS}, and {ADDRESS}.",
    f'\n{ADDRESS}\t"x"',
    f"\\{ADDRESS}",
    f'{{"to":"{ADDRESS}","n":1.10}}',
    json.dumps({"to": [f"\n{ADDRESS}", '"q"']}),
    quote(f"é {ADDRESS}", safe=""),
    "bob.lee&#64;agency.example",
    "bob.lee＠agency.example",
    f"é {ADDRESS}",
    f"\U0001f600{ADDRESS}",
    b64(ADDRESS.encode()),
    f"/confirm/{b64(ADDRESS.encode())}",
    f"x\n{b64(ADDRESS.encode())}",
    "Reply to bob.lee=40agency.example =E2=80=94 the clerk",
    b64(gzipped(ADDRESS.encode())),
    b64(zstandard.compress(ADDRESS.encode())),
    b64(ADDRESS.encode() * 8)[:76] + "\n" + b64(ADDRESS.encode() * 8)[76:],
    '"john doe"@agency.example',
]


@pytest.mark.parametrize("text", IN_PLACE)
def test_a_string_is_masked_in_its_place(text: str) -> None:
    item: Item = {"pk": {"S": "x"}, "v": {"S": text}, "l": {"L": [{"S": text}, {"M": {"S": {"S": text}}}]}}
    masker = Masker()
    masked = masker.raw(orjson.dumps(item))
    assert masked == slowly(item)
    assert masked != orjson.dumps(item)
    assert masker.slow == 0
    assert masker.raw(masked) is masked


@pytest.mark.parametrize("text", [ADDRESS, b64(ADDRESS.encode()), "bob%40agency.example"])
@pytest.mark.parametrize("shape", ["name", "inner name", "set", "binaries"])
def test_names_and_sets_go_the_slow_way(text: str, shape: str) -> None:
    items: dict[str, Item] = {
        "name": {text: {"S": "x"}},
        "inner name": {"a": {"M": {text: {"N": "1"}}}},
        "set": {"a": {"SS": ["x", text]}},
        "binaries": {"a": {"BS": [b64(text.encode())]}},
    }
    masker = Masker()
    assert masker.raw(orjson.dumps(items[shape])) == slowly(items[shape])
    assert masker.slow == 1
    assert masker.nested.replaced == 1


@pytest.mark.parametrize(
    "content", [ADDRESS.encode(), b"a@b", gzipped(ADDRESS.encode()), zstandard.compress(ADDRESS.encode())]
)
def test_a_binary_goes_the_slow_way(content: bytes) -> None:
    item: Item = {"v": {"S": ADDRESS}, "b": {"B": b64(content)}}
    masker = Masker()
    assert masker.raw(orjson.dumps(item)) == slowly(item)
    assert masker.slow == 1


@pytest.mark.parametrize(
    "item",
    [
        {ADDRESS: {"S": "1"}, BOB: {"S": "2"}},
        {"a": {"SS": [ADDRESS, BOB]}},
        {"a": {"S": b64(gzipped(ADDRESS.encode())[:-8])}},
        {"a": {"B": "not base64"}},
    ],
)
def test_what_the_walk_refuses_is_refused(item: Item) -> None:
    with pytest.raises(MaskingError) as expected:
        slowly(item)
    with pytest.raises(MaskingError, match=re.escape(str(expected.value))):
        Masker().raw(orjson.dumps(item))


@pytest.mark.parametrize(
    "written",
    [
        r'{"v":{"S":"bob.lee\u0040agency.example"}}', r'{"v":{"S":"a\/bob.lee@agency.example"}}',
        r'{"v":{"S":"\ud83d\ude00 bob.lee@agency.example"}}', r'{ "v" : { "S" : "bob.lee@agency.example" } }',
        r'{"v":{"\u0042":"Ym9iLmxlZUBhZ2VuY3kuZXhhbXBsZQ=="}}',
        r'{ "v": { "B" : "Ym9iLmxlZUBhZ2VuY3kuZXhhbXBsZQ==" } }',
        r'{"v\"":{"S":"\\\\\"bob.lee@agency.example"}}', r'{"v":{"S":"\\"},"w":{"S":"bob.lee@agency.example"}}',
        r'{"v":{"S":"Ym9iLmxlZUBh\/nothing"},"w":{"S":"\u0062ob.lee@agency.example"}}',
        r'{"v":{ "BS":["Ym9iLmxlZUBhZ2VuY3kuZXhhbXBsZQ=="]}}',
    ],
)  # fmt: skip
def test_however_the_json_is_written(written: str) -> None:
    raw = written.encode()
    masked = Masker().raw(raw)
    assert orjson.loads(masked) == orjson.loads(slowly(orjson.loads(raw)))
    assert masked != raw


@pytest.mark.parametrize(
    "raw",
    [b'{"v":{"S":"\xff@"}}', b"\xff", b'"a@b"', b'{"v":{"S":"\\ud800@"}}', b'{"v":{"S":"a@b', b'@"', b"[@]"],
)
def test_what_is_no_json_is_refused_without_being_shown(raw: bytes) -> None:
    with pytest.raises(MaskingError) as caught:
        Masker().raw(raw)
    assert "@" not in str(caught.value)


def test_the_statistics_are_those_of_the_walk() -> None:
    item: Item = {
        "a": {"S": f"{ADDRESS} {ADDRESS}"},
        "k": {"S": "ops@ours.example"},
        ADDRESS: {"B": b64(b"\x89PNG\r\n\x00\x01\xfe\xff\xfd")},
    }
    masker, walk = Masker(), AddressWalk(NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept))
    masker.raw(orjson.dumps(item))
    walk.attributes(item)
    assert masker.nested.counts() == walk.nested.counts() == (3, 1, 1)


def test_the_gate_has_a_sign_for_every_codec() -> None:
    units = {sign.text: sign.unit for sign in gate.SIGNS}
    for codec in (JSON, *SURE_CODECS, *GUESSED_CODECS):
        assert codec.trigger in units
        assert units[codec.trigger] in (None, codec.unit)


def test_a_codec_that_is_added_has_a_sign_at_once() -> None:
    added = dataclasses.replace(SURE_CODECS[0], name="added", trigger="~", unit=re.compile("~[0-9]"))
    other = dataclasses.replace(added, unit=re.compile("~[a-z]"))
    assert gate.Sign("~", added.unit) in gate.signs_of((*SURE_CODECS, added))
    assert gate.Sign("~", None) in gate.signs_of((*SURE_CODECS, added, other))
    with pytest.raises(TypeError, match="trigger"):
        type(added)(name="x", unit=added.unit, decode=added.decode, encode=added.encode)  # type: ignore[call-arg]


def test_each_unit_starts_where_its_trigger_stands() -> None:
    """The gate tries a unit at its trigger alone."""
    examples = {"%": "%40", "&": "&#64;", "=": "=40", "\\": "\\u0040", "=40": "=40", "\x00": "\x00"}
    for codec in (JSON, *SURE_CODECS, *GUESSED_CODECS):
        match = codec.unit.search("xx" + examples[codec.trigger])
        assert match is not None
        assert match.start() == 2


def test_the_cheap_look_at_a_run_never_denies_what_is_decoded() -> None:
    noise = random.Random(9)
    alphabets = (base64_text._ALPHABET + "-_", "abcdefgh0123456789-_ABQ", "0123456789-TZ")
    decoded = 0
    for alphabet in alphabets * 7000:
        run = "".join(noise.choices(alphabet, k=noise.choice([8, 9, 11, 13, 16, 22, 31, 34])))
        taken = any(
            base64_text.decode(run[start:end], whole=end - start == len(run)) is not None
            for start, end in readings(run)
        )
        decoded += taken
        assert base64_text.may_be(run) or not taken
        assert base64_text.likely([b"12345678", run.encode()]) or not base64_text.may_be(run)
    assert 1000 < decoded < 20000


def test_two_characters_tell_what_a_token_may_start_with() -> None:
    for first, second in itertools.product(base64_text._ALPHABET, repeat=2):
        for rest in ("AAAAAA", "gAAAAA", "4CAAAA", "oAAAAA", "BQUFBQ", "oKCgoA", "cdefgA"):
            head = first + second + rest
            if head != head.lower() and base64_text._heads(head, False):
                assert base64_text.likely([head.encode()]) == [head.encode()]


def test_dates_fall_through_and_rightly_so() -> None:
    rests = [
        f"{month}-{day}T{hour}"
        for month in map("{:02}".format, range(20))
        for day in map("{:02}".format, range(40))
        for hour in map("{:02}".format, range(30))
    ]
    for rest in rests:
        assert base64_text.decode(rest, whole=False) is None
    assert base64_text.likely([f"2024-{rest}".encode() for rest in rests[:300]]) == []


def test_what_plainly_holds_an_address_is_doubtful_without_a_look() -> None:
    def is_nothing(run: str) -> bool:
        raise AssertionError

    assert doubtful(CleanRuns(is_nothing), f"/confirm?{b64(b'bob@b.co')}") == [b64(b"bob@b.co").rstrip("=")]


def test_the_types_of_binaries_are_never_known() -> None:
    runs = CleanRuns(lambda run: True)
    many = " ".join("abcdefghij") + ' "B":"BS" B' + " 1" * 40
    for _ in range(3):
        assert set(runs.unknown(many)) >= BINARIES
    assert b"a" not in runs.unknown(many)


def test_a_run_is_looked_into_once_and_what_is_found_to_hold_something_stays_doubtful() -> None:
    looked: list[str] = []

    def is_nothing(run: str) -> bool:
        looked.append(run)
        return run != "YiU0MGIuY28"

    runs = CleanRuns(is_nothing)
    for _ in range(3):
        assert doubtful(runs, '"docketNumber","YiU0MGIuY28","2024-05-16T21","SGVsbG8gd29y"') == ["YiU0MGIuY28"]
        assert "SGVsbG8gd29y" in runs
        assert "YiU0MGIuY28" not in runs
    assert sorted(looked) == ["SGVsbG8gd29y", "YiU0MGIuY28"]


@pytest.mark.parametrize(("length", "looks"), [(21, 1), (22, 2), (23, 2), (24, 1)])
def test_padding_is_tried_where_it_matters(length: int, looks: int) -> None:
    looked: list[str] = []

    def is_nothing(run: str) -> bool:
        looked.append(run)
        return True

    assert doubtful(CleanRuns(is_nothing), "SGVsbG8gd29ybGQgYWdhaW4h"[:length]) == []
    assert len(looked) == looks


CONTENT = b"Served on " + ADDRESS.encode() + b" by electronic mail."
FRAME = zstandard.compress(CONTENT)
SKIPPED = b"\x53\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"


@pytest.mark.parametrize(
    "raw", [FRAME, zstandard.compress(CONTENT[:15]) + zstandard.compress(CONTENT[15:]), SKIPPED + FRAME,
            FRAME + SKIPPED,
            zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(CONTENT)],
)  # fmt: skip
def test_zstd_frames_are_masked_and_made_again(raw: bytes) -> None:
    nested = NestedMasker(PSEUDONYMS.replace)
    masked = nested.binary(raw)
    assert zstandard.decompress(masked) == CONTENT.replace(ADDRESS.encode(), BOB.encode())
    assert NestedMasker(PSEUDONYMS.replace).binary(raw) == masked
    assert nested.binary(masked) is masked
    assert ADDRESS not in base64.b64decode(nested.text(b64(raw))).decode("latin-1")
    rest = nested.binary(raw + b"\x00\xff tail")
    assert rest.endswith(b"\x00\xff tail")


def test_what_zstd_skips_is_looked_at_too() -> None:
    clean = zstandard.compress(b"nothing")
    skipped = b"\x50\x2a\x4d\x18" + len(ADDRESS).to_bytes(4, "little") + ADDRESS.encode()
    masked = NestedMasker(PSEUDONYMS.replace).binary(skipped + clean)
    assert ADDRESS.encode() not in masked
    assert zstandard.decompress(masked) == b"nothing"


def test_clean_zstd_is_the_same_object() -> None:
    raw = zstandard.compress(b"nothing in here" * 100)
    assert NestedMasker(PSEUDONYMS.replace).binary(raw) is raw
    text = b64(raw)
    assert NestedMasker(PSEUDONYMS.replace).text(text) is text


def with_dictionary() -> bytes:
    samples: list[bytes | bytearray | memoryview] = [
        b"%d@x.example says hello to %d" % (place, place * 7) for place in range(3000)
    ]
    return zstandard.ZstdCompressor(dict_data=zstandard.train_dictionary(4096, samples)).compress(bytes(samples[3]) * 3)


@pytest.mark.parametrize(
    "raw",
    [
        FRAME[:-4], FRAME[:20], FRAME + FRAME[:-1], FRAME[:4] + b"\xff" * 20, with_dictionary(),
        zstandard.compress(b"\0" * 20_000_000), zstandard.compress(b"x") * 100,
    ],
)  # fmt: skip
def test_zstd_that_cannot_be_looked_into_is_refused(raw: bytes) -> None:
    for mask in (lambda: NestedMasker(str).binary(raw), lambda: NestedMasker(str).text(b64(raw))):
        with pytest.raises(MaskingError):
            mask()


def broken_checksum(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]


GZIPPED = gzipped(CONTENT)
NAMED = GZIPPED[:3] + b"\x1c" + GZIPPED[4:10] + b"\x03\x00abcname\x00comment\x00" + GZIPPED[10:]


@pytest.mark.parametrize(
    "raw",
    [
        broken_checksum(GZIPPED, len(GZIPPED) - 8), broken_checksum(GZIPPED, len(GZIPPED) - 1),
        broken_checksum(GZIPPED, len(GZIPPED) - 8) + b"rest", broken_checksum(NAMED, len(NAMED) - 8),
        broken_checksum(zlib.compress(CONTENT), len(zlib.compress(CONTENT)) - 1),
        gzipped(b"clean") + broken_checksum(GZIPPED, len(GZIPPED) - 8),
    ],
)  # fmt: skip
def test_a_wrong_checksum_hides_no_address(raw: bytes) -> None:
    for mask in (
        lambda: NestedMasker(PSEUDONYMS.replace).binary(raw),
        lambda: NestedMasker(PSEUDONYMS.replace).text(b64(raw)),
    ):
        with pytest.raises(MaskingError) as caught:
            mask()
        assert "agency" not in str(caught.value)


def test_a_wrong_checksum_over_nothing_is_left_alone() -> None:
    raw = broken_checksum(gzipped(b"nothing in here"), -8 + len(gzipped(b"nothing in here")))
    assert NestedMasker(PSEUDONYMS.replace).binary(raw) is raw


def test_items_differ_only_where_they_must() -> None:
    items: list[dict[str, Any]] = [{"v": {"S": text}, "n": {"N": "0.10"}} for text in IN_PLACE]
    masker = Masker()
    for item in items:
        masked = orjson.loads(masker.raw(orjson.dumps(item)))
        assert masked["n"] == item["n"]
        assert masked["v"] != item["v"]
