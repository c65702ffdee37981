"""Which inner loops are used: the compiled ones where they were built, else those in Python, which say the same.

Compiled or not is a matter of speed alone; the property tests hold both to the slow walk. The compiled gate knows what
an encoding can begin with: if a decoder is added that begins with anything else, it is not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from downstage.masking import base64_text
from downstage.masking.address import AT_SIGNS
from downstage.masking.escapes import GUESSED_CODECS, JSON, SURE_CODECS

PURE = "DOWNSTAGE_PURE_PYTHON"
"""The environment variable that, set to anything, leaves the compiled loops out."""

Spans = list[tuple[int, int]]


class Kernel(Protocol):
    """The compiled loops. `clean` are runs of base64 known to hold nothing, `is_clean(run)` looks into others. None is
    always an answer: then Python is asked."""

    def look(
        self, raw: bytes, clean: set[bytes], is_clean: Callable[[bytes], bool]
    ) -> tuple[list[tuple[int, int, bool]], Spans] | None:
        """The string literals in an item's JSON in which something may be found: (start, end, whether their runs are
        clean) each, and the contents of binaries."""

    def covered(self, text: str, clean: set[bytes], is_clean: Callable[[bytes], bool]) -> bool:
        """Whether all runs in an ASCII text are clean."""

    def apart(self, text: str) -> Spans | None:
        """The addresses in an ASCII text, if no decoder reads anything in it and each of them stands apart."""

    def apart_in_literal(self, raw: bytes, start: int, end: int) -> list[tuple[int, int, str, bool]] | None:
        """The same of what a string literal in an item's JSON means, with the bytes of the item that each address is
        written with, and whether a `=` stands before it."""

    def apart_in_view(
        self, text: str, clean: set[bytes], is_clean: Callable[[bytes], bool]
    ) -> list[tuple[int, int, str, bool]] | None:
        """The same of what an ASCII text decodes to, if it is JSON with simple escapes or percent-encoded and nothing
        else, with the characters of the text that each address is written with."""


def _compiled() -> Kernel | None:
    if os.environ.get(PURE):
        return None
    try:
        from downstage.masking import _kernel
    except ImportError:
        return None
    if not {*AT_SIGNS, *(codec.trigger[0] for codec in (JSON, *SURE_CODECS, *GUESSED_CODECS))} <= _kernel.SIGNS:
        return None
    _kernel.set_heads(base64_text.heads())
    return _kernel


KERNEL = _compiled()
