"""`key new|check`: the masking key."""

from __future__ import annotations

import secrets

import typer

from downstage.cli import options
from downstage.cli.carry import open_project

commands = typer.Typer(help="The masking key.\n\nExample: downstage key check test", no_args_is_help=True)


@commands.command()
def new() -> None:
    """Print a new random key of 32 bytes as hex. Put it where only production's side can read it.

    Example: downstage key new | aws secretsmanager create-secret --name downstage/mask-key --secret-string file:///dev/stdin
    """
    typer.echo(secrets.token_hex(32))


@commands.command()
def check(environment: options.Environment, config: options.Config = options.DEFAULT_CONFIG) -> None:
    """Read the configured key and print its check value, by which two keys are told apart.

    Example: downstage key check test
    """
    from downstage.app import looks

    typer.echo(looks.key_check(open_project(config), environment))


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="key")
