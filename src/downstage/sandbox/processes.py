"""Which processes are the sandbox's own, and how they end.

Why: a sandbox that is killed half-way leaves servers behind, and a sandbox that guesses ends other people's.
Rules: a process is ours if its pid AND its creation time are on record, or if its environment carries
`DOWNSTAGE_SANDBOX_DIR=<our directory>`. Never by name, never by pid alone (pids are used again).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from downstage.errors import SandboxError

if TYPE_CHECKING:
    import psutil

MARKER = "DOWNSTAGE_SANDBOX_DIR"
MISSING_EXTRA = "the sandbox needs the extra: pip install 'downstage[sandbox]'"


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for good: pid and creation time (seconds since 1970, as psutil reports it)."""

    role: str
    pid: int
    created: float


def load_psutil() -> ModuleType:
    """psutil, or SandboxError if the extra is not installed."""
    try:
        import psutil
    except ImportError as missing:
        raise SandboxError(MISSING_EXTRA) from missing
    return psutil


def identity_of(role: str, pid: int) -> ProcessIdentity:
    """The identity of a process that was just started; SandboxError if it is already gone."""
    ps = load_psutil()
    try:
        return ProcessIdentity(role, pid, ps.Process(pid).create_time())
    except ps.NoSuchProcess as gone:
        raise SandboxError(f"the sandbox's {role} ended as soon as it was started") from gone


def alive(identity: ProcessIdentity) -> psutil.Process | None:
    """The running process that `identity` names, or None (gone, a zombie, or its pid belongs to another now)."""
    ps = load_psutil()
    try:
        process: psutil.Process = ps.Process(identity.pid)
        same = abs(process.create_time() - identity.created) < 0.01
        return process if same and process.status() != ps.STATUS_ZOMBIE else None
    except ps.NoSuchProcess:
        return None


def marked(directory: Path) -> list[psutil.Process]:
    """All running processes whose environment names `directory` as their sandbox, the caller's own excepted."""
    ps = load_psutil()
    found: list[psutil.Process] = []
    spared = {ps.Process().pid, *(parent.pid for parent in ps.Process().parents())}
    for process in ps.process_iter():
        # Another user's process hides its environment, so it is not ours either.
        with contextlib.suppress(ps.Error, OSError):
            if process.pid not in spared and process.environ().get(MARKER) == str(directory):
                found.append(process)
    return found


def own_processes(directory: Path, recorded: Iterable[ProcessIdentity]) -> list[psutil.Process]:
    """Everything of this sandbox that runs: on record or marked, and all their children (Lambda workers)."""
    ps = load_psutil()
    own = {process.pid: process for process in marked(directory)}
    for identity in recorded:
        process = alive(identity)
        if process is not None:
            own[process.pid] = process
    for process in list(own.values()):
        with contextlib.suppress(ps.NoSuchProcess):
            own.update({child.pid: child for child in process.children(recursive=True)})
    return list(own.values())


def end(processes: Iterable[psutil.Process], grace: float = 5.0) -> int:
    """SIGTERM, wait up to `grace` seconds, SIGKILL what is left. Returns how many processes were running."""
    ps = load_psutil()
    ended = list(processes)
    for process in ended:
        with contextlib.suppress(ps.NoSuchProcess):
            process.terminate()
    _, stubborn = ps.wait_procs(ended, timeout=grace)
    for process in stubborn:
        with contextlib.suppress(ps.NoSuchProcess):
            process.kill()
    _, immortal = ps.wait_procs(stubborn, timeout=grace)
    if immortal:
        raise SandboxError(
            f"{len(immortal)} sandbox processes did not end after SIGKILL; end them by hand and try again"
        )
    return len(ended)


def open_to_the_network(processes: Iterable[psutil.Process]) -> list[str]:
    """`address:port` of every socket that listens beyond loopback; must be empty."""
    ps = load_psutil()
    return [
        f"{socket.laddr.ip}:{socket.laddr.port}"
        for process in processes
        for socket in process.net_connections("inet")
        if socket.status == ps.CONN_LISTEN and not is_loopback(socket.laddr.ip)
    ]


def is_loopback(address: str) -> bool:
    """Whether an address of a listening socket can be reached from this machine only."""
    return address.startswith("127.") or address in {"::1", "::ffff:127.0.0.1"}
