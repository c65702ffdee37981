"""Every encoding an address can lie under, alone and composed; noise that must stay silent; what fails closed."""

from __future__ import annotations

import base64
import json
import quopri
import random
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
import zstandard

from downstage.verify.base64_tokens import unbase64
from downstage.verify.leaks import Finding, LeakScanner
from tests.packing import gzipped

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
        (b64(gzipped(BOB.encode())), ("base64", "gzip")),
        (b64(gzipped(b"-") + gzipped(BOB.encode())), ("base64", "gzip")),
        (b64(zlib.compress(BOB.encode())), ("base64", "zlib")),
        (b64(raw_deflate(b"dear bob@x.example, we are glad to")), ("base64", "deflate")),
        (b64(BOB.encode("utf-16")), ("base64", "utf-16")),
        (b64(BOB.encode("utf-16-be")), ("base64", "utf-16")),
        (b64("Grüße von jörg, bob@x.example, aus Köln am Rhein, alles Gute".encode("latin-1")), ("base64",)),
        (b64(gzipped(json.dumps({"a": BOB}).encode())), ("base64", "gzip", "json")),
        (json.dumps({"m": json.dumps({"u": "?e=bob%40x.example"})}), ("json", "json", "percent")),
        (b64(gzipped(json.dumps({"a": "bob&#64;x.example"}).encode())), ("base64", "gzip", "json", "html")),
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
        lambda text: b64(gzipped(json.dumps({"to": text}).encode())),
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
        b64(gzipped(b"nothing here")),
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


@pytest.mark.parametrize(
    "address",
    [
        "Bob@Gmail.Com", "Ann@Corp", "BOB@Gm.Com", "Jo@Corp1", "ann@corp", "ANN@CORP", "x@y.De", "bob@gmail.CoM",
        "J.Lee@Corp", "a@[1.2.3.4]", "bob@firma.Example",
    ],
)  # fmt: skip
def test_a_short_address_in_base64_is_found_in_any_case(address: str) -> None:
    for token in (b64(address), b64(address).rstrip("=")):
        for text in (token, f"K#{token}", f"see {token} there"):
            assert [found.fingerprint for found in scan(text)] == [address.lower()]


@pytest.mark.parametrize("text", ["x@[y@z!", "Jo@Corp", "a@Bc.dE", "aB@cd.qz", "qXw@Zr1t", "1n2@C3rp4"])
def test_a_short_text_that_is_less_orderly_is_taken_for_chance(text: str) -> None:
    assert scan(b64(text)) == []


@pytest.mark.parametrize(
    "address",
    [
        "(a@gmail.com)", "mailto:j@acme.org ", "bob@gmail.com_", "bob@x.com-", "j@acme.de", "bob@x.de", "jo@ab.io",
        "j@x.com\n", "BOB@GMAIL.COM", "bob@mail.gmail.com_1",
    ],
)  # fmt: skip
def test_an_address_in_opaque_bytes_is_found_whatever_stands_beside_it(address: str) -> None:
    for opaque in (b"%PDF\x00\xff" * 9, b"\x89PNG\r\n\x1a\n\xff\x00"):
        assert len(scan_bytes(opaque + address.encode() + opaque)) == 1


@pytest.mark.parametrize("text", ["j@ab.de", "bo@x.de", "j@a1b.de", "_@acme.qz", "jo@aB.de", "jo@ab.dE", "-@x.com"])
def test_what_noise_makes_of_an_address_is_silent(text: str) -> None:
    assert scan_bytes(b"%PDF\x00\xff" * 9 + text.encode() + b"\x00\xfe" * 9) == []


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
        (gzipped(BOB.encode()), ("gzip",)),
        (zlib.compress(BOB.encode()), ("zlib",)),
        (raw_deflate(b"dear bob@x.example, we are glad to"), ("deflate",)),
        (gzipped(zlib.compress(json.dumps([BOB]).encode())), ("gzip", "zlib", "json")),
        (BOB.encode("utf-16"), ("utf-16",)),
        (BOB.encode("utf-16-le"), ("utf-16",)),
        (b64(BOB).encode(), ("base64",)),
        (gzipped(b"\xff\xfe\xfd\xfc\x00\x01" + b"bob.smith@firma.example" + b"\x00\x81" * 9), ("gzip",)),
    ],
)
def test_a_binary_attribute_is_read_as_what_it_is(data: bytes, layers: tuple[str, ...]) -> None:
    assert [finding.layers for finding in scan_bytes(data)] == [layers]


