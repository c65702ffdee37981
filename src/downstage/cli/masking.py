"""`mask`, `explain`, `diff`, `coverage`, `discover`: policy work before a refresh. Production is only read.

`mask` and `explain` work on files, with or without a configuration; the others read the source tables of ENV. No
value of the data is shown without --reveal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from downstage.cli import masking_output as output
from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import ConfigError, DownstageError, MaskingError, UsageError

if TYPE_CHECKING:
    from downstage.app.preview import Refusal
    from downstage.app.setting import Setting
    from downstage.app.showing import Shown

LEFT_OUT = 6

File = Annotated[Path, typer.Argument(help="A file of DynamoDB-JSON, gzip or not; '-' is standard input.")]
Table = Annotated[str, typer.Option("--table", "-t", help="The source table whose rules hold.")]
OneTable = Annotated[str | None, typer.Option("--table", "-t", help="This source table only.")]
EnvironmentName = Annotated[
    str, typer.Option("--env", "-e", help="The environment whose pseudonyms are made; of the configuration, if any.")
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="A masking policy in place of the configured one.")]
SinkAddress = Annotated[str | None, typer.Option("--sink", help="The address of every pseudonym, with {token}.")]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="DOWNSTAGE_CONFIG",
        help="The configuration file; downstage.yaml if it is there. Without one the key is in DOWNSTAGE_MASK_KEY.",
    ),
]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show values. They are personal data of production.")]
All = Annotated[bool, typer.Option("--all", help="Every item instead of a sample.")]
Sample = Annotated[int, typer.Option("--sample", "-n", min=1, help="How many items of each table, from all over it.")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.1, help="Read at most this many capacity units a second.")]


def mask(
    table: Table,
    file: File = Path("-"),
    environment: EnvironmentName = "test",
    config: OptionalConfig = None,
    policy: PolicyFile = None,
    sink: SinkAddress = None,
    json: Annotated[bool, typer.Option("--json", help="Say how it went as JSON lines, on standard error.")] = False,
) -> None:
    """Mask DynamoDB-JSON: items, {"Item": …} lines of an export, Scan pages. Each comes out in the shape it came in.

    Works without any configuration, with the key in DOWNSTAGE_MASK_KEY. Items that cannot be masked are left out,
    each with a line on standard error, and the exit code is 6.

    Example: downstage mask --table app-prod export.json.gz
    """
    with _said_on_stderr(json):
        from downstage.app import preview
        from downstage.masking.compile import TableShape

        setting = _setting(config, environment, sink, policy)
        masker = setting.masker(TableShape(table))
        result = preview.MaskedFile()

        def refuse(refusal: Refusal) -> None:
            output.say_refused(refusal, json=json)

        with _opened(file) as stream:
            for text in preview.masked_documents(masker, stream, result, refuse):
                sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        summary = result.summary(masker)
        if json:
            output.line(
                {"event": "masked", "table": table, "environment": setting.plan.environment, **summary}, err=True
            )
        else:
            typer.echo(output.masked_sentence(summary), err=True)
        if result.refused:
            raise typer.Exit(LEFT_OUT)


def explain(
    table: Table,
    file: File = Path("-"),
    number: Annotated[int, typer.Option("--item", "-i", min=1, help="Which item of the file.")] = 1,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Read the item with this key (typed JSON) from the source table instead."),
    ] = None,
    environment: EnvironmentName = "test",
    config: OptionalConfig = None,
    policy: PolicyFile = None,
    sink: SinkAddress = None,
    reveal: Reveal = False,
    json: options.Json = False,
) -> None:
    """Say for one item what touches each of its leaves, and why. Shows paths and types; values only with --reveal.

    Example: downstage explain --table app-prod export.json.gz --item 3
    """
    from downstage.app import preview
    from downstage.app.showing import Shower
    from downstage.masking.compile import TableShape

    setting = _setting(config, environment, sink, policy)
    shape = TableShape(table)
    if key is not None:
        if file != Path("-"):
            raise UsageError("name a file or --key, not both")
        source = preview.SourceTables(_project(config), environment)
        shape = source.shape(table)
        item = source.item(table, preview.parse_key(key))
    else:
        with _opened(file) as stream:
            item = preview.nth_item(stream, number)
    shower = Shower(setting, setting.masker(shape), table, reveal=reveal)
    try:
        touches, shown = shower.explain(item)
    except MaskingError as error:
        output.say({"event": "refused", "table": table, "reason": str(error)}, f"refused: {error}", json=json)
        raise typer.Exit(LEFT_OUT) from None
    if json:
        leaves = [output.touch_object(touch) for touch in touches]
        changed = [output.shown_object(change) for change in shown] if reveal else []
        output.line({"table": table, "leaves": leaves, **({"changes": changed} if reveal else {})})
        return
    output.print_touches(touches)
    if reveal:
        output.print_changes([(number, change) for change in shown])


def diff(
    environment: options.Environment,
    table: OneTable = None,
    config: options.Config = options.DEFAULT_CONFIG,
    count: Sample = 20,
    rate: Rate = None,
    reveal: Reveal = False,
    json: options.Json = False,
) -> None:
    """Show before and after of every changed leaf of a sample of production; the before only as its length class.

    Example: downstage diff test --sample 50
    """
    from downstage.app import preview
    from downstage.app.setting import configured
    from downstage.app.showing import Shower

    project = open_project(config)
    source = preview.SourceTables(project, environment)
    setting = configured(project, environment)
    refused = 0
    for name in source.names(table):
        shower = Shower(setting, setting.masker(source.shape(name)), name, reveal=reveal)
        seen = _Differences(shower)
        source.visit(name, seen.look, count, rate)
        refused += len(seen.refused)
        if json:
            for number, change in seen.changes:
                output.line({"table": name, "item": number, **output.shown_object(change)})
            for number, reason in seen.refused:
                output.line({"event": "refused", "table": name, "item": number, "reason": reason})
            continue
        typer.echo(f"{name}: {output.several(seen.items, 'item')}, {len(seen.changes):,} changed leaves")
        output.print_changes(seen.changes)
        for number, reason in seen.refused:
            typer.echo(f"item {number}: refused: {reason}")
        typer.echo()
    if refused:
        raise typer.Exit(LEFT_OUT)


def coverage(
    environment: options.Environment,
    table: OneTable = None,
    config: options.Config = options.DEFAULT_CONFIG,
    count: Sample = 1000,
    every: All = False,
    rate: Rate = None,
    json: options.Json = False,
) -> None:
    """Show for each path how many leaves are ruled, scanned, kept or unknown to the lock, and what was never met.

    Example: downstage coverage test
    """
    from downstage.app import preview
    from downstage.app.coverage import coverage as covered
    from downstage.app.setting import configured

    project = open_project(config)
    source = preview.SourceTables(project, environment)
    setting = configured(project, environment)
    refused = 0
    for name in source.names(table):
        found = covered(source, setting, name, None if every else count, rate)
        refused += found.refused.total()
        if json:
            output.line(output.coverage_object(found))
        else:
            output.print_coverage(found)
    if refused:
        raise typer.Exit(LEFT_OUT)


def discover(
    environment: options.Environment,
    table: OneTable = None,
    config: options.Config = options.DEFAULT_CONFIG,
    count: Sample = 1000,
    every: All = False,
    rate: Rate = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the lock knew of these tables.")] = False,
    presidio: Annotated[
        bool, typer.Option("--presidio", help="Look for names of people in free text too (extra 'pii'; slow).")
    ] = False,
    json: options.Json = False,
) -> None:
    """Look at production and write masking.lock (paths and types) and masking.draft.yaml (what looks personal).

    Neither holds a value. The lock keeps what it knew unless --fresh; masking.yaml is never touched.

    Example: downstage discover test
    """
    from downstage.app import discovery, preview
    from downstage.masking.observation import Shapes
    from downstage.masking.personal import shapes_of

    shapes: Shapes = shapes_of
    if presidio:
        from downstage.app.free_text import with_people

        shapes = with_people(shapes_of)
    ground = discovery.ground(config)
    source = preview.SourceTables(ground.project, environment)
    found = []
    tables = source.names(table)
    for one in discovery.discover(source, tables, shapes, count=None if every else count, rate=rate, fresh=fresh):
        found.append(one)
        if json:
            output.line(output.discovery_object(one))
        else:
            output.print_discovery(one, sampled=not every)
    written = discovery.write_discovery(source, found, ground.lock_path, ground.policy_path)
    if json:
        output.line({"event": "written", "lock": str(written.lock_path), "draft": str(written.draft_path)})
        return
    typer.echo(f"wrote {written.lock_path}: review the difference and commit it")
    typer.echo(f"wrote {written.draft_path}: read every line, correct it, and make it your masking policy")


# ---- what goes in


def _setting(config: Path | None, environment: str, sink: str | None, policy: Path | None) -> Setting:
    from downstage.app.setting import setting_for

    return setting_for(
        config or options.DEFAULT_CONFIG, named=config is not None, environment=environment, sink=sink, policy=policy
    )


def _project(config: Path | None) -> Any:
    if config is None and not options.DEFAULT_CONFIG.exists():
        raise ConfigError("--key needs a configuration, which says where the source table is: name it with --config")
    return open_project(config or options.DEFAULT_CONFIG)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == Path("-"):
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    with stream:
        yield stream


@contextmanager
def _said_on_stderr(json: bool) -> Iterator[None]:
    """Keeps standard output for items: with --json an error is an object on standard error."""
    try:
        yield
    except DownstageError as error:
        sys.stdout.buffer.flush()
        if not json:
            raise
        output.line({"event": "error", "message": str(error), "exit_code": error.exit_code}, err=True)
        raise typer.Exit(error.exit_code) from None


class _Differences:
    """The changed leaves of a sample, with the number of their item."""

    def __init__(self, shower: Any) -> None:
        self._shower = shower
        self.items = 0
        self.changes: list[tuple[int, Shown]] = []
        self.refused: list[tuple[int, str]] = []

    def look(self, item: dict[str, Any]) -> None:
        """Takes one item."""
        self.items += 1
        try:
            _, shown = self._shower.explain(item)
        except MaskingError as error:
            self.refused.append((self.items, str(error)))
            return
        self.changes += ((self.items, change) for change in shown)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(mask)
    app.command()(explain)
    app.command()(diff)
    app.command()(coverage)
    app.command()(discover)
