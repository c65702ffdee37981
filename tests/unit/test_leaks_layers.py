"""Every encoding an address can lie under, alone and composed; noise that must stay silent; what fails closed."""

from __future__ import annotations

import base64
import gzip
import json
import quopri
import random
import zlib

import pytest

from downstage.verify.leaks import Finding, LeakScanner

PSEUDONYM = "u-abcdefghijklmnopqrstuvwxyzabcdef@test.example.com"
BOB = "bob@x.example"


def scan(text: str, *, max_inflated: int = 1 << 20) -> list[Finding]:
    scanner = LeakScanner(allowed=PSEUDONYM.__eq__, fingerprint=lambda address: address, max_inflated=max_inflated)
    return scanner.scan_text(text, "key")


def scan_bytes(data: bytes) -> list[Finding]:
    scanner = LeakScanner(allowed=PSEUDONYM.__eq__, fingerprint=lambda address: address)
    return scanner.scan_item({"blob": {"B": base64.b64encode(data).decode()}})


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ('{"to": "bob@x.example"}', ("json",)),
        ('["bob\\u0040x.example"]', ("json",)),
        ('"bob\\u0040x.example"', ("json",)),
        (' {"bob\\u0040x.example": 1} ', ("json",)),
        ('{"a": "bob@x.example", "a": "clean"}', ("json",)),
        ('{"a": 1e400, "b": NaN, "c": [[["bob@x.example"]]]}', ("json",)),
        ('{"a": 1}\n{"b": "bob\\u0040x.example"}', ("backslash",)),
        ("bob\\u0040x.example", ("backslash",)),
        ("bob\\x40x.example", ("backslash",)),
        ("bob\\u{40}x.example", ("backslash",)),
        ("bob\\@x\\.example", ("backslash",)),
        ("line\\nbob@x.example", ("backslash",)),
        ("line\\\\nbob\\\\u0040x.example", ("backslash", "backslash")),
        ("bob%40x.example", ("percent",)),
        ("bob%40x%2Eexample", ("percent",)),
        ("bob%2540x.example", ("percent", "percent")),
        ("bob%u0040x.example", ("percent",)),
        ("?q=%3Cbob@x.example%3E", ("percent",)),
        ("bob&#64;x.example", ("html",)),
        ("bob&#064;x.example", ("html",)),
        ("bob&#64x.example", ("html",)),
        ("bob&#x40;x.example", ("html",)),
        ("bob&commat;x&period;example", ("html",)),
        ("bob&amp;#64;x.example", ("html", "html")),
        ("&lt;bob@x.example&gt;", ()),
        ("&unknown;bob@x.example", ()),
        ("bob=40x.example", ("quoted-printable",)),
        ("bo=\r\nb=40x.exam=\nple", ("quoted-printable",)),
        ("caf=C3=A9 bob=40mainframe", ("quoted-printable",)),
        ("=?utf-8?B?" + b64(BOB) + "?=", ("encoded-word",)),
        ("=?utf-8?q?bob=40x.example?=", ("encoded-word",)),
        ("=?iso-8859-1?Q?J=F6rg?= <=?us-ascii?Q?bob=40?=\r\n =?us-ascii?Q?x.example?=>", ("encoded-word",)),
        ("=?no-such-charset?B?" + b64(BOB) + "?=", ("encoded-word",)),
        (b64(BOB), ("base64",)),
        (b64(BOB).rstrip("="), ("base64",)),
        ("data:text/plain;base64," + b64(BOB), ("base64",)),
        ("https://h.example/?token=" + b64("<<" + BOB + ">>??") + "&x=1", ("base64",)),
        ("key-" + base64.urlsafe_b64encode(b"<<bob@x.example>>??").decode(), ("base64",)),
        ("user_" + b64("<<" + BOB + ">>??"), ("base64",)),
        ("h." + b64(json.dumps({"sub": BOB})).rstrip("=") + ".sig", ("base64", "json")),
        (base64.encodebytes(b" " * 50 + BOB.encode() + b" " * 50).decode(), ("base64",)),
        (b64(gzip.compress(BOB.encode())), ("base64", "gzip")),
        (b64(gzip.compress(b"-") + gzip.compress(BOB.encode())), ("base64", "gzip")),
        (b64(zlib.compress(BOB.encode())), ("base64", "zlib")),
        (b64(raw_deflate(b"dear bob@x.example, we are glad to")), ("base64", "deflate")),
        (b64(BOB.encode("utf-16")), ("base64", "utf-16")),
        (b64(BOB.encode("utf-16-be")), ("base64", "utf-16")),
        (b64("Grüße von jörg, bob@x.example, aus Köln am Rhein, alles Gute".encode("latin-1")), ("base64",)),
        (b64(gzip.compress(json.dumps({"a": BOB}).encode())), ("base64", "gzip", "json")),
        (json.dumps({"m": json.dumps({"u": "?e=bob%40x.example"})}), ("json", "json", "percent")),
        (b64(gzip.compress(json.dumps({"a": "bob&#64;x.example"}).encode())), ("base64", "gzip", "json", "html")),
        (b64(b64(b64(b64(BOB)))), ("base64",) * 4),
        ("b\x00o\x00b\x00@\x00x\x00.\x00e\x00u\x00", ("utf-16",)),
    ],
)  # fmt: skip
def test_an_encoded_address_is_one_finding_with_its_layers(text: str, layers: tuple[str, ...]) -> None:
    findings = scan(text)
    assert len(findings) == 1
    assert "bob@" in findings[0].fingerprint
    if layers:
        assert findings[0].layers == layers


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: json.dumps({"a": ["x|" + text]}),
        lambda text: json.dumps(json.dumps({"a": text})),
        lambda text: '{"a": "' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"}',
        lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
        lambda text: "".join(f"%{ord(letter):02X}" for letter in text),
        lambda text: "a=1&mail=" + text.replace("@", "%40"),
        lambda text: "a=1&mail=" + text.replace("@", "%2540"),
        lambda text: "<b>" + text.replace("@", "&#64;") + "</b>",
        lambda text: "<b>" + text.replace("@", "&commat;").replace(".", "&period;") + "</b>",
        lambda text: quopri.encodestring(("é " * 40 + text).encode()).decode(),
        lambda text: "=?utf-8?B?" + b64(text) + "?=",
        lambda text: b64(text),
        lambda text: b64("K|" + text + " and more"),
        lambda text: b64(gzip.compress(json.dumps({"to": text}).encode())),
        lambda text: b64(text.encode("utf-16")),
        lambda text: "Key-" + b64('{"to": "' + text + '", "cc": null}'),
        lambda text: "a/b/" + b64("<<é>>??" + text + "??>>"),
        lambda text: base64.encodebytes(b"-" * 45 + b" " + text.encode() + b" " + b"-" * 90).decode(),
        lambda text: "Hello\n" + b64("=" * 40 + text) + "\nWorld",
    ],
)
def test_a_pseudonym_is_cleared_under_every_encoding(encode: object) -> None:
    assert callable(encode)
    assert scan(encode(PSEUDONYM)) == []
    assert len(scan(encode(BOB))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "?width=400&height=40px",
        "?caseId=4012",
        "file=40days.pdf",
        "100% sure & 50%40",
        "C:\\users\\bin\\x64",
        "AT&T; R&D;",
        "PETITIONER_NAME_CHANGED/Respondent-Answer",
        "2024-01-02T10:11:12.123Z",
        "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        "=?utf-8?B?!!!?=",
        "=?utf-8?B?YQ?=",
        "{not json}",
        '{"a": "\\ud800"}',
        "[" * 5000 + "]" * 5000,
        "&#99999999;&#xFFFFFFF;",
        "\ud800 lone",
        b64(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        b64(gzip.compress(b"nothing here")),
        b64(b"\x1f\x8b\x08 is no gzip at all"),
        b64("x@y!Z9"),
    ],
)
def test_what_only_looks_encoded_is_silent(text: str) -> None:
    assert scan(text) == []


