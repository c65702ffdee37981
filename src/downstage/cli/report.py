"""`report`: the proof of a run, for people and machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import UsageError


def report(
    run: options.Run = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: Annotated[bool, typer.Option("--json", help="The JSON document (see --schema).")] = False,
    html: Annotated[bool, typer.Option("--html", help="One self-contained page.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request or a CI summary.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="The JSON Schema of the JSON document.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
) -> None:
    """Show the proof of a run: on the terminal, or as JSON, HTML or Markdown.

    Example: downstage report --html -o proof.html
    """
    import sys

    if json + html + markdown + schema > 1:
        raise UsageError("name one of --json, --html, --markdown, --schema")
    if schema:
        _write(_schema(), output)
        return
    project = open_project(config)
    outcome = project.outcome(project.find(run))
    if json:
        from downstage.report.as_json import render_json

        _write(render_json(outcome), output)
    elif html:
        from downstage.report.html import render_html

        _write(render_html(outcome), output)
    elif markdown or output is not None:
        from downstage.report.markdown import render_markdown

        _write(render_markdown(outcome), output)
    else:
        from downstage.console.tables import print_outcome

        print_outcome(outcome, sys.stdout)


def _schema() -> str:
    import orjson

    from downstage.report.model import schema

    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode()


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(report)
