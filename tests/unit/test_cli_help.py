"""`downstage --help`: quick, light, and complete; and what the command says when an extra is not installed."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from downstage.cli.main import app

HEAVY = ("boto3", "botocore", "dbos", "pydantic", "pyspark", "rich", "orjson", "opensearchpy", "jinja2")
CPU_SECONDS = 0.5

_HELP = """
import sys
sys.argv = ["downstage", *{arguments!r}]
from downstage.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *[name for name in {heavy!r} if name in sys.modules])
"""

_WITHOUT_EXTRA = """
import sys
for name in ("ministack", "osmem_server", "psutil"):
    sys.modules[name] = None
sys.argv = ["downstage", *{arguments!r}]
from downstage.cli.main import main
main()
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The command and everything below it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("arguments", [["--help"], ["refresh", "--help"], ["sandbox", "up", "--help"], ["--version"]])
def test_help_loads_nothing_heavy_and_is_quick(arguments: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    heavy = [name for name in HEAVY if name != "pydantic" or arguments == ["--help"]]  # typer's own, for arguments
    done = python(_HELP.format(arguments=arguments, heavy=heavy))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
    assert (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime) < CPU_SECONDS


def test_the_commands_are_those_of_the_design() -> None:
    known = {" ".join(path) for path in EVERY if path}
    assert {"init", "check", "plan", "refresh", "resume", "runs", "status", "report", "demo"} <= known
    assert {"flags", "wipe", "deploy", "copy", "sync", "index", "verify", "streams on", "streams off"} <= known
    assert {"key new", "key check", "sandbox up", "sandbox down", "sandbox status"} <= known


@pytest.mark.parametrize("path", EVERY, ids=lambda path: " ".join(path) or "downstage")
def test_every_command_has_a_help_text_with_an_example(path: tuple[str, ...]) -> None:
    text = EVERY[path].help or ""
    assert len(text.partition("\n")[0]) > 15
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("Example: downstage")]
    assert len(examples) == 1
    shown = tuple(examples[0].removeprefix("Example: downstage ").split())
    if path and not getattr(EVERY[path], "commands", None):
        assert shown[: len(path)] == path
    assert any(shown[: len(known)] == known for known in EVERY if known)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: " ".join(path) or "downstage")
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    unexplained = [parameter.name for parameter in EVERY[path].params if not getattr(parameter, "help", None)]
    assert unexplained == []


@pytest.mark.parametrize("arguments", [["sandbox", "up"], ["demo"]])
def test_without_the_sandbox_extra_one_line_says_what_to_install(arguments: list[str], tmp_path: Any) -> None:
    done = python(_WITHOUT_EXTRA.format(arguments=[*arguments, "-d", str(tmp_path / "box")]))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("downstage: ")
    assert "pip install" in done.stderr
    assert "downstage[sandbox]" in done.stderr
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["key", "new"], ["refresh", "--help"]])
def test_without_the_sandbox_extra_everything_else_works(arguments: list[str]) -> None:
    done = python(_WITHOUT_EXTRA.format(arguments=arguments))
    assert done.returncode == 0, done.stderr
    assert done.stdout
