"""`runner`: the service that carries detached and scheduled refreshes through."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.cli.refresh import seconds_of


def runner(
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    time_box: Annotated[
        str | None,
        typer.Option(
            "--time-box", metavar="TIME", help="Carry each run in pieces of 90s, 59m or 2h, unless it has its own."
        ),
    ] = None,
    poll: Annotated[float, typer.Option("--poll", min=0.2, help="Seconds between two looks at the journal.")] = 10.0,
) -> None:
    """Serve: start refreshes that are due ('schedule: {via: runner}') and carry them and detached ones through.

    One for each state directory. It can be killed at any time: it goes on where it was when it is started again. Runs
    on until Ctrl-C or SIGTERM.

    Example: downstage runner --config /etc/downstage/downstage.yaml
    """
    import threading
    from datetime import UTC, datetime

    from downstage.app import background
    from downstage.console.progress import sink_for
    from downstage.durable.dbos import DbosQueue

    limit = seconds_of(time_box)
    project = open_project(config)
    database = background.database_of(project)

    def say(text: str) -> None:
        typer.echo(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", err=True)

    with (
        background.the_only_runner(project) as executor,
        sink_for(sys.stdout if json else sys.stderr, json=json, verbose=False) as events,
    ):
        service = background.Runner(lambda: open_project(config), events, say, lambda: datetime.now(UTC), limit)
        with DbosQueue(database, executor, service.carry) as queue:
            say(f"serving {project.state} as {executor}")
            for run_id in queue.left_behind:
                say(f"{run_id}: another version of the runner had it under way; it is taken up anew from the journal")
            try:
                background.serve(service, queue, threading.Event(), poll)
            except KeyboardInterrupt:
                say("stopped: what was being carried goes on when the runner is started again")
                service.leave()
                sys.stderr.flush()
                sys.stdout.flush()
                os._exit(0)  # threads of runs hold nothing that the journal does not; DBOS's outlive its end


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(runner)
