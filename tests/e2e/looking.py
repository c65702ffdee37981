"""How far a refresh is, and what it has come to, as the command line tells it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Answer, Cli

PATIENCE = 90.0


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
