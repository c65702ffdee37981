"""One sandbox, refreshed by each engine: serial, local and spark end with the same digests, counts and report."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from tests.e2e.conftest import Cli, Place
from tests.e2e.looking import essence, once, outcome_of, started, state_of

pytestmark = pytest.mark.e2e

ENGINES = ("serial", "local", "spark")


def test_every_engine_ends_with_the_same_environment(here: Cli, place: Place, elsewhere: Callable[[], Path]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for engine in ENGINES:
        answer = here("refresh", "test", "--config", elsewhere(), "--engine", engine, "--json")
        assert answer.code == 0, answer.err
        found[engine] = essence(outcome_of(answer))
    assert found["serial"]["result"] == "proven"
    assert found["serial"] == found["local"] == found["spark"]


def test_what_a_killed_driver_began_another_engine_ends(here: Cli, place: Place, elsewhere: Callable[[], Path]) -> None:
    """The journal is the control table's: what Spark copied is not copied again, and nothing of Spark is left."""
    driver = here.start("refresh", "test", "--config", elsewhere(), "--engine", "spark")
    config = elsewhere()
    try:
        run_id = once(here, config, lambda: state_of(here, config, "copy") == "running" and bool(java_of(driver.pid)))
        family = java_of(driver.pid)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    answer = here("resume", run_id, "--config", config, "--engine", "local", "--json")
    assert answer.code == 0, answer.err
    assert outcome_of(answer)["result"] == "proven"
    assert not {"wipe", "deploy"} & set(started(answer))
    assert not any(psutil.pid_exists(pid) for pid in family)


def java_of(pid: int) -> list[int]:
    """The process ids of a driver's Spark."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True) if "java" in child.name()]
