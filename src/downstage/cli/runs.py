"""`runs`, `status`, `cancel` and `approve`: what has run, how far it is, and what becomes of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from downstage.cli import options
from downstage.cli.carry import open_project

if TYPE_CHECKING:
    from downstage.app.runs import Project
    from downstage.domain.outcome import RefreshOutcome
    from downstage.ports import RunRecord

_LOOK = 2.0
_GOING_ON = ("queued", "running")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, from 'downstage runs'.")]


def runs(config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False) -> None:
    """List the runs that the journal knows, oldest first.

    Example: downstage runs
    """
    import orjson

    found = open_project(config).runs()
    for run, state in found:
        if json:
            line = {
                "run_id": run.run_id,
                "environment": run.environment,
                "kind": run.kind,
                "state": state,
                "started": run.started,
                "ended": run.ended,
            }
            typer.echo(orjson.dumps(line).decode())
        else:
            typer.echo(f"{run.run_id:36} {run.kind:10} {state:12} {run.started}")
    if not found and not json:
        typer.echo("nothing has run here yet: start with 'downstage refresh ENV'")


def status(
    run: options.Run = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on telling until nothing is behind the run any more.")
    ] = False,
) -> None:
    """Show how far a run is, in what state the environment stands, and how to go on.

    Example: downstage status --follow
    """
    import sys

    from downstage.console.tables import print_outcome
    from downstage.report.as_json import render_json

    project = open_project(config)
    record, state, outcome = _look(project, project.find(run).run_id)
    if follow:
        record, state, outcome = _follow(project, record, state, outcome, json=json)
    if json:
        typer.echo(render_json(outcome))
        return
    typer.echo(f"{record.run_id}: {state}")
    if outcome.standing:
        typer.echo(outcome.standing)
    way = _way_on(record, state)
    if way:
        typer.echo(way)
    print_outcome(outcome, sys.stdout)


def cancel(run: RunId, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False) -> None:
    """Stop a run wherever it is going on, give it up, and put the consumers back as they were before it.

    They stay off if personal data was found. What the run has written so far stays; the environment is free for another
    refresh.

    Example: downstage cancel test-20260101-050000-1a2b
    """
    import sys

    from downstage.app import ending
    from downstage.console.progress import sink_for
    from downstage.report.as_json import render_json

    with sink_for(sys.stdout if json else sys.stderr, json=json, verbose=False) as events:
        done = ending.cancel(open_project(config), run, events)
    if json:
        typer.echo(render_json(done.outcome))
        return
    typer.echo(f"{run}: cancelled")
    if done.outcome.standing:
        typer.echo(done.outcome.standing)
    typer.echo(f"report: {done.report}")


def approve(run: RunId, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False) -> None:
    """Let a run pass the step before which it waits ('approve' in the configuration).

    A runner goes on with a detached run by itself; any other is resumed with 'downstage resume RUN'.

    Example: downstage approve test-20260101-050000-1a2b
    """
    import orjson

    from downstage.app import ending

    record, steps = ending.approve(open_project(config), run)
    if json:
        typer.echo(orjson.dumps({"run_id": record.run_id, "approved": list(steps)}).decode())
        return
    typer.echo(f"{record.run_id}: approved: {', '.join(steps)}; it goes on with 'downstage resume {record.run_id}'")


def _look(project: Project, run_id: str) -> tuple[RunRecord, str, RefreshOutcome]:
    from dataclasses import replace

    record = project.find(run_id)
    state = project.state_of(record)
    return record, state, project.outcome(replace(record, state=state))


def _follow(
    project: Project, record: RunRecord, state: str, outcome: RefreshOutcome, *, json: bool
) -> tuple[RunRecord, str, RefreshOutcome]:
    """Tells each change of a step, until nobody is behind the run any more."""
    told: dict[str, str] = {}
    while True:
        for step in outcome.steps:
            if told.get(step.name, "pending") != step.state.value:
                told[step.name] = step.state.value
                _tell({"step": step.name, "state": step.state.value, "detail": step.detail}, json=json)
        if state not in _GOING_ON:
            return record, state, outcome
        time.sleep(_LOOK)
        record, state, outcome = _look(project, record.run_id)


def _tell(line: dict[str, Any], *, json: bool) -> None:
    if json:
        import orjson

        typer.echo(orjson.dumps({"event": "step", **line}).decode())
    else:
        detail = f": {line['detail']}" if line["detail"] else ""
        typer.echo(f"{line['step']}: {line['state']}{detail}")


def _way_on(record: RunRecord, state: str) -> str:
    """What can be done now."""
    resume, cancel = f"'downstage resume {record.run_id}'", f"'downstage cancel {record.run_id}'"
    if state == "waiting":
        return f"Next: 'downstage approve {record.run_id}', then {resume}; or give it up: {cancel}."
    if state in ("cut off", "interrupted", "parked", "queued", "failed"):
        return f"Next: go on with {resume}, or give it up: {cancel}."
    return ""


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (runs, status, cancel, approve):
        app.command()(command)
