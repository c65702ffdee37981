"""Each step of a refresh as a command of its own: the same code, the same journal, the same guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import carry, open_project


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    steps: tuple[str, ...]
    help: str


_COMMANDS = (
    _Command("flags", ("flags",), "Set the environment's flags (deploy table, SSM parameters) and read them back."),
    _Command("wipe", ("wipe",), "Empty the indices, delete the tables and search domains that 'wipe' names, and wait."),
    _Command("deploy", ("deploy",), "Make the tables, search domain and consumers anew, as 'deploy' says."),
    _Command("copy", ("copy",), "Copy the tables, every address pseudonymised. Refused if a target holds items."),
    _Command("sync", ("sync", "verify-buckets"), "Make the buckets hold what production's hold, and compare listings."),
    _Command("index", ("index", "verify-index"), "Wait until the indexes hold what they must, then compare ids."),
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in _COMMANDS:
        app.command(command.name, help=f"{command.help}\n\nExample: downstage {command.name} test")(_runner(command))
    app.command("verify")(_verify)


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
) -> None:
    """Prove the newest copy again: digests, counts, leaks. With --leaks only the leak scan, whoever filled the target.

    Example: downstage verify test --leaks
    """
    kind, steps = ("leaks", ("scan",)) if leaks else ("verify", ("verify-tables", "verify-buckets"))
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
            every_object=command.name == "sync",
        )

    return run
