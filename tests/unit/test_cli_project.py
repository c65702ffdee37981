"""`check` says notes and problems apart, to people and to machines; its exit code is that of the worst problem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from downstage.app import looks
from downstage.cli.main import app
from downstage.config.example import template
from downstage.errors import ConfigError, DownstageError, GuardRefused


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "downstage.yaml"
    path.write_text(template(), encoding="utf-8")
    return path


def found(monkeypatch: pytest.MonkeyPatch, *problems: DownstageError) -> None:
    def look(_project: Any, _environment: str, note: Callable[[str], None]) -> list[DownstageError]:
        note("clock: not compared")
        note("clock: not compared")
        return list(problems)

    monkeypatch.setattr(looks, "problems", look)


def check(config: Path, *more: str) -> tuple[int, list[str]]:
    answer = CliRunner().invoke(app, ["check", "test", "--config", str(config), *more])
    return answer.exit_code, answer.output.splitlines()


def test_notes_do_not_fail_a_check(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    found(monkeypatch)
    code, lines = check(config)
    assert code == 0
    assert lines[0] == "· clock: not compared"
    assert lines[1].startswith("✓")


def test_problems_stand_beside_notes(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    found(monkeypatch, ConfigError("no disk"), GuardRefused("refused: a role that writes"))
    code, lines = check(config)
    assert code == 3
    assert lines == ["· clock: not compared", "✗ no disk", "✗ refused: a role that writes"]


def test_machines_get_one_object_a_line(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    found(monkeypatch, ConfigError("no disk"))
    code, lines = check(config, "--json")
    assert code == 2
    assert [orjson.loads(line) for line in lines] == [
        {"note": "clock: not compared"},
        {"problem": "no disk", "exit_code": 2},
    ]
