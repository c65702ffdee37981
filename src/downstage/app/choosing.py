"""Which steps of a refresh are asked for, by name."""

from __future__ import annotations

from collections.abc import Sequence

from downstage.config.checks import nearest
from downstage.errors import UsageError
from downstage.workflow.refresh import STEPS


def choose_steps(only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    """The steps of a refresh that are asked for. Raises UsageError for a name that is no step."""
    for name in (*only, *skip):
        check_step(name)
    if only and skip:
        raise UsageError("name steps with --only or with --skip, not with both")
    chosen = tuple(name for name in STEPS if (name in only if only else name not in skip))
    if not chosen:
        raise UsageError("no step is left to run")
    return chosen


def check_step(name: str) -> None:
    """Raises UsageError for a name that is no step."""
    if name not in STEPS:
        close = nearest(name, STEPS)
        hint = f"did you mean '{close}'? " if close else ""
        raise UsageError(f"there is no step '{name}': {hint}the steps are {', '.join(STEPS)}")
