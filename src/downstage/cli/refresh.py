"""`refresh` and `resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project

Only = Annotated[list[str] | None, typer.Option("--only", metavar="STEP", help="Run this step only; may be repeated.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="STEP", help="Leave this step out; may be repeated.")]


def refresh(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    only: Only = None,
    skip: Skip = None,
    json: options.Json = False,
) -> None:
    """The whole refresh of an environment, and its proof.

    Steps: preflight, flags, wipe, deploy, consumers-off, copy and sync together, verify-tables, verify-buckets, expiry,
    consumers-on, index, verify-index. Steps that are left out make the result 'incomplete'.

    Example: downstage refresh test
    """
    from downstage.app.runs import choose_steps

    chosen = choose_steps(only or [], skip or [])
    project = open_project(config, engine, workers)
    carry(lambda events: project.start(environment, "refresh", chosen, events), config=config, json=json)


def resume(
    run: Annotated[str, typer.Argument(help="The run's id, from 'downstage runs'.")],
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """Go on with a run that was cut off or failed, from its last checkpoints. Finished steps are not done again.

    Example: downstage resume test-20260101-050000-1a2b
    """
    project = open_project(config, engine, workers)
    carry(lambda events: project.resume(run, events), config=config, json=json)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(refresh)
    app.command()(resume)
