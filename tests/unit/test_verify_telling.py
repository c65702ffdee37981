"""Telling a target that was altered from a source that moved on: by the digests of the copy alone, or not at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from downstage.proof.digest import MODULUS
from downstage.verify.telling import Candidate, explained, tell_apart

SEGMENTS = 4


@dataclass(frozen=True)
class Case:
    """One key: what was written, what the source gives now, what the target holds (0: nothing), and its segment."""

    segment: int
    written: int
    source: int
    target: int

    @property
    def genuine(self) -> bool:
        return self.written != self.target


class Cases:
    """Keys of all sorts, and what the verification knows of them."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.cases: list[Case] = []

    def value(self) -> int:
        return self._dice.getrandbits(128)

    def add(self, kind: str, times: int, segment: int | None = None) -> Cases:
        for _ in range(times):
            one, other = self.value(), self.value()
            place = self._dice.randrange(SEGMENTS) if segment is None else segment
            written, source, target = {
                "agreeing": (one, one, one),
                "altered": (one, one, other),
                "lost": (one, one, 0),
                "added": (0, 0, one),
                "changed since": (one, other, one),
                "made since": (0, one, 0),
                "deleted since": (one, 0, one),
                "changed on both sides": (one, other, self.value()),
            }[kind]
            self.cases.append(Case(place, written, source, target))
        return self

    @property
    def candidates(self) -> list[Candidate]:
        return [
            Candidate(place, case.segment if case.source else None, case.source, case.target)
            for place, case in enumerate(self.cases)
            if case.source != case.target
        ]

    @property
    def residuals(self) -> dict[int, int]:
        """As the workflow makes them: what was written in a segment, less the target's items known to be of it."""
        sums = dict.fromkeys(range(SEGMENTS), 0)
        for case in self.cases:
            sums[case.segment] += case.written - (case.target if case.source else 0)
        return {segment: residual % MODULUS for segment, residual in sums.items()}

    @property
    def genuine(self) -> set[int]:
        return {place for place, case in enumerate(self.cases) if case.genuine}

    @property
    def moved(self) -> set[int]:
        return {candidate.id for candidate in self.candidates} - self.genuine


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_is_told_from_every_other(seed: int) -> None:
    world = Cases(seed).add("agreeing", 50)
    for kind in ("altered", "lost", "added", "changed since", "made since", "deleted since"):
        world.add(kind, random.Random(seed).randrange(4))
    told = tell_apart(world.residuals, world.candidates)
    assert told.genuine == world.genuine
    assert told.moved == world.moved
    assert not told.untold
    assert not told.unexplained


def test_a_source_that_only_moved_on_is_no_failure() -> None:
    world = Cases(1).add("agreeing", 9).add("changed since", 40).add("made since", 40).add("deleted since", 40)
    told = tell_apart(world.residuals, world.candidates)
    assert (told.genuine, told.untold, told.unexplained) == (frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize("kinds", [("altered", "lost", "added"), ("altered", "altered", "altered", "altered")])
def test_a_few_genuine_ones_are_found_among_hundreds_that_moved(kinds: Sequence[str]) -> None:
    world = Cases(2).add("changed since", 200).add("deleted since", 200).add("made since", 100)
    for kind in kinds:
        world.add(kind, 1)
    assert tell_apart(world.residuals, world.candidates).genuine == world.genuine


def test_a_few_that_moved_are_found_among_hundreds_of_genuine_ones() -> None:
    world = Cases(3).add("altered", 200).add("lost", 200).add("added", 100).add("changed since", 2).add("made since", 1)
    assert tell_apart(world.residuals, world.candidates).moved == world.moved


def test_segments_are_told_one_by_one_where_the_whole_is_too_much() -> None:
    world = Cases(4)
    for segment in range(SEGMENTS):
        world.add("altered", 12, segment).add("changed since", 12, segment)
    assert len(world.candidates) > 32
    told = tell_apart(world.residuals, world.candidates)
    assert told.genuine == world.genuine
    assert not told.untold


def test_what_cannot_be_told_is_a_failure_and_spares_other_segments() -> None:
    world = Cases(5).add("changed on both sides", 1, 0).add("altered", 1, 1).add("changed since", 1, 1)
    told = tell_apart(world.residuals, world.candidates)
    assert told.untold == {0}
    assert told.genuine == {1}
    assert told.moved == {2}


def test_a_residual_that_nothing_explains_is_reported() -> None:
    told = tell_apart({0: 5, 1: 0}, [])
    assert told.unexplained == {0}


def test_too_many_of_both_kinds_are_given_up_on_at_bounded_cost() -> None:
    world = Cases(6).add("altered", 300, 0).add("changed since", 300, 0)
    told = tell_apart(world.residuals, world.candidates)
    assert not told.genuine
    assert len(told.untold) == 600


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 16, 31])
def test_any_subset_of_a_few_is_found(count: int) -> None:
    dice = random.Random(count)
    values = [dice.getrandbits(128) for _ in range(32)]
    chosen = sorted(dice.sample(range(32), count))
    assert explained(sum(values[place] for place in chosen) % MODULUS, values) == tuple(chosen)
    assert explained(1, values) is None