def test_random_identifiers_are_silent() -> None:
    random_source = random.Random(11)
    for size in (6, 8, 9, 12, 15, 16, 20, 32, 64):
        for _ in range(1500):
            data = random_source.randbytes(size)
            text = base64.urlsafe_b64encode(data).decode()
            assert scan(f"k-{text}") == [], (size, data.hex())


def test_random_binary_is_silent_unless_it_holds_a_real_address() -> None:
    random_source = random.Random(12)
    noise = random_source.randbytes(200_000)
    assert scan_bytes(noise) == []
    planted = noise[:1000] + b"\x00bob.smith@firma.example\x00" + noise[1000:]
    assert [finding.layers for finding in scan_bytes(planted)] == [()]
    wide = noise[:1000] + b"\xff\xff" + "bob.smith@firma.example".encode("utf-16-le") + b"\xff" + noise[1000:]
    assert [finding.fingerprint for finding in scan_bytes(wide)] == ["bob.smith@firma.example"]
    assert scan_bytes(noise[:1000] + b"\x00aa@Q.zq\x01bb@cD.eF\x02cc@dd.zz\x03" + noise[1000:]) == []
    assert scan_bytes(noise[:1000] + b"\x00" + PSEUDONYM.encode() + b"\x00" + noise[1000:]) == []


