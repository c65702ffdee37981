"""`streams on|off|status`: the consumers of the target tables' streams."""

from __future__ import annotations

from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project

commands = typer.Typer(
    help="The consumers (Lambda event-source mappings) of the target tables' streams.\n\n"
    "Example: downstage streams status test",
    no_args_is_help=True,
)


@commands.command()
def on(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    accept_unproven: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-unproven",
            metavar="RUN",
            help="Take what this run has loaded as it is, though nobody has verified it; may be repeated. 'none' takes "
            "tables that no known run has loaded. The report says so. Never after personal data was found, and not "
            "while the run can go on.",
        ),
    ] = None,
) -> None:
    """Enable every configured consumer and wait until it is.

    Refused (exit code 3) if what the environment was loaded with last is not proven, whichever run did it.

    Example: downstage streams on test
    """
    from downstage.workflow.proven import ACCEPT, NOBODY

    project = open_project(config)
    accepted = [named if named == NOBODY else project.loader(environment, named) for named in accept_unproven or ()]
    settings = {ACCEPT: accepted} if accepted else {}
    carry(
        lambda events: project.start(environment, "streams", ("consumers-on",), events, settings=settings),
        config=config,
        json=json,
    )


@commands.command()
def off(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Disable every configured consumer and wait until it is. The streams stay on and keep the records for 24 hours.

    Example: downstage streams off test
    """
    project = open_project(config)
    carry(lambda events: project.start(environment, "streams", ("consumers-off",), events), config=config, json=json)


@commands.command()
def status(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Show each consumer, its table and its state. Changes nothing.

    Example: downstage streams status test
    """
    import orjson

    from downstage.app import looks

    project = open_project(config)
    found = looks.consumers(project, environment)
    others = looks.other_consumers(project, environment)
    for consumer, live in found:
        if json:
            line = {
                "function": consumer.function,
                "table": consumer.table,
                "region": consumer.region,
                "state": consumer.state,
                "live_stream": live,
                "last_result": consumer.last_result,
                "configured": True,
            }
            typer.echo(orjson.dumps(line).decode())
        else:
            stale = "" if live else "  listens to a stream that is gone: deploy it again"
            typer.echo(f"{consumer.function:32} {consumer.table:32} {consumer.region:14} {consumer.state}{stale}")
    for consumer in others:
        if json:
            line = {
                "function": consumer.function,
                "table": consumer.table,
                "region": consumer.region,
                "state": consumer.state,
                "configured": False,
            }
            typer.echo(orjson.dumps(line).decode())
        else:
            said = f"{consumer.state}  not in streams.functions: a refresh does not hold it off"
            typer.echo(f"{consumer.function:32} {consumer.table:32} {consumer.region:14} {said}")
    if not found and not json:
        typer.echo("no consumer of the target tables matches streams.functions")


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="streams")
