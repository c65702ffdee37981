"""`glue`: the AWS Glue job of the engine glue: deployed, looked at, stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from downstage.cli import options
from downstage.cli.carry import open_project

if TYPE_CHECKING:
    from datetime import datetime

    from downstage.domain.glue import GlueRun

commands = typer.Typer(
    help="The AWS Glue job that lanes run on with --engine glue.\n\nExample: downstage glue deploy test",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@commands.command()
def deploy(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    wheel: Annotated[
        Path | None,
        typer.Option("--wheel", help="A manylinux wheel of this downstage for cp311, with compiled loops."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what was changed by hand.")] = False,
    json: options.Json = False,
) -> None:
    """Bring the Glue job to what is configured: its packages, its script, its settings. Changes only what differs.

    pip downloads what Downstage depends on for Glue's Python; the job needs no network for it. A job that was changed
    by hand since is left alone, and it is said how it differs.

    Example: downstage glue deploy test
    """
    from downstage.app import glue, glue_bundle, glue_deploy

    plan = open_project(config).plan(environment)
    job = glue.glue_of(plan)
    files = glue_bundle.own_files()
    own = glue_bundle.own_wheel(files) if wheel is None else glue_bundle.given_wheel(wheel, files)
    jobs, parcels = glue.job_of(plan, job)
    for line in glue_deploy.deploy(jobs, parcels, job, own, glue_bundle.dependencies, force=force):
        _say({"event": "deployed", "what": line}, line, json=json)


@commands.command()
def status(
    environment: options.Environment,
    run: options.Run = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Show what AWS says of a run's Glue runs, what they have cost, and how far the run is by its own journal.

    The dollars are DPU-hours so far at the list price, or at 'prices' of the configuration; a minute is the least. What
    AWS has not counted yet is told as the most that it can be.
    With --json, a line for each Glue run, one for their total, and one for the run's own outcome.

    Example: downstage glue status test
    """
    import sys
    from datetime import UTC, datetime

    import orjson

    from downstage.app import glue
    from downstage.console.tables import print_outcome
    from downstage.report.as_json import render_json

    project = open_project(config)
    plan = project.plan(environment)
    record = project.find(run, environment)
    found = glue.runs_of(plan, record.run_id)
    price = project.config.config.prices.dpu_hour
    now = datetime.now(UTC)
    for one in found:
        _say(_record(one, now, price), _line(one, now, price), json=json)
    total = sum(one.dpu_hours(now) or 0.0 for one in found)
    counted = all(one.is_counted for one in found)
    if json:
        _say({"event": "total", "run_id": record.run_id, "state": project.state_of(record), "dpu_hours": total,
              "dollars": total * price, "at_most": not counted}, "", json=True)  # fmt: skip
        _say({"event": "outcome", "outcome": orjson.loads(render_json(project.outcome(record)))}, "", json=True)
        return
    if not found:
        typer.echo(f"{record.run_id} has no Glue runs among the newest of job {glue.glue_of(plan).job}")
    elif len(found) > 1:
        typer.echo(f"together: {_cost(total, price, counted=counted)}")
    typer.echo(f"{record.run_id}: {project.state_of(record)}")
    print_outcome(project.outcome(record), sys.stdout)


@commands.command()
def stop(
    environment: options.Environment,
    run: options.Run = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Stop the active Glue runs of a run. What they saved stands: 'downstage resume RUN' goes on from there.

    Example: downstage glue stop test
    """
    from downstage.app import glue

    project = open_project(config)
    plan = project.plan(environment)
    record = project.find(run, environment)
    stopped = glue.stop(plan, record.run_id)
    for run_id in stopped:
        _say({"event": "stopping", "glue_run": run_id}, f"stopping {run_id}", json=json)
    if not stopped and not json:
        typer.echo(f"{record.run_id} has no active Glue run")


def _line(run: GlueRun, now: datetime, price: float) -> str:
    words = [f"{run.run_id}  {run.state}", f"{run.seconds:,} s" if run.is_counted else "its time is not counted yet"]
    hours = run.dpu_hours(now)
    if hours is not None:
        words.append(_cost(hours, price, counted=run.is_counted))
    words += [said for said in (run.detail, run.message) if said]
    return "  ".join(words)


def _cost(hours: float, price: float, *, counted: bool) -> str:
    return f"{'' if counted else 'at most '}{hours:,.2f} DPU-hours, about ${hours * price:,.2f} so far"


def _record(run: GlueRun, now: datetime, price: float) -> dict[str, Any]:
    hours = run.dpu_hours(now)
    return {
        "event": "glue_run",
        "glue_run": run.run_id,
        "state": run.state,
        "started": run.started,
        "seconds": run.seconds,
        "dpu_hours": hours,
        "dollars": None if hours is None else hours * price,
        "at_most": not run.is_counted,
        "detail": run.detail,
        "message": run.message,
    }


def _say(record: dict[str, Any], line: str, *, json: bool) -> None:
    import orjson

    typer.echo(orjson.dumps(record).decode() if json else line)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(commands, name="glue")
