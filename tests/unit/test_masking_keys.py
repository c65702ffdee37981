"""The key: what is refused as one, and that it goes nowhere. Sealing: opened with the same key and context only."""

from __future__ import annotations

import base64
import copy
import hmac
import pickle

import pytest

from downstage.errors import ConfigError, JournalError
from downstage.masking.keys import KeyedHash, MaskKey
from downstage.masking.sealing import KeySealer

RAW = bytes(range(100, 164))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"short", b"x" * 31, b"x" * 64, b"0" * 64, b"00" * 40, b"password" * 8, b"correct horse! " * 4, b"ab" * 40,
        RAW[:31], bytes(range(65, 96)) + b"\n ", b"0123456789abcdef" * 4,
    ],
)  # fmt: skip
def test_what_is_short_or_not_random_is_refused_without_being_shown(raw: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        MaskKey(raw)
    assert len(raw) < 4 or raw.decode("latin-1") not in str(caught.value)


def test_hex_and_bytes_are_the_same_key() -> None:
    assert MaskKey(RAW.hex().encode() + b"\n").check == MaskKey(RAW.hex().upper().encode()).check == MaskKey(RAW).check


def test_purposes_and_keys_differ() -> None:
    key, other = MaskKey(RAW), MaskKey(RAW[::-1])
    assert len({key.derive("a"), key.derive("b"), other.derive("a"), other.derive("b")}) == 4
    assert key.check != other.check


def test_a_key_is_not_printed_and_not_sent() -> None:
    key = MaskKey(RAW)
    assert RAW.hex() not in repr(key) + str(key) + f"{key!r:>3}"
    assert not hasattr(key, "__dict__")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(key, protocol)
    with pytest.raises(TypeError):
        copy.deepcopy(key)


@pytest.mark.parametrize("message", [b"", b"a", b"x" * 200])
def test_the_keyed_hash_is_hmac(message: bytes) -> None:
    assert KeyedHash(RAW[:32]).digest(message) == hmac.digest(RAW[:32], message, "sha256")


def test_what_was_sealed_is_opened_by_the_same_key_and_context_only() -> None:
    plain = b'{"pk":{"S":"user|bob@x.example"}}'
    sealer = KeySealer(MaskKey(RAW))
    sealed = sealer.seal(plain, "run/1")
    assert KeySealer(MaskKey(RAW)).open(sealed, "run/1") == plain
    assert sealed != sealer.seal(plain, "run/1")
    assert b"bob" not in base64.b64decode(sealed)
    altered = base64.b64encode(base64.b64decode(sealed)[:-1] + b"\x00").decode()
    for text, context, key in [
        (sealed, "run/2", RAW),
        (sealed, "run/1", RAW[::-1]),
        (altered, "run/1", RAW),
        ("", "run/1", RAW),
        ("AAAA", "run/1", RAW),
        ("not base64!", "run/1", RAW),
        ("é", "run/1", RAW),
        (sealed[:20], "run/1", RAW),
    ]:
        with pytest.raises(JournalError):
            KeySealer(MaskKey(key)).open(text, context)


def test_white_space_belongs_to_a_binary_key_and_not_to_a_text() -> None:
    binary = b"\n" + bytes(range(128, 158)) + b" "
    assert MaskKey(binary).check != MaskKey(binary + b"\n").check
    text = b"correct horse battery staple, thirty-two"
    assert MaskKey(text).check == MaskKey(text + b"\r\n").check
