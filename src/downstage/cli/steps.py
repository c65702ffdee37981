"""Each step of a refresh as a command of its own: the same code, the same journal, the same guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project
from downstage.errors import UsageError


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    steps: tuple[str, ...]
    help: str


_COMMANDS = (
    _Command(
        "wipe",
        ("capture-search", "wipe"),
        "Empty the indices, delete the tables and search domains that 'wipe' names, in each of its regions and with "
        "every replica, and wait.",
    ),
    _Command(
        "deploy",
        ("deploy", "restore-search"),
        "Make the tables, search domain and consumers anew, as 'deploy' says.",
    ),
    _Command("copy", ("export", "copy"), "Copy the tables, addresses pseudonymised. Refused if a target holds items."),
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in _COMMANDS:
        app.command(command.name, help=f"{command.help}\n\nExample: downstage {command.name} test")(_runner(command))
    app.command("flags")(_flags)
    app.command("verify")(_verify)


def _flags(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
    before: Annotated[
        bool,
        typer.Option(
            "--before",
            help="Set nothing: show what the flags were before the newest run set them. They may be secrets.",
        ),
    ] = False,
) -> None:
    """Set the environment's flags (deploy table, SSM parameters) and read them back.

    Example: downstage flags test
    """
    project = open_project(config)
    if not before:
        carry(lambda events: project.start(environment, "flags", ("flags",), events), config=config, json=json)
        return
    import orjson

    from downstage.app import looks

    run, found = looks.flags_before(project, environment)
    for label, value in found:
        if json:
            typer.echo(orjson.dumps({"run_id": run, "flag": label, "before": value}).decode())
        else:
            said = "not set" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
            typer.echo(f"{label}: {said}")


def _verify(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    engine: options.Engine = None,
    workers: options.Workers = None,
    json: options.Json = False,
    leaks: Annotated[
        bool,
        typer.Option(
            "--leaks",
            help="Only look for addresses: in tables, buckets (keys; metadata and tags of a sample) and every index. "
            "Needs no copy made by Downstage; exit code 5 if anything is found.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="First mend the tables: put what is missing or differs as the source, masked, has it now; delete what "
            "is extra. What changed in the source since the copy is left. Without it nothing is written.",
        ),
    ] = False,
) -> None:
    """Prove the newest copy again: digests, counts, leaks. A table that is not what was written is compared with its
    source item by item; --repair mends it. With --leaks only the leak scan, whoever filled the target.

    Example: downstage verify test --repair
    """
    if leaks and repair:
        raise UsageError("--leaks only looks, --repair writes: ask for one of them (nothing was written)")
    proof: tuple[str, ...] = ("verify-tables", "verify-buckets")
    kind, steps = "verify", proof
    if leaks:
        kind, steps = "leaks", ("scan",)
    elif repair:
        kind, steps = "repair", ("repair-tables", *proof)
    project = open_project(config, engine, workers)
    carry(lambda events: project.start(environment, kind, steps, events), config=config, json=json)


def _runner(command: _Command) -> Callable[..., None]:
    def run(
        environment: options.Environment,
        config: options.Config = options.DEFAULT_CONFIG,
        engine: options.Engine = None,
        workers: options.Workers = None,
        json: options.Json = False,
    ) -> None:
        project = open_project(config, engine, workers)
        carry(
            lambda events: project.start(environment, command.name, command.steps, events),
            config=config,
            json=json,
        )

    return run
