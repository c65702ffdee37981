"""One value, looked at under every layer of encoding it may have.

Breadth first: the value as it is, then what each decoder makes of it, then what each decoder makes of that,
at most `max_layers` deep. A text that was seen at a place is not looked at again there, so decoders that
commute cost nothing. A text that is JSON is read as JSON only (its strings are the next layer): in the raw
text a closing and an opening quote would look like a quoted local part.

It fails closed. A stream that inflates beyond the limit, and an encoding that goes on below the last layer,
are findings of their own ("inflate-limit", "too-deep"): what cannot be read is not proven clean.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from downstage.verify.addresses import AT, read
from downstage.verify.base64_tokens import base64_payloads
from downstage.verify.decoders import DECODERS, Pairs, joined_surrogates, json_tree, peeled
from downstage.verify.inflating import inflate
from downstage.verify.opaque import opaque_addresses
from downstage.verify.readable import is_chance, is_dotted, is_orderly, readable
from downstage.verify.spelled import spelled_in

TOTAL_FACTOR = 4  # all that is decoded for one item, in multiples of the limit for one stream

_MAX_ADDRESS = 320
_MORE_JSON = 4  # layers of JSON that are looked through below the last layer
_SIGNS = re.compile(r"[@＠﹫%&=\\\x00]")
_ESCAPE_SIGNS = re.compile(r"[%&=\\\x00]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Finding:
    """An address that may not be there, or something that cannot be proven clean. It never holds the value.

    `path`: where, e.g. `petitioners[].contact.email`; names that are not plain identifiers are `*`.
    `layers`: the encodings it lay under, outermost first, e.g. ("base64", "gzip", "json"); a last layer
    "inflate-limit" or "too-deep" means that what lies there was not read.
    `fingerprint`: a keyed hash of the address, "" if nothing was read.
    """

    path: str
    layers: tuple[str, ...]
    fingerprint: str


@dataclass(slots=True)
class Budget:
    """How much one scan may still decode, in characters or bytes."""

    left: int


def may_hide(text: str) -> bool:
    """Whether an address can be in `text` at all: no sign of one, no escape and no base64 means no. Cheap."""
    if _SIGNS.search(text):
        return True
    return not text.islower() and next(base64_payloads(text), None) is not None


@lru_cache(maxsize=4096)
def shown(name: str) -> str:
    """A map name as a path may show it: itself if it is a plain identifier that hides nothing, else `*`."""
    if _IDENTIFIER.fullmatch(name) and next(base64_payloads(name), None) is None:
        return name
    return "*"


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string and map name of plain JSON as (path, text), in document order; maps may be `Pairs`."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        place, node = stack.pop()
        if isinstance(node, str):
            yield place, node
        elif isinstance(node, (dict, Pairs)):
            members = list(node.items()) if isinstance(node, dict) else node
            for name, member in reversed(members):
                stack.append((joined(place, shown(name)), member))
                stack.append((joined(place, "*"), name))
        elif isinstance(node, (list, tuple)):
            stack.extend((place + "[]", member) for member in reversed(node))


def joined(path: str, segment: str) -> str:
    """`path` with one more segment; both without data."""
    return f"{path}.{segment}" if path else segment


@dataclass(frozen=True, slots=True)
class _Look:
    """Something to look at: a text, or bytes. `token`: it came out of base64, so noise is likely. `short`: it
    is so short besides that an address in it may be chance. `noise`: it is UTF-16 that no language is."""

    content: str | bytes
    path: str
    layers: tuple[str, ...]
    token: bool = False
    short: bool = False
    noise: bool = False

    @property
    def depth(self) -> int:
        """How many encodings were undone. Wide characters are a spelling of the text that bytes are, and none."""
        return len(self.layers) - self.layers.count("utf-16")


class Search:
    """Looks at one value after the other; `allowed` and `fingerprint` are those of `LeakScanner`."""

    def __init__(
        self,
        allowed: Callable[[str], bool],
        fingerprint: Callable[[str], str],
        max_layers: int,
        max_inflated: int,
    ) -> None:
        self._allowed = allowed
        self._fingerprint = fingerprint
        self._max_layers = max_layers
        self._max_inflated = max_inflated

    def budget(self) -> Budget:
        """A fresh budget, for one item or document."""
        return Budget(self._max_inflated * TOTAL_FACTOR)

    def look(self, content: str | bytes, path: str, budget: Budget) -> list[Finding]:
        """Every finding in one value, each (path, address) once, under the fewest layers."""
        if isinstance(content, str) and self._is_ours(content):
            return []
        findings: dict[tuple[str, str], Finding] = {}
        queue: deque[_Look] = deque([_Look(content, path, (), short=len(content) < 20 and isinstance(content, bytes))])
        seen: set[tuple[str, str | bytes, bool]] = set()
        while queue:
            look = queue.popleft()
            if look.depth > self._max_layers:
                if self._goes_on(look, budget):
                    self._report(findings, look, "too-deep")
                continue
            addresses, below = self._one(look, budget)
            for address in addresses:
                self._report(findings, look, "", self._fingerprint(address))
            for lower in below:
                if lower.layers[-1] == "inflate-limit":
                    self._report(findings, lower, "")
                    continue
                place = (lower.path, lower.content, lower.short)
                if place in seen:
                    continue
                seen.add(place)
                budget.left -= len(lower.content)
                if budget.left < 0:
                    self._report(findings, lower, "inflate-limit")
                    return list(findings.values())
                queue.append(lower)
        return list(findings.values())

    def _is_ours(self, text: str) -> bool:
        """Whether `text` is nothing but one allowed address: the usual field, and the quick way out.

        `allowed` may overlook what stands before a pseudonym, so nothing there may be an encoding.
        """
        return (
            len(text) <= _MAX_ADDRESS
            and "@" in text
            and _ESCAPE_SIGNS.search(text) is None
            and self._allowed(text)
            and spelled_in(text.rpartition("@")[0]) is None
            and (text.islower() or next(base64_payloads(text), None) is None)
        )

    @staticmethod
    def _report(findings: dict[tuple[str, str], Finding], look: _Look, limit: str, fingerprint: str = "") -> None:
        layers = (*look.layers, limit) if limit else look.layers
        key = fingerprint or layers[-1]
        findings.setdefault((look.path, key), Finding(look.path, layers, fingerprint))

    def _one(self, look: _Look, budget: Budget) -> tuple[list[str], Iterator[_Look]]:
        """The addresses in plain sight, and what the decoders make of it."""
        if isinstance(look.content, str):
            return self._text(look, joined_surrogates(look.content))
        data = look.content
        limit = min(self._max_inflated, max(budget.left, 0))
        stream = inflate(data, limit)
        if stream is not None:
            layers = (*look.layers, stream.layer)
            if stream.exceeded:
                return [], iter([_Look(b"", look.path, (*layers, "inflate-limit"))])
            return [], iter([_Look(stream.data, look.path, layers)])
        known = readable(data)
        if known is None:
            return ([] if look.token else self._opaque(data)), iter(())
        layer, text = known
        if not layer:
            return self._text(look, text)
        # a byte order mark may stand before anything: look at the bytes as well
        below = _Look(text, look.path, (*look.layers, layer), look.token, look.short, noise=not is_orderly(text))
        return ([] if look.token else self._opaque(data, wide=False)), iter([below])

    def _opaque(self, data: bytes, *, wide: bool = True) -> list[str]:
        """The addresses in bytes that may be no text at all."""
        addresses: list[str] = []
        for spelling in opaque_addresses(data, wide=wide):
            addresses += read(spelling, self._allowed, defer=False).addresses
        return addresses

    def _text(self, look: _Look, text: str) -> tuple[list[str], Iterator[_Look]]:
        tree = json_tree(text)
        if tree is not None:
            return [], self._json(look, tree)
        if AT.search(text) is None or (look.short and is_chance(text)):
            return [], self._decoded(look, text, text)
        reading = read(text, self._allowed, defer=True)
        if look.noise:
            return [address for address in reading.addresses if is_dotted(address)], self._decoded(look, text, text)
        return reading.addresses, self._decoded(look, text, reading.unsettled(text), reading.settled)

    def _json(self, look: _Look, tree: Any) -> Iterator[_Look]:
        layers = (*look.layers, "json")
        for path, text in leaves(tree, look.path):
            if may_hide(text) and not self._is_ours(text):
                yield _Look(text, path, layers, look.token, look.short)

    def _decoded(
        self, look: _Look, text: str, unsettled: str, settled: Sequence[tuple[int, int]] = ()
    ) -> Iterator[_Look]:
        """What each decoder makes of `text`; escapes are undone only where the reading left something
        open."""
        for layer, decode, sign in DECODERS:
            if sign in unsettled:
                plain = decode(unsettled)
                if plain != unsettled and may_hide(plain):
                    yield _Look(plain, look.path, (*look.layers, layer), look.token, look.short)
        if "\x00" in unsettled:
            yield _Look(unsettled.replace("\x00", ""), look.path, (*look.layers, "utf-16"), look.token, look.short)
        last = look.depth > self._max_layers  # nothing is undone any more, so nothing is left to it
        for payload in base64_payloads(text, None if last else settled):
            layers = (*look.layers, "base64")
            if isinstance(payload, bytes):
                yield _Look(payload, look.path, layers, token=True, short=len(payload) < 20)
                continue
            layer, plain = payload
            if may_hide(plain):
                if layer:
                    layers = (*layers, layer)
                size = 2 * len(plain) if layer else len(plain)
                noise = bool(layer) and not is_orderly(plain)
                yield _Look(plain, look.path, layers, token=True, short=size < 20, noise=noise)

    def _goes_on(self, look: _Look, budget: Budget, more_json: int = _MORE_JSON) -> bool:
        """Whether something below the last layer may still be hidden: an address, or one more real
        encoding."""
        addresses, below = self._one(look, budget)
        if addresses:
            return True
        for lower in below:
            layer = lower.layers[-1]
            if layer == "json" and more_json:
                if self._goes_on(lower, budget, more_json - 1):
                    return True
            elif layer not in _ESCAPES:
                if not (lower.short and isinstance(lower.content, str)):
                    return True
            elif isinstance(lower.content, str) and read(peeled(lower.content), self._allowed, defer=False).addresses:
                return True
        return False


_ESCAPES = frozenset(layer for layer, _, _ in DECODERS)
