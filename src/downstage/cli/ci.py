"""`ci render|run`: what goes into a CI's own configuration, and what it calls there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import conclude, open_project
from downstage.cli.refresh import TimeBox, seconds_of
from downstage.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from downstage.app.runs import Project
    from downstage.app.unattended import Told

_KINDS = ("circleci", "github")

commands = typer.Typer(
    help="Refreshes that run inside a CI: the configuration to put there, and the command that it calls.\n\n"
    "Example: downstage ci render circleci test",
    no_args_is_help=True,
)


@commands.command()
def render(
    kind: Annotated[str, typer.Argument(metavar="circleci|github", help="Whose configuration.")],
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
) -> None:
    """Print the pipeline parameters, branch filter, job and workflow of an environment's refresh. Changes nothing.

    Example: downstage ci render circleci test
    """
    from downstage.app import automation

    if kind not in _KINDS:
        raise UsageError(f"there is nothing to render for '{kind}': the CIs are {' and '.join(_KINDS)}")
    typer.echo(automation.rendered(open_project(config), kind, environment), nl=False)


@commands.command()
def run(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    run_id: Annotated[
        str, typer.Option("--run", metavar="RUN", help="Go on with this run; a new refresh if it is empty.")
    ] = "",
    time_box: TimeBox = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """Refresh an environment from within its CI, or go on with a run, and tell the CI how it ended.

    A run whose time-box ended goes on in the next pipeline, and this one ends with 0. A run that ended well approves
    the approval job that waits for it; any other end cancels its workflow.

    Example: downstage ci run test --run "$DOWNSTAGE_RUN" --time-box 50m
    """
    import time

    from downstage.app import automation
    from downstage.app.carrying import was_told
    from downstage.app.choosing import choose_steps
    from downstage.app.unattended import began, instant, tell, tell_broken_off
    from downstage.console.progress import sink_for

    project = open_project(config, engine, workers)
    limit = seconds_of(time_box)
    try:
        ci = automation.unattended_for(project, environment)
        ci.mark()  # a token that does not work is better known now than when the time-box has ended
    except Exception as error:
        _notify(project, environment, error, run_id, json=json)
        raise
    since = began(environment, run_id, time.time())
    try:
        if run_id:
            record = project.find(run_id)
            if record.environment != environment:
                raise UsageError(f"run {run_id} is not one of '{environment}'")
            since = instant(record.started)
        with sink_for(sys.stdout if json else sys.stderr, json=json, verbose=False) as events:
            if run_id:
                finished = project.resume(run_id, events, time_box=limit)
            else:
                finished = project.start(environment, "refresh", choose_steps([], []), events, time_box=limit)
    except Exception as error:
        _say(tell_broken_off(ci, error, since), json=json)
        if not was_told(error):
            _notify(project, environment, error, run_id, json=json)
        raise
    told = tell(ci, finished, time.time())
    _say(told, json=json)
    if told.failure is not None:  # whatever else was told of the run: the CI does not go on as it should
        _notify(project, environment, told.failure, finished.outcome.run_id, json=json)
    if told.goes_on:
        raise typer.Exit
    if told.failure is not None and finished.exit_code == 0:
        raise told.failure
    conclude(finished, config=config, json=json)


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="ci")


def _notify(project: Project, environment: str, error: Exception, run_id: str, *, json: bool) -> None:
    """Tells those who are to know it that nobody carries the refresh; says whom that did not reach."""
    from downstage.app.notifying import could_not_begin

    _say_lines(could_not_begin(project.config, environment, error, run_id), json=json)


def _say_lines(lines: Sequence[str], *, json: bool) -> None:
    import orjson

    for line in lines:
        typer.echo(orjson.dumps({"event": "note", "text": line}).decode() if json else line, err=not json)


def _say(told: Told, *, json: bool) -> None:
    if json:
        import orjson

        line = {"event": "ci", "told": list(told.words), "failure": str(told.failure) if told.failure else None}
        typer.echo(orjson.dumps(line).decode())
        return
    for words in told.words:
        typer.echo(words)
    if told.failure is not None:
        typer.echo(f"downstage: the CI could not be told: {told.failure}", err=True)
