"""One text or binary value, with every encoding it may be wrapped in, at most four layers deep.

Four rules keep it honest:

* the result is looked at again until nothing changes; if it will not settle, the item is refused (MaskingError);
* what cannot be looked into (a bomb) or rewritten (an address in an opaque binary) is refused, never passed on;
* an address below the fourth layer is refused, and so is whatever still hides something below the eighth: no one
  writes so, and the scanner that proves the target clean goes no deeper;
* what is decoded for one value is bounded, whatever the value is; past the bound it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from downstage.errors import MaskingError
from downstage.masking import address
from downstage.masking.at_once import AtOnce
from downstage.masking.base64_text import SHORTEST_LINE
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.edits import Edit, apply, merge
from downstage.masking.escapes import guesses, holds_codecs, shows_signs, sure_codecs
from downstage.masking.kernel import KERNEL, Kernel
from downstage.masking.look import Look
from downstage.masking.settled import Settled

MAXIMUM_LAYERS = 4

_TOO_DEEP = f"an address lies under more than {MAXIMUM_LAYERS} layers of encoding: it is refused"
_ROUNDS = 4
_REMEMBERED = 16384
_LONGEST_REMEMBERED = 320
_LINE_ENDS = ("\r", "\n")
_BEFORE = frozenset(' \t\r\n|:;,<>(){}"')
_ENDS_AFTER = re.compile(r'\.?(?:[ \t\r\n|:;,<>(){}]|\Z|"(?!@))')
_NO_RUN = re.compile(r"[^A-Za-z0-9+/=_-]|\Z")


class NestedMasker:
    """Replaces every address in texts and binaries. `replace` maps one address to its pseudonym, purely.

    Statistics so far: `replaced` addresses; `kept` addresses, which `is_kept` says a keep list names (an address that
    stands in one value several times is one); `opaque` binaries that no reading could open.
    """

    def __init__(
        self,
        replace: Callable[[str], str],
        is_kept: Callable[[str], bool] = lambda _: False,
        kernel: Kernel | None = KERNEL,
    ) -> None:
        self._replace = replace
        self._is_kept = is_kept
        self.kernel = kernel
        self.clean_runs = CleanRuns(lambda run: Look(replace, is_kept).is_nothing(run), kernel)
        self._results: dict[str, tuple[str, int, int]] = {}
        self._settled = Settled(replace, self.clean_runs)
        self._at_once = AtOnce(kernel, replace, is_kept, self.clean_runs, self._settled) if kernel is not None else None
        self.replaced = 0
        self.kept = 0
        self.opaque = 0

    def counts(self) -> tuple[int, int, int]:
        """The statistics, for `recount`."""
        return self.replaced, self.kept, self.opaque

    def recount(self, counts: tuple[int, int, int]) -> None:
        """Takes the statistics back to what they were: the same values will be masked in another way."""
        self.replaced, self.kept, self.opaque = counts

    def text(self, text: str, *, runs_are_clean: bool = False) -> str:
        """`text` with every address replaced; the same object if there is none. May raise MaskingError.
        `runs_are_clean`: `clean_runs` covers it, so nothing is base64."""
        result = self._at_once.text(text, runs_are_clean) if self._at_once is not None else None
        if result is None:
            result = self._results.get(text)
        if result is None:
            if not shows_signs(text) and (runs_are_clean or self.clean_runs.cover(text)):
                return text
            result = self._masked(text, runs_are_clean or self.clean_runs.cover(text))
            if len(text) <= _LONGEST_REMEMBERED:
                if len(self._results) >= _REMEMBERED:
                    self._results.clear()
                self._results[text] = result
        masked, count, kept = result
        self.replaced += count
        self.kept += kept
        return masked if count else text

    def edits_in_literal(self, raw: bytes, start: int, end: int) -> list[tuple[int, int, bytes]] | None:
        """What must be written in place of which bytes of an item's JSON, for one literal in it whose runs are clean;
        None if `text` must be asked about what it means."""
        found = self._at_once.literal(raw, start, end) if self._at_once is not None else None
        if found is None:
            return None
        edits, kept = found
        self.replaced += len(edits)
        self.kept += kept
        return edits

    def _masked(self, text: str, runs_are_clean: bool) -> tuple[str, int, int]:
        """The masked text, how many addresses were replaced, how many kept."""
        simply = None
        if runs_are_clean:
            simply = self._masked_in_views(text) if holds_codecs(text) else self._masked_plainly(text)
        return self._looked_at(text) if simply is None else simply

    def _masked_in_views(self, text: str) -> tuple[str, int, int] | None:
        """As `_masked`, for a text without base64 whose decoded views are plain; None if one is not."""
        kept: set[str] = set()
        count = 0
        for _ in range(_ROUNDS):
            edits = self._edits_in_views(text, kept)
            if not edits:
                return None if edits is None else (text, count, len(kept))
            count += len(edits)
            text = apply(text, edits)
            if not self.clean_runs.cover(text):
                return None
        return None

    def _edits_in_views(self, text: str, kept: set[str]) -> list[Edit] | None:
        """What a Look at `text` would find, if all its views are plain; what is `kept` is added."""
        if guesses(text):
            return None
        edits: list[Edit] = []
        for codec in sure_codecs(text):
            view = codec.view(text)
            if view is None:
                continue
            if not self._is_plain(view.text):
                return None
            inner: list[Edit] = []
            for found_start, found_end, pseudonym in self._found(view.text, kept):
                start, end = view.raw_span(found_start, found_end)
                inner.append(Edit(start, end, codec.encode(pseudonym, text[start:end])))
            edits = merge(edits, inner)
        return merge(edits, [Edit(*found) for found in self._found(text, kept)])

    def _found(self, text: str, kept: set[str]) -> Iterator[tuple[int, int, str]]:
        """The addresses that are in plain sight and must be replaced, each with its pseudonym."""
        for start, end in address.find(text):
            found = text[start:end]
            pseudonym = self._replace(found)
            if pseudonym != found:
                yield start, end, pseudonym
            elif self._is_kept(found):
                kept.add(found)

    def _is_plain(self, text: str) -> bool:
        return not holds_codecs(text) and self.clean_runs.cover(text)

    def _looked_at(self, text: str) -> tuple[str, int, int]:
        """As `_masked`, through every decoder."""
        look = Look(self._replace, self._is_kept, self.clean_runs)
        count = 0
        for _ in range(_ROUNDS):
            edits = look.edits(text, 0)
            if not edits:
                return text, count, len(look.kept)
            within = [edit for edit in edits if edit.depth <= MAXIMUM_LAYERS and not edit.refused]
            if not within:
                raise MaskingError(edits[0].refused or _TOO_DEEP)
            count += sum(edit.addresses for edit in within)
            text = apply(text, within)
        raise MaskingError("a text does not settle under masking: it is refused")

    def _masked_plainly(self, text: str) -> tuple[str, int, int] | None:
        """As `_masked`, for a text in which no decoder reads anything; None if masking may change that, or does not
        settle at once."""
        kept: set[str] = set()
        pieces: list[str] = []
        apart = "@[" not in text and text.isascii()
        at = 0
        for start, end, pseudonym in self._found(text, kept):
            pieces += (text[at:start], pseudonym)
            at = end
            apart = apart and _ends_before(text, start) and _ENDS_AFTER.match(text, end) is not None
        if not pieces:
            return text, 0, len(kept)
        pieces.append(text[at:])
        masked = "".join(pieces)
        if not (apart and all(map(self._settled, pieces[1::2]))) and not self._is_settled(masked, pieces, kept):
            return None
        return masked, len(pieces) // 2, len(kept)

    def _is_settled(self, masked: str, pieces: list[str], kept: set[str]) -> bool:
        """Whether nothing is found in `masked` any more; what is `kept` in it is added."""
        if holds_codecs(masked) or not (_stands_apart(pieces) or self.clean_runs.cover(masked)):
            return False
        for start, end in address.find(masked):
            found = masked[start:end]
            if self._replace(found) != found:
                return False
            if self._is_kept(found):
                kept.add(found)
        return True

    def binary(self, raw: bytes) -> bytes:
        """`raw` with every address replaced; the same object if there is none. May raise MaskingError."""
        look = Look(self._replace, self._is_kept)
        for _ in range(_ROUNDS):
            masked = look.binary(raw, 0, None)
            if not masked.count:
                self.kept += len(look.kept)
                self.opaque += look.opaque
                return raw
            if masked.refused or masked.depth > MAXIMUM_LAYERS:
                raise MaskingError(masked.refused or _TOO_DEEP)
            self.replaced += masked.count
            raw = masked.raw
        raise MaskingError("a binary does not settle under masking: it is refused")


def _ends_before(text: str, start: int) -> bool:
    """Whether the character before `start` is in none of the addresses after it."""
    return start == 0 or text[start - 1] in _BEFORE


def _stands_apart(pieces: list[str]) -> bool:
    """Whether the pseudonyms, every other piece, add no run of base64 to the text that may be one: each is in lower
    case, between characters of no run, and too short to be a line of a run that goes on."""
    for place in range(1, len(pieces), 2):
        before, pseudonym, after = pieces[place - 1 : place + 2]
        if not (pseudonym.islower() and _NO_RUN.match(before[-1:]) and _NO_RUN.match(after[:1])):
            return False
        if after[:1] in _LINE_ENDS and len(pseudonym.rpartition(".")[2]) >= SHORTEST_LINE:
            return False
    return True
