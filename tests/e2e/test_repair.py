"""A target that somebody has meddled with: `verify` names what is wrong and writes nothing, `verify --repair` mends it,
also when it is killed, and the proof holds again."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Cli, Place
from tests.e2e.snapshot import PROD, TEST, client, snapshot

pytestmark = pytest.mark.e2e

SOURCE, TARGET = "efcms-prod-alpha", "efcms-test-alpha"
PATIENCE = 180.0


def cases(place: Place, account: str, table: str) -> list[dict[str, Any]]:
    """The table's cases, in the order of their keys."""
    pages = client(place, "dynamodb", account).get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found = [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("case|")]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def meddle(place: Place) -> None:
    """Alters one item of the target, removes one, adds one; changes one of the source and deletes one there."""
    target, source = client(place, "dynamodb", TEST), client(place, "dynamodb", PROD)
    altered, removed = cases(place, TEST, TARGET)[:2]
    target.put_item(TableName=TARGET, Item=altered | {"status": {"S": "altered"}})
    target.delete_item(TableName=TARGET, Key={name: removed[name] for name in ("pk", "sk")})
    target.put_item(TableName=TARGET, Item={"pk": {"S": "case|nobody"}, "sk": {"S": "wrote this"}})
    changed, deleted = cases(place, PROD, SOURCE)[-2:]
    source.put_item(TableName=SOURCE, Item=changed | {"status": {"S": "changed since"}})
    source.delete_item(TableName=SOURCE, Key={name: deleted[name] for name in ("pk", "sk")})


def tables(snapshot_: dict[str, Any], account: str) -> dict[str, Any]:
    return {name: value for name, value in snapshot_[account].items() if name.startswith("table ")}


def table(answer: dict[str, Any]) -> dict[str, Any]:
    """The meddled table in a run's outcome."""
    found: dict[str, Any] = next(entry for entry in answer["outcome"]["tables"] if entry["target"] == TARGET)
    return found


@pytest.fixture
def meddled(cli: Cli, place: Place) -> dict[str, Any]:
    """A refreshed environment that was then meddled with; what stood in it before."""
    answer = cli("refresh", "test", "--config", place.config)
    assert answer.code == 0, answer.err
    before = snapshot(place)
    meddle(place)
    return before


def test_meddling_is_named_mended_though_killed_and_proven(cli: Cli, place: Place, meddled: dict[str, Any]) -> None:
    after = snapshot(place)
    answer = cli("verify", "test", "--json", "--config", place.config)
    assert answer.code == 4, answer.err
    assert snapshot(place) == after
    found = table(next(line for line in answer.lines if line["event"] == "outcome"))["differences"]
    counts = [found[name] for name in ("missing", "extra", "differing", "source_changed", "untold", "unexplained")]
    assert counts == [1, 1, 1, 2, 0, 0]
    assert sorted(item["kind"] for item in found["items"]) == ["differing", "extra", "missing"]

    run_id = kill_while_repairing(cli, place)
    answer = cli("resume", run_id, "--json", "--config", place.config)
    assert answer.code == 0, answer.err
    mended = table(answer.lines[-1])
    assert mended["proven"]
    assert mended["repaired"]["left"] == 0
    now = snapshot(place)
    assert tables(now, TEST) == tables(meddled, TEST)
    assert tables(now, PROD) == tables(after, PROD)

    answer = cli("verify", "test", "--config", place.config)
    assert answer.code == 0, answer.err
    assert not list((place.config.parent / "state" / "deep").glob("*"))


def kill_while_repairing(cli: Cli, place: Place) -> str:
    """Starts a repair and kills it once it is about to mend the first row, or has just done so."""
    process = cli.start("verify", "test", "--repair", "--config", place.config)
    deadline = time.monotonic() + PATIENCE
    folder = place.config.parent / "state" / "deep"
    while not any(begun(path) for path in folder.glob("*.sqlite")):
        assert process.poll() is None, "the repair ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    runs = cli("runs", "--json", "--config", place.config).lines
    ((run_id, state),) = [(line["run_id"], line["state"]) for line in runs if line["kind"] == "repair"]
    assert state == "cut off"
    return str(run_id)


def begun(path: Path) -> bool:
    """Whether what is wrong is known: mending is what comes next."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    except sqlite3.OperationalError:
        return False
    try:
        return connection.execute("select 1 from differences where verdict = 'genuine' limit 1").fetchone() is not None
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
