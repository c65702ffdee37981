"""A command that deploys: what it is told, what is kept of what it says, and that two never run at one time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from downstage.app.clock import SystemClock
from downstage.ci import command
from downstage.ci.command import CommandDeployer
from downstage.console.redaction import redact
from downstage.errors import CiError, ConfigError


def deployer(tmp_path: Path, *run: str, **changes: Any) -> CommandDeployer:
    settings: dict[str, Any] = {
        "run": run,
        "directory": tmp_path,
        "environment": {},
        "patience": 60.0,
        "lock": tmp_path / "state" / "deploy.lock",
        "clock": SystemClock(),
        "flags": lambda: {"table-version": "alpha", "m.current": "true"},
        "redact": redact,
        "about": {"DOWNSTAGE_ENVIRONMENT": "test"},
        "inherited": {"PATH": os.environ["PATH"], "MASK_KEY": "hunter2", "HOME": "/nowhere"},
        "withheld": ("MASK_KEY",),
    }
    return CommandDeployer(**{**settings, **changes})


def python(tmp_path: Path, code: str, *arguments: str, **changes: Any) -> CommandDeployer:
    return deployer(tmp_path, sys.executable, "-c", code, *arguments, **changes)


def test_what_the_command_is_told_and_what_it_is_not(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; pathlib.Path('told').write_text(repr((dict(os.environ), sys.argv[1:])))"
    one = python(
        tmp_path, code, "${flags.table-version}", "--x=${flags.m.current}", environment={"A": "${flags.m.current}"}
    )
    one.check()
    intent = one.intent()
    assert one.deploy(intent) == f"{Path(sys.executable).name} ended well"
    environment, arguments = eval((tmp_path / "told").read_text())
    assert arguments == ["alpha", "--x=true"]
    assert environment["DOWNSTAGE_FLAG_TABLE_VERSION"] == "alpha"
    assert environment["DOWNSTAGE_FLAG_M_CURRENT"] == "true"
    assert environment["DOWNSTAGE_ENVIRONMENT"] == "test"
    assert environment["DOWNSTAGE_DEPLOY_ID"] == intent["id"]
    assert environment["A"] == "true"
    assert environment["HOME"] == "/nowhere"
    assert "MASK_KEY" not in environment
    assert "hunter2" not in str(environment)


def test_the_id_stays_the_same_when_it_is_run_again(tmp_path: Path) -> None:
    code = "import os; open('ids', 'a').write(os.environ['DOWNSTAGE_DEPLOY_ID'] + ' ')"
    intent = python(tmp_path, code).intent()
    python(tmp_path, code).deploy(intent)
    python(tmp_path, code).deploy(intent)
    assert (tmp_path / "ids").read_text().split() == [intent["id"]] * 2


def test_nothing_passes_through_a_shell(tmp_path: Path) -> None:
    code = "import sys, pathlib; pathlib.Path('said').write_text(sys.argv[1])"
    one = python(tmp_path, code, "${flags.v}", flags=lambda: {"v": "$(touch owned); `touch owned`"})
    one.deploy(one.intent())
    assert (tmp_path / "said").read_text() == "$(touch owned); `touch owned`"
    assert not (tmp_path / "owned").exists()


def test_when_it_fails_the_last_lines_are_told_with_addresses_redacted(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for n in range(500): print('line', n)\n"
        "print('mail to jane.roe@mail.example.org failed \\x1b[31m', file=sys.stderr)\n"
        "sys.exit(3)"
    )
    one = python(tmp_path, code)
    with pytest.raises(CiError) as caught:
        one.deploy(one.intent())
    first, *tail = str(caught.value).splitlines()
    assert first == (
        f"the deploy command {Path(sys.executable).name} ended with exit code 3; mend it, then resume the run"
    )
    assert len(tail) == command.TAIL_LINES
    assert "  | line 499" in tail
    assert "jane.roe" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_endless_output_costs_no_memory_and_little_is_told(tmp_path: Path) -> None:
    one = python(tmp_path, "import sys; sys.stdout.write('x' * 3_000_000); sys.exit(1)")
    with pytest.raises(CiError) as caught:
        one.deploy(one.intent())
    assert len(str(caught.value)) < 2000


def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path('pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)"
    )
    clock = HurriedClock(tmp_path / "pids")
    one = python(tmp_path, code, clock=clock, patience=3600.0)
    with pytest.raises(CiError, match="had not ended after 60 minutes and was ended"):
        one.deploy(one.intent())
    assert all(ends(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_one_that_is_deaf_to_sigterm_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GRACE", 0.05)
    code = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('pids').write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    one = python(tmp_path, code, clock=HurriedClock(tmp_path / "pids"))
    with pytest.raises(CiError, match="and was ended"):
        one.deploy(one.intent())
    assert ends(int((tmp_path / "pids").read_text()))


def test_an_orphan_of_an_earlier_attempt_is_waited_for_and_never_doubled(tmp_path: Path) -> None:
    """The first attempt is a process of its own, killed with -9 while its command runs on."""
    job = "import os, pathlib, sys; pathlib.Path('pids').write_text(str(os.getpid())); sys.stdin = open('gate')"
    os.mkfifo(tmp_path / "gate")
    attempt = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.test_ci_command import python\n"
        f"one = python(Path({str(tmp_path)!r}), {job!r}); one.deploy(one.intent())"
    )
    first = subprocess.Popen([sys.executable, "-c", attempt], cwd=Path(__file__).parents[2])
    while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text():
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.wait()
    orphan = int((tmp_path / "pids").read_text())
    assert not gone(orphan)
    later = python(tmp_path, "open('second', 'w')", clock=HurriedClock(tmp_path / "pids"), patience=30.0)
    with pytest.raises(CiError, match="the deploy command of an earlier attempt still runs"):
        later.deploy(later.intent())
    assert not (tmp_path / "second").exists()
    with (tmp_path / "gate").open("w"):
        pass  # the orphan ends
    again = python(tmp_path, "open('second', 'w')")
    again.deploy(again.intent())
    assert (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"directory": Path("/nowhere/at/all")}, "there is no directory /nowhere/at/all"),
        ({"run": ("no-such-program",)}, "deploy.command.run: no-such-program is no program that can be run"),
        ({"run": ("./deploy.sh",)}, "deploy.command.run: ./deploy.sh is no program that can be run"),
    ],
)
def test_what_the_check_finds(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deployer(tmp_path, "true", **changes).check()


def test_a_program_beside_the_configuration(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text("#!/bin/sh\necho done > done\n")
    script.chmod(0o755)
    one = deployer(tmp_path, "./deploy.sh")
    one.check()
    one.deploy(one.intent())
    assert (tmp_path / "done").exists()


class HurriedClock(SystemClock):
    """Real time until a file is written; then every look at the clock is an hour later."""

    def __init__(self, signal_file: Path) -> None:
        self._file = signal_file
        self._ahead = 0.0

    def monotonic(self) -> float:
        if self._file.exists() and self._file.read_text():
            self._ahead += 3600.0
        return super().monotonic() + self._ahead


def gone(pid: int) -> bool:
    """Whether a process has ended: a zombie that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ends(pid: int) -> bool:
    """Whether a process that was killed is gone within seconds."""
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return gone(pid)
