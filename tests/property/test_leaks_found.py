"""Whatever address is planted, under whatever composition of encodings: it is found, and a pseudonym is not."""

from __future__ import annotations

import base64
import gzip
import json
import re
import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from downstage.verify.leaks import LeakScanner

MAX_LAYERS = 4
ATEXT = string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~"


@dataclass(frozen=True)
class Encoding:
    name: str
    encode: Callable[[str], str]
    layers: int = 1


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


ENCODINGS = [
    Encoding("json object", lambda text: json.dumps({"a": 1, "b": [text]})),
    Encoding("json escapes", lambda text: '"' + "".join(f"\\u{unit:04x}" for unit in _utf16_units(text)) + '"'),
    Encoding("backslash", lambda text: "x: " + "".join(f"\\x{byte:02x}" for byte in text.encode())),
    Encoding("percent", lambda text: "".join(f"%{byte:02X}" for byte in text.encode())),
    Encoding("percent twice", lambda text: "".join(f"%25{byte:02x}" for byte in text.encode()), 2),
    Encoding("percent, where it must be", lambda text: quote(text, safe="")),
    Encoding("percent, where it must be, twice", lambda text: quote(quote(text, safe=""), safe=""), 2),
    Encoding("html decimal", lambda text: "".join(f"&#{ord(letter)};" for letter in text)),
    Encoding("html hexadecimal", lambda text: "<p>" + "".join(f"&#x{ord(letter):X};" for letter in text) + "</p>"),
    Encoding("quoted-printable", lambda text: "caf=C3=A9 " + "".join(_quoted(byte) for byte in text.encode())),
    Encoding("encoded word", lambda text: f"Re: =?utf-8?B?{_b64(text.encode())}?="),
    Encoding("base64", lambda text: _b64(text.encode())),
    Encoding("base64 url-safe", lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")),
    Encoding("data uri", lambda text: f"data:text/plain;base64,{_b64(text.encode())}"),
    Encoding("gzip", lambda text: _b64(gzip.compress(text.encode(), mtime=0)), 2),
    Encoding("zlib", lambda text: _b64(zlib.compress(text.encode())), 2),
    Encoding("zstd", lambda text: _b64(zstandard.compress(text.encode())), 2),
    Encoding("utf-16", lambda text: _b64(text.encode("utf-16")), 2),
]


def _utf16_units(text: str) -> list[int]:
    data = text.encode("utf-16-be")
    return [data[index] << 8 | data[index + 1] for index in range(0, len(data), 2)]


def _quoted(byte: int) -> str:
    return chr(byte) if chr(byte) in string.ascii_letters else f"={byte:02X}"


labels = st.text(string.ascii_lowercase + string.digits, min_size=2, max_size=12)
hosts = st.builds(
    lambda first, top: f"{first}.{top}", labels, st.sampled_from(["com", "de", "example", "co.uk", "org"])
)
ESCAPE_LIKE = re.compile(r"[%=][0-9A-Fa-f]{2}|&#?\w+")  # a local part that is nothing but an escape is read as one
atoms = st.text(ATEXT, min_size=1, max_size=20).filter(lambda text: text[-1].isalnum() and not ESCAPE_LIKE.search(text))
dotted = st.lists(atoms, min_size=1, max_size=3).map(".".join)
unicode_locals = st.text("abcäöüßéñλжя", min_size=1, max_size=20)
addresses = st.builds(lambda local, host: f"{local}@{host}", dotted | unicode_locals, hosts)
tokens = st.text(string.ascii_lowercase, min_size=32, max_size=32)
pseudonyms = st.builds(lambda token: f"u-{token}@test.example.com", tokens)
compositions = st.lists(st.sampled_from(ENCODINGS), max_size=3)
frames = st.sampled_from(
    ["é {} é", "a~{}~~", "{}", "user-email|{}", "CUSTOMER#{}#1", "?mail={}&x=1", "<{}>", "dear {}, hello", '"{}"']
)


@settings(max_examples=200, deadline=None)
@given(address=addresses, frame=frames, composition=compositions)
def test_an_address_is_found_under_any_composition(address: str, frame: str, composition: list[Encoding]) -> None:
    text = frame.replace("{}", address)
    for encoding in composition:
        text = encoding.encode(text)
    scanner = LeakScanner(allowed=lambda _address: False, fingerprint=lambda found: found, max_layers=MAX_LAYERS)
    findings = scanner.scan_text(text, "key")
    assert findings
    if sum(encoding.layers for encoding in composition) <= MAX_LAYERS:
        assert any("@" in finding.fingerprint for finding in findings)


@settings(max_examples=200, deadline=None)
@given(pseudonym=pseudonyms, frame=frames, composition=compositions)
def test_a_pseudonym_is_cleared_under_any_composition(pseudonym: str, frame: str, composition: list[Encoding]) -> None:
    assume(sum(encoding.layers for encoding in composition) <= MAX_LAYERS)
    text = frame.replace("{}", pseudonym)
    for encoding in composition:
        text = encoding.encode(text)
    scanner = LeakScanner(allowed=pseudonym.__eq__, fingerprint=lambda found: found)
    assert scanner.scan_text(text, "key") == []


@settings(max_examples=200, deadline=None)
@given(pseudonym=pseudonyms, address=addresses, frame=frames, composition=compositions)
def test_an_address_before_a_pseudonym_is_found(
    pseudonym: str, address: str, frame: str, composition: list[Encoding]
) -> None:
    """Whoever allows a pseudonym may overlook what stands before it: the scanner may not."""
    assume(1 <= sum(encoding.layers for encoding in composition) <= MAX_LAYERS)
    text = frame.replace("{}", address)
    for encoding in composition:
        text = encoding.encode(text)
    lenient = LeakScanner(allowed=lambda found: found.endswith(pseudonym) and found.count("@") == 1, fingerprint=str)
    assert lenient.scan_text(f"{text}|{pseudonym}", "key")


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_a_text_without_a_sign_of_an_address_is_silent(text: str) -> None:
    assume(not set(text) & set("@＠﹫%&=\\"))
    assert LeakScanner(allowed=lambda _address: False, fingerprint=str).scan_text(text, "key") == []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_silent_in_base64(data: bytes) -> None:
    assume(b"@" not in data)
    assume(not set(data.decode("utf-8", "ignore")) & set("%&=\\＠﹫"))
    scanner = LeakScanner(allowed=lambda _address: False, fingerprint=str)
    assert scanner.scan_text(f"k|{_b64(data)}", "key") == []
    assert scanner.scan_item({"blob": {"B": _b64(data)}}) == []


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from('ab@.#|"\\%4025&;=[]{}:,/ \n＠éu0x-_+'), max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    scanner = LeakScanner(allowed=lambda _address: False, fingerprint=lambda found: found)
    for finding in scanner.scan_text(text, "key"):
        assert finding.fingerprint == "" or "@" in finding.fingerprint
