"""Which runs of base64 characters surely hold nothing: the cheap half of the gate, with a memory.

Every identifier, date and long word is such a run, and nearly all of them come again: attribute names, kinds, dates.
A run is clean if no reading of it decodes to anything, or if one look into it, however it is padded, finds nothing at
all; then it adds nothing to what is found in any text that it stands in. The memory is bounded, and emptied when full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import filterfalse

from downstage.masking import base64_text

_REMEMBERED = 16384
_LONGEST_LOOKED_INTO = 64
_SHORTEST = base64_text.SHORTEST
_BECOME_LONGER = (base64_text.CERTAIN - 2, base64_text.CERTAIN - 1)
"""Padding only matters to those whose length is short without it and not with it."""

_IN_RUNS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_RUNS = bytes(byte if byte in _IN_RUNS else 0x20 for byte in range(256))


class CleanRuns:
    """`is_nothing(run)`: whether one look into a run, by itself, finds nothing. It is asked about short runs only."""

    def __init__(self, is_nothing: Callable[[str], bool]) -> None:
        self._is_nothing = is_nothing
        self._clean: set[bytes] = set()
        self._not_clean: set[bytes] = set()

    def doubtful(self, texts: list[str]) -> list[str]:
        """What is not surely clean in `texts`: distinct runs, and texts with a run over several lines."""
        with_capitals = list(filterfalse(str.islower, texts))
        if not with_capitals:
            return []
        joined = "\0".join(with_capitals)
        words = joined.encode("utf-8", "surrogatepass").translate(_RUNS).split()
        unknown = [
            run for run in filterfalse(self._clean.__contains__, words) if len(run) >= _SHORTEST and not run.islower()
        ]
        doubtful = self._not_clean_of(unknown) if unknown else []
        if "\n" in joined and base64_text.may_be_folded(joined):
            doubtful += [text for text in with_capitals if base64_text.may_be_folded(text)]
        return doubtful

    def cover(self, text: str) -> bool:
        """Whether all runs in `text` are clean, those over several lines too."""
        return not self.doubtful([text])

    def _not_clean_of(self, unknown: list[bytes]) -> list[str]:
        likely = set(base64_text.likely(unknown))
        self._remember(run for run in unknown if run.isalpha() and run not in likely)
        return [run.decode() for run in likely if not self._is_clean(run)]

    def __contains__(self, run: str) -> bool:
        """Whether the run, with or without its padding, is remembered as clean."""
        return run.rstrip("=").encode() in self._clean

    def _is_clean(self, run: bytes) -> bool:
        if len(run) > _LONGEST_LOOKED_INTO or run in self._not_clean:
            return False
        text = run.decode()
        if base64_text.may_be(text) and not self._holds_nothing(text):
            if len(self._not_clean) >= _REMEMBERED:
                self._not_clean.clear()
            self._not_clean.add(run)
            return False
        self._remember((run,))
        return True

    def _holds_nothing(self, run: str) -> bool:
        return self._is_nothing(run) and (len(run) not in _BECOME_LONGER or self._is_nothing(run + "=="))

    def _remember(self, runs: Iterable[bytes]) -> None:
        """Words come again, and so may what was looked into. Identifiers and dates do not, and are cheap."""
        if len(self._clean) >= _REMEMBERED:
            self._clean.clear()
        self._clean.update(runs)
