"""Every encoding, decoded again by hand: the pseudonym stands where the address was, and nothing else moved."""

from __future__ import annotations

import base64
import gzip
import html
import json
import quopri
import random
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from downstage.errors import MaskingError
from downstage.masking.email import EmailPseudonyms
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS, shows_signs
from downstage.masking.keys import MaskKey
from downstage.masking.look import may_hold
from downstage.masking.nested import NestedMasker
from tests.packing import gzipped

PSEUDONYMS = EmailPseudonyms(MaskKey(bytes(range(64))), "test", "u-{token}@test.example.com")
ADDRESS = "bob.lee@agency.example"
BOB = PSEUDONYMS.replace(ADDRESS)
TOKEN = BOB.partition("@")[0]


def mask(text: str) -> str:
    masker = NestedMasker(PSEUDONYMS.replace)
    masked = masker.text(text)
    assert masker.text(masked) is masked
    return masked


def mask_bytes(raw: bytes) -> bytes:
    masker = NestedMasker(PSEUDONYMS.replace)
    masked = masker.binary(raw)
    assert masker.binary(masked) is masked
    return masked


def b64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(content) + deflater.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ "to":"@@",  "fee": 1.10, "limit":1e5 , "big":12345678901234567890.0}', None),
        ('{"z":1,"to":"@@","a":2,"z":3}', None),
        ('["x\\n@@\\tand\\/or\\u0041"]', None),
        ('{"to":"\\"Ann\\" <@@>"}', None),
        ('{"@@":{"@type":"x","é":"\\u00e9"}}', None),
        ("&lt;@@&gt; &amp;copy; &#8364;&nbsp;", None),
        ("https://h.example/?q=%3C@@%3E&r=%e2%82%ac", None),
        ("caf=C3=A9 =E2=80=94 @@ =3D=\r\nsoft", None),
        ("SGVsbG8= @@ SGVsbG8gd29ybGQgaG93IGFyZSB5b3U=", None),
        ('event: {"a":"hello\\n@@"}', None),
        ("CORP\\@@", None),
    ],
)
def test_only_the_address_itself_is_replaced(text: str, expected: str | None) -> None:
    assert mask(text.replace("@@", ADDRESS)) == (expected or text.replace("@@", BOB))


@pytest.mark.parametrize(
    ("at_sign", "around"),
    [
        ("\\u0040", '{{"a": [1.10,"{}"]}}'), ("\\u0040", "not json {}"), ("\\x40", "x {}"), ("\\u{{40}}", "x {}"),
        ("\\U00000040", "x {}"), ("\\@", "x {}"), ("%40", "https://h.example/?e={}&x=1"), ("%2540", "next=h%3Fe%3D{}"),
        ("%u0040", "x {}"), ("&#64;", "<p>{}</p>"), ("&#x40;", "<p>{}</p>"), ("&#0064", "<p>{}</p>"),
        ("&commat;", "<p>{}</p>"), ("=40", "Reply to {} =E2=80=94 the clerk"), ("=40", "{} now"),
        ("=?", "{}"), ("＠", "{}"), ("\\\\u0040", '{{"a": "{{\\"b\\":\\"{}\\"}}"}}'), ("&amp;#64;", "<p>{}</p>"),
    ],
)  # fmt: skip
def test_each_way_to_write_an_at_sign_hides_nothing(at_sign: str, around: str) -> None:
    if at_sign == "=?":
        around, at_sign = "=?utf-8?Q?{}?=", "=40"
    spelling = ADDRESS.replace("@", at_sign.replace("{{", "{").replace("}}", "}"))
    text = around.format(spelling)
    masked = mask(text)
    before, after = around.format("|").split("|")
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert TOKEN.lower() in masked.lower()
    assert "agency" not in masked
    assert "bob" not in masked


def test_json_round_trips_with_all_its_oddities() -> None:
    text = '{"b" :1.10,"a":\t[ {"to": "bob.lee\\u0040agency.example"},"\\"q\\"\\n' + ADDRESS + '"], "b":2e5}'
    masked = mask(text)
    assert json.loads(masked)["a"] == [{"to": BOB}, f'"q"\n{BOB}']
    assert masked == text.replace("bob.lee\\u0040agency.example", BOB.replace("@", "\\u0040")).replace(ADDRESS, BOB)


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_json_in_json(depth: int) -> None:
    value: Any = {"n": 1.5, "list": ["\n" + ADDRESS, '"john doe"@x.example']}
    for _ in range(depth):
        value = {"inner": json.dumps(value)}
    decoded = json.loads(mask(json.dumps(value)))
    for _ in range(depth):
        decoded = json.loads(decoded["inner"])
    assert decoded == {"n": 1.5, "list": ["\n" + BOB, PSEUDONYMS.replace('"john doe"@x.example')]}


