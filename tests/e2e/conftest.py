"""The installed product: a wheel built from this tree in a clean environment, and the sandbox that it starts.

`DOWNSTAGE_INSTALLED` names the command where CI has installed the wheel already, `DOWNSTAGE_WHEEL` a wheel to install.
Every sandbox lives below pytest's own directory and is ended by the pids that it wrote down.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]


@dataclass(frozen=True)
class Cli:
    """The `downstage` command of the installed wheel."""

    program: Path

    def __call__(self, *arguments: object, environ: dict[str, str] | None = None, timeout: float = 300) -> Answer:
        done = subprocess.run(
            [str(self.program), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environ(environ),
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """The command, left running; its output is dropped."""
        return subprocess.Popen(
            [str(self.program), *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environ(environ),
        )

    def environ(self, more: dict[str, str] | None) -> dict[str, str]:
        """The caller's environment without any AWS or Downstage setting."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOWNSTAGE_"))}
        return {**kept, "COLUMNS": "200", **(more or {})}


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command, installed from the wheel with the sandbox extra and nothing else; once for all workers."""
    installed = os.environ.get("DOWNSTAGE_INSTALLED")
    if installed is not None:
        return Cli(Path(installed))
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (folder / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place, done = folder / "wheel", folder / "wheel" / "installed"
        if not done.exists():
            _install(place)
            done.touch()
    return Cli(place / "venv/bin/downstage")


def _install(place: Path) -> None:
    """Makes `venv` in `place`, with the wheel that the environment names, or one built from this tree."""
    wheel = os.environ.get("DOWNSTAGE_WHEEL")
    if wheel is None:
        _run(sys.executable, "-m", "build", "--wheel", "--outdir", place, ROOT)
        wheel = str(next(place.glob("*.whl")))
    _run(sys.executable, "-m", "venv", place / "venv")
    _run(place / "venv/bin/python", "-m", "pip", "install", "--quiet", f"{wheel}[sandbox]")


@dataclass(frozen=True)
class Place:
    """A running sandbox."""

    directory: Path
    config: Path
    endpoint: str
    truth: dict[str, Any]


def bring_up(cli: Cli, directory: Path, cases: int) -> Place:
    """A sandbox with `cases` cases, started by the installed command."""
    answer = cli("sandbox", "up", "--directory", directory, "--cases", cases, "--fresh", "--json")
    assert answer.code == 0, answer.err
    record = answer.lines[-1]
    truth = json.loads(Path(record["truth"]).read_text(encoding="utf-8"))
    return Place(directory, Path(record["config"]), record["endpoint"], truth)


@pytest.fixture(scope="module")
def place(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A small sandbox for the tests of one module."""
    directory = tmp_path_factory.mktemp("sandbox")
    try:
        yield bring_up(cli, directory, cases=60)
    finally:
        cli("sandbox", "down", "--directory", directory)


@pytest.fixture(scope="session")
def here() -> Cli:
    """The command of this environment, which has every extra; the wheel's has the sandbox and nothing else."""
    return Cli(Path(sys.executable).parent / "downstage")


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Callable[[], Path]:
    """Gives the configuration in a new directory each time, with no state and the journal in the control table."""
    made = 0

    def another() -> Path:
        nonlocal made
        made += 1
        directory = tmp_path / f"machine-{made}"
        directory.mkdir()
        for name in ("aws", "mask.key"):
            source = place.config.parent / name
            if source.is_dir():
                shutil.copytree(source, directory / name)
            else:
                shutil.copy(source, directory / name)
        text = place.config.read_text(encoding="utf-8")
        assert "journal: sqlite" in text
        (directory / "downstage.yaml").write_text(text.replace("journal: sqlite", "journal: dynamodb"))
        return directory / "downstage.yaml"

    return another


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
