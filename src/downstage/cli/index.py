"""`index [wait] ENV` and `index backfill ENV`: what the search domain holds, and filling it from the tables."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from downstage.cli import options
from downstage.cli.carry import carry, open_project
from downstage.cli.refresh import TimeBox, seconds_of
from downstage.errors import UsageError

_DEFAULT = "wait"


class _WaitsByDefault(TyperGroup):
    """`index ENV` is short for `index wait ENV`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the command that is meant."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    cls=_WaitsByDefault,
    help="What the search domain holds: wait for it and prove it ('index ENV' is short for 'index wait ENV'), or make "
    "its documents from the tables.\n\nExample: downstage index test",
    no_args_is_help=True,
)


@commands.command()
def wait(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """Wait until the indexes hold what they must, then compare ids and look for addresses.

    Example: downstage index wait test
    """
    project = open_project(config, engine, workers)
    carry(
        lambda events: project.start(environment, "index", ("index", "verify-index"), events), config=config, json=json
    )


@commands.command()
def backfill(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    index: Annotated[
        list[str] | None,
        typer.Option("--index", metavar="NAME", help="Make documents of this index only; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and map every item, say what would be made, and send nothing.")
    ] = False,
    time_box: TimeBox = None,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
) -> None:
    """Make the documents straight from the verified target tables, as 'search.backfill' says; then prove the indexes
    by id and look for addresses. A document that is there already is left as it is.

    For what the streams have lost: they keep records for 24 hours. What was done is in the journal: a backfill that was
    cut off goes on with 'downstage resume RUN'.

    Example: downstage index backfill test --dry-run
    """
    limit = seconds_of(time_box)
    if dry_run and limit is not None:
        raise UsageError("--dry-run writes nothing, so there is nothing to go on with: leave --time-box out")
    project = open_project(config, engine, workers)
    steps = ("backfill",) if dry_run else ("backfill", "index", "verify-index")
    settings = {**({"dry_run": True} if dry_run else {}), **({"indexes": index} if index else {})}
    carry(
        lambda events: project.start(environment, "backfill", steps, events, time_box=limit, settings=settings),
        config=config,
        json=json,
    )


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="index")
