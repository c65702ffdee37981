"""`downstage`: the commands put together, and the one place where errors become exit codes.

0 ok · 1 failed · 2 usage or configuration · 3 refused by a guard · 4 verification failed
5 personal data found in the target · 6 finished with quarantined or skipped items or objects
75 time-box reached, call again · 130 interrupted
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from downstage import __version__
from downstage.cli import demo, keys, project, refresh, report, runs, sandbox, steps, streams
from downstage.errors import DownstageError

app = typer.Typer(
    name="downstage",
    help="Refresh a lower AWS environment from production: DynamoDB with every e-mail address pseudonymised in "
    "flight, buckets, search; and prove that nothing is missing, altered or leaked.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 refused by a guard, 4 verification failed, "
    "5 personal data found, 6 finished with items or objects left out, 75 time-box reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"downstage {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = (
        False
    ),
) -> None:
    pass


for module in (project, refresh, runs, steps, streams, report, keys, sandbox, demo):
    module.add_to(app)


def main() -> None:
    """The entry point: runs the command and ends the process with an honest exit code."""
    try:
        app()
    except DownstageError as error:
        _say(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo(
            "downstage: interrupted; nothing is lost: see 'downstage runs', then 'downstage resume RUN'", err=True
        )
        _leave(130)
    except BrokenPipeError:
        _leave(1)


def _say(error: DownstageError) -> None:
    for line in str(error).splitlines():
        typer.echo(f"downstage: {line}", err=True)


def _leave(code: int) -> None:
    """Ends at once: threads and worker processes hold nothing that the journal does not."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    os._exit(code)
