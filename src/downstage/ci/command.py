"""Deployment by a command of the user's: no shell, a time limit, and only the tail of what it says.

The command must bear being run again after an interruption: nobody can tell how far it came. It is never run twice at
one time, though: it holds a lock that outlives us, so that a run that is resumed waits for an orphan of the run
before. Its output may hold anything, so it is never journalled: the last lines, with addresses redacted, go to the
terminal when it fails.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import IO, Any

from downstage.ci.following import lasting
from downstage.domain.flags import as_environment, substituted
from downstage.errors import CiError, ConfigError
from downstage.ports import Clock

TAIL_LINES = 20
_TAIL_BYTES = 16_384
_POLL = 0.2
GRACE = 10.0
"""Seconds between asking the command to end, and ending it."""


class CommandDeployer:
    """Implements `ports.Deployer`. `withheld` names environment variables that the command must not see.

    `lock` is a file of this machine and environment. `about` is told to the command as environment variables.
    """

    def __init__(
        self,
        *,
        run: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        patience: float,
        lock: Path,
        clock: Clock,
        flags: Callable[[], Mapping[str, str]],
        redact: Callable[[str], str],
        about: Mapping[str, str],
        inherited: Mapping[str, str],
        withheld: Collection[str] = (),
    ) -> None:
        self._run = run
        self._directory = directory
        self._environment = environment
        self._patience = patience
        self._lock = lock
        self._clock = clock
        self._flags = flags
        self._redact = redact
        self._about = about
        self._inherited = {name: value for name, value in inherited.items() if name not in withheld}

    def check(self) -> None:
        """Raises ConfigError if there is no such directory, or no such program."""
        if not self._directory.is_dir():
            raise ConfigError(f"deploy.command.directory: there is no directory {self._directory}")
        self._program(self._run[0])

    def intent(self) -> Mapping[str, Any]:
        """An id that stays the same when the command is run again: it may use it to recognise its own work."""
        return {"id": uuid.uuid4().hex, "began": self._clock.now()}

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Runs the command to its end. Raises CiError if it fails or takes too long."""
        flags = self._flags()
        arguments = substituted(list(self._run), flags)
        arguments[0] = self._program(arguments[0])
        environment = {
            **self._inherited,
            **as_environment(flags),
            **self._about,
            "DOWNSTAGE_DEPLOY_ID": str(intent["id"]),
            **substituted(self._environment, flags),
        }
        deadline = self._clock.monotonic() + self._patience
        with self._alone(deadline) as lock, tempfile.TemporaryFile() as output:
            code = self._carry(arguments, environment, lock, output, deadline)
            if code != 0:
                raise CiError(f"{self._said(code)}{self._tail(output)}")
        return f"{Path(self._run[0]).name} ended well"

    def _carry(
        self, arguments: list[str], environment: Mapping[str, str], lock: int, output: IO[bytes], deadline: float
    ) -> int | None:
        """The exit code (negative: the signal), None if it was ended because it took too long."""
        try:
            process = subprocess.Popen(
                arguments,
                cwd=self._directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            raise ConfigError(f"deploy.command cannot be run: {error.strerror}") from None
        try:
            while (code := process.poll()) is None and self._clock.monotonic() < deadline:
                self._clock.sleep(_POLL)
            return code
        finally:
            if process.poll() is None:
                self._end(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends the command and all that it started: first asked, then made to."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @contextmanager
    def _alone(self, deadline: float) -> Iterator[int]:
        """The lock's descriptor, inherited by the command: whoever is left of an earlier attempt still holds it."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if self._clock.monotonic() >= deadline:
                        raise CiError(
                            "the deploy command of an earlier attempt still runs: wait for it or end it, then resume "
                            "the run"
                        ) from None
                    self._clock.sleep(_POLL)
            yield descriptor
        finally:
            os.close(descriptor)

    def _program(self, name: str) -> str:
        path = self._directory / name if os.sep in name else Path(which(name, path=self._inherited.get("PATH")) or "")
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise ConfigError(f"deploy.command.run: {name} is no program that can be run")
        return str(path)

    def _said(self, code: int | None) -> str:
        name = Path(self._run[0]).name
        if code is None:
            return f"the deploy command {name} had not ended after {lasting(self._patience)} and was ended"
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        return f"the deploy command {name} ended with {how}; mend it, then resume the run"

    def _tail(self, output: IO[bytes]) -> str:
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _TAIL_BYTES))
        lines = self._redact(output.read().decode("utf-8", "replace")).splitlines()[-TAIL_LINES:]
        return "".join(f"\n  | {_printable(line)}" for line in lines)


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)[:500]
