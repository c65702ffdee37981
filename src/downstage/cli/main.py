"""`downstage`: the commands put together, and the one place where errors become exit codes.

0 ok · 1 failed · 2 usage or configuration · 3 refused by a guard · 4 verification failed
5 personal data found in the target · 6 finished with quarantined or skipped items or objects
75 time-box reached, call again · 130 interrupted (Ctrl-C) · 143 terminated (SIGTERM)
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from downstage import __version__
from downstage.cli import (
    ci,
    demo,
    glue,
    iam,
    index,
    interrupts,
    keys,
    masking,
    notify,
    project,
    refresh,
    report,
    runner,
    runs,
    sandbox,
    schedule,
    steps,
    streams,
    sync,
    tables,
)
from downstage.errors import DownstageError, LeaseLost, TimeBoxReached

_CommandLineError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]
"""Every mistake on the command line; typer itself exports only the one below it."""

app = typer.Typer(
    name="downstage",
    help="Refresh a lower AWS environment from production: DynamoDB with every e-mail address pseudonymised in "
    "flight, buckets, search; and prove that nothing is missing, altered or leaked.\n\nExample: downstage demo",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 refused by a guard, 4 verification failed, "
    "5 personal data found, 6 finished with items or objects left out, 75 time-box reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from downstage.masking.kernel import KERNEL  # here: no other command line needs it so early

        loops = "in Python" if KERNEL is None else "compiled"
        typer.echo(f"downstage {__version__} (inner loops {loops})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = (
        False
    ),
) -> None:
    pass


for module in (
    project,
    refresh,
    runs,
    runner,
    steps,
    streams,
    index,
    sync,
    tables,
    report,
    masking,
    keys,
    iam,
    glue,
    notify,
    schedule,
    ci,
    sandbox,
    demo,
):
    module.add_to(app)


def main() -> None:
    """The entry point: runs the command and ends the process with an honest exit code."""
    threading.excepthook = _thread_failed
    try:
        with interrupts.bounded(_say_interrupted) as interruption:
            code = app(standalone_mode=False)
    except DownstageError as error:
        _say(str(error), error.exit_code)
        if isinstance(error, (TimeBoxReached, LeaseLost)) and _others_at_work():
            _leave(error.exit_code)  # what they would still do is in nobody's turn
        sys.exit(error.exit_code)
    except _CommandLineError as error:
        if _as_json():
            _say(error.format_message(), error.exit_code)
        else:
            error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _leave_interrupted(interruption.exit_code)
    except BrokenPipeError:
        _leave(1)
    except OSError as error:
        _show_traceback(error)
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}the system says: {error.strerror or type(error).__name__}", 1)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a traceback may quote an item
        _say(_bug(error), 1)
        sys.exit(1)
    if code == interrupts.BY_TYPER:
        _leave_interrupted(interruption.exit_code)
    sys.exit(code or 0)


def _as_json() -> bool:
    return "--json" in sys.argv[1:]


def _say(message: str, exit_code: int) -> None:
    """Why the command failed: lines on standard error, or with `--json` one object on standard output."""
    if _as_json():
        typer.echo(json.dumps({"event": "error", "message": message, "exit_code": exit_code}))
        return
    for line in message.splitlines():
        typer.echo(f"downstage: {line}", err=True)


def _bug(error: BaseException) -> str:
    """An error that nobody foresaw, in one line: what and where, but never its text, which may quote an item."""
    _show_traceback(error)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}downstage{os.sep}" in frame.filename] or frames
    where = f" in {Path(own[-1].filename).stem}:{own[-1].lineno}" if own else ""
    return (
        f"internal error ({type(error).__name__}{where}); this is a bug: please report this line; "
        "set DOWNSTAGE_DEBUG=1 for the traceback"
    )


def _show_traceback(error: BaseException) -> None:
    """For who asks for it."""
    if os.environ.get("DOWNSTAGE_DEBUG") == "1":
        traceback.print_exception(error)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        typer.echo(f"downstage: {_bug(failure.exc_value)}", err=True)


def _say_interrupted(code: int) -> None:
    ended = "terminated" if code == 128 + signal.SIGTERM else "interrupted"
    _say(f"{ended}; nothing is lost: see 'downstage runs', then 'downstage resume RUN'", code)


def _leave_interrupted(code: int) -> NoReturn:
    _say_interrupted(code)
    _leave(code)


def _others_at_work() -> bool:
    """Whether threads are left for whose end the interpreter would wait."""
    return any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate())


def _leave(code: int) -> NoReturn:
    """Ends at once: threads and worker processes hold nothing that the journal does not."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    os._exit(code)
