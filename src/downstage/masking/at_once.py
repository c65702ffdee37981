"""Texts in which all that is found stands apart, masked at once: the compiled loops tell where it stands, and the
result needs no second look. That is nearly every text that holds an address.

An accelerator, as the loops are: None is always an answer, and then NestedMasker looks for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from downstage.masking import base64_text
from downstage.masking.base64_text import CERTAIN
from downstage.masking.binary_text import is_clean
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.compressed import may_be_compressed
from downstage.masking.escapes import JSON, JSON_START, PERCENT
from downstage.masking.kernel import Kernel, Spans
from downstage.masking.settled import Settled

Masked = tuple[str, int, int]
_TOKEN = re.compile(rf"[A-Za-z0-9+/_-]{{{CERTAIN},}}={{0,2}}")
_BEGINS_UNIT = re.compile("[0-9A-Fa-f]{2}")
"""With a `=` before it, this is a byte in quoted-printable."""


class AtOnce:
    """`replace` and `is_kept` are those of NestedMasker."""

    def __init__(
        self,
        kernel: Kernel,
        replace: Callable[[str], str],
        is_kept: Callable[[str], bool],
        clean_runs: CleanRuns,
        settled: Settled,
    ) -> None:
        self._kernel = kernel
        self._replace = replace
        self._is_kept = is_kept
        self._clean_runs = clean_runs
        self._settled = settled

    def text(self, text: str, runs_are_clean: bool) -> Masked | None:
        """The masked text, how many addresses were replaced, how many kept. `runs_are_clean`: see NestedMasker."""
        kernel = self._kernel
        if not text.isascii():
            return None
        if not runs_are_clean and not self._clean_runs.cover(text):
            return self._token(text) if _TOKEN.fullmatch(text) else None
        spans = kernel.apart(text)
        if spans is not None:
            return self._apart(text, spans)
        found = self._clean_runs.apart_in_view(kernel, text)
        return None if found is None else self._in_view(text, found)

    def literal(self, raw: bytes, start: int, end: int) -> tuple[list[tuple[int, int, bytes]], int] | None:
        """What must be written in place of which bytes of an item's JSON, for one literal in it whose runs are clean,
        and how many addresses in it are kept."""
        found = self._kernel.apart_in_literal(raw, start, end)
        if found is None:
            return None
        kept: set[str] = set()
        edits: list[tuple[int, int, bytes]] = []
        for first, last, address_, assigned in found:
            pseudonym = self._replace(address_)
            if pseudonym == address_:
                if self._is_kept(address_):
                    kept.add(address_)
            elif not self._settled(pseudonym) or (assigned and _BEGINS_UNIT.match(pseudonym)):
                return None
            else:
                edits.append((first, last, pseudonym.encode()))
        return edits, len(kept)

    def _apart(self, text: str, spans: Spans) -> Masked | None:
        """Where all that is found stands at `spans`, apart."""
        kept: set[str] = set()
        pieces: list[str] = []
        at = 0
        for start, end in spans:
            found = text[start:end]
            pseudonym = self._replace(found)
            if pseudonym != found:
                if not self._settled(pseudonym):
                    return None
                if text[start - 1 : start] == "=" and _BEGINS_UNIT.match(pseudonym):
                    return None
                pieces += (text[at:start], pseudonym)
                at = end
            elif self._is_kept(found):
                kept.add(found)
        if not pieces:
            return text, 0, len(kept)
        pieces.append(text[at:])
        return "".join(pieces), len(pieces) // 2, len(kept)

    def _in_view(self, text: str, found: Sequence[tuple[int, int, str, bool]]) -> Masked | None:
        """Where all that is found stands apart in the one decoded view there is."""
        codec = JSON if JSON_START.match(text) else PERCENT
        pieces: list[str] = []
        at = 0
        for start, end, address_, assigned in found:
            pseudonym = self._replace(address_)
            if pseudonym == address_ or not self._settled(pseudonym):
                return None
            if assigned and _BEGINS_UNIT.match(pseudonym):
                return None
            encoded = codec.encode(pseudonym, text[start:end])
            if "%" in encoded and "@" in encoded:
                return None
            pieces += (text[at:start], encoded)
            at = end
        pieces.append(text[at:])
        masked = "".join(pieces)
        return (masked, len(found), 0) if self._clean_runs.cover(masked) else None

    def _token(self, token: str) -> Masked | None:
        """Base64 of a text in which nothing else is encoded; no other reading of it counts."""
        decoded = base64_text.decode(token, whole=True)
        if decoded is None or not decoded.raw.isascii():
            return None
        text = decoded.raw.decode()
        spans = self._kernel.apart(text)
        if not spans or not is_clean(text) or not self._clean_runs.cover(text) or may_be_compressed(decoded.raw):
            return None
        masked = self._apart(text, spans)
        if masked is None or masked[1] < len(spans):
            return None
        encoded = decoded.encoded(masked[0].encode())
        return None if encoded is None else (encoded, masked[1], 0)