def test_urls_keep_their_other_parameters() -> None:
    inner = f"https://courts.example/confirm?email={quote('tara+docket@mail.example', safe='')}&x=%2B+1"
    masked = mask(f"https://login.example/?next={quote(inner, safe='').lower()}&n=%c3%a9")
    query = parse_qs(urlsplit(masked).query)
    assert query["n"] == ["é"]
    assert parse_qs(urlsplit(query["next"][0]).query) == {
        "email": [PSEUDONYMS.replace("tara+docket@mail.example")],
        "x": ["+ 1"],
    }


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (lambda text: b64(text), lambda text: unb64(text).decode()),
        (lambda text: b64(text).rstrip("="), lambda text: unb64(text).decode()),
        (lambda text: base64.urlsafe_b64encode(text.encode()).decode(), lambda t: base64.urlsafe_b64decode(t).decode()),
        (lambda text: f"data:text/plain;base64,{b64(text)}", lambda t: unb64(t.partition(",")[2]).decode()),
        (lambda text: f"/confirm/{b64(text)}", lambda t: unb64(t.removeprefix("/confirm/")).decode()),
        (lambda text: f"a/b/{b64(text).rstrip('=')}/edit", lambda t: unb64(t.split("/")[2]).decode()),
        (lambda text: f"s-{b64(text).rstrip('=')}-1", lambda t: unb64(t.split("-")[1]).decode()),
        (lambda text: f"=?utf-8?B?{b64(text)}?=", lambda t: unb64(t.split("?")[3]).decode()),
        (lambda text: json.dumps({"v": 1.0, "p": b64(text)}), lambda t: unb64(json.loads(t)["p"]).decode()),
        (lambda text: quote(b64(text), safe=""), lambda t: unb64(unquote(t)).decode()),
        (lambda text: b64(b64(text)), lambda t: unb64(unb64(t).decode()).decode()),
        (lambda text: b64(text.encode("utf-16")), lambda t: unb64(t).decode("utf-16")),
        (lambda text: b64(text.encode("utf-16-be")), lambda t: unb64(t).decode("utf-16-be")),
        (lambda text: b64(gzipped(text.encode())), lambda t: gzip.decompress(unb64(t)).decode()),
        (lambda text: b64(zlib.compress(text.encode(), 1)), lambda t: zlib.decompress(unb64(t)).decode()),
        (lambda text: b64(deflated(text.encode())), lambda t: zlib.decompress(unb64(t), -15).decode()),
        (lambda text: b64(gzipped(json.dumps({"é": text}).encode())),
         lambda t: json.loads(gzip.decompress(unb64(t)))["é"]),
        (lambda text: json.dumps([quote(b64(b64(text)), safe="")]),
         lambda t: unb64(unb64(unquote(json.loads(t)[0])).decode()).decode()),
        (lambda text: html.escape(json.dumps({"a": json.dumps([text])})),
         lambda t: json.loads(json.loads(html.unescape(t))["a"])[0]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["@@", "Served on @@ by electronic mail.", "to: @@\r\ncc: é <@@>\n"])
def test_what_is_wrapped_is_wrapped_again(
    text: str, encode: Callable[[str], str], decode: Callable[[str], str]
) -> None:
    assert decode(mask(encode(text.replace("@@", ADDRESS)))) == text.replace("@@", BOB)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n "])
def test_base64_that_is_wrapped_over_lines_is_wrapped_again(newline: str) -> None:
    content = b64("A long letter, in which we serve on the clerk " * 4 + ADDRESS + " this and that " * 5)
    text = "x: " + newline.join(content[at : at + 76] for at in range(0, len(content), 76)) + " end"
    masked = mask(text)
    lines = masked.removeprefix("x: ").removesuffix(" end").split(newline)
    assert [len(line) for line in lines[:-1]] == [76] * (len(lines) - 1)
    assert BOB in unb64("".join(lines)).decode()


def test_quoted_printable_with_letters_and_soft_breaks() -> None:
    text = "caf=C3=A9 j=C3=B6rg=40b=C3=BCcher.example and bob.l=\r\nee@agency.example =3D"
    decoded = quopri.decodestring(mask(text).encode()).decode()
    assert decoded == f"café {PSEUDONYMS.replace('jörg@bücher.example')} and {BOB} ="


