"""The control-table journal and the lease against real servers: ministack's concurrency, and Amazon's own engine.

moto in one process (tests/contract) shows the logic; here many connections meet on one item for real."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from downstage.app.clock import SystemClock
from downstage.aws.control_table import ControlTable
from downstage.aws.lease import EnvironmentLease
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.errors import RunConflict
from downstage.journals.dynamodb import DynamoJournal
from downstage.ports import Checkpoint, Journal
from downstage.sandbox.supervisor import answers, free_port, health_url
from downstage.testing.contracts import RUN, JournalContract
from tests.dynamodb_local.run import run_suite

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
TEST = "222222222222"


@pytest.fixture(scope="module")
def lower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The lower account of a ministack that this module starts."""
    here = tmp_path_factory.mktemp("ministack")
    credentials = here / "credentials"
    credentials.write_text(f"[here]\naws_access_key_id = {TEST}\naws_secret_access_key = none\n", encoding="utf-8")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": "/usr/bin:/bin",
        "TMPDIR": str(here),
        "HOME": str(here),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(here / "s3"),
        "STATE_DIR": str(here / "state"),
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "downstage.sandbox.emulator"]
    with (here / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=here, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(health_url(endpoint)):
            assert server.poll() is None, (here / "log").read_text(encoding="utf-8")[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Environment(
            "test", TEST, "us-east-1", profile="here", credentials_file=str(credentials), endpoint=endpoint
        )
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def table(lower: Environment, request: pytest.FixtureRequest) -> str:
    """A control table of the test's own."""
    return f"downstage-{abs(hash(request.node.nodeid)):x}"


class TestOnMinistack(JournalContract):
    @pytest.fixture
    def journal(self, lower: Environment, table: str) -> Journal:
        return DynamoJournal(ControlTable(Session(lower), table))


def test_lanes_of_two_processes_and_a_successor(lower: Environment, table: str) -> None:
    """While lanes write, a successor takes over: what they write after that is refused, on every partition."""
    journal = DynamoJournal(ControlTable(Session(lower), table))
    journal.create_run(RUN)
    refused: list[int] = []
    ready = threading.Barrier(5)

    def lane(segment: int) -> None:
        own = DynamoJournal(ControlTable(Session(lower), table))
        ready.wait()
        try:
            for digest in range(1, 100_000):
                own.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 4, None, False, digest))
        except RunConflict:
            refused.append(segment)

    lanes = [threading.Thread(target=lane, args=(segment,)) for segment in range(4)]
    for one in lanes:
        one.start()
    ready.wait()
    while len(journal.checkpoints("run-1", "copy/t")) < 4:
        pass
    taken = journal.take_over("run-1")
    seen = list(journal.checkpoints("run-1", "copy/t"))
    for one in lanes:
        one.join()
    assert sorted(refused) == [0, 1, 2, 3]
    assert list(journal.checkpoints("run-1", "copy/t")) == seen  # nothing came after
    journal.save_checkpoint("run-1", taken.epoch, "copy/t", Checkpoint(0, 4, None, True, 7))


def test_of_many_that_want_a_free_environment_one_gets_it(lower: Environment, table: str) -> None:
    ControlTable(Session(lower), table).ensure()
    got: list[str] = []
    refused: list[str] = []
    ready = threading.Barrier(6)

    def want(run_id: str) -> None:
        lease = EnvironmentLease(
            ControlTable(Session(lower), table), "test", clock=SystemClock(), who=f"host of {run_id}"
        )
        ready.wait()
        try:
            lease.acquire(run_id)
            got.append(run_id)
        except RunConflict:
            refused.append(run_id)

    threads = [threading.Thread(target=want, args=(f"run-{number}",)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(got), len(refused)) == (1, 5)


def test_on_amazons_own_engine() -> None:
    assert run_suite("control_suite.py") >= 1
