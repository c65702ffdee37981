"""`demo`: the whole story in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import conclude, open_project
from downstage.cli.sandbox import Cases, Seed
from downstage.errors import VerificationFailed


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
    from downstage.sandbox.truth import disagreements
    from downstage.workflow.refresh import STEPS

    sandbox = Sandbox(directory)
    say = (lambda line: None) if json else (lambda line: typer.echo(line, err=True))
    try:
        record = sandbox.up(cases=cases, seed=seed, say=say, fresh=True)
        project = open_project(record.config_path, engine)
        with sink_for(sys.stdout if json else sys.stderr, json=json) as events:
            # the accounts are new: what a demo that was killed has left of its run is nobody's
            finished = project.start("test", "refresh", STEPS, events, take_over=True)
        differences = disagreements(record.truth_path, finished.outcome) if finished.error is None else []
    finally:
        if not keep:
            sandbox.down()
    if keep and not json:
        typer.echo(f"the sandbox is still up: try 'downstage status --config {record.config_path}'", err=True)
    if differences:
        raise VerificationFailed("the generator's book says otherwise: " + "; ".join(differences))
    if finished.error is None and not json:
        typer.echo("the generator's own book agrees with every number")
    conclude(finished, config=record.config_path, json=json)


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)
