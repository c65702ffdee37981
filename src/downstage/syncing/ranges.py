"""The key space of a bucket cut into ranges of about equal size, by probing: no listing of the whole.

Each probe is one page after a key that need not exist (StartAfter). It shows where keys are and how close together:
its keys, divided by the stretch of key space that they take up, are a density. Always the range that seems to hold the
most is cut in its middle, until there are as many as wanted or no more probes. A bad guess costs balance, never a key:
the ranges are whole whatever was guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from downstage.domain.refs import SourceBucket
from downstage.ports import ObjectTransfer
from downstage.syncing.listing import KeyRange

SMALLEST = 20_000
"""A range that seems to hold fewer objects is not cut."""

_PROBES_A_RANGE = 6
_LOOKS = 8
_LOWEST, _HIGHEST = 0x20, 0x7E
_LETTERS = _HIGHEST - _LOWEST + 1
_DEPTH = 12
_HIGH = chr(_HIGHEST)


@dataclass(slots=True)
class _Part:
    """The keys after `low` up to `high` (None: to the end). `sample` are the first of them, `guess` is the end that is
    reckoned with; without `cut` it is left whole."""

    low: str | None
    high: str | None
    sample: list[str]
    guess: str
    cut: bool = True

    @property
    def about(self) -> float:
        """How many keys there seem to be in it: as many as there are, if all are as close together as the sample."""
        keys = self.sample
        same = len(_shared(keys[0], max(keys[-1], self.guess)))
        first, last, end = (_number(text[same:]) for text in (keys[0], keys[-1], self.guess))
        taken = max(last - first, 1)
        return len(keys) * (max(end - first, taken) / taken)


async def split(
    transfer: ObjectTransfer, bucket: SourceBucket, prefix: str, wanted: int, *, smallest: int = SMALLEST
) -> list[KeyRange]:
    """Up to `wanted` ranges that together are all keys under `prefix`; in order, relative to it."""

    async def probe(after: str | None) -> tuple[list[str], bool]:
        page = await transfer.page(bucket, prefix=prefix, start_after=None if after is None else prefix + after)
        return [entry.key[len(prefix) :] for entry in page.entries], page.more

    async def part_of(low: str | None, high: str | None, keys: list[str], guess: str) -> _Part:
        """A part that begins with `keys`: where all of these begin alike, and nothing comes after what does, the space
        to be cut is much smaller than it seems."""
        shared = _shared(keys[0], keys[-1])
        for _ in range(_LOOKS):
            if not shared or guess.startswith(shared):
                break
            beyond, _ = await probe(shared + _HIGH * 2)
            if not beyond or (high is not None and beyond[0] > high):
                guess = shared + _HIGH
                break
            shared = _shared(shared, beyond[0])
        return _Part(low, high, keys, guess)

    keys, more = await probe(None)
    if wanted < 2 or not more:
        return [KeyRange()]
    parts = [await part_of(None, None, keys, _HIGH)]
    for _ in range(wanted * _PROBES_A_RANGE):
        ready = [part for part in parts if part.cut and part.about >= 2 * smallest]
        if len(parts) >= wanted or not ready:
            break
        part = max(ready, key=lambda part: part.about)
        middle = midpoint(part.sample[0], part.guess)
        if middle is None:
            part.cut = False
            continue
        keys, more = await probe(middle)
        inside = keys if part.high is None else [key for key in keys if key <= part.high]
        if not inside:  # nothing in the upper half: look closer at the lower one
            part.guess = middle
            continue
        upper = await part_of(middle, part.high, inside, max(part.guess, inside[-1]))
        if len(inside) < len(keys) or not more:
            upper.cut = False
        parts.append(upper)
        part.high = part.guess = middle
    parts.sort(key=lambda part: part.low or "")
    return [KeyRange(part.low, part.high) for part in parts]


def midpoint(low: str, high: str) -> str | None:
    """A text between the two, about in the middle of the printable ASCII texts; None if there is none to be found."""
    same = _shared(low, high)
    first, last = _number(low[len(same) :]), _number(high[len(same) :])
    middle = same + _text((first + last) // 2)
    return middle if low < middle < high else None


def _number(text: str) -> int:
    """Where the text stands among all texts, as far as its first letters tell."""
    number = 0
    for place in range(_DEPTH):
        letter = min(max(ord(text[place]), _LOWEST), _HIGHEST) - _LOWEST + 1 if place < len(text) else 0
        number = number * (_LETTERS + 1) + letter
    return number


def _text(number: int) -> str:
    letters = []
    for _ in range(_DEPTH):
        number, letter = divmod(number, _LETTERS + 1)
        letters.append(letter)
    text = []
    for letter in reversed(letters):
        if letter == 0:
            break
        text.append(chr(letter - 1 + _LOWEST))
    return "".join(text)


def _shared(first: str, last: str) -> str:
    """What both texts begin with."""
    length = 0
    while length < min(len(first), len(last)) and first[length] == last[length]:
        length += 1
    return first[:length]