def test_a_bomb_is_a_finding_without_a_fingerprint() -> None:
    bomb = b64(gzipped(b"\0" * 2_000_000))
    assert scan(bomb) == [Finding("key", ("base64", "gzip", "inflate-limit"), "")]
    assert scan(bomb, max_inflated=2_000_000) == []
    nested = b64(gzipped(gzipped(b"\0" * 2_000_000)))
    assert scan(nested) == [Finding("key", ("base64", "gzip", "gzip", "inflate-limit"), "")]


def test_many_streams_that_are_each_within_the_limit_are_a_bomb_too() -> None:
    streams = " ".join(b64(gzipped(bytes([65 + index]) * 900_000)) for index in range(20))
    assert [finding.layers[-1] for finding in scan(streams)] == ["inflate-limit"]


def wrapped(text: str, layers: int, encode: Callable[[str], str]) -> str:
    for _ in range(layers):
        text = encode(text)
    return text


@pytest.mark.parametrize("layers", range(1, 9))
def test_an_address_is_found_under_eight_layers(layers: int) -> None:
    assert scan(wrapped(BOB, layers, b64)) == [Finding("key", ("base64",) * layers, BOB)]
    assert scan(wrapped(PSEUDONYM, layers, b64)) == []


@pytest.mark.parametrize("streams", [3, 4])
def test_an_address_is_found_under_streams_in_base64(streams: int) -> None:
    def packed(text: str) -> str:
        return b64(gzipped(text.encode()))

    assert scan(wrapped(BOB, streams, packed)) == [Finding("key", ("base64", "gzip") * streams, BOB)]
    assert scan(wrapped("nothing in here", streams, packed)) == []


def test_wide_characters_are_no_layer() -> None:
    text = wrapped(BOB, 4, lambda text: b64(text.encode("utf-16")))
    assert [found.fingerprint for found in scan(wrapped(text, 4, b64))] == [BOB]


def test_an_encoding_that_goes_on_below_the_last_layer_is_a_finding() -> None:
    for layers in (9, 11):
        assert scan(wrapped(BOB, layers, b64)) == [Finding("key", ("base64",) * 9 + ("too-deep",), "")]


@pytest.mark.parametrize("layers", range(1, 10))
def test_a_harmless_text_is_silent_at_any_depth_that_is_written(layers: int) -> None:
    assert scan(wrapped("Nothing to see here & 100% sure of it", layers, b64)) == []


# -- zstd


def zstd(data: bytes | str, *, write_checksum: bool = False, write_content_size: bool = True) -> bytes:
    frame = zstandard.ZstdCompressor(write_checksum=write_checksum, write_content_size=write_content_size)
    return frame.compress(data.encode() if isinstance(data, str) else data)


