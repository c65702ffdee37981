"""Canaries: a sample of the source's addresses, kept as keyed digests, is looked for in the target.

The scanner asks whether an address in the target is a pseudonym; a matcher that misses an address would miss the
leak too. Canaries ask the other way round: does something that stood in the source stand in the target? So nothing
here uses the scanner's matcher or the masker's. The source's addresses are found by a pattern that would rather miss
one than guess; the target's texts are split at everything that is no letter of such an address, lower-cased, and each
word's digest is looked up. So are hex words of 32, 40 and 64 digits, which may be the plain MD5, SHA-1 or SHA-256 of
an address (Gravatar): whoever has a list of addresses can undo those.

No address is kept: a canary is four digests under a key of its own (the address's, and those of its three hashes).
What may stand in the target is never a canary: the keep lists, and whatever has the shape of a pseudonym.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

import idna
import orjson

from downstage.domain.plan import MaskingPlan
from downstage.ports import RawItem
from downstage.verify.layers import Finding, leaves
from downstage.verify.sampling import LowestHashes

CANARY: Final = "canary"
"""The first layer of every finding made here."""

A_SEGMENT: Final = 64
_KINDS: Final = ("", "md5", "sha1", "sha256")
_DIGEST: Final = 16  # bytes; 10^6 canaries against 10^12 words: a false hit with p < 10^-20
_REMEMBERED: Final = 4096

_AT_HOST = re.compile(rb"@[A-Za-z0-9.\-]{4,253}+(?![_@\x80-\xff])")
_HOST = re.compile(rb"(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}")
_LOCAL_BACKWARDS = re.compile(rb"[A-Za-z0-9._+\-]{1,65}+")
_BOUNDARY = frozenset(b' \t"<>()[]{},;:|#/\\')
_ESCAPED = frozenset(b"nrtbf")

_WORD_BACKWARDS = re.compile(rb"[A-Za-z0-9._+\-]{1,66}")
_WORD_FORWARDS = re.compile(rb"@[A-Za-z0-9.\-]{1,255}")
_EDGES = b"._+-"
_HEX_DIGITS = bytes.maketrans(b"0123456789abcdefABCDEF", b"\x01" * 22)
_HEX_RUN = b"\x01" * 32
_HEX_LENGTHS = frozenset((32, 40, 64))
_NO_HEX = re.compile(rb"[^\x01]")
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def together(found: Sequence[Finding], canaries: Sequence[Finding]) -> list[Finding]:
    """The scanner's findings, and the canaries at places where it has found nothing: one leak is one finding."""
    if not canaries:
        return list(found)
    places = {finding.path for finding in found}
    return [*found, *(canary for canary in canaries if canary.path not in places)]


def is_canary(finding: Finding) -> bool:
    """Whether a finding was made here."""
    return finding.layers[:1] == (CANARY,)


