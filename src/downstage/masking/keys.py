"""The masking key in memory: one master secret, one derived key for each purpose, and nothing that prints it.

Rules: at least 32 bytes; never in a repr, a pickle or a message; purposes never share a key, so that a fingerprint
in a report cannot be compared with a token in the data. Derivation is HMAC-SHA-256(master, label), the expand step
of HKDF (RFC 5869) for one block.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NoReturn

from downstage.errors import ConfigError

MINIMUM_BYTES = 32
_DISTINCT_BYTES = 8
_TEXT = re.compile(rb"[\x09-\x0d\x20-\x7e]*")
_HEX = re.compile(rb"[0-9a-fA-F]{64,}")


class MaskKey:
    """The master key. `raw` is the secret's content: 64 or more hex digits, or any 32 bytes or more. White space round
    a text (a file's last newline) is not part of it; every byte of a binary key is.

    Raises ConfigError if it is too short to be a key, or is plainly not random: few different bytes, or one text
    over and over.
    """

    __slots__ = ("_master",)

    def __init__(self, raw: bytes) -> None:
        text = raw.strip() if _TEXT.fullmatch(raw) else raw
        master = bytes.fromhex(text.decode()) if _HEX.fullmatch(text) and len(text) % 2 == 0 else text
        if len(master) < MINIMUM_BYTES:
            raise ConfigError(
                f"the masking key has {len(master)} bytes, at least {MINIMUM_BYTES} are needed: "
                "make one with 'downstage key new'"
            )
        repeats = any(master.startswith(master[period:]) for period in range(1, len(master) // 2 + 1))
        if repeats or len(set(master)) < _DISTINCT_BYTES:
            raise ConfigError("the masking key is not random: make one with 'downstage key new'")
        self._master = master

    def derive(self, label: str) -> bytes:
        """A 32-byte key for one purpose."""
        return hmac.digest(self._master, f"downstage/v1/{label}\x01".encode(), "sha256")

    @property
    def check(self) -> str:
        """12 hex digits that tell two keys apart and say nothing about either."""
        return self.derive("key-check").hex()[:12]

    def __repr__(self) -> str:
        return "MaskKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a masking key is not sent anywhere: send its reference and read it there")


class KeyedHash:
    """HMAC-SHA-256 with the key schedule done once: three times cheaper a call than `hmac.digest`."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: bytes) -> bytes:
        """The 32-byte MAC of `message`."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
