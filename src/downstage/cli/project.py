"""`init`, `check` and `plan`: a configuration, whether it would work, and what it would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import UsageError


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = options.DEFAULT_CONFIG,
) -> None:
    """Write a commented configuration to start from. Never overwrites a file.

    Example: downstage init
    """
    from downstage.config.example import template

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file, or edit it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {path}: fill in the accounts, roles and names, then run 'downstage check ENV'")


def check(
    environment: options.Environment, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False
) -> None:
    """List everything that would make a refresh fail, all at once. Touches nothing.

    Looks at both identities, tables, buckets, domains and the deployer; at what the source's role may do (IAM's
    simulation), whether the target's role can read the masking key (by trying), the buckets' encryption and versions,
    this machine's clock and disk. What is worth knowing besides, and what AWS did not let it see, it says as well.

    Example: downstage check test
    """
    import orjson

    from downstage.app import looks

    notes: list[str] = []
    problems = looks.problems(open_project(config), environment, notes.append)
    for note in dict.fromkeys(notes):
        typer.echo(orjson.dumps({"note": note}).decode() if json else f"· {note}")
    for problem in problems:
        if json:
            typer.echo(orjson.dumps({"problem": str(problem), "exit_code": problem.exit_code}).decode())
        else:
            typer.echo(f"✗ {problem}")
    if problems:
        raise typer.Exit(max(problem.exit_code for problem in problems))
    if not json:
        typer.echo(f"✓ nothing stands in the way of a refresh of {environment}")


def plan(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """Show what a refresh would delete, make, copy and sync, with what AWS says now, and estimate what that takes:
    capacity units, requests, hours, dollars, and what holds it up. Touches nothing.

    The dollars are list prices, or those under 'prices' in the configuration; the hours come from what was measured and
    assumed, see docs/planning.md.

    Example: downstage plan test
    """
    import sys

    import orjson

    from downstage.app import looks
    from downstage.app.estimating import record_of
    from downstage.console.estimate import print_estimate

    project = open_project(config, engine, workers)
    preview = looks.preview(project, environment)
    load, found = looks.estimated(project, environment)
    if json:
        record = {**preview, "estimate": record_of(load, found)}
        typer.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
        return
    for heading, lines in preview.items():
        typer.echo(f"{heading}:")
        for line in lines or ["nothing"]:
            typer.echo(f"  {line}")
    typer.echo("estimate:")
    print_estimate(found, load, sys.stdout)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(check)
    app.command()(plan)
