"""Whatever address is planted, under whatever composition of encodings: none is left, and nothing else is changed.

The judge is the independent scanner, and the decoders here, which are the standard library's.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import quopri
import re
import string
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import orjson
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from downstage.errors import MaskingError
from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms, canonical
from downstage.masking.keys import MaskKey
from downstage.masking.nested import NestedMasker
from downstage.masking.zstd import MAGIC
from downstage.verify.leaks import LeakScanner

PSEUDONYMS = EmailPseudonyms(
    MaskKey(bytes(range(7, 71))), "test", "u-{token}@test.example.com", ["ours.example"], ["ops@kept.example"]
)
MASKER = NestedMasker(PSEUDONYMS.replace)
SCANNER = LeakScanner(allowed=PSEUDONYMS.allowed, fingerprint=PSEUDONYMS.fingerprint)


@dataclass(frozen=True)
class Encoding:
    name: str
    encode: Callable[[str], str]
    decode: Callable[[str], str]
    layers: int = 1


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    text = text.translate(str.maketrans("-_", "+/"))
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _qp(text: str) -> str:
    return "caf=C3=A9 " + "".join(
        chr(byte) if chr(byte) in string.ascii_letters else f"={byte:02X}" for byte in text.encode()
    )


ENCODINGS = [
    Encoding("json", lambda t: json.dumps({"n": 1, "b": [t]}), lambda t: str(json.loads(t)["b"][0])),
    Encoding("json, all escaped", lambda t: '["' + _units(t) + '"]', lambda t: str(json.loads(t)[0])),
    Encoding("json, odd", lambda t: '{ "x":1.10,"\\n":' + json.dumps(t, ensure_ascii=False) + " }", lambda t: _odd(t)),
    Encoding("percent", lambda t: quote(t, safe=""), unquote),
    Encoding("percent, everything", lambda t: "".join(f"%{byte:02x}" for byte in t.encode()), unquote),
    Encoding("percent twice", lambda t: quote(quote(t, safe=""), safe=""), lambda t: unquote(unquote(t)), 2),
    Encoding("html", lambda t: html.escape(t).replace("@", "&#64;"), html.unescape),
    Encoding("html, all hexadecimal", lambda t: "".join(f"&#x{ord(c):X};" for c in t), html.unescape),
    Encoding("quoted-printable", _qp, lambda t: quopri.decodestring(t.encode()).decode().removeprefix("café ")),
    Encoding("base64", lambda t: _b64(t.encode()), lambda t: _unb64(t).decode()),
    Encoding(
        "base64 url-safe",
        lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
        lambda t: _unb64(t.rstrip("=")).decode(),
    ),
    Encoding(
        "data uri",
        lambda t: f"data:text/plain;base64,{_b64(t.encode())}",
        lambda t: _unb64(t.partition(",")[2]).decode(),
    ),
    Encoding(
        "gzip", lambda t: _b64(gzip.compress(t.encode(), mtime=0)), lambda t: gzip.decompress(_unb64(t)).decode(), 2
    ),
    Encoding("zlib", lambda t: _b64(zlib.compress(t.encode())), lambda t: zlib.decompress(_unb64(t)).decode(), 2),
    Encoding("utf-16", lambda t: _b64(t.encode("utf-16")), lambda t: _unb64(t).decode("utf-16"), 2),
]


def _units(text: str) -> str:
    data = text.encode("utf-16-be")
    return "".join(f"\\u{data[at] << 8 | data[at + 1]:04x}" for at in range(0, len(data), 2))


def _odd(text: str) -> str:
    assert text.startswith('{ "x":1.10,"\\n":')
    return str(json.loads(text)["\n"])


ATEXT = string.ascii_letters + string.digits + "!#$&*/=?^_`{|}~'+-"
ESCAPE_LIKE = re.compile(r"[%=][0-9A-Fa-f]{2}|&#?\w+|=\?|\?=")
labels = st.text(string.ascii_lowercase + string.digits, min_size=2, max_size=12)
hosts = st.builds(
    lambda first, top: f"{first}.{top}", labels, st.sampled_from(["com", "de", "example", "co.uk", "org"])
)
atoms = st.text(ATEXT, min_size=1, max_size=20).filter(lambda t: t[-1].isalnum() and not ESCAPE_LIKE.search(t))
dotted = st.lists(atoms, min_size=1, max_size=3).map(".".join)
words = st.text(string.ascii_lowercase + string.digits + "._+-", min_size=3, max_size=20).filter(
    lambda t: t[0].isalnum() and t[-1].isalnum()
)
unicode_locals = st.text("abcäöüßéñλжя", min_size=1, max_size=20)
addresses = st.builds(lambda local, host: f"{local}@{host}", dotted | unicode_locals | words, hosts)
plain_addresses = st.builds(lambda local, host: f"{local}@{host}", words, hosts)
frames = st.sampled_from(
    ["{}", "user-email|{}", "CUSTOMER#{}#1", "?mail={}&x=1", "<{}>", "dear {}, hello", '"{}"', "é {} é"]
)
compositions = st.lists(st.sampled_from(ENCODINGS), max_size=4)
signs = st.text(alphabet=st.sampled_from('ab@.#|"\\%4025&;=[]{}:,/ \n＠éu0x-_+§\x00'), max_size=60)


def encoded(text: str, composition: list[Encoding]) -> str:
    for encoding in composition:
        text = encoding.encode(text)
    return text


def decoded(text: str, composition: list[Encoding]) -> str:
    for encoding in reversed(composition):
        text = encoding.decode(text)
    return text


@settings(max_examples=400, deadline=None)
@given(address=addresses, frame=frames, composition=compositions)
def test_no_address_survives_any_composition(address: str, frame: str, composition: list[Encoding]) -> None:
    text = encoded(frame.replace("{}", address), composition)
    if sum(encoding.layers for encoding in composition) > 4:
        try:
            masked = MASKER.text(text)
        except MaskingError:
            return
    else:
        masked = MASKER.text(text)
    assert SCANNER.scan_text(masked, "key") == []
    assert address not in decoded(masked, composition)
    assert MASKER.text(masked) is masked


@settings(max_examples=400, deadline=None)
@given(address=plain_addresses, frame=frames, composition=compositions)
def test_the_pseudonym_stands_where_the_address_was(address: str, frame: str, composition: list[Encoding]) -> None:
    assume(sum(encoding.layers for encoding in composition) <= 4)
    masked = MASKER.text(encoded(frame.replace("{}", address), composition))
    assert decoded(masked, composition) == frame.replace("{}", PSEUDONYMS.replace(address))


@settings(max_examples=200, deadline=None)
@given(address=plain_addresses, data=st.sampled_from([zlib.compress, gzip.compress, bytes]))
def test_no_address_survives_in_a_binary(address: str, data: Callable[[bytes], bytes]) -> None:
    raw = data(f"to: {address}\n".encode())
    item = {"b": {"B": _b64(raw)}, "s": {"BS": [_b64(raw), _b64(b"\x00")]}}
    masked = ItemMasker(PSEUDONYMS)(item)
    assert SCANNER.scan_item(masked) == []
    assert set(masked["b"]) == {"B"}


@settings(max_examples=300, deadline=None)
@given(spelling=addresses, other=addresses, frame=frames)
def test_distinct_stays_distinct_and_equal_equal(spelling: str, other: str, frame: str) -> None:
    variants = {
        spelling,
        other,
        spelling.upper(),
        spelling.swapcase(),
        unicodedata.normalize("NFC", spelling),
        unicodedata.normalize("NFD", spelling),
        other.replace("@", "＠"),
    }
    masked = {variant: MASKER.text(frame.replace("{}", variant)) for variant in variants}
    assert len(set(masked.values())) == len(variants)
    assert {variant: NestedMasker(PSEUDONYMS.replace).text(frame.replace("{}", variant)) for variant in variants} == (
        masked
    )


@settings(max_examples=300, deadline=None)
@given(addresses | st.text())
def test_the_canonical_form_is_its_own(spelling: str) -> None:
    assert canonical(canonical(spelling)) == canonical(spelling)


@settings(max_examples=1000, deadline=None)
@given(signs)
@example("=40a@b")
@example('"a"@b"c"@d')
def test_any_text_settles_or_is_refused_and_then_shows_nothing(text: str) -> None:
    try:
        masked = MASKER.text(text)
    except MaskingError:
        return
    assert MASKER.text(masked) is masked
    for finding in SCANNER.scan_text(masked, "key"):
        assert finding.layers[-1:] == ("too-deep",), masked


texts = st.text().filter(lambda text: not set(text) & set("@＠﹫%&=\\\x00"))
leaves = st.one_of(
    texts.map(lambda text: {"S": text}),
    st.integers().map(lambda number: {"N": str(number)}),
    st.booleans().map(lambda value: {"BOOL": value}),
    st.just({"NULL": True}),
    st.sets(texts, min_size=1, max_size=3).map(lambda members: {"SS": sorted(members)}),
    st.binary(max_size=40)
    .filter(lambda raw: not set(raw) & set(b"@%&=\\") and raw[:4] != MAGIC)
    .map(lambda raw: {"B": _b64(raw)}),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(texts, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=8,
)
items: st.SearchStrategy[dict[str, Any]] = st.dictionaries(texts, values, max_size=4)


@settings(max_examples=300, deadline=None)
@given(items)
def test_an_item_without_an_address_is_the_same_object(item: dict[str, Any]) -> None:
    before = orjson.dumps(item)
    assert ItemMasker(PSEUDONYMS)(item) is item
    assert orjson.dumps(item) == before


@settings(max_examples=200, deadline=None)
@given(items, plain_addresses, texts)
def test_only_what_holds_an_address_changes(item: dict[str, Any], address: str, name: str) -> None:
    planted = {**item, name: {"L": [{"S": address}, {"M": {address: {"NULL": True}}}]}}
    before = orjson.dumps(planted)
    pseudonym = PSEUDONYMS.replace(address)
    expected = {**item, name: {"L": [{"S": pseudonym}, {"M": {pseudonym: {"NULL": True}}}]}}
    assert orjson.dumps(ItemMasker(PSEUDONYMS)(planted)) == orjson.dumps(expected)
    assert orjson.dumps(planted) == before
