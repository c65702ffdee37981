"""A refresh that nobody watches: cut into pieces by its time-box, each piece in a fresh directory; killed and gone on
with elsewhere; given up while it is going on. All on the control table in the target's account."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, Cli, Place

pytestmark = pytest.mark.e2e

PATIENCE = 90.0
MOST_PIECES = 25


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Callable[[], Path]:
    """Gives the configuration in a new directory each time, with no state and the journal in the control table."""
    made = 0

    def another() -> Path:
        nonlocal made
        made += 1
        directory = tmp_path / f"machine-{made}"
        directory.mkdir()
        for name in ("aws", "mask.key"):
            source = place.config.parent / name
            if source.is_dir():
                shutil.copytree(source, directory / name)
            else:
                shutil.copy(source, directory / name)
        text = place.config.read_text(encoding="utf-8")
        assert "journal: sqlite" in text
        (directory / "downstage.yaml").write_text(text.replace("journal: sqlite", "journal: dynamodb"))
        return directory / "downstage.yaml"

    return another


def outcome_of(answer: Answer) -> dict[str, Any]:
    """What the run has achieved, as it said at its end."""
    outcome: dict[str, Any] = next(line for line in answer.lines if line["event"] == "outcome")["outcome"]
    return outcome


def essence(outcome: dict[str, Any]) -> dict[str, Any]:
    """What must be the same however a refresh came about."""
    tables = [
        {name: table[name] for name in ("source", "target", "read", "written", "expired", "in_target", "addresses")}
        | {"digest": table["digest_written"], "there": table["digest_target"], "proven": table["proven"]}
        for table in outcome["tables"]
    ]
    return {
        "result": outcome["result"],
        "tables": tables,
        "search": outcome["search"],
        "buckets": [[bucket["target"], bucket["differing"], bucket["skipped"]] for bucket in outcome["buckets"]],
        "leaks": outcome["leaks"]["found"],
        "consumers": outcome["consumers"],
    }


def started(answer: Answer) -> list[str]:
    """The steps that were begun in this piece."""
    return [line["step"] for line in answer.lines if line["event"] == "step_started"]


def slowed(config: Path, rate: int) -> Path:
    """The configuration, with so many write units a second: whatever the machine, the copy takes a while."""
    text = config.read_text(encoding="utf-8")
    rated = text.replace(
        "      tables:\n        - {from", f"      rates: {{write: {rate}}}\n      tables:\n        - {{from"
    )
    assert rated != text
    config.write_text(rated, encoding="utf-8")
    return config


def test_a_refresh_in_many_pieces_is_one_refresh(cli: Cli, elsewhere: Callable[[], Path]) -> None:
    whole = outcome_of(cli("refresh", "test", "--config", elsewhere(), "--json"))
    assert whole["result"] == "proven"

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


def once(cli: Cli, config: Path, reached: Callable[[], bool]) -> str:
    """The id of the run that is going on, once it has come so far."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
    running = [line["run_id"] for line in cli("runs", "--json", "--config", config).lines if line["state"] == "running"]
    return str(running[-1])


def state_of(cli: Cli, config: Path, step: str) -> str:
    """How far a step of the newest run is, if that run is going on."""
    runs = cli("runs", "--json", "--config", config).lines
    if not runs or runs[-1]["state"] != "running":
        return ""
    steps = json.loads(cli("status", runs[-1]["run_id"], "--config", config, "--json").out)["steps"]
    return next(str(one["state"]) for one in steps if one["name"] == step)
