"""Which rule a value falls under: all paths of one entity as one automaton, stepped along with the walk.

A state stands for a place in the item. Going down by a name or an element gives the next state, whatever the number
of rules; places below which nothing is ruled share one state, `NOWHERE`, so a walk knows where it may stop asking.
Where several rules name one place, the one with the fewest wildcards is taken, then the one that was written first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from downstage.domain.paths import ANY_DEPTH, ANY_NAME, ELEMENT, KEY, Name, Steps
from downstage.masking.strategies.base import Strategy

Position = tuple[int, int]
"""(which rule, how many of its steps are behind us)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. `text` is its path as written, `name` its strategy's; `merges` allows set members to become
    one; `place` is where it stands in the policy file."""

    text: str
    steps: Steps
    strategy: Strategy
    name: str
    place: str = ""
    merges: bool = False


class State:
    """One place: the `rule` for what stands here, the `names` rule for the map's own names, and the ways down."""

    __slots__ = (
        "_element",
        "_known",
        "_mentioned",
        "_other",
        "_positions",
        "_rules",
        "_states",
        "names",
        "names_are_data",
        "refined",
        "rule",
    )

    def __init__(
        self, rules: Sequence[Rule], positions: frozenset[Position], states: dict[frozenset[Position], State]
    ) -> None:
        self._rules = rules
        self._positions = positions
        self._states = states
        ends = [index for index, at in positions if at == len(rules[index].steps)]
        self.rule = _likeliest(rules, ends)
        self.names = _likeliest(rules, [index for index, at in positions if rules[index].steps[at:] == (KEY,)])
        under_way = [(rules[index].steps, at) for index, at in positions if at < len(rules[index].steps)]
        self.refined = any(ANY_DEPTH not in steps for steps, _ in under_way)
        """Whether a rule that does not apply at any depth names something further down."""
        following = [steps[at] for steps, at in under_way]
        self.names_are_data = KEY in following or ANY_NAME in following
        """Whether a rule takes the map's names for data."""
        self._mentioned = frozenset(step.name for step in following if isinstance(step, Name))
        self._known: dict[str, State] = {}
        self._other: State | None = None
        self._element: State | None = None

    def name(self, name: str) -> State:
        """The place of the map entry `name`."""
        if name in self._mentioned:
            known = self._known.get(name)
            if known is None:
                known = self._known[name] = self._reach(Name(name))
            return known
        if self._other is None:
            self._other = self._reach(ANY_NAME)
        return self._other

    def element(self) -> State:
        """The place of each element of a list."""
        if self._element is None:
            self._element = self._reach(ELEMENT)
        return self._element

    def _reach(self, step: Name | str) -> State:
        """The state after `step`; ANY_NAME stands for a name that no rule mentions."""
        reached: set[Position] = set()
        for index, at in self._positions:
            steps = self._rules[index].steps
            wanted = steps[at] if at < len(steps) else None
            if wanted == ANY_DEPTH:
                reached.add((index, at))
            elif wanted is not None and (wanted == step or (wanted == ANY_NAME and step != ELEMENT)):
                reached.add((index, at + 1))
        return _state(self._rules, reached, self._states)


def start(rules: Sequence[Rule]) -> State:
    """The state of the item itself, from which its attributes are reached by name."""
    return _state(rules, {(index, 0) for index in range(len(rules))}, {})


def _state(rules: Sequence[Rule], reached: set[Position], states: dict[frozenset[Position], State]) -> State:
    for index, at in tuple(reached):
        steps = rules[index].steps
        while at < len(steps) and steps[at] == ANY_DEPTH:
            at += 1
            reached.add((index, at))
    positions = frozenset(reached)
    if not positions:
        return NOWHERE
    known = states.get(positions)
    if known is None:
        known = states[positions] = State(rules, positions, states)
    return known


def _likeliest(rules: Sequence[Rule], candidates: Sequence[int]) -> Rule | None:
    if not candidates:
        return None
    return rules[min(candidates, key=lambda index: (_vagueness(rules[index].steps), index))]


def _vagueness(steps: Steps) -> tuple[int, int]:
    return steps.count(ANY_DEPTH), steps.count(ANY_NAME)


NOWHERE = State((), frozenset(), {})
"""The place where no rule applies, nor below it."""