class CanaryKey:
    """The key of the digests: 32 bytes, derived from the masking key for this and nothing else."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=key, digest_size=_DIGEST)

    @staticmethod
    def label(environment: str) -> str:
        """What the masking key is asked for to derive this key."""
        return f"canaries/{environment}"

    def digest(self, word: bytes) -> bytes:
        """The keyed digest of one word."""
        keyed = self._keyed.copy()
        keyed.update(word)
        return keyed.digest()

    def __repr__(self) -> str:
        return "CanaryKey(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not sent anywhere: derive it there")


class Exempt:
    """What is never a canary: addresses of kept domains, kept addresses, and whatever looks like a pseudonym."""

    def __init__(self, domains: Iterable[str], addresses: Iterable[str], sink: str) -> None:
        self._domains = {form for domain in domains for form in _spellings(domain)}
        self._addresses = tuple(address.lower().encode() for address in addresses)
        before, _, after = sink.lower().partition("{token}")
        self._before, self._after = before.encode(), after.encode()

    @classmethod
    def of(cls, plan: MaskingPlan) -> Exempt:
        """What the plan keeps, and its pseudonyms."""
        return cls(plan.keep_domains, plan.keep_addresses, plan.sink)

    def __contains__(self, address: bytes) -> bool:
        if self._before in address and address.endswith(self._after):
            return True
        if address.partition(b"@")[2] in self._domains:
            return True
        return any(kept.endswith(address) for kept in self._addresses)  # the pattern may have cut a kept one short


class CanarySample:
    """The canaries of one segment: `limit` at most, those with the lowest digests, whatever the order of the items.

    `chosen` are canaries of an earlier attempt: the sample goes on from them.
    """

    def __init__(self, key: CanaryKey, exempt: Exempt, chosen: Iterable[str] = (), limit: int = A_SEGMENT) -> None:
        self._key = key
        self._exempt = exempt
        self._lowest = LowestHashes(limit, ((bytes.fromhex(canary)[:_DIGEST], canary) for canary in chosen))
        self._seen: set[bytes] = set()

    @property
    def canaries(self) -> list[str]:
        """The chosen canaries, as hex digits for the journal."""
        return self._lowest.values

    def look(self, items: Sequence[RawItem]) -> bool:
        """Looks at unmasked items; whether the sample changed."""
        changed = False
        for address in source_addresses(b"\n".join(items)):
            if address in self._seen:
                continue
            if len(self._seen) == _REMEMBERED:
                self._seen.clear()
            self._seen.add(address)
            digest = self._key.digest(address)
            if self._lowest.wants(digest) and _is_plain(address) and address not in self._exempt:
                changed |= self._lowest.offer(digest, self._canary(address, digest))
        return changed

    def _canary(self, address: bytes, digest: bytes) -> str:
        derived = (hashlib.new(kind, address, usedforsecurity=False).hexdigest().encode() for kind in _KINDS[1:])
        return (digest + b"".join(map(self._key.digest, derived))).hex()


def source_addresses(raw: bytes) -> Iterator[bytes]:
    """What looks like a plain ASCII address in JSON text, in lower case; one with a doubtful beginning is left out."""
    if b"@" not in raw:
        return
    backwards = raw[::-1]
    for found in _AT_HOST.finditer(raw):
        at, end = found.span()
        run = _LOCAL_BACKWARDS.match(backwards, len(raw) - at)
        if run is None:
            continue
        start = len(raw) - run.end()
        before = raw[start - 1] if start else 0x20
        if at - start > 64 or before not in _BOUNDARY:
            continue
        if before == 0x5C:  # the letter of `\n` is no part of the address
            if raw[start] not in _ESCAPED:
                continue
            start += 1
        yield raw[start:end].lower().rstrip(b".-")


def _is_plain(address: bytes) -> bool:
    """Whether an address is one whatever a matcher may think of odd ones."""
    local, _, host = address.partition(b"@")
    return local[:1].isalnum() and local[-1:].isalnum() and _HOST.fullmatch(host) is not None


class CanaryProbe:
    """Looks for canaries in what stands in the target. With none to look for, every look is free."""

    def __init__(self, key: CanaryKey | None = None, canaries: Collection[str] = ()) -> None:
        self._key = key
        self._known: dict[bytes, str] = {}
        self.looked_for = len(set(canaries)) if key is not None else 0
        for canary in canaries if key is not None else ():
            digests = bytes.fromhex(canary)
            for place, kind in enumerate(_KINDS):
                self._known[digests[place * _DIGEST : (place + 1) * _DIGEST]] = kind

    def scan_item(self, item: Mapping[str, Any]) -> list[Finding]:
        """The canaries in one item in typed JSON."""
        if not self._known or not any(self._hits(_as_json(item))):
            return []
        return self._placed(_plain(item), "")

    def scan_document(self, document: Any, path: str = "") -> list[Finding]:
        """The canaries in plain JSON."""
        if not self._known or not any(self._hits(_as_json(document))):
            return []
        return self._placed(document, path)

    def scan_text(self, text: str, path: str) -> list[Finding]:
        """The canaries in one text."""
        return [_finding(path, hit) for hit in self._hits(_encoded(text))] if self._known else []

    def _placed(self, value: Any, path: str) -> list[Finding]:
        """The findings by their places; one whose place is lost between two texts is a finding all the same."""
        findings = {
            _finding(place, hit): None for place, text in leaves(value, path) for hit in self._hits(_encoded(text))
        }
        return list(findings) or [Finding(path, (CANARY,), "")]

    def _hits(self, raw: bytes) -> Iterator[tuple[str, bytes]]:
        """(kind, digest) of each canary in `raw`."""
        assert self._key is not None
        for word in (*_address_words(raw), *_hex_words(raw)):
            digest = self._key.digest(word)
            kind = self._known.get(digest)
            if kind is not None:
                yield kind, digest


def _finding(path: str, hit: tuple[str, bytes]) -> Finding:
    kind, digest = hit
    return Finding(path, (CANARY, kind) if kind else (CANARY,), digest.hex()[:16])


def _address_words(raw: bytes) -> Iterator[bytes]:
    """Every word with an `@` in it, in lower case, and its likely readings."""
    if b"@" not in raw:
        return
    backwards = raw[::-1]
    for found in _WORD_FORWARDS.finditer(raw):
        at, end = found.span()
        run = _WORD_BACKWARDS.match(backwards, len(raw) - at)
        if run is None:
            continue
        start = len(raw) - run.end()
        word = raw[start:end].lower().rstrip(b".-")
        yield word
        if word[0] in _EDGES:
            yield word.lstrip(_EDGES)
        if start and raw[start - 1] == 0x5C:
            yield word[1:]


def _hex_words(raw: bytes) -> Iterator[bytes]:
    """Every word of 32, 40 or 64 hex digits, in lower case."""
    marked = raw.translate(_HEX_DIGITS)
    start = marked.find(_HEX_RUN)
    while start >= 0:
        found = _NO_HEX.search(marked, start)
        end = found.start() if found else len(raw)
        apart = start == 0 or raw[start - 1] not in _ALNUM or raw[start - 2 : start - 1] == b"\\"  # `\n` is no letter
        if end - start in _HEX_LENGTHS and apart and (end == len(raw) or raw[end] not in _ALNUM):
            yield raw[start:end].lower()
        start = marked.find(_HEX_RUN, end)


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):  # lone surrogates, or nested too deeply for it
        return json.dumps(value, default=repr).encode()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """Typed JSON without its types."""
    if isinstance(value, Mapping):
        return {name: _untyped(member) for name, member in value.items()}
    return value


def _untyped(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, body),) = value.items()
    if kind == "M":
        return _plain(body)
    return [_untyped(member) for member in body] if kind == "L" and isinstance(body, list) else body


def _spellings(domain: str) -> set[bytes]:
    """A kept domain as it may stand in ASCII."""
    spellings = {domain.lower().encode()}
    if not domain.isascii():
        with suppress(idna.IDNAError):
            spellings.add(idna.encode(domain, uts46=True, transitional=False))
    return spellings
