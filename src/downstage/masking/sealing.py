"""Sealed cursors: real keys leave the process only under authenticated encryption.

A cursor is a production key and may hold an address, so journals, control tables and lock files see it sealed with
a subkey of the masking key (AES-256-GCM). The context (run, task, segment) is authenticated with it, so a cursor
cannot be moved to another run or segment.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from downstage.errors import JournalError
from downstage.masking.keys import MaskKey

_NONCE = 12


class KeySealer:
    """Implements `ports.Sealer` with the masking key."""

    def __init__(self, key: MaskKey) -> None:
        self._cipher = AESGCM(key.derive("seal"))

    def seal(self, plain: bytes, context: str) -> str:
        """Base64 text that only `open` with the same key and context can read."""
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, context.encode())).decode()

    def open(self, sealed: str, context: str) -> bytes:
        """What was sealed. Raises JournalError if it was altered, or sealed with another key or context."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], context.encode())
        except (InvalidTag, ValueError):
            raise JournalError(
                "a sealed cursor of the journal cannot be opened: the masking key is another one, or the journal "
                "was altered; resume with the key the run was started with"
            ) from None
