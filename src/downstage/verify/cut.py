"""Whether a base64 token is only a piece of a longer one that escapes cut in two, as in `H4sIAAAA%2BtMzE…`.

A piece can be read as well: a stream that breaks off, a text that begins in the middle; and what it shows may be half
a pseudonym. The whole token shows itself once the escape is undone, so a piece is left to that. It is left only if the
whole can be read where the escapes are undone; and never if an address stands in the way, for what a matcher has
settled is not looked at again. In doubt the piece counts: that may be a false alarm, never silence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from downstage.verify.decoders import escapes_of, peeled

_RUN = re.compile(r"[A-Za-z0-9+/_\-=%&#;\\{}]+")
_TOKEN = re.compile(r"[A-Za-z0-9+/_\-]+")
_SIGNS = re.compile(r"[%&=\\]")
_SHORTEST = 4
_LONGEST_ESCAPE = 8
_MOST_MISSES = 50


class Cuts:
    """The cut tokens of one text. `settled` are the spans that no decoder will see, in order; `reads` says whether a
    whole token can be read."""

    def __init__(self, text: str, settled: Sequence[tuple[int, int]], reads: Callable[[str], bool]) -> None:
        self._text = text
        self._settled = settled
        self._reads = reads
        self._escape = escapes_of(text)
        self._spans = [found.span() for found in _RUN.finditer(text)]
        self._runs: dict[int, _Run | None] = {}

    def is_piece(self, start: int, token: str) -> bool:
        """Whether `token`, at `start`, is a piece of one that is read elsewhere. Asked in the order of the text."""
        place = bisect_left(self._spans, (start + 1, 0)) - 1
        if place < 0 or self._spans[place][1] <= start:
            return False
        if place not in self._runs:
            self._runs[place] = self._run(*self._spans[place])
        run = self._runs[place]
        return run is not None and run.holds(token[self._within_escape(start) :])

    def _run(self, begin: int, end: int) -> _Run | None:
        """What becomes of the text from `begin` to `end` once its escapes are undone; None if they will not be."""
        text = self._text[begin:end]
        place = bisect_left(self._settled, (end, 0))
        settled = place > 0 and self._settled[place - 1][1] > begin
        if settled or not _SIGNS.search(text):
            return None
        plain = peeled(text)
        return _Run(plain, self._reads) if plain != text else None

    def _within_escape(self, start: int) -> int:
        """How many characters of a token at `start` belong to an escape that begins before it: `2B` of `%2B`."""
        for before in range(max(0, start - _LONGEST_ESCAPE), start):
            escape = self._escape.match(self._text, before)
            if escape is not None and escape.end() > start:
                return escape.end() - start
        return 0


class _Run:
    """A piece of text without its escapes, and which of its tokens can be read. It is gone through once."""

    def __init__(self, text: str, reads: Callable[[str], bool]) -> None:
        self._text = text
        self._reads = reads
        self._tokens = [found.span() for found in _TOKEN.finditer(text)]
        self._known: dict[int, bool] = {}
        self._from = 0
        self._misses = 0

    def holds(self, piece: str) -> bool:
        """Whether `piece` is a part, and not all, of a token that can be read."""
        if len(piece) < _SHORTEST or self._misses > _MOST_MISSES:
            return False
        at = self._text.find(piece, self._from)
        if at < 0:
            self._misses += 1
            return False
        self._from = at + 1
        place = bisect_left(self._tokens, (at + 1, 0)) - 1
        start, end = self._tokens[place]
        if end - start == len(piece):
            return False
        if place not in self._known:
            self._known[place] = self._reads(self._text[start:end])
        return self._known[place]
