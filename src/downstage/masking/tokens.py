"""Tokens: the 32 letters of a pseudonym.

    24 letters  from HMAC(context ‖ 0x00 ‖ canonical value): 112 bits, so a collision among 10^9 addresses has p < 1e-15
     8 letters  a keyed check over those (37 bits): by it we know our own pseudonyms from a stranger's at the sink

The *letters* depend on the canonical value alone, so twins join when compared without regard to case. The letters'
*case* comes from a MAC of the exact spelling, so distinct spellings stay distinct keys; the canonical spelling
itself is all lower case. A token is a pure function: any worker, any run, any order gives the same.
"""

from __future__ import annotations

from functools import lru_cache

from downstage.masking.keys import KeyedHash, MaskKey

LENGTH = 32
_BODY = 24
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_PAIRS = [low + high for high in _ALPHABET for low in _ALPHABET]
_REMEMBERED = 65536
_LONGEST_REMEMBERED = 320


class Tokens:
    """Tokens of one environment and one pseudonym domain (`context`, such as `email/v1`)."""

    def __init__(self, key: MaskKey, environment: str, context: str = "email/v1") -> None:
        scope = f"{environment}/{context}"
        self._context = context.encode() + b"\0"
        self._body = KeyedHash(key.derive(f"token/{scope}"))
        self._check = KeyedHash(key.derive(f"token-check/{scope}"))
        self._case = KeyedHash(key.derive(f"token-case/{scope}"))
        self._fingerprint = KeyedHash(key.derive(f"fingerprint/{scope}"))
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._token)

    def token(self, canonical: str, spelling: str) -> str:
        """The 32 letters of the address `canonical`, in the letter case of its `spelling`."""
        if len(canonical) > _LONGEST_REMEMBERED or len(spelling) > _LONGEST_REMEMBERED:
            return self._token(canonical, spelling)
        return self._remembered(canonical, spelling)

    def _token(self, canonical: str, spelling: str) -> str:
        letters = _letters(self._body.digest(self._context + _encode(canonical)), _BODY)
        letters += self._check_letters(letters)
        if spelling == canonical:
            return letters
        bits = int.from_bytes(self._case.digest(self._context + _encode(spelling))[:4], "big") or 1
        return "".join(letter.upper() if bits >> place & 1 else letter for place, letter in enumerate(letters))

    def is_ours(self, token: str) -> bool:
        """Whether `token`, in whatever letter case, was made with this key, environment and context."""
        lower = token.lower()
        return len(lower) == LENGTH and self._check_letters(lower[:_BODY]) == lower[_BODY:]

    def fingerprint(self, value: str) -> str:
        """16 hex digits that name a value in reports without telling it; not comparable with tokens."""
        return self._fingerprint.digest(_encode(value)).hex()[:16]

    def _check_letters(self, body: str) -> str:
        return _letters(self._check.digest(self._context + body.encode()), LENGTH - _BODY)


def _encode(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _letters(digest: bytes, count: int) -> str:
    """`count` letters, an even number: the digits of the digest's first 24 bytes in base 26, the lowest first."""
    number = int.from_bytes(digest[:24], "big")
    pairs = []
    for _ in range(count // 2):
        number, place = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[place])
    return "".join(pairs)