def unfinished(data: bytes) -> bytes:
    """A frame that breaks off after a block that is whole."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(data) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def damaged(data: bytes) -> bytes:
    frame = zstd(data, write_checksum=True)
    return frame[:-1] + bytes([frame[-1] ^ 1])


@pytest.mark.parametrize(
    "data",
    [
        zstd(f"to: {BOB}, hello there"),
        zstd(f"to: {BOB}, hello there", write_content_size=False, write_checksum=True),
        zstd("nothing in here") + zstd(f"to: {BOB}, hello there"),
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstd(f"to: {BOB}, hello there"),
        zstd(f"to: {BOB}, hello there") + b"what follows is no frame",
        unfinished(f"to: {BOB}, hello there".encode()),
        damaged(f"to: {BOB}, hello there".encode()),
    ],
)
def test_zstd_is_undone_as_far_as_it_can_be(data: bytes) -> None:
    assert scan_bytes(data) == [Finding("blob", ("zstd",), BOB)]
    assert scan(f"blob={b64(data)}") == [Finding("key", ("base64", "zstd"), BOB)]


def test_a_pseudonym_in_zstd_is_cleared() -> None:
    data = zstd(json.dumps({"to": PSEUDONYM}))
    assert scan_bytes(data) == scan(b64(data)) == []


def test_zstd_that_holds_too_much_or_cannot_be_read_is_a_finding() -> None:
    limited = LeakScanner(allowed=PSEUDONYM.__eq__, fingerprint=str, max_inflated=1 << 20)
    dictionary = zstandard.train_dictionary(
        1000, [b"hello bob %d firma example" % number * 3 for number in range(2000)]
    )
    window = zstandard.ZstdCompressionParameters.from_level(3, window_log=29, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=window).compressobj()
    for data in (
        zstd(bytes(4 << 20)),
        zstd("x") * 65,
        zstandard.ZstdCompressor(dict_data=dictionary).compress(b"hello bob firma" * 9),
        stream.compress(b"hello" * 9) + stream.flush(),
    ):
        findings = limited.scan_item({"blob": {"B": b64(data)}})
        assert findings == [Finding("blob", ("zstd", "inflate-limit"), "")]


def test_noise_that_begins_as_zstd_does_is_silent() -> None:
    chance = random.Random(3)
    for _ in range(300):
        noise = b"\x28\xb5\x2f\xfd" + chance.randbytes(chance.randrange(60))
        assert [found for found in scan(b64(noise)) if found.fingerprint] == []


# -- what an escape cuts in two


def cut(whole: str, at: int, escape: str) -> str:
    """`whole` with one character escaped. `escape` says how, for its number."""
    return whole[:at] + escape.format(ord(whole[at])) + whole[at + 1 :]


def cut_behind_an_at_sign(text: str, escape: str) -> str:
    """Base64 of gzip of `text`, cut so that the first piece shows half an address."""
    whole = b64(gzipped(f"mail {text} and more".encode()))
    for at in range(20, len(whole)):
        shown = zlib.decompressobj(31).decompress(unbase64(whole[:at]) or b"")
        if b"@" in shown[:-2] and whole[at] != "=":
            assert text.encode() not in shown
            return cut(whole, at, escape)
    raise AssertionError("no piece shows an at sign")


ESCAPES = ["%{:02X}", "%25{:02x}", "&#{};", "&#x{:X};", "\\u{:04x}", "\\x{:02x}", "&amp;#{};", "%26%23{}%3B"]


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("frame", ["{}", "https://x.example/?d={}&n=1", "x {} y", "mail " + PSEUDONYM + " {}"])
def test_a_stream_that_an_escape_cuts_is_read_as_a_whole(escape: str, frame: str) -> None:
    assert scan(frame.replace("{}", cut_behind_an_at_sign(PSEUDONYM, escape))) == []
    findings = scan(frame.replace("{}", cut_behind_an_at_sign(BOB, escape)))
    assert BOB in {found.fingerprint for found in findings}


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_base64_text_that_an_escape_cuts_is_read_as_a_whole(escape: str) -> None:
    for address, found in ((PSEUDONYM, False), (BOB, True)):
        whole = b64(f"~~~ {address} >>> {address} ~~~>")
        for at in range(8, len(whole.rstrip("=")), 4):
            assert bool(scan(cut(whole, at, escape))) is found


@pytest.mark.parametrize("after", ["%41", "%26tail", "%20", "%3D%3D", "%2Fpath%2Fto", "&#65;", "\\u0041bc", "%2B"])
@pytest.mark.parametrize("payload", [f"to {BOB} or so", f"dear {BOB}, hello"])
def test_an_escape_behind_a_whole_token_hides_nothing(payload: str, after: str) -> None:
    for token in (b64(payload), b64(payload).rstrip("="), b64(gzipped(payload.encode())), b64(zstd(payload))):
        for text in (token + after, f"{token}%2B{token}", f"&#65;{token}{after}", f"%20{token}{after}"):
            assert scan(text), text


@pytest.mark.parametrize(
    "before",
    [
        f"{b64(BOB).rstrip('=')}%41",
        f"{b64(BOB)}|",
        "bob%40x.example|",
        "bob&#64;x.example#",
        f"{b64(BOB).rstrip('=')}.",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "see {} there", '["{}"]'])
def test_what_stands_before_a_pseudonym_is_looked_at(before: str, frame: str) -> None:
    """`allowed` overlooks characters before a pseudonym, for they may be an escape; here they are more than that."""
    lenient = LeakScanner(
        allowed=lambda address: address.endswith(PSEUDONYM) and address.count("@") == 1, fingerprint=lambda a: a
    )
    (finding,) = lenient.scan_text(frame.replace("{}", before + PSEUDONYM), "key")
    assert finding.fingerprint == BOB
    assert lenient.scan_text(frame.replace("{}", f"user|{PSEUDONYM}"), "key") == []


@pytest.mark.parametrize("before", ["x\\", "100%", "", "a=", "&", "x\\\\"])
@pytest.mark.parametrize("after", ["-", "-&x", "A;", "_ ", "-%20"])
@pytest.mark.parametrize("payload", ['{"a":"bob@x.example"}', "kate bob@x.example,", "hello bob@x.example."])
def test_a_character_too_many_beside_an_escape_mark_hides_nothing(before: str, after: str, payload: str) -> None:
    for whole in (b64(payload), b64(gzipped(payload.encode())), b64(zlib.compress(payload.encode()))):
        assert scan(before + whole + after), whole
        assert scan(before + whole.rstrip("=") + after), whole


# -- the last layer


def entities(text: str) -> str:
    return "".join(f"&#x{ord(letter):X};" for letter in text)


def escaped(text: str) -> str:
    return '["' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"]'


def listed(text: str) -> str:
    return json.dumps({"n": 1, "b": [text]})


def half_escaped(text: str, whole: str, escape: Callable[[str], str]) -> str:
    """`whole` with everything escaped but `text`: what is left where only that was replaced."""
    before, _, after = whole.partition(text)
    assert after
    return escape(before) + text + escape(after)


def three_lists(address: str, frame: str) -> str:
    spelled = json.dumps(json.dumps(escaped(address)[2:-2])[1:-1])[1:-1]
    return half_escaped(spelled, listed(listed(escaped(frame.replace("{}", address)))), entities)


def percent_twice(address: str, frame: str) -> str:
    return half_escaped(address, quote(quote(listed(frame.replace("{}", address)), safe="@"), safe="@"), entities)


@pytest.mark.parametrize("encode", [three_lists, percent_twice])
@pytest.mark.parametrize("frame", ["{}", "é oggm!{3 {} é", "?mail=a{' {}&x=1", "dear {boh%5 {}, hello", "5%2 {} &x"])
def test_four_layers_are_read_to_their_end(encode: Callable[[str, str], str], frame: str) -> None:
    assert scan(encode(PSEUDONYM, frame)) == []
    assert BOB in {found.fingerprint for found in scan(encode(BOB, frame))}


@pytest.mark.parametrize("hidden", [BOB, b64(f"dear {BOB}, hello"), b64(gzipped(BOB.encode())), quote(f"<{BOB}>")])
@pytest.mark.parametrize("more", [1, 2, 3, 4, 5])
def test_json_below_the_last_layer_hides_nothing(hidden: str, more: int) -> None:
    text = hidden
    for _ in range(more):
        text = listed(text)
    assert scan(wrapped(text, 8, b64))


# -- noise with a byte order mark


def test_a_full_width_at_sign_in_noise_is_no_address() -> None:
    chance = random.Random(11)
    for _ in range(500):
        units = [chance.randrange(0x100, 0x10000) for _ in range(24)]
        units[12] = 0xFF20
        noise = b"\xff\xfe" + b"".join(unit.to_bytes(2, "little") for unit in units)
        assert scan(b64(noise)) == []
        assert scan_bytes(noise) == []


@pytest.mark.parametrize(
    "address",
    [
        "ada＠firma.example",
        "ada@firma.example",
        "ａｄａ＠ｆｉｒｍａ．ｅｘａｍｐｌｅ",
        "李＠例子.example",
        "李＠例子。中国",
        "ада＠пример.рф",
        "ada@kurzfirma",
    ],
)
def test_an_address_in_utf_16_is_found(address: str) -> None:
    for text in (f"An: {address}, Grüße", f"{address} 请回复", address):
        for data in (text.encode("utf-16"), b"\xfe\xff" + text.encode("utf-16-be")):
            assert scan(b64(data)), text
            assert scan_bytes(data), text


def test_an_address_with_a_host_of_two_labels_is_found_even_in_noise() -> None:
    chance = random.Random(11)
    for _ in range(100):
        before, after = (
            b"".join(chance.randrange(0x2E80, 0xD7FF).to_bytes(2, "little") for _ in range(12)) for _ in range(2)
        )
        data = b"\xff\xfe" + before + " ada＠firma.example ".encode("utf-16-le") + after
        assert scan(b64(data))
        assert scan_bytes(data)
