"""The process that owns a sandbox's servers: `python -m downstage.sandbox.supervisor DIR`.

Why: the servers must outlive the command that starts them, and must all end together.
Rules: detaches itself and prints its pid; starts one search engine a domain and one AWS emulator, all on loopback;
records each in state.json as soon as it has a pid; when told to end, or when any of them dies, it ends them all.
A search engine ends with its parent. The emulator cannot, so `DOWNSTAGE_SANDBOX_DIR` in its environment says whose
it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from downstage.errors import SandboxError
from downstage.sandbox.layout import DOMAINS, SandboxPaths, paths_of
from downstage.sandbox.processes import MARKER, end, identity_of, load_psutil
from downstage.sandbox.state import State, save

START_SECONDS = 60.0
ATTEMPTS = 5
POLL_SECONDS = 0.05
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", MARKER)
"""The environment variables a server may see: no AWS settings, no proxies, nobody else's ministack settings."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str, seconds: float = 1.0) -> bool:
    """Whether an HTTP GET succeeds within `seconds`, never by way of a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds):
            return True
    except (urllib.error.URLError, OSError):
        return False


def health_url(endpoint: str) -> str:
    """Where the emulator says that it is up."""
    return f"{endpoint}/_ministack/health"


class Supervisor:
    """Starts, watches and ends the servers of one sandbox."""

    def __init__(self, paths: SandboxPaths) -> None:
        self._paths = paths
        self._state = State(processes=[identity_of("supervisor", os.getpid())])
        self._children: list[subprocess.Popen[bytes]] = []
        self._told_to_end = threading.Event()

    def run(self) -> None:
        """Start all, wait until told to end or a server dies, end all. SandboxError if a server does not start."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._told_to_end.set())
        self._record()
        try:
            for domain in DOMAINS:
                self._start_search(domain)
            self._start_emulator()
            self._state.ready = True
            self._record()
            while not self._told_to_end.wait(0.2):
                for child in self._children:
                    if child.poll() is not None:
                        raise SandboxError(f"a server of the sandbox (pid {child.pid}) ended by itself")
        finally:
            end(load_psutil().Process().children(recursive=True))

    def _record(self) -> None:
        save(self._paths.state, self._state)

    def _launch(self, role: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self._paths.logs / f"{role}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self._paths.scratch,
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if role in DOMAINS else log,
                stderr=log,
            )
        self._children.append(child)
        self._state.processes.append(identity_of(role, child.pid))
        self._record()
        return child

    def _start_search(self, domain: str) -> None:
        from osmem_server import resolve_binary

        child = self._launch(
            domain,
            [resolve_binary(), "-addr", "127.0.0.1:0", "-no-ja", "-parent-pid", str(os.getpid())],
            {"TMPDIR": str(self._paths.scratch)},
        )
        self._state.search_urls[domain] = self._announced_url(domain, child)
        self._record()

    def _announced_url(self, domain: str, child: subprocess.Popen[bytes]) -> str:
        """The URL in the one JSON line that the search engine prints when it listens."""
        assert child.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline and not self._told_to_end.is_set():
                if not selector.select(timeout=POLL_SECONDS):
                    continue
                chunk = os.read(child.stdout.fileno(), 65536)
                if not chunk:
                    break
                text += chunk
                for line in text.split(b"\n")[:-1]:
                    with contextlib.suppress(ValueError):
                        message = json.loads(line)
                        if isinstance(message, dict) and "url" in message:
                            return str(message["url"])
        raise SandboxError(f"the search engine of {domain} did not start: see {self._paths.logs / domain}.log")

    def _start_emulator(self) -> None:
        for _ in range(ATTEMPTS):
            port = free_port()
            child = self._launch(
                "aws",
                [sys.executable, "-m", "downstage.sandbox.emulator"],
                {
                    "GATEWAY_PORT": str(port),
                    "BIND_HOST": "127.0.0.1",
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    "TMPDIR": str(self._paths.scratch),
                    "S3_DATA_DIR": str(self._paths.scratch / "s3"),
                    "STATE_DIR": str(self._paths.scratch / "state"),
                    "LOG_LEVEL": "WARNING",
                },
            )
            if self._emulator_is_up(child, port):
                self._state.endpoint = f"http://127.0.0.1:{port}"
                return
            # Somebody else took the port between the look and the use: take another.
            self._children.remove(child)
            self._state.processes.pop()
        raise SandboxError(f"the AWS emulator did not start: see {self._paths.logs / 'aws.log'}")

    def _emulator_is_up(self, child: subprocess.Popen[bytes], port: int) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while child.poll() is None and not self._told_to_end.is_set():
            if answers(health_url(f"http://127.0.0.1:{port}")):
                return child.poll() is None
            if time.monotonic() > deadline:
                child.kill()
                child.wait()
                return False
            self._told_to_end.wait(POLL_SECONDS)
        return False


def detach(log: Path) -> None:
    """Continue in a new session as a child of init, writing to `log`; the first process prints the pid and ends."""
    pid = os.fork()
    if pid:
        os.write(1, f"{pid}\n".encode())
        os._exit(0)
    os.setsid()
    with log.open("ab") as file, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def main() -> None:
    """Entry point; the last line of the log says why it ended."""
    paths = paths_of(Path(sys.argv[1]))
    paths.logs.mkdir(parents=True, exist_ok=True)
    paths.scratch.mkdir(parents=True, exist_ok=True)
    detach(paths.logs / "supervisor.log")
    try:
        Supervisor(paths).run()
    except SandboxError as failure:
        sys.stderr.write(f"{failure}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
