"""The independent leak scanner: does any real address stand in what was written?

It reads one DynamoDB item, one document or one text, and reports each address that is neither a genuine
pseudonym nor on the keep list, under up to eight layers of encoding: the masker opens as many, and refuses what
still hides something below them. It shares no code with the masker: the proof that nothing leaked must not repeat
the masker's mistakes. Nothing that it returns holds data: paths without names that are not plain identifiers,
keyed fingerprints instead of values.

    leaks           walks items and documents       (this module)
    layers          one value under all its encodings
    addresses       an address in a text            spelled     somebody else in a local part
    decoders        escapes and JSON                cut         base64 that an escape cuts in two
    base64_tokens   what base64 holds               inflating   compressed streams
    readable        what text some bytes are        opaque      addresses in what is no text
    domains         hosts that look real

Beside it, and sharing nothing with it, `canaries` looks for addresses that are known to have stood in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from downstage.verify.base64_tokens import unbase64
from downstage.verify.layers import Budget, Finding, Search, joined, leaves, may_hide, shown

__all__ = ["Finding", "LeakScanner"]

MAXIMUM_LAYERS: Final = 8
_NAMES_REMEMBERED: Final = 4096


class LeakScanner:
    """Finds addresses that may not be there.

    `allowed(address)` is True for a genuine pseudonym of ours and for an address on the keep list. It is
    asked about candidate spellings exactly as they stand after decoding, many of which are no address; it
    must be a pure function. `fingerprint(address)` gives the keyed hash of a canonical spelling (NFC, lower
    case) and is called for findings only. `max_layers` encodings are undone at most; `max_inflated` bytes are
    inflated from one stream, and four times as much is decoded for one item. A scanner may be shared by
    threads.
    """

    def __init__(
        self,
        *,
        allowed: Callable[[str], bool],
        fingerprint: Callable[[str], str],
        max_layers: int = MAXIMUM_LAYERS,
        max_inflated: int = 4 * 1024 * 1024,
    ) -> None:
        self._search = Search(allowed, fingerprint, max_layers, max_inflated)
        self._clean_names: set[str] = set()

    def scan_item(self, item: Mapping[str, Any]) -> list[Finding]:
        """The findings in one item in typed JSON (`{"pk": {"S": "…"}}`); B and BS members are base64 text, or
        bytes.

        All names are scanned. A value that is not typed JSON is scanned as plain JSON.
        """
        findings: list[Finding] = []
        self._members(item, "", self._search.budget(), findings)
        return findings

    def scan_document(self, document: Any, path: str = "") -> list[Finding]:
        """The findings in plain JSON (an OpenSearch `_source`); `path` comes before each finding's path."""
        findings: list[Finding] = []
        self._plain(document, path, self._search.budget(), findings)
        return findings

    def scan_text(self, text: str, path: str) -> list[Finding]:
        """The findings in one text: an object key, a document id, a tag. `path` says what it is, without
        data."""
        return self._search.look(text, path, self._search.budget()) if may_hide(text) else []

    def _members(self, members: Mapping[str, Any], path: str, budget: Budget, findings: list[Finding]) -> None:
        for name, value in members.items():
            if name not in self._clean_names:
                self._name(name, path, budget, findings)
            self._typed(value, joined(path, shown(name)), budget, findings)

    def _name(self, name: str, path: str, budget: Budget, findings: list[Finding]) -> None:
        found = self._search.look(name, joined(path, "*"), budget) if may_hide(name) else []
        findings += found
        if not found and len(self._clean_names) < _NAMES_REMEMBERED:
            self._clean_names.add(name)

    def _typed(self, value: Any, path: str, budget: Budget, findings: list[Finding]) -> None:
        """One attribute value, `{"S": "…"}` and its like."""
        if not isinstance(value, Mapping) or len(value) != 1:
            self._plain(value, path, budget, findings)
            return
        ((kind, body),) = value.items()
        if kind in ("S", "N") and isinstance(body, str):
            if may_hide(body):
                findings += self._search.look(body, path, budget)
        elif kind == "M" and isinstance(body, Mapping):
            self._members(body, path, budget, findings)
        elif kind == "L" and isinstance(body, list):
            for member in body:
                self._typed(member, path + "[]", budget, findings)
        elif kind == "B":
            self._binary(body, path, budget, findings)
        elif kind == "BS" and isinstance(body, list):
            for member in body:
                self._binary(member, path + "[]", budget, findings)
        else:
            self._plain(body if kind in ("SS", "NS", "BOOL", "NULL") else value, path, budget, findings)

    def _binary(self, body: Any, path: str, budget: Budget, findings: list[Finding]) -> None:
        data = bytes(body) if isinstance(body, (bytes, bytearray)) else None
        if isinstance(body, str):
            data = unbase64(body)
        if data is None:
            self._plain(body, path, budget, findings)
        else:
            findings += self._search.look(data, path, budget)

    def _plain(self, value: Any, path: str, budget: Budget, findings: list[Finding]) -> None:
        for place, text in leaves(value, path):
            if may_hide(text):
                findings += self._search.look(text, place, budget)
