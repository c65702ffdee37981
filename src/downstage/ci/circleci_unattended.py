"""CircleCI as what runs a refresh: the next pipeline goes on with a run, and who waits for it is told.

Only workflows of the configured name, on the configured branch, that began no earlier than the run (less an hour, for a
workflow waits before its refresh starts) are approved or cancelled: one that has hung since last month stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from downstage.ci import names
from downstage.ci.circleci import CircleCi, WaitingJob, Workflow
from downstage.ci.circleci_start import SEARCHED, PipelineStart
from downstage.errors import CiError

_EARLIER = 3600.0


class CircleCiUnattended:
    """Implements `ports.Unattended`. `approval` names the workflow and its approval job, if one waits."""

    def __init__(
        self,
        start: PipelineStart,
        environment: str,
        parameters: Mapping[str, Any],
        approval: Mapping[str, str] | None,
    ) -> None:
        self._start = start
        self._environment = environment
        self._parameters = parameters
        self._approval = approval

    def mark(self) -> Mapping[str, Any]:
        """The newest pipeline before the next."""
        return {"newest": self._start.mark()}

    def go_on(self, run_id: str, mark: Mapping[str, Any]) -> str:
        """Starts the pipeline that resumes the run, unless it was started since the mark."""
        parameters = {**self._parameters, names.parameter(self._environment): True, names.RUN: run_id}
        pipeline_id = self._start.once(mark["newest"], parameters, fresh=True)
        name: str | int = pipeline_id
        with suppress(CiError):  # the run goes on: whether its pipeline can be looked at says nothing of that
            name = self._start.circleci.pipeline(pipeline_id)[0].number
        return f"CircleCI goes on with it in pipeline {name} of {self._start.project}"

    def ended(self, *, well: bool, since: float) -> Sequence[str]:
        """Approves the jobs that wait for the refresh, or cancels their workflows."""
        told = []
        for workflow, job in list(self._waiting(since)):
            if well:
                self._start.circleci.approve(workflow.workflow_id, job)
            else:
                self._start.circleci.cancel(workflow.workflow_id)
            told.append(f"{'approved' if well else 'cancelled'}: {workflow.name} ({workflow.url})")
        return told

    def _waiting(self, since: float) -> Iterator[tuple[Workflow, WaitingJob]]:
        if self._approval is None:
            return
        circleci: CircleCi = self._start.circleci
        for pipeline in circleci.pipelines(self._start.project, self._start.branch, SEARCHED):
            workflows = circleci.workflows(pipeline.pipeline_id)
            for workflow in workflows:
                recent = workflow.created >= since - _EARLIER
                if not recent or workflow.name != self._approval["workflow"]:
                    continue
                if workflow.status not in ("on_hold", "running", "failing"):
                    continue
                for job in circleci.waiting(workflow.workflow_id):
                    if job.name == self._approval["job"]:
                        yield workflow, job
                        break
