"""Deployment by CircleCI: rerun the newest successful workflow of a name, or trigger a pipeline; follow it to success.

The intent holds the time, what was there before, and the flags that parameters name as they were then; so an attempt
that was killed finds what it started, also if that has changed a flag. What is newest since the intent decides: one
that failed is not started again by us, a person reruns it at CircleCI, which is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from downstage.ci.circleci import CircleCi, Workflow
from downstage.ci.circleci_start import SEARCHED, PipelineStart, sight_of, sight_of_pipeline
from downstage.ci.following import Sight, follow, start_once
from downstage.ci.kept_flags import KeptFlags
from downstage.domain.flags import substituted
from downstage.errors import CiError
from downstage.ports import Clock


class RerunDeployer:
    """Implements `ports.Deployer`: reruns the workflow `name` of `branch`."""

    def __init__(
        self, circleci: CircleCi, clock: Clock, *, project: str, branch: str, name: str, patience: float
    ) -> None:
        self._circleci = circleci
        self._clock = clock
        self._project = project
        self._branch = branch
        self._name = name
        self._patience = patience
        self._recorded_here: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raises CiError if there is no workflow to rerun, or the token may not see it."""
        self._newest_successful()

    def intent(self) -> Mapping[str, Any]:
        """The workflow to rerun, when this was decided, and the workflows that its pipeline has already."""
        workflow = self._newest_successful()
        known = [other.workflow_id for other in self._circleci.workflows(workflow.pipeline_id)]
        self._recorded_here = {
            "began": _now(self._clock),
            "workflow": workflow.workflow_id,
            "pipeline": workflow.pipeline_id,
            "known": known,
        }
        return self._recorded_here

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Reruns it unless that was done since the intent, and waits for its success."""
        what = f"the workflow {self._name} of {self._project}"

        def newer() -> Workflow | None:
            found = [
                workflow
                for workflow in self._circleci.workflows(intent["pipeline"])
                if workflow.name == self._name and workflow.workflow_id not in intent["known"]
            ]
            return found[-1] if found else None

        def find() -> str | None:
            workflow = newer()
            return None if workflow is None else workflow.workflow_id

        def rerun() -> str:
            return self._circleci.rerun(intent["workflow"])

        fresh = self._recorded_here is not None and self._recorded_here["began"] == intent["began"]
        self._recorded_here = None
        started = start_once(find, rerun, self._clock, what=f"a rerun of {what}", fresh=fresh)

        def look() -> Sight:
            return sight_of(newer() or self._circleci.workflow(started))

        sight = follow(look, self._clock, what=what, patience=self._patience, key=started)
        return f"CircleCI reran {self._name}: {sight.url}"

    def _newest_successful(self) -> Workflow:
        for pipeline in self._circleci.pipelines(self._project, self._branch, SEARCHED):
            for workflow in reversed(self._circleci.workflows(pipeline.pipeline_id)):
                if workflow.name == self._name and workflow.status == "success":
                    return workflow
        raise CiError(
            f"CircleCI knows no successful workflow {self._name} in the {SEARCHED} newest pipelines of branch "
            f"{self._branch} of {self._project}: correct 'rerun' and 'branch', or let it succeed once"
        )


class TriggerDeployer:
    """Implements `ports.Deployer`: triggers a pipeline with parameters; `workflow` (or each) must succeed."""

    def __init__(
        self,
        start: PipelineStart,
        *,
        parameters: Mapping[str, Any],
        workflow: str | None,
        patience: float,
        flags: KeptFlags,
    ) -> None:
        self._start = start
        self._parameters = parameters
        self._workflow = workflow
        self._patience = patience
        self._flags = flags
        self._recorded_here: Mapping[str, Any] | None = None

    def check(self) -> None:
        """Raises CiError if the token is not accepted, or may not see the project."""
        self._start.circleci.login()
        self._start.mark()

    def intent(self) -> Mapping[str, Any]:
        """When this was decided, the newest pipeline before it, and the flags of then, sealed."""
        self._recorded_here = {
            "began": _now(self._start.clock),
            "newest": self._start.mark(),
            "flags": self._flags.kept(),
        }
        return self._recorded_here

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Triggers the pipeline unless that was done since the intent, and waits for its success."""
        circleci = self._start.circleci
        fresh = self._recorded_here is not None and self._recorded_here["began"] == intent["began"]
        self._recorded_here = None
        parameters = substituted(self._parameters, self._flags.of(intent))
        pipeline_id = self._start.once(intent["newest"], parameters, fresh=fresh)
        url = f"https://app.circleci.com/pipelines/{self._start.project}"

        def look() -> Sight:
            return sight_of_pipeline(circleci, pipeline_id, self._workflow, url)

        what = f"the pipeline of {self._start.project}"
        sight = follow(look, self._start.clock, what=what, patience=self._patience, key=pipeline_id)
        return f"CircleCI ran a pipeline: {sight.url}"


def _now(clock: Clock) -> str:
    return datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
