"""`sandbox up|down|status`: two AWS accounts on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from downstage.cli import options

if TYPE_CHECKING:
    from downstage.sandbox import SandboxRecord

commands = typer.Typer(
    help="Two AWS accounts on this machine, filled with made-up court cases.\n\nExample: downstage sandbox up",
    no_args_is_help=True,
)

Directory = Annotated[Path, typer.Option("--directory", "-d", help="The sandbox's directory.")]
Cases = Annotated[int, typer.Option("--cases", min=1, help="How many court cases to make up.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed makes the same data.")]

DEFAULT_DIRECTORY = Path(".downstage/sandbox")


@commands.command()
def up(
    directory: Directory = DEFAULT_DIRECTORY,
    cases: Cases = 2000,
    seed: Seed = 7,
    fresh: Annotated[bool, typer.Option("--fresh", help="End a running sandbox of this directory first.")] = False,
    json: options.Json = False,
) -> None:
    """Start the servers on free loopback ports and fill both accounts. Ends what an earlier one left behind.

    Example: downstage sandbox up
    """
    from downstage.sandbox import Sandbox

    say = _nothing if json else lambda line: typer.echo(line, err=True)
    record = Sandbox(directory).up(cases=cases, seed=seed, say=say, fresh=fresh)
    _show(record, json=json)


@commands.command()
def down(directory: Directory = DEFAULT_DIRECTORY) -> None:
    """End the sandbox's servers, and only those.

    Example: downstage sandbox down
    """
    from downstage.sandbox import Sandbox

    typer.echo("the sandbox is down" if Sandbox(directory).down() else "no sandbox was running there")


@commands.command()
def status(directory: Directory = DEFAULT_DIRECTORY, json: options.Json = False) -> None:
    """Show whether the sandbox runs, and where.

    Example: downstage sandbox status
    """
    from downstage.sandbox import Sandbox

    record = Sandbox(directory).status()
    if record is None:
        typer.echo('{"running": false}' if json else "no sandbox runs there: start one with 'downstage sandbox up'")
        raise typer.Exit(1)
    _show(record, json=json)


def _show(record: SandboxRecord, *, json: bool) -> None:
    if json:
        import orjson

        line = {
            "running": True,
            "endpoint": record.endpoint,
            "config": str(record.config_path),
            "truth": str(record.truth_path),
        }
        typer.echo(orjson.dumps(line).decode())
        return
    typer.echo(f"AWS: {record.endpoint}  production 111111111111, test 222222222222")
    typer.echo(f"try: downstage refresh test --config {record.config_path}")


def _nothing(_line: str) -> None:
    pass


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="sandbox")
