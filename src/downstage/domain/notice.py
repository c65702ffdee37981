"""What people are told of a refresh while nobody watches it: that it began, how it ended, that it waits for somebody.

Rules: nothing of an item, and no text of an error, for those quote names; an environment, a run, a step, counts, times,
an exit code and what that means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Occasion(StrEnum):
    """Why somebody is told."""

    START = "start"
    END = "end"
    FAILURE = "failure"
    APPROVAL = "approval"
    PARKED = "parked"
    TEST = "test"


MEANINGS: Mapping[int, str] = {
    0: "everything is copied and proven",
    1: "something failed",
    2: "the configuration or the credentials are wrong",
    3: "a guard refused a step, or the environment is another run's",
    4: "the target does not hold what was written to it",
    5: "personal data was found in the target",
    6: "something was left out or not verified",
    75: "it stopped in time, and goes on later",
    130: "it was interrupted (Ctrl-C)",
    137: "it was killed, or its machine stopped",
    143: "it was terminated (SIGTERM)",
}
"""What an exit code says, after "because"."""

KILLED = 137
"""The exit code of a run that could say nothing any more, as shells have it."""

SIGNALS = (130, KILLED, 143)
"""Exit codes of a run that has not failed, but was told to stop."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `at` is ISO 8601 in UTC, `seconds` how long the run has taken so far, `report` a place on the
    machine that wrote it. What is not known is empty or None: a refresh that could not begin has no `run_id`."""

    occasion: Occasion
    environment: str
    at: str
    run_id: str = ""
    step: str = ""
    result: str = ""
    exit_code: int | None = None
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    report: str = ""

    @property
    def summary(self) -> str:
        """What happened, in one sentence."""
        refresh, where = f"The refresh of {self.environment}", f" in step {self.step}" if self.step else ""
        match self.occasion:
            case Occasion.START:
                return f"{refresh} has begun."
            case Occasion.END:
                return f"{refresh} has ended: {MEANINGS[0]}."
            case Occasion.APPROVAL:
                return f"{refresh} waits before step {self.step} until somebody says 'downstage approve {self.run_id}'."
            case Occasion.PARKED:
                return f"{refresh} is parked{where}: its time-box ended, 'downstage resume {self.run_id}' goes on."
            case Occasion.TEST:
                return f"This is a test: notifications of {self.environment} arrive here."
        why = MEANINGS.get(self.exit_code or 1, MEANINGS[1])
        if self.exit_code in SIGNALS:
            return f"{refresh} was stopped{where}: {why}; 'downstage status {self.run_id}' tells how it goes on."
        ended = "is not proven" if self.exit_code == 6 else "failed" if self.run_id else "could not begin"
        return f"{refresh} {ended}{where}: {why} (exit code {self.exit_code})."
