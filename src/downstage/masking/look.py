"""One look into one value: what every codec and every reading finds in it, as edits; nothing is decided here.

A text is looked at as it is, through each inline codec, and through each base64 token in it; a binary as a compressed
stream, or text. What is found inside is replaced and wrapped again the same way. Where two ways of looking find
something in the same place, the deeper one is right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from downstage.errors import MaskingError
from downstage.masking import address, base64_text
from downstage.masking.base64_text import Span, Token
from downstage.masking.binary_text import is_clean, opaque_addresses, text_of
from downstage.masking.clean_runs import CleanRuns
from downstage.masking.compressed import Stream, damaged, inflate
from downstage.masking.edits import Edit, apply, merge
from downstage.masking.escapes import GUESSED_CODECS, HIDING, shows_signs, sure_codecs
from downstage.masking.inline import Codec

MAXIMUM_DECODED = 16 * 1024 * 1024
"""Characters or bytes, over all layers and readings of one value; forty times the largest item."""

_DEEPEST = 8
_DEEPEST_REMEMBERED = 4
_SMALL = 32
_ENDLESS = f"a value is encoded more than {_DEEPEST} times over: it is refused"


def may_hold(text: str) -> bool:
    """The gate: False if no codec and no reading could find an address in `text`."""
    return shows_signs(text) or base64_text.may_stand_in(text)


@dataclass(frozen=True, slots=True)
class Masked:
    """Bytes, how many addresses were replaced in them, the depth of the deepest, and why they are refused if they
    are (see Edit)."""

    raw: bytes
    count: int = 0
    depth: int = 0
    refused: str = ""


class Look:
    """One look into one value. A text that several ways of decoding lead to is looked at once.

    `kept` are the addresses that a keep list left where they stand, `opaque` how many binaries no reading could open.
    `clean_runs` spares the look into base64 that is known to hold nothing.
    """

    def __init__(
        self,
        replace: Callable[[str], str],
        is_kept: Callable[[str], bool],
        clean_runs: CleanRuns | None = None,
    ) -> None:
        self._replace = replace
        self._is_kept = is_kept
        self._clean_runs = clean_runs
        self.kept: set[str] = set()
        self.opaque = 0
        self._known: dict[str, list[Edit]] = {}
        self._left = MAXIMUM_DECODED
        self._cut = False

    def edits(self, text: str, layer: int) -> list[Edit]:
        """The replacements that `text` needs, in order, without overlap."""
        known = self._known.get(text)
        if known is None:
            self._spend(len(text))
            if layer > _DEEPEST:
                self._cut = True
                return _nothing_hidden(text)
            known = self._known[text] = self._all_edits(text, layer)
        return known

    def is_nothing(self, run: str) -> bool:
        """Whether nothing at all is found in a run of base64 characters, and so in no text of the upper layers: no
        address, kept or not, no bulk, and no end of the depth."""
        try:
            nothing = not self._run_edits(run, _DEEPEST_REMEMBERED)
            return nothing and not self.kept and not self._cut and self._spent <= _SMALL * len(run)
        except MaskingError:
            return False

    def binary(self, raw: bytes, layer: int, token: Token | None, *, latin: bool = True) -> Masked:
        """`raw` masked. `token`: the base64 that it came from, if it did, and then it may be nothing at all. `latin`:
        text in an old code page counts."""
        try:
            stream = inflate(raw)
        except MaskingError as error:
            return Masked(raw, 1, refused=str(error))
        if stream is not None:
            return self._stream(raw, stream, layer)
        if self._is_damaged_with_address(raw, layer):
            return Masked(raw, 1, refused="a damaged compressed value holds an address: it cannot be rewritten")
        known = text_of(raw, latin=latin)
        if known is None or (token and not is_clean(known[0])):
            if (token is None or (token.whole and not token.short)) and self._holds_address(raw):
                return Masked(raw, 1, refused="an opaque binary holds an address: it cannot be rewritten safely")
            self.opaque += token is None
            return Masked(raw)
        text, encoding = known
        edits = self.edits(text, layer) if self._may_hold(text, layer) else []
        if token and token.short:
            edits = [edit for edit in edits if edit.sure]
        if not edits:
            return Masked(raw)
        masked = apply(text, edits).encode(encoding, "surrogatepass")
        refused = next((edit.refused for edit in edits if edit.refused), "")
        depth = max(edit.depth for edit in edits) + encoding.startswith("utf-16")
        return Masked(masked, sum(edit.addresses for edit in edits), depth, refused)

    def _is_damaged_with_address(self, raw: bytes, layer: int) -> bool:
        content = damaged(raw)
        self._spend(len(content))
        if layer > _DEEPEST:
            return bool(content)
        return bool(content) and self.binary(content, layer + 1, None).count > 0

    def _holds_address(self, opaque: bytes) -> bool:
        return any(self._replace(found) != found for found in opaque_addresses(opaque))

    @property
    def _spent(self) -> int:
        return MAXIMUM_DECODED - self._left

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise MaskingError(f"a value decodes to more than {MAXIMUM_DECODED:,} characters: it is refused")

    def _all_edits(self, text: str, layer: int) -> list[Edit]:
        edits: list[Edit] = []
        for codec in sure_codecs(text):
            edits = merge(edits, self._inline_edits(codec, text, layer))
        if self._may_hold_base64(text, layer):
            edits = merge(edits, self._base64_edits(text, layer))
        edits = merge(edits, self._plain_edits(text, layer))
        for codec in GUESSED_CODECS:
            if codec.trigger in text:
                edits = merge(edits, self._inline_edits(codec, text, layer))
        return edits

    def _may_hold(self, text: str, layer: int) -> bool:
        return shows_signs(text) or self._may_hold_base64(text, layer)

    def _may_hold_base64(self, text: str, layer: int) -> bool:
        """What is known of clean runs holds for the upper layers: deeper down, less depth is left to look into them."""
        if layer <= _DEEPEST_REMEMBERED and self._clean_runs is not None:
            return not self._clean_runs.cover(text)
        return base64_text.may_stand_in(text)

    def _plain_edits(self, text: str, layer: int) -> list[Edit]:
        edits = []
        sure: bool | None = True if layer == 0 else None
        for start, end in address.find(text):
            found = text[start:end]
            pseudonym = self._replace(found)
            if pseudonym != found:
                sure = base64_text.is_believable(text) if sure is None else sure
                edits.append(Edit(start, end, pseudonym, sure=sure))
            elif self._is_kept(found):
                self.kept.add(found)
        return edits

    def _inline_edits(self, codec: Codec, text: str, layer: int) -> list[Edit]:
        view = codec.view(text)
        if view is None or not self._may_hold(view.text, layer + 1):
            return []
        edits = []
        for inner in self.edits(view.text, layer + 1):
            start, end = view.raw_span(inner.start, inner.end)
            raw = text[start:end]
            found = view.text[inner.start : inner.end]
            if codec.believes is None or codec.believes(raw, found):
                encoded = codec.encode(inner.text, raw)
                depth = inner.depth + (raw != found)
                edits.append(Edit(start, end, encoded, inner.addresses, depth, inner.refused, inner.sure))
        return edits

    def _base64_edits(self, text: str, layer: int) -> list[Edit]:
        edits: list[Edit] = []
        units: list[list[Span]] | None = None
        for run in base64_text.RUN.finditer(text):
            start, end = run.span()
            if layer <= _DEEPEST_REMEMBERED and self._clean_runs is not None and run.group() in self._clean_runs:
                continue
            found = self._run_edits(run.group(), layer)
            if any(edit.refused for edit in found):
                units = _escaped(text) if units is None else units
                if any(_touches(start, end, spans) for spans in units):
                    found = [edit for edit in found if not edit.refused]
            edits.extend(edit._replace(start=start + edit.start, end=start + edit.end) for edit in found)
        return edits

    def _run_edits(self, run: str, layer: int) -> list[Edit]:
        """The edits within one run of base64 characters. A reading that holds something excludes those that overlap;
        old code pages, for which noise may pass, are tried last."""
        edits: list[Edit] = []
        taken: list[Span] = []
        for start, end in dict.fromkeys(base64_text.readings(run)):
            place = bisect_left(taken, (start, end))
            if (place and taken[place - 1][1] > start) or (place < len(taken) and taken[place][0] < end):
                continue
            token = base64_text.decode(run[start:end], whole=end - start == len(run))
            edit = self._token_edit(token, start, layer, latin=False) if token else None
            if edit:
                edits.append(edit)
            if token and (not edit.refused if edit else _is_readable(token.raw)):
                taken.insert(place, (start, end))
        if not taken and not edits:
            token = base64_text.decode(run, whole=True)
            edit = self._token_edit(token, 0, layer, latin=True) if token and not token.short else None
            edits = [edit] if edit else edits
        refusals = [edit for edit in edits if edit.refused]
        sound = sorted((edit for edit in edits if not edit.refused), key=lambda edit: edit.start)
        return merge(sound, refusals[:1])

    def _token_edit(self, token: Token, start: int, layer: int, *, latin: bool) -> Edit | None:
        masked = self.binary(token.raw, layer + 1, token, latin=latin)
        if not masked.count:
            return None
        encoded = token.encoded(masked.raw)
        refused = masked.refused or ("" if encoded else "base64 with an address in it has a character too many")
        text = token.text if refused or encoded is None else encoded
        return Edit(start, start + len(token.text), text, masked.count, masked.depth + 1, refused)

    def _stream(self, raw: bytes, stream: Stream, layer: int) -> Masked:
        if stream.exceeded:
            raise MaskingError("a compressed value inflates past the limit: it cannot be looked into")
        self._spend(len(stream.content))
        if layer > _DEEPEST:
            raise MaskingError(_ENDLESS)
        masked = self.binary(stream.content, layer + 1, None)
        skipped = self.binary(stream.skipped, layer + 1, None) if stream.skipped else Masked(b"")
        count = masked.count + skipped.count + self._holds_address(stream.header)
        refused = masked.refused
        if count and not stream.complete:
            refused = "a compressed value is cut off and holds an address: it cannot be rewritten"
        body = stream.compress(masked.raw) if count else raw[: len(raw) - len(stream.rest)]
        rest = self.binary(stream.rest, layer + 1, None) if stream.rest else Masked(b"")
        return Masked(body + rest.raw, count + rest.count, max(masked.depth + 1, rest.depth), refused or rest.refused)


def _is_readable(raw: bytes) -> bool:
    """Whether a token holds something, address or not; then its parts hold nothing else."""
    known = text_of(raw, latin=False)
    return (known is not None and is_clean(known[0])) or _is_stream(raw)


def _is_stream(raw: bytes) -> bool:
    try:
        return inflate(raw) is not None
    except MaskingError:
        return False


def _nothing_hidden(text: str) -> list[Edit]:
    if HIDING.search(text) or base64_text.may_stand_in(text):
        raise MaskingError(_ENDLESS)
    return []


def _escaped(text: str) -> list[list[Span]]:
    """Where the sure codecs read units in `text`, in order, a list for each codec. A run of base64 that one of them
    touches is a part only: the decoded view shows the whole, so nothing is refused because of the part."""
    return [
        [unit.span() for unit in codec.unit.finditer(text) if codec.decode(unit.group()) is not None]
        for codec in sure_codecs(text)
        if codec.applies_to(text)
    ]


def _touches(start: int, end: int, spans: list[Span]) -> bool:
    """Whether one of `spans` (in order, without overlap) meets the one from `start` to `end`."""
    place = bisect_left(spans, start, key=lambda span: span[1])
    return place < len(spans) and spans[place][0] <= end
