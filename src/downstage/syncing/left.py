"""What a sync leaves in the target, as one number: the sum, mod 2^128, of a mark of every object's key and ETag.

As with the tables' digest, sums depend on no order, ranges add up apart, and what is looked at again after a kill
counts once. The proof adds up what the target holds then: where both sums are one, nothing but the sync has written
there, and whatever differs from the source has changed in the source.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

MODULUS = 1 << 128
LEFT = "left"
"""The counter that the sums are added up in, on their way to the checkpoint's digest."""

_QUOTE = '"'

Mark = Callable[[str, str], int]


def mark(key: str, etag: str) -> int:
    """The mark of one object: its key, relative to the prefix, and the ETag that the target gives it."""
    text = f"{etag.strip(_QUOTE)}\n{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=16).digest())


def unmarked(_key: str, _etag: str) -> int:
    """For whoever proves nothing by it."""
    return 0
