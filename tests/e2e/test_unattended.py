"""A refresh that nobody watches: cut into pieces by its time-box, each piece in a fresh directory; killed and gone on
with elsewhere; given up while it is going on. All on the control table in the target's account."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli, Place
from tests.e2e.looking import PATIENCE, emptied, essence, once, outcome_of, started, state_of

pytestmark = pytest.mark.e2e

MOST_PIECES = 25


def slowed(config: Path, rate: int) -> Path:
    """The configuration, with so many write units a second: whatever the machine, the copy takes a while."""
    text = config.read_text(encoding="utf-8")
    rated = text.replace(
        "      tables:\n        - {from", f"      rates: {{write: {rate}}}\n      tables:\n        - {{from"
    )
    assert rated != text
    config.write_text(rated, encoding="utf-8")
    return config


def test_a_refresh_in_many_pieces_is_one_refresh(cli: Cli, place: Place, elsewhere: Callable[[], Path]) -> None:
    emptied(place)
    whole = outcome_of(cli("refresh", "test", "--config", elsewhere(), "--json"))
    assert whole["result"] == "proven"

    emptied(place)
    answer = cli("refresh", "test", "--config", slowed(elsewhere(), 60), "--time-box", "5s", "--json")
    run_id = answer.lines[0]["run_id"]
    pieces, begun = [answer], started(answer)
    while answer.code == 75:
        assert len(pieces) < MOST_PIECES
        refused = cli("refresh", "test", "--config", elsewhere(), "--json")
        assert refused.code == 3
        assert run_id in refused.lines[-1]["message"]
        done = {step["name"] for step in outcome_of(answer)["steps"] if step["state"] == "done"}
        box = f"{5 + len(pieces)}s"  # a step that only looks begins anew in each piece, and must fit into one
        answer = cli("resume", run_id, "--config", slowed(elsewhere(), 60), "--time-box", box, "--json")
        assert not done & set(started(answer)), "a finished step was done again"
        pieces.append(answer)
        begun += started(answer)

    assert answer.code == 0, answer.err
    assert len(pieces) > 2
    assert begun.count("wipe") == 1
    assert essence(outcome_of(answer)) == essence(whole)


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
