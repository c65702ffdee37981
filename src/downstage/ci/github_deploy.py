"""Deployment by a GitHub Actions workflow, and GitHub as what runs a refresh.

As at CircleCI: the intent holds the time, the newest run before, and the flags; a run that is newer is ours, and is
followed: where the workflow shows in its `run-name` for which refresh it was dispatched, only such a one. One that
failed is rerun at GitHub by a person (it keeps its id), then the refresh is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from downstage.ci.following import follow
from downstage.ci.github import DispatchStart
from downstage.ci.kept_flags import KeptFlags
from downstage.domain.flags import substituted
from downstage.errors import CiError


class GitHubDeployer:
    """Implements `ports.Deployer`: dispatches a workflow and follows its run. The input that `start` is told is shown
    is given the refresh's run."""

    def __init__(self, start: DispatchStart, *, inputs: Mapping[str, Any], patience: float, flags: KeptFlags) -> None:
        self._start = start
        self._inputs = inputs
        self._patience = patience
        self._flags = flags
        self._recorded_here: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raises CiError if the workflow is not there, is disabled, or the token may not see it."""
        self._start.github.check(self._start.workflow)

    def intent(self) -> Mapping[str, Any]:
        """When this was decided, the newest dispatched run before it, and the flags of then, sealed."""
        began = datetime.fromtimestamp(self._start.clock.now(), UTC).isoformat(timespec="milliseconds")
        self._recorded_here = {"began": began, "newest": self._start.mark(), "flags": self._flags.kept()}
        return self._recorded_here

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Dispatches the workflow unless that was done since the intent, and waits for its success."""
        fresh = self._recorded_here is not None and self._recorded_here["began"] == intent["began"]
        self._recorded_here = None
        inputs = substituted(self._inputs, self._flags.of(intent))
        if self._start.shown:
            inputs = {**inputs, self._start.shown: self._flags.run_id}
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
        where = f"run {started} of {self._start.github.project}"
        with suppress(CiError):  # the run goes on: whether that can be looked at says nothing of it
            where = self._start.github.run(started).url
        return f"GitHub goes on with it: {where}"

    def ended(self, *, well: bool, since: float) -> Sequence[str]:
        """Nothing is told."""
        return ()
