"""GitHub Actions as far as it is used: start a workflow by workflow_dispatch, and look at its runs.

`return_run_details` makes GitHub say which run a dispatch began; a server that is too old for it answers 204 without a
body, or refuses the field with 400 or 422: then the run is looked for. Runs are listed newest first; their ids grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from downstage.ci import names
from downstage.ci.following import Sight, State, start_once, the_one
from downstage.ci.http import Api, Token
from downstage.errors import CiError
from downstage.ports import Clock

T = TypeVar("T")

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow. `status` is completed at its end, and only then `conclusion` says how. `title` is what the
    workflow's `run-name` made of its inputs."""

    run_id: int
    status: str
    conclusion: str
    url: str
    title: str = ""

    @property
    def sight(self) -> Sight:
        """How far it is. A neutral or skipped run has deployed nothing, and is not a success."""
        if self.status != "completed":
            return Sight(State.GOING, self.status, self.url)
        return Sight(State.WELL if self.conclusion == "success" else State.BADLY, self.conclusion, self.url)


class GitHub:
    """The workflows of one repository. Raises CiError, CiUnreachable."""

    def __init__(self, api: Api, project: str) -> None:
        self._api = api
        self.project = project
        self._repository = f"/repos/{quote(project.partition('/')[2], safe='/')}"

    def check(self, workflow: str) -> None:
        """Raises CiError if there is no such workflow, it is disabled, or the token may not see it."""
        what = f"look at the workflow {workflow} of {self.project}"
        state = _take(what, self._api.get(f"{self._workflow(workflow)}", what), lambda body: str(body["state"]))
        if state != "active":
            raise CiError(f"the workflow {workflow} of {self.project} is '{state}': enable it at GitHub")

    def newest(self, workflow: str, branch: str) -> list[Run]:
        """The newest runs that a dispatch began on the branch."""
        what = f"list the runs of {workflow} of {self.project}"
        asked: dict[str, str | int] = {"event": "workflow_dispatch", "branch": branch, "per_page": 30}
        return _take(
            what,
            self._api.get(f"{self._workflow(workflow)}/runs", what, asked),
            lambda body: [_run(item) for item in body["workflow_runs"]],
        )

    def run(self, run_id: int) -> Run:
        """One run as it is now."""
        what = f"look at a workflow run of {self.project}"
        return _take(what, self._api.get(f"{self._repository}/actions/runs/{run_id}", what), _run)

    def dispatch(self, workflow: str, branch: str, inputs: Mapping[str, Any]) -> int | None:
        """Starts the workflow; the run's id if GitHub says it."""
        what = f"start the workflow {workflow} of {self.project}"
        body: dict[str, Any] = {"ref": branch, "inputs": {name: _input(value) for name, value in inputs.items()}}
        path = f"{self._workflow(workflow)}/dispatches"
        try:
            answer = self._api.send("POST", path, what, {**body, "return_run_details": True})
        except CiError as error:
            if error.status not in (400, 422) or "return_run_details" not in str(error):
                raise
            answer = self._api.send("POST", path, what, body)
        if answer.body is None:
            return None
        return _take(what, answer.body, lambda details: int(details["workflow_run_id"]))

    def _workflow(self, workflow: str) -> str:
        return f"{self._repository}/actions/workflows/{quote(workflow, safe='')}"


@dataclass(frozen=True, slots=True)
class DispatchStart:
    """A workflow that is dispatched once: ours is a dispatched run on the branch that is newer than the mark.

    GitHub tells no inputs of a run. Where the workflow's `run-name` shows the input `shown` (as the rendered one shows
    the run to go on with), that tells ours from others. Of those a resumed run follows the newest: a person may have
    mended it; and where none shows anything, the newest of all.
    """

    github: GitHub
    clock: Clock
    workflow: str
    branch: str
    shown: str = ""

    def mark(self) -> int:
        """The newest dispatched run's id, 0 if there is none."""
        runs = self.github.newest(self.workflow, self.branch)
        return max((run.run_id for run in runs), default=0)

    def once(self, mark: int, inputs: Mapping[str, Any], *, fresh: bool) -> int:
        """The id of the run that was started after the mark, by an earlier attempt or now."""

        what = f"the workflow {self.workflow} of {self.github.project}"
        value = str(inputs.get(self.shown, ""))

        def find() -> int | None:
            newer = [run for run in self.github.newest(self.workflow, self.branch) if run.run_id > mark]
            named = [run.run_id for run in newer if value and f"{names.SHOWN_RUN}{value})" in run.title]
            untold = [run.run_id for run in newer if names.SHOWN_RUN not in run.title]
            if fresh:
                return the_one(named, untold, what=what)
            return max(named or untold, default=None)

        def start() -> int | None:
            return self.github.dispatch(self.workflow, self.branch, inputs)

        return start_once(find, start, self.clock, what=what, fresh=fresh)


def connect(
    endpoint: str,
    project: str,
    reference: str,
    read: Callable[[], bytes],
    *,
    clock: Clock,
    redact: Callable[[str], str],
) -> GitHub:
    """The repository `project`, with the token that `read` gives and `reference` names."""
    token = Token(reference, read, "Authorization", "Bearer ")
    return GitHub(Api(endpoint, "GitHub", token, clock=clock, redact=redact, headers=_HEADERS), project)


def _run(item: Mapping[str, Any]) -> Run:
    return Run(
        int(item["id"]),
        str(item["status"]),
        str(item["conclusion"] or ""),
        str(item["html_url"]),
        str(item.get("display_title") or ""),
    )


def _input(value: Any) -> str:
    """Inputs of a dispatch are text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _take(what: str, answer: Any, take: Callable[[Any], T]) -> T:
    try:
        return take(answer)
    except (KeyError, TypeError, ValueError):
        raise CiError(f"could not {what}: GitHub's answer is not of the shape that it documents") from None
