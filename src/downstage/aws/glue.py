"""One AWS Glue job: its settings and its runs. Starting asks once, for a start that is asked for twice begins twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from downstage.aws.passing import code_of, is_passing
from downstage.aws.session import Session, calling
from downstage.domain.glue import GlueRun
from downstage.errors import NotFound, RunConflict, Unreachable

NEWEST = 200

OF_AWS = frozenset(("Name", "CreatedOn", "LastModifiedOn", "AllocatedCapacity", "MaxCapacity"))
"""What GetJob tells of a job and nobody sets: its name, its times, and what its workers come to."""

TAGS = {"managed-by": "downstage"}


class GlueJob:
    """Implements `ports.glue.GlueJobs`, and keeps the job itself. `once` is a session that asks once."""

    def __init__(self, session: Session, once: Session, job: str) -> None:
        self._session = session
        self._once = once
        self._job = job

    def runs(self) -> Sequence[GlueRun]:
        """The newest runs. Raises NotFound if there is no such job."""
        with self._calling("list the runs"):
            answer = self._session.client("glue").get_job_runs(JobName=self._job, MaxResults=NEWEST)
        return [_run(told) for told in answer.get("JobRuns", ())]

    def run(self, run_id: str) -> GlueRun:
        """One run. Raises Unreachable for an answer that says nothing of it."""
        with self._calling("look at a run"):
            return _run(self._session.client("glue").get_job_run(JobName=self._job, RunId=run_id)["JobRun"])

    def start(self, arguments: Mapping[str, str]) -> str:
        """Starts a run and gives its id."""
        with self._calling("start a run"):
            try:
                answer = self._once.client("glue").start_job_run(JobName=self._job, Arguments=dict(arguments))
            except ClientError as error:
                if code_of(error) != "ConcurrentRunsExceededException":
                    raise
                raise RunConflict(
                    f"job {self._job} has as many active runs as it may: wait for their end, or end them "
                    "('downstage glue stop ENV'); nothing was started"
                ) from None
        return str(answer["JobRunId"])

    def stop(self, run_id: str) -> None:
        """Has a run ended; one that has ended already stays as it is."""
        with self._calling("stop a run"):
            self._session.client("glue").batch_stop_job_run(JobName=self._job, JobRunIds=[run_id])

    # -- the job itself

    def settings(self) -> dict[str, Any] | None:
        """All that is set of the job, by us or by others; None if there is no such job."""
        try:
            with self._calling("read the settings"):
                told = self._session.client("glue").get_job(JobName=self._job)["Job"]
        except NotFound:
            return None
        return {name: value for name, value in told.items() if name not in OF_AWS and _is_set(value)}

    def create(self, settings: Mapping[str, Any]) -> None:
        """Makes the job."""
        with self._calling("make the settings"):
            self._session.client("glue").create_job(Name=self._job, Tags=TAGS, **settings)

    def update(self, settings: Mapping[str, Any]) -> None:
        """Replaces the job's settings, all of them."""
        with self._calling("change the settings"):
            self._session.client("glue").update_job(JobName=self._job, JobUpdate=dict(settings))

    @contextmanager
    def _calling(self, what: str) -> Iterator[None]:
        """As `session.calling`; AWS says EntityNotFoundException where it means that there is no such job, and an
        answer that passes is none."""
        with calling(self._session.environment, f"{what} of Glue job {self._job}"):
            try:
                yield
            except ClientError as error:
                if is_passing(error):
                    raise Unreachable(
                        f"could not {what} of Glue job {self._job}: AWS answered {code_of(error)}; try again later",
                        code_of(error),
                    ) from None
                if code_of(error) != "EntityNotFoundException":
                    raise
                raise NotFound(
                    f"there is no Glue job {self._job}, or no such run: deploy it with 'downstage glue deploy ENV'",
                    "EntityNotFoundException",
                ) from None


def _is_set(value: Any) -> bool:
    """Whether it says more than leaving it out. 0 does."""
    return not (value is None or value is False or value in ("", {}, []))


def _run(told: Mapping[str, Any]) -> GlueRun:
    started = told.get("StartedOn")
    return GlueRun(
        run_id=str(told["Id"]),
        state=str(told.get("JobRunState", "unknown")),
        arguments=dict(told.get("Arguments", {})),
        message=str(told.get("ErrorMessage", "")),
        detail=str(told.get("StateDetail", "")),
        started="" if started is None else started.isoformat(timespec="seconds"),
        seconds=int(told.get("ExecutionTime", 0)),
        dpus=_number(told.get("MaxCapacity")),
        dpu_seconds=_number(told.get("DPUSeconds")),
    )


def _number(told: Any) -> float | None:
    return None if told is None else float(told)
