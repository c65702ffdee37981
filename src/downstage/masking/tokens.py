"""Tokens: the 32 letters of a pseudonym.

    24 letters  from HMAC(context ‖ 0x00 ‖ canonical value): 112 bits, so a collision among 10^9 addresses has p < 1e-15
     8 letters  a keyed check over those (37 bits): by it we know our own pseudonyms from a stranger's at the sink

A letter is a byte of the MAC, modulo 26: w to z come 9 times in 256, the others 10 times. That bias costs 0.05 bits.

The *letters* depend on the canonical value alone, so twins join when compared without regard to case. The letters'
*case* comes from a MAC of the exact spelling, so distinct spellings stay distinct keys; the canonical spelling
itself is all lower case. A token is a pure function: any worker, any run, any order gives the same.
"""

from __future__ import annotations

from downstage.masking.keys import KeyedHash, MaskKey

LENGTH = 32
_BODY = 24
_LETTERS = bytes(ord("a") + byte % 26 for byte in range(256))
_CASES = bytes(byte << 5 & 0x20 for byte in range(256))
_NO_CASE = bytes(LENGTH)
_ONE_CAPITAL = b"\x20" + bytes(LENGTH - 1)


class Tokens:
    """Tokens of one environment and one pseudonym domain (`context`, such as `email/v1`)."""

    def __init__(self, key: MaskKey, environment: str, context: str = "email/v1") -> None:
        scope = f"{environment}/{context}"
        self._context = context.encode() + b"\0"
        self._body = KeyedHash(key.derive(f"token/{scope}"))
        self._check = KeyedHash(key.derive(f"token-check/{scope}"))
        self._case = KeyedHash(key.derive(f"token-case/{scope}"))
        self._fingerprint = KeyedHash(key.derive(f"fingerprint/{scope}"))

    def token(self, canonical: str, spelling: str) -> str:
        """The 32 letters of the address `canonical`, in the letter case of its `spelling`."""
        body = self._body.digest(self._context + _encode(canonical))[:_BODY].translate(_LETTERS)
        letters = body + self._check_letters(body)
        if spelling == canonical:
            return letters.decode()
        cases = self._case.digest(self._context + _encode(spelling)).translate(_CASES)
        return _in_case(letters, cases if cases != _NO_CASE else _ONE_CAPITAL).decode()

    def is_ours(self, token: str) -> bool:
        """Whether `token`, in whatever letter case, was made with this key, environment and context."""
        lower = _encode(token.lower())
        return len(lower) == LENGTH and self._check_letters(lower[:_BODY]) == lower[_BODY:]

    def fingerprint(self, value: str) -> str:
        """16 hex digits that name a value in reports without telling it; not comparable with tokens."""
        return self._fingerprint.digest(_encode(value)).hex()[:16]

    def _check_letters(self, body: bytes) -> bytes:
        return self._check.digest(self._context + body)[: LENGTH - _BODY].translate(_LETTERS)


def _encode(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _in_case(letters: bytes, cases: bytes) -> bytes:
    """Lower-case `letters` in capitals where `cases` has the one bit in which the two differ."""
    return (int.from_bytes(letters, "big") ^ int.from_bytes(cases, "big")).to_bytes(LENGTH, "big")
