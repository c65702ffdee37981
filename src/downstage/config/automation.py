"""The stanzas of what runs outside Downstage: deployers (CircleCI, GitHub, a command) and the schedule.

What one kind of schedule takes and another does not is in `automation_checks`, so that a mistake is shown at its key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from downstage.config.ci_values import Branch, Days, Hours, Months, Name, Parameters, Project, Weekdays
from downstage.config.model import Model, Texts
from downstage.config.values import Duration, Endpoint, KeyReference, Text, Truth, Whole

CIRCLECI = "https://circleci.com/api/v2"
GITHUB = "https://api.github.com"
TOKENS = {"circleci": "env:CIRCLE_TOKEN", "github": "env:GITHUB_TOKEN"}


class CircleCi(Model):
    """Deploy by a CircleCI workflow: exactly one of `rerun` and `parameters`."""

    project: Project = Field(description="The project, for example github/acme/app.")
    branch: Branch = Field(description="The branch whose workflow deploys this environment.")
    rerun: Text | None = Field(
        default=None, description="Rerun the newest successful workflow of this name on the branch."
    )
    parameters: Parameters | None = Field(
        default=None,
        description="Trigger a pipeline with these parameters instead. Texts may hold ${flags.NAME}. {} for none.",
    )
    workflow: Text | None = Field(
        default=None, description="With 'parameters': the workflow that must succeed. Default: all of the pipeline's."
    )
    definition: Text | None = Field(
        default=None,
        description="With 'parameters': the pipeline definition's id, for projects that CircleCI reaches by its "
        "GitHub App.",
    )
    token: KeyReference = Field(
        default=TOKENS["circleci"], description="Where a personal API token is kept; read with the target's role."
    )
    endpoint: Endpoint = Field(default=CIRCLECI, description="CircleCI's API; another one for a server of your own.")
    patience: Duration = Field(
        default=7200.0,
        description="How long the deployment may take, for example 90m or 2h.",
        json_schema_extra={"default": "2h"},
    )

    @model_validator(mode="after")
    def _one(self) -> CircleCi:
        if (self.rerun is None) == (self.parameters is None):
            raise ValueError("must hold exactly one of 'rerun' and 'parameters'")
        if self.rerun is not None and (self.workflow or self.definition):
            raise ValueError("takes 'workflow' and 'definition' only with 'parameters'")
        return self


class GitHub(Model):
    """Deploy by a GitHub Actions workflow that has a workflow_dispatch trigger."""

    project: Project = Field(description="The repository, for example github/acme/app.")
    branch: Branch = Field(description="The branch (or tag) to run the workflow on.")
    workflow: Text = Field(description="The workflow's file name, for example deploy.yml.")
    inputs: Parameters = Field(default={}, description="The inputs of workflow_dispatch. Texts may hold ${flags.NAME}.")
    run_input: Text | None = Field(
        default=None,
        description="An input that is given the refresh's run, and that the workflow shows in its run-name as "
        "'(run: ${{ inputs.NAME }})': so a resumed refresh tells its own dispatch from those of others.",
    )
    token: KeyReference = Field(
        default=TOKENS["github"], description="Where a token is kept that may read and write Actions."
    )
    endpoint: Endpoint = Field(default=GITHUB, description="GitHub's API; another one for an Enterprise Server.")
    patience: Duration = Field(
        default=7200.0,
        description="How long the deployment may take, for example 90m or 2h.",
        json_schema_extra={"default": "2h"},
    )

    @model_validator(mode="after")
    def _once(self) -> GitHub:
        if self.run_input in self.inputs:
            raise ValueError("gives the input of 'run_input' in 'inputs' too: Downstage sets it")
        return self


class Command(Model):
    """Deploy by a command of yours. It may be run again after an interruption, never twice at one time."""

    run: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] = Field(
        description="The command and its arguments, as a list; no shell. Texts may hold ${flags.NAME}."
    )
    directory: Text = Field(default=".", description="Where it runs, relative to this file.")
    environment: dict[Text, str] = Field(
        default={}, description="Environment variables to set. Texts may hold ${flags.NAME}."
    )
    patience: Duration = Field(
        default=7200.0,
        description="How long it may take, for example 90m or 2h; then it is ended.",
        json_schema_extra={"default": "2h"},
    )


class Approval(Model):
    """The approval job in CircleCI that waits for the refresh."""

    workflow: Name = Field(description="The workflow that waits.")
    job: Name = Field(description="Its job of type approval.")


class Ecs(Model):
    """How an ECS task is started."""

    task_definition: Text = Field(description="The task definition's ARN.")
    container: Text = Field(description="The container that runs downstage; its command is set.")
    subnets: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] = Field(description="Subnets of the task.")
    security_groups: Texts = Field(default=(), description="Security groups of the task.")
    public_ip: Truth = Field(default=False, description="Whether the task gets a public address.")


class Schedule(Model):
    """When the refresh starts by itself, and who starts it. All times are UTC."""

    via: Literal["circleci", "github", "eventbridge", "runner"] = Field(
        description="Who starts it: a CircleCI schedule, a GitHub cron, EventBridge Scheduler, or 'downstage runner'."
    )
    name: Name | None = Field(
        default=None,
        description="The schedule's name. Default: schedule_prefix and the environment's name. One of that name that "
        "is there already is adopted.",
    )
    hour: Hours = Field(description="The hour (0 to 23, UTC), or several.")
    day: Days = Field(default=(), description="The day of the month, or several. This or weekday.")
    weekday: Weekdays = Field(default=(), description="The day of the week (mon … sun), or several.")
    months: Months = Field(default=(), description="The months (jan … dec). Default: all.")
    minute: Annotated[Whole, Field(ge=0, le=59)] = Field(default=0, description="The minute. CircleCI chooses its own.")
    project: Project | None = Field(
        default=None, description="circleci, github: the project, for example github/acme/app."
    )
    branch: Branch | None = Field(default=None, description="circleci, github: the branch to run on.")
    parameters: Parameters = Field(default={}, description="circleci: the pipeline's parameters, besides the branch.")
    actor: Literal["system", "current"] | None = Field(
        default=None,
        description="circleci: who the pipelines are attributed to: CircleCI's scheduling system (the default), or "
        "the token's owner.",
    )
    approval: Approval | None = Field(
        default=None,
        description="circleci: the approval job that waits for the refresh: approved when it ends well, its workflow "
        "cancelled when it does not.",
    )
    definition: Text | None = Field(
        default=None,
        description="circleci: the pipeline definition's id with which a run that was cut goes on, for projects that "
        "CircleCI reaches by its GitHub App.",
    )
    token: KeyReference | None = Field(
        default=None,
        description="circleci, github: where the API token is kept. Default: env:CIRCLE_TOKEN, env:GITHUB_TOKEN.",
    )
    endpoint: Endpoint | None = Field(default=None, description="circleci, github: the API, if it is not the public.")
    directory: Text | None = Field(
        default=None,
        description="github: where the workflow file is written, relative to this file. Default: .github/workflows.",
    )
    target: Text | None = Field(
        default=None, description="eventbridge: the ARN of what is started, for example of an ECS cluster."
    )
    role: Text | None = Field(default=None, description="eventbridge: the ARN of the role that may start it.")
    group: Text | None = Field(default=None, description="eventbridge: the schedule group. Default: default.")
    input: dict[str, Any] | None = Field(
        default=None, description="eventbridge: the input of the target, as a mapping that is sent as JSON."
    )
    ecs: Ecs | None = Field(default=None, description="eventbridge: how the ECS task is started.")

    @property
    def options(self) -> dict[str, Any]:
        """What belongs to the place that `via` names, with its defaults."""
        held = self.model_dump(include=set(OPTIONS[self.via]))
        defaults: dict[str, Any] = {
            "token": TOKENS.get(self.via),
            "endpoint": {"circleci": CIRCLECI, "github": GITHUB}.get(self.via),
            "actor": "system",
            "directory": ".github/workflows",
            "group": "default",
        }
        return {name: defaults.get(name) if value is None else value for name, value in held.items()}


OPTIONS: dict[str, tuple[str, ...]] = {
    "circleci": (*("project", "branch", "parameters", "actor", "approval", "definition", "token", "endpoint"),),
    "github": ("project", "branch", "token", "endpoint", "directory"),
    "eventbridge": ("target", "role", "group", "input", "ecs"),
    "runner": (),
}
"""The settings that each kind of schedule takes, besides its name and times."""

NEEDED: dict[str, tuple[str, ...]] = {
    "circleci": ("project", "branch"),
    "github": ("project", "branch"),
    "eventbridge": ("target", "role"),
    "runner": (),
}
