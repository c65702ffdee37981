"""Carrying a run through from the command line: progress while it goes on, the outcome when it has ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from downstage.cli.options import DEFAULT_CONFIG

if TYPE_CHECKING:
    from downstage.app.runs import Finished, Project
    from downstage.ports import EventSink


def engine_overrides(engine: str | None, workers: int | None) -> dict[str, Any]:
    """The command line's engine options as overrides of the configuration."""
    wanted = {"engine.default": engine, "engine.workers": workers}
    return {name: value for name, value in wanted.items() if value is not None}


def carry(start: Callable[[EventSink], Finished], *, config: Path, json: bool, every_object: bool = False) -> None:
    """Runs with progress on standard error (or JSON lines on standard output); ends with the run's exit code.

    `every_object` shows each object operation on a terminal too, as it ends.
    """
    from downstage.console.progress import sink_for

    with sink_for(sys.stdout if json else sys.stderr, json=json, verbose=every_object) as events:
        finished = start(events)
    conclude(finished, config=config, json=json)


def conclude(finished: Finished, *, config: Path, json: bool) -> None:
    """Says how the run ended, and how to go on. Raises the error that ended it, or exits with the outcome's code."""
    from downstage.console.tables import print_outcome
    from downstage.report.as_json import render_json

    if json:
        import orjson

        document = orjson.loads(render_json(finished.outcome))
        typer.echo(orjson.dumps({"event": "outcome", "outcome": document}).decode())
    else:
        print_outcome(finished.outcome, sys.stdout)
        typer.echo(f"report: {finished.report}")
    if finished.error is not None:
        if finished.error.exit_code in (1, 75) and not json:
            where = "" if config == DEFAULT_CONFIG else f" --config {config}"
            typer.echo(f"go on with: downstage resume {finished.outcome.run_id}{where}", err=True)
        raise finished.error
    raise typer.Exit(finished.exit_code)


def open_project(config: Any, engine: str | None = None, workers: int | None = None) -> Project:
    """The project of a configuration file."""
    from downstage.app.runs import Project

    return Project.open(config, engine_overrides(engine, workers))
