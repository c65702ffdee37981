"""`demo`: the whole story in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import conclude, open_project
from downstage.cli.sandbox import Cases, Seed


def demo(
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where the sandbox and the report go.")] = (
        Path(".downstage/demo")
    ),
    cases: Cases = 2000,
    seed: Seed = 7,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the sandbox running afterwards.")] = False,
    engine: options.Engine = None,
    json: options.Json = False,
) -> None:
    """Start a sandbox, refresh its test account from its production, and prove the result. Needs nothing but Python.

    Exits 0 only if the proof holds and the numbers are those that the data's generator wrote down by itself.

    Example: downstage demo
    """
    from downstage.console.progress import sink_for
    from downstage.sandbox import Sandbox

    sandbox = Sandbox(directory)
    say = (lambda line: None) if json else (lambda line: typer.echo(line, err=True))
    try:
        record = sandbox.up(cases=cases, seed=seed, say=say, fresh=True)
        project = open_project(record.config_path, engine)
        from downstage.workflow.refresh import STEPS

        with sink_for(sys.stdout if json else sys.stderr, json=json) as events:
            finished = project.start("test", "refresh", STEPS, events)
        if not json:
            _compare_with_truth(record.truth_path, finished.outcome)
    finally:
        if not keep:
            sandbox.down()
    if keep and not json:
        typer.echo(f"the sandbox is still up: try 'downstage status --config {record.config_path}'", err=True)
    conclude(finished, json=json)
