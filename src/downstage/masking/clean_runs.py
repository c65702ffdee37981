"""Which runs of base64 characters surely hold nothing: the cheap half of the gate, with a memory.

Every identifier, date and long word is such a run, and nearly all of them come again: attribute names, kinds, dates.
A run is clean if no reading of it decodes to anything, or if one look into it, however it is padded, finds nothing at
all; then it adds nothing to what is found in any text that it stands in. The memory is bounded, and emptied when full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import filterfalse

from downstage.masking import base64_text
from downstage.masking.kernel import KERNEL, Kernel, Spans

_REMEMBERED = 16384
_LONGEST_LOOKED_INTO = 64
_SHORTEST = base64_text.SHORTEST
_BECOME_LONGER = (base64_text.CERTAIN - 2, base64_text.CERTAIN - 1)

_is_date = re.compile(rb"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]").fullmatch
"""No reading of a date begins as anything could."""

_MANY_UNKNOWN = 32
BINARIES = frozenset((b"B", b"BS"))
_IN_RUNS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_RUNS = bytes(byte if byte in _IN_RUNS else 0x20 for byte in range(256))


class CleanRuns:
    """`is_nothing(run)`: whether one look into a run, by itself, finds nothing. It is asked about short runs only."""

    def __init__(self, is_nothing: Callable[[str], bool], kernel: Kernel | None = KERNEL) -> None:
        self._is_nothing = is_nothing
        self._kernel = kernel
        self._clean: set[bytes] = set()
        self._not_clean: set[bytes] = set()

    def unknown(self, text: str) -> list[bytes]:
        """The runs in `text`, the short ones too, that are not remembered as clean. The types of binaries never are."""
        words = text.encode("utf-8", "surrogatepass").translate(_RUNS).split()
        unknown = list(filterfalse(self._clean.__contains__, words))
        if len(unknown) > _MANY_UNKNOWN:
            self._remember(run for run in unknown if len(run) < _SHORTEST and run.isalpha() and run not in BINARIES)
        return unknown

    def apart_in_view(self, kernel: Kernel, text: str) -> list[tuple[int, int, str, bool]] | None:
        """What `kernel` finds in the decoded view of an ASCII text, with this memory."""
        return kernel.apart_in_view(text, self._clean, self._is_clean)

    def doubtful(self, text: str, unknown: list[bytes]) -> list[str]:
        """The distinct runs in `text` that are not surely clean, of its `unknown` ones. Of those over several lines,
        the ends of lines."""
        runs = [run for run in unknown if len(run) >= _SHORTEST and not run.islower()]
        runs = [run for run in runs if run != run.lower() and not _is_date(run)]
        doubtful = self._not_clean_of(runs) if runs else []
        return doubtful + base64_text.folded(text) if "\n" in text else doubtful

    def cover(self, text: str) -> bool:
        """Whether all runs in `text` are clean, those over several lines too."""
        if self._kernel is not None and text.isascii():
            return self._kernel.covered(text, self._clean, self._is_clean)
        return text.islower() or not self.doubtful(text, self.unknown(text))

    def look(self, kernel: Kernel, raw: bytes) -> tuple[list[tuple[int, int, bool]], Spans] | None:
        """What `kernel` sees in an item's JSON, with this memory."""
        return kernel.look(raw, self._clean, self._is_clean)

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
        if any(self._may_hold(spelling) for spelling in ((text, f"{text}==") if _padding_matters(text) else (text,))):
            if len(self._not_clean) >= _REMEMBERED:
                self._not_clean.clear()
            self._not_clean.add(run)
            return False
        self._remember((run,))
        return True

    def _may_hold(self, run: str) -> bool:
        return base64_text.may_be(run) and (base64_text.is_text_with_at_sign(run) or not self._is_nothing(run))

    def _remember(self, runs: Iterable[bytes]) -> None:
        """Words come again, and so may what was looked into. Identifiers and dates do not, and are cheap."""
        if len(self._clean) >= _REMEMBERED:
            self._clean.clear()
        self._clean.update(runs)


def _padding_matters(run: str) -> bool:
    """Whether a reading that ends with the run is short without its padding, and not with it."""
    return any(len(run) == size or (len(run) > size and run[-size - 1] in "+/-_") for size in _BECOME_LONGER)
