"""GitHub's REST API for Actions in memory, built to its documented shapes: workflows, dispatches, runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.ci_servers.server import Call, JsonServer, Reply

TOKEN = "github_made-up"
REPOSITORY = "/repos/acme/app"


class GitHubServer(JsonServer):
    """One repository. `details` says how a dispatch answers: with the run, with 204, or by refusing the field;
    `titled` is the workflow's run-name."""

    def __init__(self) -> None:
        super().__init__()
        self.workflows: dict[str, str] = {"deploy.yml": "active"}
        self.runs: list[dict[str, Any]] = []
        self.inputs: list[dict[str, str]] = []
        self.details = "given"
        self.titled = "deploy"
        self.unfold: Sequence[tuple[str, str | None]] = (("in_progress", None), ("completed", "success"))
        self._unfolding: dict[int, list[tuple[str, str | None]]] = {}

    def run(self, workflow: str, *, event: str = "workflow_dispatch", branch: str = "test") -> dict[str, Any]:
        """Another run, the newest."""
        number = 9_000_000_000 + len(self.runs)
        run = {
            "id": number,
            "event": event,
            "head_branch": branch,
            "path": f".github/workflows/{workflow}",
            "status": "queued",
            "conclusion": None,
            "run_attempt": 1,
            "html_url": f"https://github.com/acme/app/actions/runs/{number}",
        }
        self.runs.insert(0, run)
        self._unfolding[number] = list(self.unfold)
        return run

    def answer(self, call: Call) -> Reply:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"message": "Bad credentials", "status": "401"})
        if not call.path.startswith(f"{REPOSITORY}/actions/"):
            return Reply(404, {"message": "Not Found", "status": "404"})
        parts = call.path.removeprefix(f"{REPOSITORY}/actions/").split("/")
        match (call.method, *parts):
            case ("GET", "workflows", name):
                if name not in self.workflows:
                    return Reply(404, {"message": "Not Found", "status": "404"})
                return Reply(200, {"id": 1, "name": name, "state": self.workflows[name]})
            case ("GET", "workflows", name, "runs"):
                found = [run for run in self.runs if run["path"].endswith(f"/{name}")]
                found = [run for run in found if run["event"] == call.query.get("event", run["event"])]
                found = [run for run in found if run["head_branch"] == call.query.get("branch", run["head_branch"])]
                return Reply(200, {"total_count": len(found), "workflow_runs": found[: int(call.query["per_page"])]})
            case ("POST", "workflows", name, "dispatches"):
                return self._dispatch(name, call.body)
            case ("GET", "runs", number):
                return self._one(int(number))
        return Reply(404, {"message": "Not Found", "status": "404"})

    def _dispatch(self, name: str, body: dict[str, Any]) -> Reply:
        if name not in self.workflows:
            return Reply(404, {"message": "Not Found", "status": "404"})
        if self.details == "refused" and "return_run_details" in body:
            return Reply(400, {"message": 'Invalid request. "return_run_details" is not a permitted key.'})
        if set(body) - {"ref", "inputs", "return_run_details"}:
            return Reply(422, {"message": "Invalid request."})
        if not all(isinstance(value, str) for value in body["inputs"].values()):
            return Reply(422, {"message": "For 'inputs', not all values are strings."})
        self.inputs.append(body["inputs"])
        run = self.run(name, branch=body["ref"])
        run["display_title"] = self.titled.format(**body["inputs"])
        if self.details != "given" or not body.get("return_run_details"):
            return Reply(204)
        api = f"https://api.github.com/repos/acme/app/actions/runs/{run['id']}"
        return Reply(200, {"workflow_run_id": run["id"], "run_url": api, "html_url": run["html_url"]})

    def _one(self, number: int) -> Reply:
        run = next((run for run in self.runs if run["id"] == number), None)
        if run is None:
            return Reply(404, {"message": "Not Found", "status": "404"})
        left = self._unfolding[number]
        if left:
            run["status"], run["conclusion"] = left.pop(0)
        return Reply(200, run)