@pytest.mark.parametrize(
    ("data", "layers"),
    [
        (BOB.encode(), ()),
        (b"root@mainframe", ()),
        (BOB.encode() + b"\x00\x00\x00", ()),
        ("jörg@x.example".encode(), ()),
        (gzip.compress(BOB.encode()), ("gzip",)),
        (zlib.compress(BOB.encode()), ("zlib",)),
        (raw_deflate(b"dear bob@x.example, we are glad to"), ("deflate",)),
        (gzip.compress(zlib.compress(json.dumps([BOB]).encode())), ("gzip", "zlib", "json")),
        (BOB.encode("utf-16"), ("utf-16",)),
        (BOB.encode("utf-16-le"), ("utf-16",)),
        (b64(BOB).encode(), ("base64",)),
        (gzip.compress(b"\xff\xfe\xfd\xfc\x00\x01" + b"bob.smith@firma.example" + b"\x00\x81" * 9), ("gzip",)),
    ],
)
def test_a_binary_attribute_is_read_as_what_it_is(data: bytes, layers: tuple[str, ...]) -> None:
    assert [finding.layers for finding in scan_bytes(data)] == [layers]


def test_a_bomb_is_a_finding_without_a_fingerprint() -> None:
    bomb = b64(gzip.compress(b"\0" * 2_000_000))
    assert scan(bomb) == [Finding("key", ("base64", "gzip", "inflate-limit"), "")]
    assert scan(bomb, max_inflated=2_000_000) == []
    nested = b64(gzip.compress(gzip.compress(b"\0" * 2_000_000)))
    assert scan(nested) == [Finding("key", ("base64", "gzip", "gzip", "inflate-limit"), "")]


def test_many_streams_that_are_each_within_the_limit_are_a_bomb_too() -> None:
    streams = " ".join(b64(gzip.compress(bytes([65 + index]) * 900_000)) for index in range(20))
    assert [finding.layers[-1] for finding in scan(streams)] == ["inflate-limit"]


def test_an_encoding_that_goes_on_below_the_last_layer_is_a_finding() -> None:
    text = BOB
    for _ in range(5):
        text = b64(text)
    assert scan(text) == [Finding("key", ("base64",) * 5 + ("too-deep",), "")]
    for _ in range(3):
        text = b64(text)
    assert scan(text) == [Finding("key", ("base64",) * 5 + ("too-deep",), "")]


def test_a_harmless_text_below_the_last_layer_is_silent() -> None:
    text = "Nothing to see here & 100% sure of it"
    for _ in range(5):
        text = b64(text)
    assert scan(text) == []
