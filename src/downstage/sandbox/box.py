"""`Sandbox`: bring two AWS accounts up in a directory, look at them, take them down.

Why: everybody who tries or tests Downstage starts here, several at a time, and some of them with Ctrl-C.
Rules: one `up` or `down` of a directory at a time (a lock file that the kernel releases); `up` first ends what an
earlier life left behind; whatever fails on the way up takes everything down again; waits poll, with a deadline.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from downstage.errors import SandboxError
from downstage.sandbox import layout, state
from downstage.sandbox.files import write_config, write_secrets
from downstage.sandbox.processes import (
    MARKER,
    MISSING_EXTRA,
    alive,
    end,
    identity_of,
    open_to_the_network,
    own_processes,
)
from downstage.sandbox.state import SandboxRecord, State

POLL_SECONDS = 0.05
START_SECONDS = 90.0
LOCK_SECONDS = 180.0
PATIENCE_SECONDS = 20.0
"""How long a busy server may take to answer before it counts as down (and `up` would start anew)."""
EXTRA = ("boto3", "ministack", "osmem_server", "psutil")


def silent(line: str) -> None:
    """The default listener."""


def no_progress(step: str, done: int, total: int) -> None:
    """The default listener for steps."""


class Sandbox:
    """The sandbox in `directory`, running or not. Nothing happens before a method is called."""

    def __init__(self, directory: Path) -> None:
        self._paths = layout.paths_of(directory)

    def up(
        self,
        cases: int = 2000,
        seed: int = 7,
        say: Callable[[str], None] = silent,
        progress: Callable[[str, int, int], None] = no_progress,
        *,
        fresh: bool = False,
    ) -> SandboxRecord:
        """Start and seed; the record of the running sandbox if there is one already (unless `fresh`).

        `say` gets a line for a person, `progress` (step, done, total). Raises SandboxError; then nothing is left
        running.
        """
        require_extra()
        self._paths.root.mkdir(parents=True, exist_ok=True)
        with self._locked(say):
            running = self.status()
            if running is not None and not fresh:
                say(f"the sandbox is already up: {running.cases} cases, seed {running.seed}, {running.endpoint}")
                return running
            if self._end_own():
                say("ended the servers of an earlier life of this sandbox")
            try:
                return self._up(cases, seed, say, progress)
            except BaseException:
                self._end_own()
                raise

    def down(self) -> bool:
        """End what this sandbox started, and only that. True if something ran."""
        require_extra()
        if not self._paths.root.exists():
            return False
        with self._locked(silent):
            return self._end_own()

    def status(self) -> SandboxRecord | None:
        """The record if all servers run, answer and are seeded; None otherwise. Looks at processes, not at the file."""
        found = state.load(self._paths.state)
        if found is None or not found.ready or found.cases is None or found.seed is None:
            return None
        require_extra()
        from downstage.sandbox.supervisor import answers, health_url

        if not all(alive(process) for process in found.processes):
            return None
        if not all(answers(url, PATIENCE_SECONDS) for url in [health_url(found.endpoint), *found.search_urls.values()]):
            return None
        return self._record(found, found.cases, found.seed)

    def _up(
        self, cases: int, number: int, say: Callable[[str], None], progress: Callable[[str, int, int], None]
    ) -> SandboxRecord:
        from botocore.exceptions import BotoCoreError, ClientError

        from downstage.sandbox.generator import generate, to_json, truth
        from downstage.sandbox.seed import seed

        world = generate(cases, number)
        write_secrets(self._paths)
        say("starting the servers")
        running = self._start()
        try:
            seed(world, running.endpoint, running.search_urls, say, progress)
        except (BotoCoreError, ClientError) as refused:
            raise SandboxError(f"seeding failed: {refused}; see {self._paths.logs / 'aws.log'}") from refused
        # After seeding, so that whatever starts to listen on first use is seen too.
        exposed = open_to_the_network(own_processes(self._paths.root, running.processes))
        if exposed:
            raise SandboxError(f"the sandbox listens beyond this machine ({', '.join(exposed)}), so it was stopped")
        state.write_whole(self._paths.truth, to_json(truth(world)) + "\n")
        urls = running.search_urls
        write_config(self._paths, running.endpoint, urls[layout.PROD_DOMAIN], urls[layout.TEST_DOMAIN])
        running.cases, running.seed = cases, number
        state.save(self._paths.state, running)
        say(f"the sandbox is up: {self._paths.config}")
        return self._record(running, cases, number)

    def _start(self) -> State:
        """Start the supervisor and wait until its servers answer."""
        shutil.rmtree(self._paths.logs, ignore_errors=True)
        self._paths.logs.mkdir(parents=True)
        launched = subprocess.run(
            [sys.executable, "-m", "downstage.sandbox.supervisor", str(self._paths.root)],
            env={**os.environ, MARKER: str(self._paths.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        if launched.returncode != 0:
            raise SandboxError(f"the supervisor did not start: {last_line(launched.stderr)}")
        supervisor = identity_of("supervisor", int(launched.stdout))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = state.load(self._paths.state)
            if found is not None and found.ready:
                return found
            if alive(supervisor) is None:
                break
            time.sleep(POLL_SECONDS)
        log = self._paths.logs / "supervisor.log"
        said = last_line(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else ""
        raise SandboxError(f"the sandbox's servers did not start: {said or 'no answer in time'} (log: {log})")

    def _end_own(self) -> bool:
        """End every process of this sandbox and forget them. True if there were any."""
        try:
            found = state.load(self._paths.state)
        except SandboxError:
            found = None  # the marker in their environment still finds them
        recorded = found.processes if found else []
        ended = 0
        # The supervisor ends its servers while we do; look again until nothing of ours is left.
        while batch := own_processes(self._paths.root, recorded):
            ended += end(batch)
        self._paths.state.unlink(missing_ok=True)
        shutil.rmtree(self._paths.scratch, ignore_errors=True)
        return ended > 0

    def _record(self, found: State, cases: int, seed: int) -> SandboxRecord:
        return SandboxRecord(
            directory=self._paths.root,
            config_path=self._paths.config,
            truth_path=self._paths.truth,
            endpoint=found.endpoint,
            search_urls=dict(found.search_urls),
            pids=tuple(found.processes),
            cases=cases,
            seed=seed,
        )

    @contextlib.contextmanager
    def _locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the directory's lock; the kernel lets it go if we die."""
        with self._paths.lock.open("ab") as file:
            deadline = time.monotonic() + LOCK_SECONDS
            waiting = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not waiting:
                        say("another process is starting or stopping this sandbox: waiting for it")
                        waiting = True
                    if time.monotonic() > deadline:
                        raise SandboxError(
                            f"another process holds {self._paths.lock} for {LOCK_SECONDS:.0f} s: end it and try again"
                        ) from None
                    time.sleep(POLL_SECONDS)
            yield


def require_extra() -> None:
    """SandboxError unless everything that the `sandbox` extra brings is installed."""
    if any(find_spec(name) is None for name in EXTRA):
        raise SandboxError(MISSING_EXTRA)


def last_line(text: str) -> str:
    """The last line with anything in it, or "" ."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
