"""One text or binary value, with every encoding it may be wrapped in, at most four layers deep.

Four rules keep it honest:

* the result is looked at again until nothing changes; if it will not settle, the item is refused (MaskingError);
* what cannot be looked into (a bomb) or rewritten (an address in an opaque binary) is refused, never passed on;
* an address below the fourth layer is refused, and so is whatever still hides something below the eighth: no one
  writes so, and the scanner that proves the target clean goes no deeper;
* what is decoded for one value is bounded, whatever the value is; past the bound it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from downstage.errors import MaskingError
from downstage.masking.edits import apply
from downstage.masking.look import Look, may_hold

MAXIMUM_LAYERS = 4

_TOO_DEEP = f"an address lies under more than {MAXIMUM_LAYERS} layers of encoding: it is refused"
_ROUNDS = 4
_REMEMBERED = 16384
_LONGEST_REMEMBERED = 320


class NestedMasker:
    """Replaces every address in texts and binaries. `replace` maps one address to its pseudonym, purely.

    `replaced` counts the replacements made so far; it is only a statistic.
    """

    def __init__(self, replace: Callable[[str], str]) -> None:
        self._replace = replace
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._masked)
        self.replaced = 0

    def text(self, text: str) -> str:
        """`text` with every address replaced; the same object if there is none. May raise MaskingError."""
        if not may_hold(text):
            return text
        masked, count = self._remembered(text) if len(text) <= _LONGEST_REMEMBERED else self._masked(text)
        self.replaced += count
        return masked if count else text

    def _masked(self, text: str) -> tuple[str, int]:
        look = Look(self._replace)
        count = 0
        for _ in range(_ROUNDS):
            edits = look.edits(text, 0)
            if not edits:
                return text, count
            within = [edit for edit in edits if edit.depth <= MAXIMUM_LAYERS and not edit.refused]
            if not within:
                raise MaskingError(edits[0].refused or _TOO_DEEP)
            count += sum(edit.count for edit in within)
            text = apply(text, within)
        raise MaskingError("a text does not settle under masking: it is refused")

    def binary(self, raw: bytes) -> bytes:
        """`raw` with every address replaced; the same object if there is none. May raise MaskingError."""
        look = Look(self._replace)
        for _ in range(_ROUNDS):
            masked = look.binary(raw, 0, None)
            if not masked.count:
                return raw
            if masked.refused or masked.depth > MAXIMUM_LAYERS:
                raise MaskingError(masked.refused or _TOO_DEEP)
            self.replaced += masked.count
            raw = masked.raw
        raise MaskingError("a binary does not settle under masking: it is refused")
