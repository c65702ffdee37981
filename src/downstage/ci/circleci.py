"""CircleCI's API v2 as far as it is used: what is asked, and the few facts that are taken from the answers.

Shapes are those of CircleCI's published OpenAPI description; a fact that is missing there is a CiError, not a KeyError.
A personal API token is needed (project tokens do not work with v2). Listings of pipelines are newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from downstage.ci.http import Api, Token
from downstage.errors import CiError
from downstage.ports import Clock

T = TypeVar("T")

TOKEN_HEADER = "Circle-Token"  # noqa: S105  the name of a header


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline: `number` grows with each in a project; `starter` is the login of who triggered it, `trigger`
    how, `parameters` with what, as far as CircleCI tells that."""

    pipeline_id: str
    number: int
    state: str
    trigger: str
    starter: str
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow of a pipeline. A rerun is another workflow of the same name in the same pipeline."""

    workflow_id: str
    name: str
    status: str
    pipeline_id: str
    pipeline_number: int
    project: str
    created: float

    @property
    def url(self) -> str:
        """Where a person sees it."""
        return f"https://app.circleci.com/pipelines/{self.project}/{self.pipeline_number}/workflows/{self.workflow_id}"


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """An approval job that is on hold."""

    name: str
    approval_request_id: str


class CircleCi:
    """Calls of the API. Raises CiError, CiUnreachable."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def login(self) -> str:
        """The login of the token's owner."""
        what = "ask CircleCI who the token belongs to"
        return _read(what, lambda me: str(me["login"]), self._api.get("/me", what))

    def pipelines(self, project: str, branch: str, most: int) -> list[Pipeline]:
        """The newest pipelines of a branch, `most` at most."""
        what = f"list the pipelines of {project}"
        listed = self._api.pages(f"/project/{_path(project)}/pipeline", what, {"branch": branch})
        return [_read(what, _pipeline, item) for item in islice(listed, most)]

    def pipeline(self, pipeline_id: str) -> tuple[Pipeline, str]:
        """A pipeline, and the kinds of errors that CircleCI found in its configuration, if any."""
        what = "look at the pipeline"
        answer = self._api.get(f"/pipeline/{quote(pipeline_id, safe='')}", what)
        kinds = _read(what, lambda body: ", ".join(str(error["type"]) for error in body["errors"]), answer)
        return _read(what, _pipeline, answer), kinds

    def workflows(self, pipeline_id: str) -> list[Workflow]:
        """All workflows of a pipeline, the oldest first."""
        what = "list a pipeline's workflows"
        listed = self._api.pages(f"/pipeline/{quote(pipeline_id, safe='')}/workflow", what)
        return sorted((_read(what, _workflow, item) for item in listed), key=lambda workflow: workflow.created)

    def workflow(self, workflow_id: str) -> Workflow:
        """One workflow as it is now."""
        what = "look at the workflow"
        return _read(what, _workflow, self._api.get(f"/workflow/{quote(workflow_id, safe='')}", what))

    def waiting(self, workflow_id: str) -> list[WaitingJob]:
        """The approval jobs of a workflow that are on hold."""
        what = "list a workflow's jobs"
        return [
            _read(what, lambda job: WaitingJob(job["name"], job["approval_request_id"]), item)
            for item in self._api.pages(f"/workflow/{quote(workflow_id, safe='')}/job", what)
            if item.get("type") == "approval" and item.get("status") == "on_hold"
        ]

    def rerun(self, workflow_id: str) -> str:
        """Runs a whole workflow again; the new one's id."""
        what = "rerun the workflow"
        answer = self._api.send("POST", f"/workflow/{quote(workflow_id, safe='')}/rerun", what, {"from_failed": False})
        return _read(what, lambda body: str(body["workflow_id"]), answer.body)

    def trigger(
        self, project: str, branch: str, parameters: Mapping[str, Any], definition: str | None = None
    ) -> str | None:
        """Starts a pipeline; its id, or None if CircleCI says that it started none."""
        what = f"start a pipeline of {project}"
        if definition is None:
            path = f"/project/{_path(project)}/pipeline"
            body: dict[str, Any] = {"branch": branch, "parameters": dict(parameters)}
        else:
            path = f"/project/{_path(project)}/pipeline/run"
            place = {"branch": branch}
            body = {"definition_id": definition, "config": place, "checkout": place, "parameters": dict(parameters)}
        answer = self._api.send("POST", path, what, body)
        if answer.status != 201:
            return None
        return _read(what, lambda created: str(created["id"]), answer.body)

    def approve(self, workflow_id: str, job: WaitingJob) -> None:
        """Lets a waiting job through."""
        path = f"/workflow/{quote(workflow_id, safe='')}/approve/{quote(job.approval_request_id, safe='')}"
        self._api.send("POST", path, "approve the waiting job")

    def cancel(self, workflow_id: str) -> None:
        """Cancels a workflow."""
        self._api.send("POST", f"/workflow/{quote(workflow_id, safe='')}/cancel", "cancel the waiting workflow")

    def schedules(self, project: str) -> Iterator[Mapping[str, Any]]:
        """All schedules of a project, as CircleCI writes them (kebab-case)."""
        return self._api.pages(f"/project/{_path(project)}/schedule", f"list the schedules of {project}")

    def create_schedule(self, project: str, body: Mapping[str, Any]) -> None:
        """Makes a schedule."""
        self._api.send("POST", f"/project/{_path(project)}/schedule", f"create the schedule {body['name']}", body)

    def update_schedule(self, schedule_id: str, body: Mapping[str, Any]) -> None:
        """Changes a schedule."""
        self._api.send("PATCH", f"/schedule/{quote(schedule_id, safe='')}", f"change the schedule {body['name']}", body)

    def delete_schedule(self, schedule_id: str, name: str) -> None:
        """Deletes a schedule; one that is gone is fine."""
        try:
            self._api.send("DELETE", f"/schedule/{quote(schedule_id, safe='')}", f"delete the schedule {name}")
        except CiError as error:
            if error.status != 404:
                raise


def connect(
    endpoint: str, reference: str, read: Callable[[], bytes], *, clock: Clock, redact: Callable[[str], str]
) -> CircleCi:
    """The API at `endpoint`, with the token that `read` gives and `reference` names."""
    return CircleCi(Api(endpoint, "CircleCI", Token(reference, read, TOKEN_HEADER), clock=clock, redact=redact))


def _path(project: str) -> str:
    return quote(project, safe="/")


def _pipeline(item: Mapping[str, Any]) -> Pipeline:
    trigger = item["trigger"]
    return Pipeline(
        item["id"],
        int(item["number"]),
        str(item["state"]),
        str(trigger["type"]),
        str(trigger["actor"]["login"]),
        dict(item.get("trigger_parameters") or {}),
    )


def _workflow(item: Mapping[str, Any]) -> Workflow:
    return Workflow(
        workflow_id=str(item["id"]),
        name=str(item["name"]),
        status=str(item["status"]),
        pipeline_id=str(item["pipeline_id"]),
        pipeline_number=int(item["pipeline_number"]),
        project=str(item["project_slug"]),
        created=datetime.fromisoformat(item["created_at"]).timestamp(),
    )


def _read(what: str, take: Callable[[Any], T], answer: Any) -> T:
    """A fact of an answer. Raises CiError if the answer is not of the published shape."""
    try:
        return take(answer)
    except (KeyError, TypeError, ValueError):
        raise CiError(f"could not {what}: CircleCI's answer is not of the shape that it publishes") from None