@pytest.mark.parametrize(
    "short", ["a@b.co", "root@mainframe", "a%40b.co", "a\\u0040b.co", "abcd@efgh", b64("a@b.co")]
)  # fmt: skip
def test_short_tokens_are_read_too(short: str) -> None:
    assert mask(b64(short)) != b64(short)


@pytest.mark.parametrize("address", ["Bob@Gmail.Com", "BOB@Gm.Com", "Ann@Corp", "Jo@Corp1", "bo@lan", "O'Neil@Lan"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("around", ["{}", '{{"token":"{}","n":1.10}}', "confirm {} now"])
def test_letter_case_and_a_missing_dot_hide_no_short_token(address: str, padded: bool, around: str) -> None:
    token = b64(address) if padded else b64(address).rstrip("=")
    before, after = around.format("|").split("|")
    masked = mask(around.format(token))
    assert unb64(masked.removeprefix(before).removesuffix(after)).decode() == PSEUDONYMS.replace(address)


@pytest.mark.parametrize("around", ["x\\{}-", "x\\{}_", "100%{}-", "{}-&x", "{}-%", "{}-\\d", "{}-", "&{}_", "x;{}-;"])
@pytest.mark.parametrize("compress", [bytes, lambda raw: gzipped(raw)])
def test_a_character_too_many_hides_nothing_beside_an_escape_mark(
    around: str, compress: Callable[[bytes], bytes]
) -> None:
    """They only look like marks of escapes: no decoded view shows the token otherwise."""
    token = b64(compress(b'{"a":"bob@gmail.com"}'))
    before, after = around.split("{}")
    masked = mask(around.format(token))
    inner = unb64(masked.removeprefix(before).removesuffix(after))
    assert PSEUDONYMS.replace("bob@gmail.com").encode() in (inner if compress is bytes else gzip.decompress(inner))


@pytest.mark.parametrize(
    "around", ["x%0A{}-", "{}-%0A", "{}%2D%20", "x&amp;{}-", "x\\n{}-", '{{"a":"\\n{}-"}}', "{}-\\x20"]
)
def test_a_character_too_many_beside_an_escape_hides_nothing(around: str) -> None:
    token = b64('{"a":"bob@gmail.com"}')
    before, after = around.format("|").split("|")
    masked = mask(around.format(token))
    assert PSEUDONYMS.replace("bob@gmail.com").encode() in unb64(masked.removeprefix(before).removesuffix(after))


@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (bytes, bytes), (gzip.compress, gzip.decompress), (zlib.compress, zlib.decompress),
        (deflated, lambda raw: zlib.decompress(raw, -15)), (base64.b64encode, base64.b64decode),
        (lambda raw: gzipped(base64.b64encode(raw)), lambda raw: base64.b64decode(gzip.decompress(raw))),
        (lambda raw: gzipped(zlib.compress(raw)), lambda raw: zlib.decompress(gzip.decompress(raw))),
        (lambda raw: raw + b"\x00\x00", lambda raw: raw.removesuffix(b"\x00\x00")),
        (lambda raw: raw.decode().encode("utf-16"), lambda raw: raw.decode("utf-16").encode()),
        (lambda raw: b"Gr\xfc\xdfe, " + raw, lambda raw: raw.removeprefix(b"Gr\xfc\xdfe, ")),
        (lambda raw: gzipped(raw[:12]) + gzipped(raw[12:]), gzip.decompress),
        (lambda raw: gzipped(raw) + b"\x00\xff", lambda raw: gzip.decompress(raw.removesuffix(b"\x00\xff"))),
        (lambda raw: zlib.compress(raw) + b"\xff", lambda raw: zlib.decompressobj().decompress(raw)),
    ],
)  # fmt: skip
def test_binaries(encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]) -> None:
    content = f"Served on {ADDRESS} by electronic mail."
    assert decode(mask_bytes(encode(content.encode()))) == content.replace(ADDRESS, BOB).encode()


def test_the_name_in_a_gzip_header_goes() -> None:
    raw = gzipped(b"nothing here")
    named = raw[:3] + b"\x08" + raw[4:10] + ADDRESS.encode() + b"\x00" + raw[10:]
    assert gzip.decompress(named) == b"nothing here"
    masked = mask_bytes(named)
    assert ADDRESS.encode() not in masked
    assert gzip.decompress(masked) == b"nothing here"


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\xff\xfe\xfd"


