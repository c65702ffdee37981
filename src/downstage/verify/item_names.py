"""What an item is called where no key may stand: a keyed digest of its key after masking.

The deep comparison writes names and digests of items to the disk. Whoever finds them there must learn nothing by
guessing: names are keyed, and the digest of an item, which is not (it must add up to the one of the copy), lies under
a pad that only the key's holder can take off. Equal items of one name look equal all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NoReturn

import orjson

from downstage.ports import Item, RawItem
from downstage.proof import digest
from downstage.wire.attributes import finder

_SHOWN = 16


class ItemNames:
    """Names under a key of their own: 32 bytes, derived from the masking key for this and nothing else."""

    __slots__ = ("_named", "_padded")

    def __init__(self, key: bytes) -> None:
        self._named = hashlib.blake2b(key=key, digest_size=16, person=b"name")
        self._padded = hashlib.blake2b(key=key, digest_size=16, person=b"pad")

    @staticmethod
    def label(environment: str) -> str:
        """What the masking key is asked for to derive this key."""
        return f"item-names/{environment}"

    def of(self, key: bytes) -> bytes:
        """The 16 bytes that name the item of a canonical key."""
        named = self._named.copy()
        named.update(key)
        return named.digest()

    def cover(self, name: bytes, item_digest: int) -> bytes:
        """The digest of the item of that name, under its pad."""
        return digest.add(item_digest, self._pad(name)).to_bytes(16, "big")

    def uncover(self, name: bytes, covered: bytes) -> int:
        """What was covered."""
        return (int.from_bytes(covered, "big") - self._pad(name)) % digest.MODULUS

    def _pad(self, name: bytes) -> int:
        padded = self._padded.copy()
        padded.update(name)
        return int.from_bytes(padded.digest(), "big")

    def __repr__(self) -> str:
        return "ItemNames(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not sent anywhere: derive it there")


def shown(name: bytes) -> str:
    """A name as reports have it: 16 hex digits."""
    return name.hex()[:_SHOWN]


def key_reader(key_names: Sequence[str]) -> Callable[[RawItem], Item]:
    """A function that gives the key of an item, in typed JSON."""
    find = finder(key_names)

    def read(item: RawItem) -> Item:
        return {name: orjson.loads(value) for name, value in zip(key_names, find(item), strict=True)}

    return read
