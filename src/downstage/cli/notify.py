"""`notify`: who is told what becomes of an environment's refreshes, and whether a message arrives there."""

from __future__ import annotations

from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import NotifyError


def notify(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to each place.")] = False,
    json: options.Json = False,
) -> None:
    """Show who is told what becomes of an environment's refreshes ('notifications' in the configuration).

    With --test a message is sent to each place, whatever events it is told of; exit code 1 if one does not arrive.

    Example: downstage notify test --test
    """
    import orjson

    from downstage.app import notifying

    loaded = open_project(config).config
    if test:
        tried = notifying.try_out(loaded, environment)
    else:
        tried = [(place, "") for place in notifying.places_of(loaded, environment)]
    for place, why in tried:
        events = sorted(place.occasions)
        if json:
            sent = {"sent": not why, "why": why or None} if test else {}
            typer.echo(orjson.dumps({"event": "notify", "place": place.name, "events": events, **sent}).decode())
        elif test:
            typer.echo(f"✗ {why}" if why else f"✓ sent to {place.name}")
        else:
            typer.echo(f"{place.name}: {', '.join(events)}")
    if not tried and not json:
        typer.echo(f"nobody is told of {environment}: write 'notifications' into the configuration")
    if missed := [place.name for place, why in tried if why]:
        raise NotifyError(f"{len(missed)} of {len(tried)} places did not get the message: {', '.join(missed)}")


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(notify)
