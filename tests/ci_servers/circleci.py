"""CircleCI's API v2 in memory. Every request and every answer is held to the published description.

Tests put pipelines, workflows and schedules into it, and say with `unfold` how a new workflow's status goes on: one
step a look; with `setup` a new pipeline has a setup workflow first, and those of `starts` when it has gone through
these states. Listings are paged, two to a page. Whatever an answer breaks of the contract is a fault of this server,
whatever a request breaks one of ours: both stand in `contract.violations`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from downstage.ports import Clock
from tests.ci_servers.contract import CIRCLECI, Contract
from tests.ci_servers.server import Call, JsonServer, Reply

PREFIX = "/api/v2"
TOKEN = "CCIPAT_made-up"
PROJECT = "github/acme/app"
_PAGE = 2
_SYSTEM = {"id": str(uuid.UUID(int=1)), "login": "system-actor", "name": "Scheduled", "avatar_url": None}
_MOST_HOURS = 23


class CircleCiServer(JsonServer):
    """One organisation. Times are the clock's, which the test moves."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.contract = Contract(CIRCLECI, PREFIX)
        self.me = {"id": new_id(), "login": "machine-user", "name": "Machine", "avatar_url": "https://example.com/a"}
        self.pipelines: list[dict[str, Any]] = []
        self.workflows: list[dict[str, Any]] = []
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.schedules: list[dict[str, Any]] = []
        self.known_parameters: set[str] = set()
        self.starts: tuple[str, ...] = ("deploy",)
        self.unfold: Sequence[str] = ("running", "success")
        self.setup: Sequence[str] = ()
        self.setup_ends = "success"
        self._in_setup: dict[str, list[str]] = {}
        self._unfolding: dict[str, list[str]] = {}
        self._clock = clock

    # -- what tests put in

    def pipeline(self, *, branch: str = "test", trigger: str = "webhook", login: str = "dev") -> dict[str, Any]:
        """Another pipeline, the newest."""
        pipeline = {
            "id": new_id(),
            "number": len(self.pipelines) + 1,
            "project_slug": PROJECT,
            "state": "created",
            "errors": [],
            "created_at": self._now(),
            "updated_at": self._now(),
            "trigger": {
                "type": trigger,
                "received_at": self._now(),
                "actor": {"login": login, "avatar_url": None},
            },
            "vcs": {
                "provider_name": "GitHub",
                "origin_repository_url": "https://github.com/acme/app",
                "target_repository_url": "https://github.com/acme/app",
                "revision": "0" * 40,
                "branch": branch,
            },
        }
        self.pipelines.insert(0, pipeline)
        return pipeline

    def workflow(
        self, pipeline: dict[str, Any], name: str, status: str | Sequence[str], *, waits_for: str = ""
    ) -> dict[str, Any]:
        """A workflow of a pipeline; several statuses are shown one after the other. `waits_for`: its approval job."""
        statuses = [status] if isinstance(status, str) else list(status)
        workflow = {
            "id": new_id(),
            "name": name,
            "status": statuses[0],
            "pipeline_id": pipeline["id"],
            "pipeline_number": pipeline["number"],
            "project_slug": PROJECT,
            "created_at": self._now(),
            "stopped_at": None,
            "started_by": self.me["id"],
        }
        self.workflows.append(workflow)
        self._unfolding[workflow["id"]] = statuses[1:]
        build = self._job("build-it", "build", "success")
        held = [self._job(waits_for, "approval", "on_hold")] if waits_for else []
        self.jobs[workflow["id"]] = [build, *held, self._job("after", "build", "blocked")]
        return workflow

    def schedule(self, name: str, *, actor: str = "system", **changes: Any) -> dict[str, Any]:
        """A schedule that somebody made."""
        schedule = {
            "id": new_id(),
            "name": name,
            "description": "by hand",
            "project-slug": PROJECT,
            "actor": _SYSTEM if actor == "system" else self.me,
            "created-at": self._now(),
            "updated-at": self._now(),
            "parameters": {"branch": "test"},
            "timetable": {"per-hour": 1, "hours-of-day": [5], "days-of-month": [1]},
            **changes,
        }
        self.schedules.append(schedule)
        return schedule

    # -- what is asked

    def answer(self, call: Call) -> Reply:
        parameters = self.contract.request(call)
        reply = self._reply(call, parameters or {})
        self.contract.response(call, reply)
        return reply

    def _reply(self, call: Call, parameters: dict[str, str]) -> Reply:
        if call.headers.get("circle-token") != TOKEN:
            return Reply(401, {"message": "You must log in first."})
        path = call.path.removeprefix(PREFIX)
        parts = path.strip("/").split("/")
        project = parameters.get("project-slug")
        if project is None and "organization" in parameters:
            project = f"{parameters['provider']}/{parameters['organization']}/{parameters['project']}"
        if project not in (None, PROJECT):
            return Reply(404, {"message": "Project not found"})
        match (call.method, parts[0], parts[-1]):
            case ("GET", "me", _):
                return Reply(200, self.me)
            case ("GET", "project", "pipeline"):
                wanted = call.query.get("branch")
                return self._page(call, [p for p in self.pipelines if wanted in (None, p["vcs"]["branch"])])
            case ("POST", "project", "pipeline"):
                return self._trigger(call.body["branch"], call.body.get("parameters", {}))
            case ("POST", "project", "run"):
                return self._trigger(call.body["config"]["branch"], call.body.get("parameters", {}))
            case ("GET", "project", "schedule"):
                return self._page(call, self.schedules)
            case ("POST", "project", "schedule"):
                return self._make_schedule(call.body)
            case (method, "schedule", _):
                return self._one_schedule(method, parameters["schedule-id"], call.body)
            case ("GET", "pipeline", last):
                return self._pipeline(call, parameters["pipeline-id"], last)
            case (method, "workflow", _):
                return self._workflow(call, method, parameters, parts)
        return Reply(404, {"message": "Not found"})

    def _trigger(self, branch: str, parameters: dict[str, Any]) -> Reply:
        if unknown := set(parameters) - self.known_parameters:
            return Reply(400, {"message": f"Unexpected argument(s): {', '.join(sorted(unknown))}"})
        pipeline = self.pipeline(branch=branch, trigger="api", login=self.me["login"] or "")
        pipeline["trigger_parameters"] = parameters
        if self.setup:
            self._in_setup[pipeline["id"]] = list(self.setup)
            pipeline["state"] = self.setup[0]
            self.workflow(pipeline, "setup", self.setup_ends)
        else:
            self._begin(pipeline)
        return Reply(201, {name: pipeline[name] for name in ("id", "number", "state", "created_at")})

    def _pipeline(self, call: Call, pipeline_id: str, last: str) -> Reply:
        pipeline = next((each for each in self.pipelines if each["id"] == pipeline_id), None)
        if pipeline is None:
            return Reply(404, {"message": "Pipeline not found"})
        if last != "workflow":
            self._set_up(pipeline)
            return Reply(200, pipeline)
        if "page-token" not in call.query:
            self._move(pipeline_id)
        return self._page(call, [each for each in self.workflows if each["pipeline_id"] == pipeline_id])

    def _begin(self, pipeline: dict[str, Any]) -> None:
        for name in self.starts:
            self.workflow(pipeline, name, self.unfold)

    def _set_up(self, pipeline: dict[str, Any]) -> None:
        left = self._in_setup.get(pipeline["id"])
        if left is None or self.setup_ends != "success":
            return
        if left:
            pipeline["state"] = left.pop(0)
            return
        del self._in_setup[pipeline["id"]]
        pipeline["state"] = "created"
        self._begin(pipeline)

    def _workflow(self, call: Call, method: str, parameters: dict[str, str], parts: list[str]) -> Reply:
        workflow = next((each for each in self.workflows if each["id"] == parameters["id"]), None)
        if workflow is None:
            return Reply(404, {"message": "Workflow not found"})
        pipeline = next(each for each in self.pipelines if each["id"] == workflow["pipeline_id"])
        match (method, parts[2] if len(parts) > 2 else ""):
            case ("GET", ""):
                self._step(workflow)
                return Reply(200, workflow)
            case ("GET", "job"):
                return self._page(call, self.jobs[workflow["id"]])
            case ("POST", "rerun"):
                return Reply(202, {"workflow_id": self.workflow(pipeline, workflow["name"], self.unfold)["id"]})
            case ("POST", "cancel"):
                workflow["status"] = "canceled"
                return Reply(202, {"message": "Accepted."})
            case ("POST", "approve"):
                return self._approve(workflow, parameters["approval_request_id"])
        return Reply(404, {"message": "Not found"})

    def _approve(self, workflow: dict[str, Any], request_id: str) -> Reply:
        for job in self.jobs[workflow["id"]]:
            if job.get("approval_request_id") == request_id and job["status"] == "on_hold":
                job["status"] = "success"
                workflow["status"] = "running"
                return Reply(202, {"message": "Accepted."})
        return Reply(400, {"message": "Job already approved."})

    def _make_schedule(self, body: dict[str, Any]) -> Reply:
        refused = _refused(body["timetable"])
        if refused or not {"branch", "tag"} & set(body["parameters"]):
            return Reply(400, {"message": refused or "A branch or a tag is needed."})
        made = self.schedule(body["name"])
        self._change(made, body)
        return Reply(201, made)

    def _one_schedule(self, method: str, schedule_id: str, body: Any) -> Reply:
        schedule = next((each for each in self.schedules if each["id"] == schedule_id), None)
        if schedule is None:
            return Reply(404, {"message": "Schedule not found"})
        if method == "DELETE":
            self.schedules.remove(schedule)
            return Reply(200, {"message": "Schedule deleted."})
        if method == "PATCH":
            if refused := _refused(body.get("timetable", schedule["timetable"])):
                return Reply(400, {"message": refused})
            self._change(schedule, body)
        return Reply(200, schedule)

    def _change(self, schedule: dict[str, Any], body: dict[str, Any]) -> None:
        for name in ("name", "description", "parameters", "timetable"):
            if name in body:
                schedule[name] = body[name]
        if "attribution-actor" in body:
            schedule["actor"] = _SYSTEM if body["attribution-actor"] == "system" else self.me
        schedule["updated-at"] = self._now()

    # -- the rest

    def _page(self, call: Call, items: Sequence[dict[str, Any]]) -> Reply:
        first = int(call.query.get("page-token", "at-0").removeprefix("at-"))
        following = first + _PAGE
        token = f"at-{following}" if following < len(items) else None
        return Reply(200, {"items": list(items[first:following]), "next_page_token": token})

    def _move(self, pipeline_id: str) -> None:
        for workflow in self.workflows:
            if workflow["pipeline_id"] == pipeline_id:
                self._step(workflow)

    def _step(self, workflow: dict[str, Any]) -> None:
        left = self._unfolding[workflow["id"]]
        if left:
            workflow["status"] = left.pop(0)
            if workflow["status"] in ("success", "failed", "canceled", "error"):
                workflow["stopped_at"] = self._now()

    def _job(self, name: str, kind: str, status: str) -> dict[str, Any]:
        job: dict[str, Any] = {
            "id": new_id(),
            "name": name,
            "type": kind,
            "status": status,
            "project_slug": PROJECT,
            "dependencies": [],
            "started_at": self._now(),
        }
        return {**job, "approval_request_id": new_id()} if kind == "approval" else job

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).isoformat().replace("+00:00", "Z")


def new_id() -> str:
    """An id as CircleCI has them."""
    return str(uuid.uuid4())


def _refused(timetable: dict[str, Any]) -> str:
    """What CircleCI's documentation says of timetables, beyond the shapes."""
    if ("days-of-month" in timetable) == ("days-of-week" in timetable):
        return "Exactly one of days-of-month and days-of-week is needed."
    if any(not 0 <= hour <= _MOST_HOURS for hour in timetable["hours-of-day"]):
        return "Hours are 0 to 23."
    return ""
