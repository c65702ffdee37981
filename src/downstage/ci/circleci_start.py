"""A pipeline that is triggered once, recognised among those of other people, and followed to its end.

The mark is the newest pipeline number of the branch before the start; ours is the first with a higher number that was
triggered through the API by the owner of our token, with our parameters where CircleCI tells them. A push of somebody
else's meanwhile is not, nor is the pipeline in which we run ourselves, which `own` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from downstage.ci.circleci import CircleCi, Workflow
from downstage.ci.following import Sight, State, given_the_same, start_once, the_one
from downstage.errors import CiError
from downstage.ports import Clock

SEARCHED = 50
"""Of so many newest pipelines of a branch the right one is looked for."""

_BAD = ("failed", "error", "canceled", "unauthorized", "not_run")
_GRAVEST = ("failed", "error", "unauthorized", "canceled", "not_run", "failing", "on_hold", "running")


@dataclass(frozen=True, slots=True)
class PipelineStart:
    """How a pipeline is started on a branch."""

    circleci: CircleCi
    clock: Clock
    project: str
    branch: str
    definition: str | None = None
    own: str | None = None

    def mark(self) -> int:
        """The newest pipeline's number, 0 if there is none."""
        newest = self.circleci.pipelines(self.project, self.branch, 1)
        return newest[0].number if newest else 0

    def once(self, mark: int, parameters: Mapping[str, Any], *, fresh: bool) -> str:
        """The id of the pipeline that was started after the mark, by an earlier attempt or now."""
        owner = self.circleci.login()
        what = f"a pipeline of {self.project}"

        def find() -> str | None:
            newer = [
                pipeline
                for pipeline in self.circleci.pipelines(self.project, self.branch, SEARCHED)
                if pipeline.number > mark
                and pipeline.trigger == "api"
                and pipeline.starter == owner
                and pipeline.pipeline_id != self.own
            ]
            newer.sort(key=lambda pipeline: pipeline.number)
            alike = [(pipeline.pipeline_id, given_the_same(parameters, pipeline.parameters)) for pipeline in newer]
            return the_one(
                [pipeline_id for pipeline_id, same in alike if same],
                [pipeline_id for pipeline_id, same in alike if same is None],
                what=what,
            )

        def start() -> str | None:
            begun = self.circleci.trigger(self.project, self.branch, parameters, self.definition)
            if begun is None:
                raise CiError(
                    f"CircleCI started no pipeline of {self.project}: its configuration has nothing for these "
                    f"parameters"
                )
            return begun

        return start_once(find, start, self.clock, what=what, fresh=fresh)


def sight_of(workflow: Workflow) -> Sight:
    """How far one workflow is. One that is failing is not yet at its end."""
    state = State.WELL if workflow.status == "success" else State.BADLY if workflow.status in _BAD else State.GOING
    return Sight(state, workflow.status, workflow.url)


def sight_of_pipeline(circleci: CircleCi, pipeline_id: str, name: str | None, url: str) -> Sight:
    """How far a pipeline is: the newest workflow of each name counts; of `name` alone if one is given. While it is in
    setup (dynamic configuration) it is going, whatever its setup workflow is called, unless that has ended badly."""
    pipeline, errors = circleci.pipeline(pipeline_id)
    if pipeline.state == "errored":
        return Sight(State.BADLY, f"errored ({errors or 'no reason given'})", url)
    newest = {workflow.name: workflow for workflow in circleci.workflows(pipeline_id)}
    if pipeline.state != "created":  # in setup: what its configuration will start does not stand there yet
        ended = [sight for sight in map(sight_of, newest.values()) if sight.state is State.BADLY]
        return min(ended, key=lambda sight: _rank(sight.word), default=Sight(State.GOING, pipeline.state, url))
    counting = [workflow for workflow in newest.values() if name in (None, workflow.name)]
    if not counting:
        return Sight(State.GOING, "without a workflow yet", url)
    sights = [sight_of(workflow) for workflow in counting]
    if any(sight.state is State.GOING for sight in sights):
        going = [sight for sight in sights if sight.state is State.GOING]
        return min(going, key=lambda sight: _rank(sight.word))
    return min(sights, key=lambda sight: _rank(sight.word))


def _rank(word: str) -> int:
    return _GRAVEST.index(word) if word in _GRAVEST else len(_GRAVEST)
