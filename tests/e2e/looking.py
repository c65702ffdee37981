"""How far a refresh is, and what it has come to, as the command line tells it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from downstage.sandbox import layout
from downstage.sandbox.clients import Account
from tests.e2e.conftest import Answer, Cli, Place

PATIENCE = 90.0
_FROM_TO = re.compile(r"from \d+ \w+ \d{4}, [\d:]+ to ([\d \w,]+ )?[\d:]+ UTC")
_ITS_OWN = {"run_id", "started", "ended", "seconds", "read_from", "read_to"}


def outcome_of(answer: Answer) -> dict[str, Any]:
    """What the run has achieved, as it said at its end."""
    outcome: dict[str, Any] = next(line for line in answer.lines if line["event"] == "outcome")["outcome"]
    return outcome


def essence(told: Any) -> Any:
    """What must be the same however a refresh came about: all that it says but its id, its times and durations."""
    if isinstance(told, dict):
        return {name: essence(value) for name, value in told.items() if name not in _ITS_OWN}
    if isinstance(told, list):
        return [essence(each) for each in told]
    return _FROM_TO.sub("from … to …", told) if isinstance(told, str) else told


def is_proven(outcome: dict[str, Any], place: Place) -> bool:
    """Everything is there once, and counted once."""
    for table in outcome["tables"]:
        items = place.truth["items"][table["source"]]["total"]
        assert table["read"] == items
        assert table["written"] + table["expired"] == items
        assert table["in_target"] == table["written"]
        assert table["digest_written"] == table["digest_target"] != ""
    return bool(outcome["tables"]) and outcome["result"] == "proven"


def slowed(config: Path, rate: int) -> Path:
    """The configuration, with so many write units a second: whatever the machine, the copy takes a while."""
    text = config.read_text(encoding="utf-8")
    rated = text.replace(
        "      tables:\n        - {from", f"      rates: {{write: {rate}}}\n      tables:\n        - {{from"
    )
    assert rated != text
    config.write_text(rated, encoding="utf-8")
    return config


def emptied(place: Place) -> None:
    """Takes from the target what the first refresh would delete and a second one no longer finds: two refreshes that
    begin so do the same work."""
    target = Account(place.endpoint, layout.TEST_ACCOUNT)
    if layout.TEST_BETA_TABLE in target.dynamodb().list_tables()["TableNames"]:
        target.dynamodb().delete_table(TableName=layout.TEST_BETA_TABLE)
    for page in target.s3().get_paginator("list_objects_v2").paginate(Bucket=layout.TEST_BUCKET):
        for each in page.get("Contents", []):
            target.s3().delete_object(Bucket=layout.TEST_BUCKET, Key=each["Key"])


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