@pytest.mark.parametrize(
    "raw",
    [
        gzipped(b"\0" * 5_000_000), zlib.compress(b"a@b.example " * 500_000), gzipped(b"") * 100,
        PNG + ADDRESS.encode(), PNG + ADDRESS.encode("utf-16-le") + b"\xff\xff",
        gzipped(ADDRESS.encode() * 3)[:-8], gzipped(PNG + b" " + ADDRESS.encode()),
        gzipped(gzipped(gzipped(gzipped(gzipped(ADDRESS.encode()))))),
    ],
)  # fmt: skip
def test_what_cannot_be_rewritten_is_refused_without_being_shown(raw: bytes) -> None:
    for refused in (
        lambda: NestedMasker(PSEUDONYMS.replace).binary(raw),
        lambda: NestedMasker(PSEUDONYMS.replace).text(b64(raw)),
    ):
        with pytest.raises(MaskingError) as caught:
            refused()
        assert "agency" not in str(caught.value)


@pytest.mark.parametrize("encode", [b64, lambda text: "".join(f"%{byte:02x}" for byte in text.encode()), json.dumps])
def test_four_layers_are_masked_and_what_is_deeper_is_refused(encode: Callable[[str], str]) -> None:
    text = f'"{ADDRESS}"'
    for layer in range(1, 9):
        text = encode(text)
        if encode is json.dumps:
            assert ADDRESS not in mask(text)
        elif layer <= 4:
            assert mask(text) != text
        else:
            with pytest.raises(MaskingError):
                mask(text)


@pytest.mark.parametrize("encode", [b64, lambda text: quote(text, safe=""), json.dumps, html.escape])
def test_depth_without_an_address_is_left_alone(encode: Callable[[str], str]) -> None:
    text = 'x = "50%" & more'
    for _ in range(6):
        text = encode(text)
        assert mask(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "meet @noon", "@noon", "C:\\dir\\archive", "§@§", "3 @ $5 = $15", "user@", "a @ b", "@@", "1e5",
        "100%40", "", "%",
        '{"fee": 1.10,  "limit":1e5 , "big":12345678901234567890.0, "tiny":-0.0}', '[1.0,2.50,\t{"a" : null}]',
        '{"@type":"x"}', "%7B%22fee%22%3A1.10%7D", "line one\r\nline two =\r\n", "&lt;b&gt; &amp;amp; &#8364;",
        "e\u0301 is not \u00e9", "?width=40px", "a=40&b=40", "H4sIAAAAAAAA/not+gzip/after+all==", "50% off &c. \\o/",
        b64(bytes(range(128, 256)) * 8), b64(PNG), "Petitioner", "\x00\x00", "%40%40", "\\u0040", "=?x?Q?=40?=",
    ],
)  # fmt: skip
def test_what_holds_no_address_is_the_same_object(text: str) -> None:
    assert mask(text) is text
    raw = text.encode()
    assert mask_bytes(raw) is raw


def test_noise_that_begins_like_utf_16_is_noise() -> None:
    noise = random.Random(3)
    for _ in range(200):
        raw = b"\xfe\xff" + noise.randbytes(100) + "a＠b".encode("utf-16-be") + noise.randbytes(100)
        assert mask_bytes(raw) is raw
        text = b64(raw)
        assert mask(text) is text


def test_random_bytes_come_through_in_every_form() -> None:
    noise = random.Random(5)
    for size in (6, 9, 12, 16, 24, 32, 300) * 200:
        raw = noise.randbytes(size)
        text = f"id-{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
        assert mask_bytes(raw) is raw
        assert mask(text) is text


def test_a_join_survives_the_encoding() -> None:
    for text in (f'["\\n{ADDRESS}"]', f"x%0A{ADDRESS}", f"x&#10;{ADDRESS}", "bob.lee%40agency.example", b64(ADDRESS)):
        masked = mask(text)
        assert TOKEN in masked or TOKEN in unb64(masked).decode()


def test_the_gate_knows_every_codec() -> None:
    for codec in (*SURE_CODECS, *GUESSED_CODECS, JSON):
        sign = codec.trigger if codec.trigger != "=" else "=5C"
        assert shows_signs(f"x{sign}y")
    assert may_hold(b64("a@b.co"))
    assert not may_hold("Petitioner and the 1234567890 others = none.")


def test_replacements_are_counted_once() -> None:
    masker = NestedMasker(PSEUDONYMS.replace)
    masker.text(json.dumps([ADDRESS, "\n" + ADDRESS]))
    masker.text(b64(f"{ADDRESS} {ADDRESS}"))
    masker.text(ADDRESS)
    masker.text(ADDRESS)
    masker.binary(gzipped(ADDRESS.encode()))
    masker.text(BOB)
    assert masker.replaced == 7
