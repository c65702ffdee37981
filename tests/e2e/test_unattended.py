"""A refresh that nobody watches: killed and gone on with elsewhere; given up while it is going on. All on the control
table in the target's account."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.e2e.looking import PATIENCE, once, outcome_of, slowed, started, state_of

pytestmark = pytest.mark.e2e


def test_a_run_that_was_killed_goes_on_in_an_empty_directory(cli: Cli, elsewhere: Callable[[], Path]) -> None:
    config = elsewhere()
    process = cli.start("refresh", "test", "--config", config)
    there = elsewhere()
    try:
        run_id = once(cli, there, lambda: state_of(cli, there, "copy") in ("running", "done"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    answer = cli("resume", run_id, "--config", there, "--json")
    assert answer.code == 0, answer.err
    assert any("waiting 60 s" in line.get("text", "") for line in answer.lines)
    assert not {"preflight", "flags", "wipe", "deploy", "consumers-off"} & set(started(answer))
    assert outcome_of(answer)["result"] == "proven"


def test_a_run_is_given_up_from_another_machine(cli: Cli, elsewhere: Callable[[], Path]) -> None:
    slow = slowed(elsewhere(), 15)
    process = cli.start("refresh", "test", "--config", slow)
    there = elsewhere()
    try:
        run_id = once(cli, there, lambda: state_of(cli, there, "consumers-off") == "done")
        answer = cli("cancel", run_id, "--config", there)
        assert answer.code == 0, answer.err
        assert "was cancelled" in answer.out
        assert process.wait(timeout=PATIENCE) != 0
    finally:
        process.kill()
        process.wait()
    consumers = cli("streams", "status", "test", "--config", there, "--json").lines
    assert consumers
    assert {consumer["state"] for consumer in consumers} == {"Enabled"}
    after = cli("refresh", "test", "--config", elsewhere(), "--json")
    assert after.code == 0, after.err
