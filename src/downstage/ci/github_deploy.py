"""Deployment by a GitHub Actions workflow, and GitHub as what runs a refresh.

As at CircleCI: the intent holds the time and the newest run before; a run that is newer is ours, and is followed. One
that failed is rerun at GitHub by a person (it keeps its id), then the refresh is resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from downstage.ci.following import follow
from downstage.ci.github import DispatchStart
from downstage.domain.flags import substituted

Flags = Callable[[], Mapping[str, str]]


class GitHubDeployer:
    """Implements `ports.Deployer`: dispatches a workflow and follows its run."""

    def __init__(self, start: DispatchStart, *, inputs: Mapping[str, Any], patience: float, flags: Flags) -> None:
        self._start = start
        self._inputs = inputs
        self._patience = patience
        self._flags = flags
        self._recorded_here: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raises CiError if the workflow is not there, is disabled, or the token may not see it."""
        self._start.github.check(self._start.workflow)

    def intent(self) -> Mapping[str, Any]:
        """When this was decided, and the newest dispatched run before it."""
        began = datetime.fromtimestamp(self._start.clock.now(), UTC).isoformat(timespec="milliseconds")
        self._recorded_here = {"began": began, "newest": self._start.mark()}
        return self._recorded_here

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Dispatches the workflow unless that was done since the intent, and waits for its success."""
        fresh = self._recorded_here is not None and self._recorded_here["began"] == intent["began"]
        self._recorded_here = None
        inputs = substituted(self._inputs, self._flags())
        run_id = self._start.once(intent["newest"], inputs, fresh=fresh)
        sight = follow(
            lambda: self._start.github.run(run_id).sight,
            self._start.clock,
            what=f"the workflow {self._start.workflow} of {self._start.github.project}",
            patience=self._patience,
            key=str(run_id),
        )
        return f"GitHub ran {self._start.workflow}: {sight.url}"


class GitHubUnattended:
    """Implements `ports.Unattended`: the workflow of the refresh is dispatched with the run to go on with. Nobody waits
    at GitHub that could be told: there a job waits for another by `needs`."""

    def __init__(self, start: DispatchStart) -> None:
        self._start = start

    def mark(self) -> Mapping[str, Any]:
        """The newest dispatched run before the next."""
        return {"newest": self._start.mark()}

    def go_on(self, run_id: str, mark: Mapping[str, Any]) -> str:
        """Dispatches the workflow that resumes the run, unless that was done since the mark."""
        started = self._start.once(mark["newest"], {"run": run_id}, fresh=True)
        return f"GitHub goes on with it: {self._start.github.run(started).url}"

    def ended(self, *, well: bool, since: float) -> Sequence[str]:
        """Nothing is told."""
        return ()
