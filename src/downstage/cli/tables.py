"""`tables diff|clone`: whether the target's tables are the source's twins, and making them so."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import UsageError, VerificationFailed

if TYPE_CHECKING:
    from downstage.aws.table_clone import Comparison

_SHORT = 90
_MARKS = {"differs": "✗", "unknown": "?", "accepted": "·"}

commands = typer.Typer(
    help="Whether the target's tables are the twins of the source's in everything but their items.\n\n"
    "Example: downstage tables diff test",
    no_args_is_help=True,
)

Tables = Annotated[list[str] | None, typer.Option("--table", metavar="NAME", help="This table only; may be repeated.")]


@commands.command()
def diff(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    table: Tables = None,
    json: options.Json = False,
) -> None:
    """Show in what each target table is not what its source is. Touches nothing; exit code 4 if anything differs.

    What the configuration accepts is shown but does not count; what AWS did not let us see does.

    Example: downstage tables diff test
    """
    from downstage.app import parity

    _conclude(parity.compare(open_project(config), environment, table or ()), json=json)


@commands.command()
def clone(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    table: Tables = None,
    ttl: Annotated[
        bool,
        typer.Option(
            "--ttl",
            help="Enable the expiry of items too. Only where no copy follows: a refresh enables it after verification.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed where nobody can answer.")] = False,
    json: options.Json = False,
) -> None:
    """Make each target table its source's twin: show the differences, ask, create and change, and compare again.

    Nothing that only the target has is taken away. A table whose keys differ is made anew only if it is empty.

    Example: downstage tables clone test --yes
    """
    from downstage.app import parity

    def agreed(found: Sequence[Comparison]) -> bool:
        if not json:
            _show(found)
        if yes:
            return True
        if json or not sys.stdin.isatty():
            raise UsageError("nobody is here to say yes: look at 'downstage tables diff', then add --yes")
        if not typer.confirm(f"change the tables of {environment}?", err=True):
            raise UsageError("nothing was changed")
        return True

    _conclude(parity.clone(open_project(config), environment, table or (), ttl=ttl, agreed=agreed), json=json)


def _conclude(found: Sequence[Comparison], *, json: bool) -> None:
    """Shows what there is, and ends with exit code 4 if parity demands that something be otherwise."""
    if json:
        import orjson

        from downstage.app.twins import record

        for one in found:
            typer.echo(orjson.dumps(record(one)).decode())
        if any(one.demanded for one in found):
            raise typer.Exit(VerificationFailed.exit_code)
        return
    _show(found)
    open_ends = sum(len(one.demanded) for one in found)
    if open_ends:
        differing = sum(1 for one in found if one.demanded)
        typer.echo(f"✗ {open_ends} {'difference' if open_ends == 1 else 'differences'} in {differing} of {len(found)}")
        raise typer.Exit(VerificationFailed.exit_code)
    typer.echo(f"✓ {len(found)} tables are what their sources are" if found else "no tables are configured")


def _show(found: Sequence[Comparison]) -> None:
    from downstage.app.twins import shown
    from downstage.console.grid import Column, print_grid

    for one in found:
        same = "" if one.differences else ": no difference"
        typer.echo(f"{one.pair.source.name} → {one.pair.target.name}{same}")
        sys.stdout.flush()
        print_grid(
            sys.stdout,
            [Column(""), Column("what"), Column("source"), Column("target"), Column("note")],
            [
                (_MARKS[d.verdict], d.what, _short(d.source), _short(d.target), d.note or _WORDS.get(d.remedy, ""))
                for d in map(shown, one.differences)
            ],
        )


_WORDS = {"none": "accepted", "recreate": "the table would have to be made anew"}


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="tables")
