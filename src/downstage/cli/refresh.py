"""`refresh` and `resume`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project
from downstage.errors import UsageError

if TYPE_CHECKING:
    from downstage.app.runs import Project

TimeBox = Annotated[
    str | None,
    typer.Option("--time-box", metavar="TIME", help="Stop and park the run after 90s, 59m or 2h; exit code 75."),
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="STEP", help="Run this step only; may be repeated.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="STEP", help="Leave this step out; may be repeated.")]


def refresh(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    only: Only = None,
    skip: Skip = None,
    time_box: TimeBox = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave it to the runner, or to a process of its own, and return at once.")
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Give up the run that keeps the environment, if no process is behind it any more."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """The whole refresh of an environment, and its proof.

    Steps: preflight, export, flags, capture-search, wipe, deploy, consumers-off, restore-search, copy and sync
    together, verify-tables, verify-buckets, expiry, parity, consumers-on, backfill, index, verify-index,
    discard-export. Steps that are left out make the result 'incomplete'.

    With --time-box the run stops in time with exit code 75 and is parked; 'resume' goes on with it, here or on any
    machine that has the same journal. With --detach as well, the runner carries it in such pieces, one after another.

    Example: downstage refresh test --time-box 59m
    """
    from downstage.app.choosing import choose_steps

    chosen = choose_steps(only or [], skip or [])
    limit = seconds_of(time_box)
    project = open_project(config, engine, workers)
    if detach:
        _detach(project, environment, chosen, engine, workers, time_box=limit, take_over=take_over, json=json)
        return
    carry(
        lambda events: project.start(environment, "refresh", chosen, events, time_box=limit, take_over=take_over),
        config=config,
        json=json,
    )


def resume(
    run: Annotated[str, typer.Argument(help="The run's id, from 'downstage runs'.")],
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    time_box: TimeBox = None,
    restart: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Do this step and all after it again, as if they had never begun."),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Take the environment from another run, if no process is behind that any more."
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Go on with a run that was cut off, parked or failed, from its last checkpoints. Finished steps are not done
    again.

    Example: downstage resume test-20260101-050000-1a2b
    """
    project = open_project(config, engine, workers)
    limit = seconds_of(time_box)
    carry(
        lambda events: project.resume(run, events, time_box=limit, take_over=take_over, restart=restart),
        config=config,
        json=json,
    )


def seconds_of(text: str | None) -> float | None:
    """The length of a time-box such as 90s, 59m or 2h. Raises UsageError."""
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit() or not int(number):
        raise UsageError(f"--time-box: '{text}' is no length of time: write 90s, 59m or 2h")
    return float(int(number) * units[unit])


def _detach(
    project: Project,
    environment: str,
    steps: Sequence[str],
    engine: str | None,
    workers: int | None,
    *,
    time_box: float | None,
    take_over: bool,
    json: bool,
) -> None:
    import sys

    from downstage.app.background import detach
    from downstage.console.progress import sink_for

    chosen = (("--engine", engine), ("--workers", workers))
    more = [str(part) for option, value in chosen if value is not None for part in (option, value)]
    with sink_for(sys.stderr, json=json, verbose=False) as events:
        run, log = detach(project, environment, steps, more, events=events, time_box=time_box, take_over=take_over)
    if json:
        import orjson

        typer.echo(orjson.dumps({"run_id": run.run_id, "log": None if log is None else str(log)}).decode())
        return
    whose = "the runner carries it through" if log is None else f"it goes on by itself; its log: {log}"
    typer.echo(f"{run.run_id}: {whose}")
    typer.echo(f"see 'downstage status {run.run_id} --follow'")


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(refresh)
    app.command()(resume)
