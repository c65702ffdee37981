"""The fast way and the slow way are one: what the gate lets pass, no look changes; what is masked in the raw bytes is
what the walk over the decoded item gives, refusals included.

The slow way here is told nothing of clean runs, and asks no gate. The fast way is held to it twice, with the compiled
loops and without.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import zlib
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from downstage.errors import MaskingError
from downstage.masking import base64_text
from downstage.masking.edits import Edit, apply
from downstage.masking.email import EmailPseudonyms
from downstage.masking.gate import doubtful_literals, with_escapes, without_escapes
from downstage.masking.kernel import KERNEL, Kernel
from downstage.masking.keys import MaskKey
from downstage.masking.look import Look
from downstage.masking.nested import MAXIMUM_LAYERS, NestedMasker
from downstage.masking.raw import RawMasker
from downstage.masking.walk import AddressWalk

T = TypeVar("T")

PSEUDONYMS = EmailPseudonyms(
    MaskKey(bytes(range(7, 71))), "test", "u-{token}@test.example.com", ["ours.example"], ["ops@kept.example"]
)


def fast(kernel: Kernel | None) -> tuple[NestedMasker, RawMasker]:
    nested = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept, kernel)
    return nested, RawMasker(nested, AddressWalk(nested).attributes)


KERNELS = (KERNEL, None)
FAST = list(map(fast, KERNELS))


class Ungated(NestedMasker):
    """Every text is looked at, and all of it: there is no memory of runs that hold nothing."""

    def text(self, text: str, *, runs_are_clean: bool = False) -> str:
        for _ in range(4):
            look = Look(self._replace, self._is_kept, None)
            edits = look.edits(text, 0)
            if not edits:
                return text
            within = [edit for edit in edits if edit.depth <= MAXIMUM_LAYERS and not edit.refused]
            if not within:
                raise MaskingError("refused")
            text = apply(text, within)
        raise MaskingError("does not settle")


SLOW = AddressWalk(Ungated(PSEUDONYMS.replace, PSEUDONYMS.is_kept))


def slowly(mask: Callable[[T], T], value: T) -> T | None:
    """None if it is refused."""
    try:
        return mask(value)
    except MaskingError:
        return None


def all_mask_as_a_look(ways: list[tuple[NestedMasker, RawMasker]], text: str) -> None:
    expected = slowly(SLOW.nested.text, text)
    for nested, _ in ways:
        if expected is None:
            with pytest.raises(MaskingError):
                nested.text(text)
        else:
            assert nested.text(text) == expected


addresses = st.sampled_from(
    ["bob@x.example", "Bob.Lee@X.example", "jörg@bücher.example", "a@b", "ann@ours.example", "ops@kept.example",
     '"john doe"@x.example', "bob＠x.example", "o'neil+tag@agency.example.org", PSEUDONYMS.replace("eve@x.example")]
)  # fmt: skip
plain = st.sampled_from(
    ["", "Petition", "docketNumber", "2024-05-16T21:40:46.415Z", "6f2b1c1e-8a37-4f4e-9a52-0f6f0c1d2e3f", "50% & more",
     "case|101-18W", 'say "x"\n', "\\", "a/b-c_D+eFghIjkl", "SGVsbG8gd29ybGQ", "KLUv", "H4sIAAAA", "x = 1", "{",
     "é\U0001f600", "&amp;", "%41", "=3D", "\x00", "Ab" * 20, "\r\n", '{"S":"', '"B":"']
)  # fmt: skip
marks = st.text(alphabet=st.sampled_from('ab@.|"\\%4025&;=[]{}:,/ \n＠éu0QGYx-_+A'), max_size=12)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def surrogate_free(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


wrappers = st.sampled_from(
    [
        lambda text: text,
        lambda text: f"to {text}, now",
        lambda text: json.dumps({"n": 1.10, "to": [text]}),
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: quote(text, safe=""),
        lambda text: html.escape(text).replace("@", "&#64;"),
        lambda text: b64(text.encode()),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        lambda text: b64(gzip.compress(text.encode(), mtime=0)),
        lambda text: b64(zlib.compress(text.encode())),
        lambda text: b64(zstandard.compress(text.encode())),
        lambda text: b64((text + " and on it goes, line upon line, " * 4).encode())[:76] + "\n" + b64(b"more of it"),
        lambda text: text.replace("@", "=40") + " =E2=80=94",
    ]
)
texts = st.recursive(
    st.lists(addresses | plain | marks, min_size=1, max_size=4).map("".join).map(surrogate_free),
    lambda inner: st.builds(lambda wrap, text: wrap(text), wrappers, inner),
    max_leaves=3,
)
clean_texts = st.lists(plain, min_size=1, max_size=4).map(" ".join)
strings = texts | clean_texts
binaries = st.one_of(
    strings.map(str.encode), st.binary(max_size=40), strings.map(lambda text: zstandard.compress(text.encode()))
).map(b64)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    strings.map(lambda text: {"S": text}),
    st.integers().map(lambda number: {"N": str(number)}),
    st.just({"BOOL": True}),
    st.sets(strings, min_size=1, max_size=3).map(lambda members: {"SS": sorted(members)}),
    binaries.map(lambda content: {"B": content}),
    st.sets(binaries, min_size=1, max_size=2).map(lambda members: {"BS": sorted(members)}),
)
names = plain | plain | texts | st.sampled_from(["B", "BS", "S", "M"])
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(names, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
items = st.dictionaries(names, values, max_size=4)


FIVE_LAYERS_AS_A_TEXT = b64(zstandard.compress(b64(gzip.compress(b"bob%40x.example", mtime=0)).encode()))


@settings(max_examples=1500, deadline=None)
@given(items)
@example({"v": {"BS": [FIVE_LAYERS_AS_A_TEXT]}})
@example({"v": {"B": FIVE_LAYERS_AS_A_TEXT}, "B": {"S": "B"}, "w": {"S": "bob@x.example"}})
def test_raw_and_walk_agree(item: dict[str, Any]) -> None:
    raw = orjson.dumps(item)
    expected = slowly(SLOW.attributes, item)
    for _, mask in FAST:
        if expected is None:
            with pytest.raises(MaskingError):
                mask(raw)
            continue
        masked = mask(raw)
        assert masked == orjson.dumps(expected)
        assert (masked is raw) == (expected == item)
        assert mask(masked) is masked


@settings(max_examples=500, deadline=None)
@given(items, st.booleans())
def test_they_agree_however_the_json_is_written(item: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(item, ensure_ascii=ascii_only, indent=1 if ascii_only else None).replace("/", "\\/").encode()
    expected = slowly(SLOW.attributes, item)
    for _, mask in FAST:
        if expected is None:
            with pytest.raises(MaskingError):
                mask(raw)
        else:
            assert orjson.loads(mask(raw)) == expected


@settings(max_examples=1500, deadline=None)
@given(strings | st.text(), st.sampled_from(["S", "SS", "name"]))
@example("a@b", "S")
@example(b64(b"a@b.co"), "SS")
def test_what_the_gate_lets_pass_no_look_changes(text: str, where: str) -> None:
    text = surrogate_free(text)
    item: dict[str, Any] = {text: {"N": "1"}} if where == "name" else {"v": {where: [text] if where == "SS" else text}}
    raw = orjson.dumps(item)
    runs = NestedMasker(PSEUDONYMS.replace).clean_runs
    written = without_escapes(raw.decode())
    literals = None if written is None else doubtful_literals(written, runs, runs.unknown(written))
    passes = literals == {} or (KERNEL is not None and runs.look(KERNEL, raw) == ([], []))
    if passes:
        assert Look(PSEUDONYMS.replace, PSEUDONYMS.is_kept).edits(text, 0) == []


@settings(max_examples=1500, deadline=None)
@given(st.text(base64_text._ALPHABET + "-_", min_size=8, max_size=64) | texts.map(str.encode).map(b64))
def test_a_run_that_is_called_clean_has_no_edits(run: str) -> None:
    if any(fast(kernel)[0].clean_runs.cover(run) for kernel in KERNELS):
        for text in (run, f"x {run}=", f"{run}==\n"):
            found: list[Edit] = Look(PSEUDONYMS.replace, PSEUDONYMS.is_kept).edits(text, 0)
            assert found == []


@settings(max_examples=500, deadline=None)
@given(items, st.text(st.sampled_from('\\"nrtu0041/ab{}:,\n\x01\x02'), max_size=12))
def test_escapes_are_undone_only_where_they_can_be_made_again(item: dict[str, Any], more: str) -> None:
    for written in (orjson.dumps(item).decode(), more):
        text = without_escapes(written)
        if text is not None and text is not written:
            assert with_escapes(text) == written
            assert "\\" not in text


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(plain, clean_texts.map(lambda text: {"S": text}), max_size=6))
def test_without_an_address_the_bytes_are_the_same_object(item: dict[str, Any]) -> None:
    raw = orjson.dumps(item)
    assert all(mask(raw) is raw for _, mask in FAST)


@settings(max_examples=1000, deadline=None)
@given(strings)
def test_plain_texts_are_masked_as_a_look_masks_them(text: str) -> None:
    all_mask_as_a_look(FAST, text)


NEIGHBOURS = [
    "",
    *" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ1",
    "\n",
    "\t",
    "\r\n",
    "é",
    "’",
    "＠",
    ". ",
    ".x",
    '."',
    '"@',
    '"@c.de',
    ".@",
    "@[",
]


@pytest.mark.parametrize("spelling", ["bob@x.example", "Bob@x.example", PSEUDONYMS.replace("eve@x.example")])
@pytest.mark.parametrize(
    "around", ["{0}%s{1}", "{0}%s{1}ann@y.example", "ann@y.example{0}%s{1} a@[x", "x@{0}%s{1}@y.de"]
)
def test_whatever_stands_beside_an_address_no_look_changes_the_result(spelling: str, around: str) -> None:
    fresh = list(map(fast, KERNELS))
    for before in NEIGHBOURS:
        for after in NEIGHBOURS:
            all_mask_as_a_look(fresh, (around % spelling).format(before, after))


URLS = [
    "https://courts.example/confirm?{0}={1}&next={2}",
    "{0}={1}",
    '{{"to":"{1}","{0}":"say \\"{2}\\""}}',
    "{0}%3D{1}%26{2}",
    '[\\n"{1}"]',
    '{{"{0}":"x\\n{1}\\t{2}"}}',
    "/%2f{1}%2Ecom",
    "{0}%{1}",
    "mailto:{1}?cc={2}",
    '"\\"{1}\\"',
    "{0}={1}={2}",
]
PLACES = [
    "email",
    "a.com",
    "x+bob",
    "x.y+bob",
    "%41",
    "Abcdefgh",
    "",
    "=",
    "user-email",
    "aGVsbG8gd29ybGQ",
    "&amp;",
    "'",
]
FINDS = [
    "bob@x.example",
    "Bob.Lee@X.example",
    "bob%40x.example",
    "eve.com%40x.de",
    "eve.com@x.de",
    "b@c",
    "ann@ours.example",
    PSEUDONYMS.replace("eve@x.example"),
    PSEUDONYMS.replace("Eve@x.example").replace("@", "%40"),
    "bob@x.example.",
    "bob@x_y.de",
    "bob@x.example%20",
    "%22bob%22@x.example",
    "bob@x.example\\u0020",
    "bob@@x.example",
    "a@b@c.de",
    "bob@[10.0.0.1]",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("after", ["", "a.com", "bob%40x.example", "fe@x.de", "%2Fcases", "+x@y.de"])
def test_links_and_json_are_masked_as_a_look_masks_them(url: str, after: str) -> None:
    fresh = list(map(fast, KERNELS))
    for place in PLACES:
        for found in FINDS:
            text = url.format(place, found, after)
            all_mask_as_a_look(fresh, text)
            all_mask_as_a_look(fresh, b64(text.encode()))


BECOMES_LONG_BY_ITS_PADDING = [
    "abcdefg-PGJvQHdlYj4sICMxICh4KQ==", "QXfHQkBYLmRlPVthQGIuY3s=", "b3D6QGtlcHQuZXhhbXBsZQ==",
    "Sm9z6SA8am9Ad2ViLmRlPg==", "abcdefg-QWJhJTI3QGIuYy1hQGIuY38=", "YW5uQG_9cnMuZXhhbXBsZSU=",
    "YW5uQG_9cnMuZXhhbXBsZSU=YUBiKmNqb0B3ZWIuZGVCQFguZGVhYmpvQHdlYi5kZTt7",
]  # fmt: skip


@pytest.mark.parametrize("text", BECOMES_LONG_BY_ITS_PADDING)
@pytest.mark.parametrize("before", ["", "é {0}", "{0}", "x {0}= y"])
def test_base64_that_its_padding_makes_long_is_looked_into(text: str, before: str) -> None:
    ways = list(map(fast, KERNELS))
    for nested, mask in ways:
        nested.text(before.format(text.split("=")[0]))
        mask(orjson.dumps({"v": {"S": before.format(text.split("=")[0])}}))
    all_mask_as_a_look(ways, text)


SINKS = [
    "{token}@test.example.com", "qa+{token}@x.example", "de{token}@x.example", "u@x.{token}", "u@{token}",
    "a.b-{token}@x.example", "{token}.de@x.example", "fe+{token}.x@x.example",
]  # fmt: skip
AROUND = [
    "{}", "to={}", "?to={}&x", "to={} x", "a%20x={}", "?x%3D{}", '["\\n","x={}"]', "x=y={}", "{}%41", "to=%41{}",
    "<{}>",
]  # fmt: skip


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("around", AROUND)
def test_whatever_the_sink_a_pseudonym_is_known_again(sink: str, around: str) -> None:
    pseudonyms = EmailPseudonyms(MaskKey(bytes(range(7, 71))), "test", sink)
    slow = Ungated(pseudonyms.replace)
    addresses = [f"user{number}@x.example" for number in range(60)]
    addresses += [spelling % number for spelling in ("bob%%2Btag%d@x.de", "b%%6Fb%d@x.de") for number in range(20)]
    for address in addresses:
        text = around.format(address)
        expected = slowly(slow.text, text)
        for kernel in KERNELS:
            nested = NestedMasker(pseudonyms.replace, kernel=kernel)
            if expected is None:
                with pytest.raises(MaskingError):
                    nested.text(text)
                continue
            masked = nested.text(text)
            assert masked == expected
            another = EmailPseudonyms(MaskKey(bytes(range(7, 71))), "test", sink)
            assert NestedMasker(another.replace, kernel=kernel).text(masked) == masked
