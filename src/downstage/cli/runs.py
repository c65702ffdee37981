"""`runs` and `status`: what has run, and how far it is."""

from __future__ import annotations

import typer

from downstage.cli import options
from downstage.cli.carry import open_project


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
    run: options.Run = None, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False
) -> None:
    """Show how far a run is: its steps, tables, buckets and what they hold.

    Example: downstage status
    """
    import sys

    from downstage.console.tables import print_outcome
    from downstage.report.as_json import render_json

    project = open_project(config)
    record = project.find(run)
    outcome = project.outcome(record)
    if json:
        typer.echo(render_json(outcome))
        return
    typer.echo(f"{record.run_id}: {project.state_of(record)}")
    print_outcome(outcome, sys.stdout)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(runs)
    app.command()(status)
