"""`downstage verify`: which steps it asks for, as which kind of run, and how `--leaks` ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from downstage.cli import steps
from downstage.errors import UsageError
from downstage.ports import EventSink


class Asked:
    """A project that keeps what it is asked to start."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, tuple[str, ...]]] = []

    def start(self, environment: str, kind: str, chosen: tuple[str, ...], _events: EventSink) -> None:
        self.started.append((environment, kind, chosen))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    project = Asked()
    monkeypatch.setattr(steps, "open_project", lambda *_arguments: project)

    def carry(start: Callable[[Any], None], *, config: Path, json: bool) -> None:
        start(None)

    monkeypatch.setattr(steps, "carry", carry)
    return project


def invoke(*arguments: str) -> Any:
    app = typer.Typer()
    steps.add_to(app)
    return CliRunner().invoke(app, ["verify", *arguments])


def test_verify_proves_the_newest_copy(asked: Asked) -> None:
    assert invoke("test").exit_code == 0
    assert asked.started == [("test", "verify", ("verify-tables", "verify-buckets"))]


def test_repair_mends_the_tables_before_the_proof(asked: Asked) -> None:
    assert invoke("test", "--repair").exit_code == 0
    assert asked.started == [("test", "repair", ("repair-tables", "verify-tables", "verify-buckets"))]


def test_to_look_and_to_write_at_once_is_refused(asked: Asked) -> None:
    answer = invoke("test", "--repair", "--leaks")
    assert isinstance(answer.exception, UsageError)
    assert not asked.started


def test_leaks_is_the_leak_scan_alone_and_needs_no_copy(asked: Asked) -> None:
    assert invoke("test", "--leaks").exit_code == 0
    assert asked.started == [("test", "leaks", ("scan",))]
