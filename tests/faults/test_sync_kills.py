"""`downstage sync`, killed with -9 at drawn calls, again and again, and resumed: the target becomes the source exactly,
production is not written to, and what was copied is not copied again.

The kill comes from the server, in the middle of a call: before its effect, or after it (done, and nobody knows).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from downstage.testing.s3_faults import Call
from tests.faults.sync_command import Sync
from tests.faults.sync_world import World, world

pytestmark = pytest.mark.integration

OBJECTS = 500


@contextmanager
def killing(found: World, process: subprocess.Popen[str], at: int, *, after: bool) -> Iterator[list[int]]:
    """Kills the process group at the `at`-th write; the list tells how many copies were under way then."""
    struck: list[int] = []
    lock = threading.Lock()
    writes = 0

    def strike(call: Call) -> None:
        nonlocal writes
        if call.operation not in ("CopyObject", "DeleteObjects"):
            return
        with lock:
            writes += 1
            if writes == at:
                struck.append(found.fake.under_way)
                os.killpg(process.pid, signal.SIGKILL)

    setattr(found.fake, "after" if after else "before", strike)
    try:
        yield struck
    finally:
        found.fake.after = found.fake.before = lambda call: None


@pytest.mark.parametrize(("seed", "engine"), [(0, "serial"), (1, "local"), (2, "local")])
def test_killed_again_and_again_it_gets_there(tmp_path: Path, seed: int, engine: str) -> None:
    dice = random.Random(seed)
    with world(OBJECTS, share_there=0.3, page_size=100) as found:
        found.fake.delay = 0.003
        command = Sync(found, tmp_path, engine)
        arguments = ["sync", "test"]
        under_way = kills = 0
        for _ in range(2):
            process = command.start(*arguments)
            with killing(found, process, dice.randrange(2, 150), after=dice.random() < 0.5) as struck:
                code, _, err = command.ended(process)
            assert struck, (code, err[-800:])
            assert code == -signal.SIGKILL
            under_way += struck[0]
            kills += 1
            (run,) = command.unfinished()
            arguments = ["resume", run]
        code, _, err = command.ended(command.start(*arguments))
        assert code == 0, err[-800:]
        assert found.arrived()
        copies = found.fake.calls["CopyObject"]
        assert found.wanted <= copies <= found.wanted + under_way
        assert under_way <= kills * 256
        assert command.unfinished() == []


def test_a_run_that_is_begun_anew_after_a_kill_finds_what_was_done(tmp_path: Path) -> None:
    with world(OBJECTS, share_there=0.0, page_size=100) as found:
        found.fake.delay = 0.003
        command = Sync(found, tmp_path, "serial")
        process = command.start("sync", "test")
        with killing(found, process, 300, after=True) as struck:
            command.ended(process)
        assert struck
        before = found.fake.calls["CopyObject"]
        code, _, err = command.ended(command.start("sync", "test"))
        assert code == 0, err[-800:]
        assert found.arrived()
        assert found.fake.calls["CopyObject"] <= found.wanted + struck[0]
        assert found.fake.calls["CopyObject"] - before <= found.wanted - 299 + struck[0]
