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

    Example: downstage check test
    """
    import orjson

    from downstage.app import looks

    problems = looks.problems(open_project(config), environment)
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
    environment: options.Environment, config: options.Config = options.DEFAULT_CONFIG, json: options.Json = False
) -> None:
    """Show what a refresh would delete, make, copy and sync, with what AWS says now. Touches nothing.

    Example: downstage plan test
    """
    import orjson

    from downstage.app import looks

    preview = looks.preview(open_project(config), environment)
    if json:
        typer.echo(orjson.dumps(preview, option=orjson.OPT_INDENT_2).decode())
        return
    for heading, lines in preview.items():
        typer.echo(f"{heading}:")
        for line in lines or ["nothing"]:
            typer.echo(f"  {line}")


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(check)
    app.command()(plan)
