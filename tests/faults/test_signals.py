"""Ctrl-C and SIGTERM while a run is under way: process and children are gone at once, and the run goes on later.

Real processes, real signals; where the copy stands is made by the endpoint: slow, without an answer, throttling, or not
even taking a connection. What is promised is two seconds; the tests allow for a machine that is busy with other things.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from downstage.journals.sqlite import SqliteJournal
from tests.faults.chaos import command, environ, project
from tests.faults.endpoint import PROD, Endpoint, Mischief, Table
from tests.faults.lanes import KEYS, SOURCE, TARGET, items_of, masked

pytestmark = pytest.mark.integration

PROMISED = 2.0
BOUND = 2 * PROMISED
COUNT = 400
_PATIENCE = 60.0

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@dataclass(frozen=True)
class Ended:
    """How a process ended: seconds from the signal until it, and every child of it, was gone."""

    code: int
    said: str
    seconds: float
    children: float


def interrupted(
    folder: Path, number: signal.Signals, ready: threading.Event, *arguments: str, group: bool = False
) -> Ended:
    """Starts the command, sends it the signal as soon as `ready` is set, and waits. `group`: as a terminal does it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "downstage", *arguments],
        cwd=folder,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not ready.wait(0.05):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "the copy did not come so far"
        children = psutil.Process(process.pid).children(recursive=True)
        sent = time.monotonic()
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        said, _ = process.communicate(timeout=_PATIENCE)
        gone = time.monotonic() - sent
        while any(map(alive, children)):
            assert time.monotonic() - sent < _PATIENCE, "a child outlived the run"
            time.sleep(0.01)
        return Ended(process.returncode, said, gone, time.monotonic() - sent)
    finally:
        process.kill()
        process.wait()


def alive(process: psutil.Process) -> bool:
    """Whether it still runs. One that has ended, and that nobody has looked after yet, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def world(count: int = COUNT) -> Endpoint:
    source = Table(SOURCE, KEYS, page_items=10, account=PROD)
    source.put(items_of(count))
    return Endpoint(source, Table(TARGET, KEYS, page_items=10))


def slow(endpoint: Endpoint) -> None:
    endpoint.delay = 0.5


def silent(endpoint: Endpoint) -> None:
    endpoint.deaf = True


def throttling(endpoint: Endpoint) -> None:
    endpoint.mischief = Mischief({"throttle": 1.0})


def jammed(endpoint: Endpoint) -> None:
    endpoint.jam()


WAYS: dict[str, Callable[[Endpoint], None]] = {
    "mid-copy": slow,
    "page read": silent,
    "back-off": throttling,
    "connect": jammed,
}


def turning(
    endpoint: Endpoint, way: Callable[[Endpoint], None], after: tuple[str, int], wait: float = 1.0
) -> threading.Event:
    """Lets the endpoint turn `way` after so many requests of an operation; the event is set `wait` seconds later."""
    ready = threading.Event()
    operation, at = after
    turned: list[float] = []

    def look(asked: str) -> None:
        if asked == operation and endpoint.requests[asked] == at and not turned:
            turned.append(time.monotonic())
            way(endpoint)
            threading.Timer(wait, ready.set).start()

    endpoint.on_request = look
    return ready


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("name", WAYS)
def test_a_copy_ends_at_once_and_goes_on_later(name: str, number: signal.Signals, tmp_path: Path) -> None:
    with world().serving() as endpoint:
        project(tmp_path, endpoint)
        after = ("GetCallerIdentity", 3) if name == "connect" else ("BatchWriteItem", 4)
        ended = interrupted(tmp_path, number, turning(endpoint, WAYS[name], after), "copy", "test")
        assert_ended(ended, number, name)
        if name == "connect":  # the server is past help
            return
        endpoint.on_request, endpoint.mischief, endpoint.deaf, endpoint.delay = (lambda _: None), Mischief(), False, 0.0
        (run,) = SqliteJournal(tmp_path / "state" / "journal.sqlite").runs()
        assert run.state == "interrupted"
        answer = command(tmp_path, "resume", run.run_id)
        assert answer.returncode == 0, answer.stderr
        assert endpoint.tables[TARGET].items == masked(items_of(COUNT))


def test_ctrl_c_at_a_terminal_reaches_the_workers_too_and_nobody_shows_a_traceback(tmp_path: Path) -> None:
    with world().serving() as endpoint:
        project(tmp_path, endpoint)
        ready = turning(endpoint, slow, ("Scan", 1), 0.5)  # the target was looked into: workers are being spawned
        ended = interrupted(tmp_path, signal.SIGINT, ready, "copy", "test", group=True)
        assert_ended(ended, signal.SIGINT, "spawning")


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_verification_ends_at_once_and_can_be_asked_for_again(number: signal.Signals, tmp_path: Path) -> None:
    with world().serving() as endpoint:
        project(tmp_path, endpoint)
        answer = command(tmp_path, "copy", "test")
        assert answer.returncode == 0, answer.stderr
        ready = turning(endpoint, slow, ("Scan", endpoint.requests["Scan"] + 5))
        ended = interrupted(tmp_path, number, ready, "verify", "test")
        assert_ended(ended, number, "verify")
        endpoint.delay = 0.0
        answer = command(tmp_path, "verify", "test")
        assert answer.returncode == 0, answer.stderr


def test_the_serial_engine_is_interrupted_as_well(tmp_path: Path) -> None:
    with world().serving() as endpoint:
        project(tmp_path, endpoint)
        ready = turning(endpoint, silent, ("BatchWriteItem", 4))
        ended = interrupted(tmp_path, signal.SIGTERM, ready, "copy", "test", "--engine", "serial")
        assert_ended(ended, signal.SIGTERM, "serial")


_STUCK = """
import ctypes, signal, sys, threading
from downstage.cli import interrupts

deaf = threading.Event()
sleep = ctypes.CDLL(None).sleep

def tell():
    deaf.wait()
    print("stuck", flush=True)

with interrupts.bounded(lambda code: sys.stderr.write(f"cut off {code}\\n"), grace=0.3):
    threading.Thread(target=tell, daemon=True).start()
    sys.setswitchinterval(1000.0)  # from here on another thread runs only while this one is outside Python
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # only this thread is deaf
    deaf.set()
    sleep(600)  # as in a resolver: no handler of Python runs here
"""


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_process_that_is_stuck_outside_python_is_cut_off(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ()
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        sent = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=_PATIENCE)
        assert time.monotonic() - sent < BOUND
    finally:
        process.kill()
        process.wait()
    assert process.returncode == CODES[number]
    assert f"cut off {CODES[number]}" in said


def assert_ended(ended: Ended, number: signal.Signals, name: str) -> None:
    """Gone in time, with the right exit code, one line that helps, and no traceback."""
    sys.stdout.write(f"{name} {number.name}: {ended.seconds:.2f} s, children {ended.children:.2f} s\n")
    assert ended.code == CODES[number], ended.said
    assert f"downstage: {SAID[number]}; nothing is lost: see 'downstage runs'" in ended.said
    assert "Traceback" not in ended.said
    assert ended.seconds < BOUND
    assert ended.children < BOUND
