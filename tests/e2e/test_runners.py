"""Two machines' runners on one Postgres: a detached refresh is carried by one of them, that one is killed in the
middle, and by command the other machine ends the run."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("dbos", reason="dbos is not installed: pip install 'downstage[runner]'")

from tests.e2e.conftest import Cli, Place
from tests.e2e.looking import outcome_of, started, state_of
from tests.postgres import running_postgres
from tests.waiting import until

pytestmark = pytest.mark.e2e

DATABASE = "DOWNSTAGE_DATABASE"


@dataclass(frozen=True)
class Machine:
    """A directory with a configuration and a runner that serves it; `log` is what the runner says."""

    config: Path
    process: subprocess.Popen[bytes]
    log: Path

    def says(self, words: str) -> bool:
        return words in self.log.read_text(encoding="utf-8")


@pytest.fixture
def machines(here: Cli, elsewhere: Callable[[], Path]) -> Iterator[list[Machine]]:
    made: list[Machine] = []
    with running_postgres() as url:
        try:
            for _ in range(2):
                config = elsewhere()
                text = config.read_text(encoding="utf-8")
                config.write_text(f"{text}\ndurable: {{database: env:{DATABASE}}}\n", encoding="utf-8")
                log = config.parent / "runner.log"
                command = [str(here.program), "runner", "--poll", "0.5", "--config", str(config)]
                with log.open("wb") as output:
                    process = subprocess.Popen(
                        command, stdout=output, stderr=output, env=here.environ({DATABASE: url}), cwd=config.parent
                    )
                made.append(Machine(config, process, log))
            yield made
        finally:
            for machine in made:
                machine.process.kill()
                machine.process.wait()


def test_what_a_killed_runner_carried_the_other_machine_ends_by_command(
    here: Cli, place: Place, machines: list[Machine]
) -> None:
    until(lambda: all(machine.says("serving") for machine in machines), "both runners serve", 120)
    answer = here("refresh", "test", "--detach", "--config", machines[0].config, "--json")
    run_id = answer.lines[-1]["run_id"]
    until(lambda: any(machine.says(f"{run_id}: begins") for machine in machines), "a runner begins", 120)
    (carrying,) = [machine for machine in machines if machine.says(f"{run_id}: begins")]
    (other,) = [machine for machine in machines if machine is not carrying]
    until(lambda: state_of(here, other.config, "copy") in ("running", "done"), "the copy begins", 120)
    os.kill(carrying.process.pid, signal.SIGKILL)
    carrying.process.wait()
    answer = here("resume", run_id, "--config", other.config, "--json")
    assert answer.code == 0, answer.err
    assert outcome_of(answer)["result"] == "proven"
    assert not {"preflight", "flags", "wipe", "deploy", "consumers-off"} & set(started(answer))
    assert other.process.poll() is None, "the other runner serves on"
