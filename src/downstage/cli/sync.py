"""`sync`: the buckets alone."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project
from downstage.cli.refresh import TimeBox, seconds_of


def sync(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show every copy and delete that a sync would make; write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete more than max_delete allows, this once.")] = False,
    time_box: TimeBox = None,
    json: options.Json = False,
) -> None:
    """Make the buckets hold what production's hold, and compare listings. Every operation is a line as it finishes.

    First everything is looked at; more deletes than max_delete allows, an empty source, or object keys that hold
    addresses are refused before anything is written. With --time-box the sync stops in time with exit code 75; the same
    call goes on with it.

    Example: downstage sync test --time-box 59m
    """
    from downstage.app import syncing
    from downstage.console.progress import sink_for

    project = open_project(config, engine, workers)
    limit = seconds_of(time_box)
    if dry_run:
        with sink_for(sys.stdout, json=json, verbose=True) as events:
            syncing.dry_run(project, environment, events, yes=yes)
        return
    carry(
        lambda events: syncing.sync(project, environment, events, time_box=limit, yes=yes),
        config=config,
        json=json,
        every_object=True,
    )


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(sync)
