"""`iam`: the least that each role of a refresh must be allowed, as JSON or Terraform."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import UsageError

if TYPE_CHECKING:
    from downstage.app.runs import Project
    from downstage.iam.roles import Role


class Format(StrEnum):
    """How the roles are written."""

    json = "json"
    terraform = "terraform"


class Which(StrEnum):
    """A role of a refresh."""

    source = "source"
    target = "target"
    glue = "glue"
    launcher = "launcher"


def iam(
    environment: options.Environment,
    config: options.Config = options.DEFAULT_CONFIG,
    role: Annotated[list[Which] | None, typer.Option("--role", help="This role only; may be repeated.")] = None,
    format: Annotated[Format, typer.Option("--format", help="JSON documents, or Terraform.")] = Format.json,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write a file for each role there, in place of printing."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Print the least-privilege policies and the trust of each role that a refresh uses. Asks nothing of AWS.

    Only what the configuration uses is allowed, on the tables, buckets, functions and domains that it names: print them
    again when it changes. Each policy is below AWS's limit for a managed policy.

    Example: downstage iam test --format terraform --out iam
    """
    from downstage.app import policies

    project = open_project(config)
    found, doubts = policies.roles(project, environment)
    chosen = [one for one in found if not role or one.name in [each.value for each in role]]
    if not chosen:
        raise UsageError("there is no Glue job in the configuration: write 'engine.glue', or name another role")
    if json and format is Format.terraform:
        raise UsageError("--json goes with --format json")
    if format is Format.json:
        written = _json(chosen, one_line=json)
        whole = written.pop("")
    else:
        written = _terraform(project, environment, chosen)
        whole = "\n".join(written.values())
    for doubt in doubts:
        typer.echo(f"downstage: note: {doubt}", err=True)
    if out is None:
        typer.echo(whole, nl=not whole.endswith("\n"))
        return
    _write(out, written)
    if not json:
        for name in written:
            typer.echo(f"wrote {out / name}")


def _json(roles: list[Role], *, one_line: bool) -> dict[str, str]:
    """The files by name, and under no name all in one object."""
    import orjson

    option = None if one_line else orjson.OPT_INDENT_2
    files = {f"{role.name}.json": orjson.dumps(role.record, option=option).decode() + "\n" for role in roles}
    return {**files, "": orjson.dumps({role.name: role.record for role in roles}, option=option).decode()}


def _terraform(project: Project, environment: str, roles: list[Role]) -> dict[str, str]:
    """The files by name."""
    from downstage.iam import terraform

    plan = project.plan(environment)
    known = [(one.account, one.name) for one in (plan.source, plan.target, *project.environments())]
    providers = terraform.providers_of(roles, known, plan.source.account)
    files = {f"{role.name}.tf": terraform.role_text(role, providers, plan.source.account) for role in roles}
    return {"providers.tf": terraform.declaration(providers), **files}


def _write(directory: Path, files: dict[str, str]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror}") from None


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(iam)
