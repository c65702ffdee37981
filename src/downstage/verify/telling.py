"""Which differences are the target's fault, and which are production moving on: the digests of the copy can tell.

The copy kept no digest of each item, only their sum for each segment of the source. That is enough. Call w what was
written for an item, t what is in the target and m what the source (masked) gives now; 0 where there is none. The sum
over a segment of w - t is known: what was added up while writing, less the digests of the target's items. An item
whose *source* changed has w = t and adds nothing to it. One that was altered in the target, or lost from it, has w = m
and adds m - t. So the residual is the sum of m - t over exactly the genuine differences, and with digests of 128 bits
no other subset gives it. An extra row has no segment: a genuine one was never written and adds -t to the table's total;
one whose source was deleted since adds t to the residual of the segment that wrote it.

The subset is looked for over the whole table first (few genuine ones among many, or the other way round), then segment
by segment, then over what is left. The search is bounded (`_ALL`, `_PAIRS`, `_SINGLES`, `_ATTEMPTS`). What it does not
explain is `untold`: it counts as a failure, and so does a residual with nothing to explain it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from downstage.proof.digest import MODULUS

_ALL = 32
"""Of so many candidates every subset is tried (two halves of 2^16 sums)."""

_PAIRS = 600
"""Of so many, every subset of up to four, and every one that leaves out up to four."""

_SINGLES = 100_000
"""Of so many, every subset of one or two, and every one that leaves out one or two."""

_ATTEMPTS = 200
"""So many segments with a residual are looked into one by one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One difference: `segment` of the source, None for a row that the source scan has not seen. Digests; 0 for none.

    `source` is m, `target` is t.
    """

    id: int
    segment: int | None
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Told:
    """Ids of the `genuine` differences, of those whose source changed (`moved`) and of those that cannot be told.

    `unexplained` are segments whose residual nothing explains.
    """

    genuine: frozenset[int]
    moved: frozenset[int]
    untold: frozenset[int]
    unexplained: frozenset[int]


def tell_apart(residuals: Mapping[int, int], candidates: Sequence[Candidate]) -> Told:
    """Judges every candidate. `residuals`: the sum of w - t over each segment of the source, extra rows left out."""
    own = [candidate for candidate in candidates if candidate.segment is not None]
    extras = [candidate for candidate in candidates if candidate.segment is None]
    genuine = _explained_in_all(residuals, own, extras)
    if genuine is not None:
        return _told(candidates, genuine, frozenset(), frozenset())
    settled: set[int] = set()
    left = {segment: residual for segment, residual in residuals.items() if residual}
    held: dict[int | None, list[Candidate]] = {}
    for candidate in own:
        held.setdefault(candidate.segment, []).append(candidate)
    free = extras
    for segment in sorted(left, key=lambda segment: len(held.get(segment, ())))[:_ATTEMPTS]:
        mine = held.get(segment, [])
        subset = explained(left[segment], [*map(_if_genuine, mine), *(extra.target for extra in free)])
        if subset is None:
            continue
        settled |= {mine[place].id for place in subset if place < len(mine)}
        taken = {free[place - len(mine)].id for place in subset if place >= len(mine)}
        free = [extra for extra in free if extra.id not in taken]
        del left[segment]
    rest = [candidate for candidate in own if candidate.segment in left]
    if not left:
        return _told(candidates, settled | _ids(free), frozenset(), frozenset())
    found = _explained_in_all(left, rest, free) if rest or free else None
    if found is not None:
        return _told(candidates, settled | found, frozenset(), frozenset())
    empty = frozenset(segment for segment in left if segment not in held)
    return _told(candidates, settled, _ids(rest) | _ids(free), empty)


def explained(residual: int, values: Sequence[int]) -> tuple[int, ...] | None:
    """Places of the values whose sum (mod 2^128) is the residual, or None if the bounded search finds none."""
    if residual == 0:
        return ()
    if len(values) <= _ALL:
        return _of_all(residual, values)
    if len(values) > _SINGLES:
        return None
    few = _few(residual, values)
    if few is not None:
        return few
    out = _few((sum(values) - residual) % MODULUS, values)
    return None if out is None else tuple(place for place in range(len(values)) if place not in set(out))


def _explained_in_all(
    residuals: Mapping[int, int], own: Sequence[Candidate], extras: Sequence[Candidate]
) -> frozenset[int] | None:
    """The genuine ones by the total alone; an extra row's share of it is known only if it is genuine."""
    everyone = [*own, *extras]
    total = (sum(residuals.values()) - sum(extra.target for extra in extras)) % MODULUS
    subset = explained(total, [*map(_if_genuine, own), *(-extra.target % MODULUS for extra in extras)])
    return None if subset is None else frozenset(everyone[place].id for place in subset)


def _if_genuine(candidate: Candidate) -> int:
    return (candidate.source - candidate.target) % MODULUS


def _ids(candidates: Sequence[Candidate]) -> frozenset[int]:
    return frozenset(candidate.id for candidate in candidates)


def _told(
    candidates: Sequence[Candidate],
    genuine: frozenset[int] | set[int],
    untold: frozenset[int],
    unexplained: frozenset[int],
) -> Told:
    return Told(frozenset(genuine), _ids(candidates) - genuine - untold, untold, unexplained)


def _of_all(residual: int, values: Sequence[int]) -> tuple[int, ...] | None:
    """Every subset, by meeting in the middle."""
    middle = len(values) // 2
    first, second = _sums(values[:middle]), _sums(values[middle:])
    for total, chosen in second.items():
        partner = first.get((residual - total) % MODULUS)
        if partner is not None:
            both = partner | chosen << middle
            return tuple(place for place in range(len(values)) if both >> place & 1)
    return None


def _sums(values: Sequence[int]) -> dict[int, int]:
    """The sum of each subset, and which it is: one bit a value."""
    sums = {0: 0}
    for place, value in enumerate(values):
        sums |= {(total + value) % MODULUS: chosen | 1 << place for total, chosen in sums.items()}
    return sums


def _few(residual: int, values: Sequence[int]) -> tuple[int, ...] | None:
    """Subsets of none, one and two values; of three and four too if the values are not too many."""
    if residual == 0:
        return ()
    places = {value: place for place, value in enumerate(values)}
    if residual in places:
        return (places[residual],)
    for place, value in enumerate(values):
        other = places.get((residual - value) % MODULUS)
        if other is not None and other != place:
            return (place, other)
    if len(values) > _PAIRS:
        return None
    pairs = {
        (value + values[later]) % MODULUS: (place, later)
        for place, value in enumerate(values)
        for later in range(place + 1, len(values))
    }
    singles = {value: (place,) for value, place in places.items()}
    for total, chosen in pairs.items():
        need = (residual - total) % MODULUS
        partner: tuple[int, ...] | None = singles.get(need) or pairs.get(need)
        if partner is not None and not {*partner} & {*chosen}:
            return (*chosen, *partner)
    return None
