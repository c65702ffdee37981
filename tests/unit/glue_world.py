"""What the tests of Glue's commands share: a configuration with a job, a Glue that does as it is told, and commands run
as a user runs them. What pip would download is invented here, and so is the wheel of Downstage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from downstage.app import glue_bundle
from downstage.app.runs import Project
from downstage.cli.main import app
from downstage.domain.plan import RefreshPlan
from downstage.errors import DownstageError
from tests.glue_server.server import FakeGlue, serving

ROLE = "arn:aws:iam::111111111111:role/downstage-glue"
CONFIG = """\
version: 1
journal: sqlite
environments:
  prod: {{account: "111111111111", region: us-east-1, role: "arn:aws:iam::111111111111:role/read", protected: true,
         endpoint: "{endpoint}"}}
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/write
    endpoint: "{endpoint}"
    refresh: {{from: prod, tables: [{{from: app-prod, to: app-test}}]}}
masking: {{key: "secretsmanager:downstage/key"}}
engine: {{default: glue, glue: {{job: copy, role: "{role}", bucket: files{more}}}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGlue]:
    with serving() as fake:
        yield fake


@pytest.fixture
def glue(server: FakeGlue, monkeypatch: pytest.MonkeyPatch) -> FakeGlue:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(glue_bundle, "dependencies", lambda: {"dep-1.0-py3-none-any.whl": b"a wheel"})
    monkeypatch.setattr(glue_bundle, "own_wheel", lambda _files: ("downstage-0.1.0-py3-none-any.whl", b"ours"))
    server.begin_anew()
    return server


def configured(folder: Path, glue: FakeGlue | None, more: str = "", replaced: tuple[str, str] = ("", "")) -> Path:
    path = folder / "downstage.yaml"
    endpoint = "http://127.0.0.1:9" if glue is None else glue.endpoint
    path.write_text(CONFIG.format(endpoint=endpoint, role=ROLE, more=more).replace(*replaced))
    return path


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of a command, an error's line included."""
    answer = CliRunner().invoke(app, [str(word) for word in arguments])
    if isinstance(answer.exception, DownstageError):
        return answer.exception.exit_code, f"{answer.output}{answer.exception}"
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, answer.output


def deploy(config: Path, *more: str) -> tuple[int, str]:
    return run("glue", "deploy", "test", "--config", config, *more)


def plan(config: Path) -> RefreshPlan:
    return Project.open(config).plan("test")
