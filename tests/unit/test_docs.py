"""The README may not say what the code does not do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from downstage.cli.main import app
from downstage.config.load import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> dict[str, typer.models.CommandInfo | typer.models.TyperInfo]:
    found: dict[str, typer.models.CommandInfo | typer.models.TyperInfo] = {}
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        found[name] = command
    for family in app.registered_groups:
        assert isinstance(family.name, str)
        found[family.name] = family
    return found


def test_every_command_is_in_the_readme_and_nothing_else() -> None:
    described = set(re.findall(r"`downstage ([a-z]+)", README))
    assert described == set(_commands())


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_has_help(name: str) -> None:
    answer = CliRunner().invoke(app, [name, "--help"])
    assert answer.exit_code == 0
    assert "Example" in answer.output or isinstance(_commands()[name], typer.models.TyperInfo)


def test_every_option_that_the_readme_names_exists() -> None:
    known = set()
    for name in _commands():
        known |= set(re.findall(r"--[a-z]+", CliRunner().invoke(app, [name, "--help"]).output))
    named = set(re.findall(r"`(?:downstage [a-z ]*)?(--[a-z]+)", README))
    assert named <= known


def test_the_readmes_configuration_and_policy_load(tmp_path: Path) -> None:
    config, policy = re.findall(r"```yaml\n(version: 1\n.*?)```", README, re.DOTALL)
    path = tmp_path / "downstage.yaml"
    (tmp_path / "masking.yaml").write_text(policy, encoding="utf-8")
    path.write_text(config.replace("masking: {", "masking: {policy: masking.yaml, "), encoding="utf-8")
    loaded = load(path, environ={})
    assert loaded.config.environments["test"].refresh is not None
    assert [table.table for table in loaded.masking_files.policy.tables] == ["app-*"]


def test_the_readmes_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from downstage import errors

    named = {int(code) for code in re.findall(r"(?:^|· )(\d+) ", README.split("Exit codes:")[1].split("\n\n")[0], re.M)}
    raised = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.DownstageError)
    }
    assert named >= raised - {75}
