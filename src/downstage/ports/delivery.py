"""Who deploys, who schedules, and what a CI is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from downstage.domain.schedule import FoundSchedule, SchedulePlan


class Deployer(Protocol):
    """Makes the target's tables and domains anew. `check` raises what would make it fail, and touches nothing; `intent`
    is recorded before `deploy` may change anything."""

    def check(self) -> None: ...
    def intent(self) -> Mapping[str, Any]: ...
    def deploy(self, intent: Mapping[str, Any]) -> str: ...


class ScheduleStore(Protocol):
    """A place that starts refreshes on time: a CI project, AWS, a workflow file.

    `settings` says what the schedule of a plan is there, as plain values to compare with those that were `found`; it
    raises ConfigError for what the place cannot do. `found` lists all, and looks into those of `names` and into ours.
    A schedule that is gone is removed already.
    """

    @property
    def place(self) -> str: ...
    def settings(self, plan: SchedulePlan) -> Mapping[str, Any]: ...
    def found(self, names: Collection[str]) -> Sequence[FoundSchedule]: ...
    def create(self, name: str, settings: Mapping[str, Any]) -> None: ...
    def update(self, found: FoundSchedule, settings: Mapping[str, Any]) -> None: ...
    def remove(self, found: FoundSchedule) -> None: ...


class Unattended(Protocol):
    """The CI that runs an environment's refresh. `mark` is taken before `go_on`, which has the CI go on with a run in a
    fresh container and starts nothing twice; `ended` tells whoever waits there since `since` (seconds since the
    epoch) how the run ended. Both give plain words for what was done."""

    def mark(self) -> Mapping[str, Any]: ...
    def go_on(self, run_id: str, mark: Mapping[str, Any]) -> str: ...
    def ended(self, *, well: bool, since: float) -> Sequence[str]: ...
