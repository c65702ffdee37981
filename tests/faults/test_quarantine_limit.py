"""Too many poison items, by real processes: the run stops with one clear line, and goes on when the limit is raised.

Besides: the exit code in the JSON report is the process's own, of a refresh and of a single step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from downstage.journals.sqlite import SqliteJournal
from tests.faults.chaos import POISON, check, command, poisoned, project
from tests.faults.endpoint import PROD, Endpoint, Table
from tests.faults.lanes import KEYS, SOURCE, TARGET

pytestmark = pytest.mark.integration

COUNT = 200


def world() -> tuple[Table, Table]:
    source = Table(SOURCE, KEYS, page_items=20, account=PROD)
    source.put(poisoned(COUNT))
    return source, Table(TARGET, KEYS, page_items=20)


def report(text: str) -> dict[str, Any]:
    """The outcome among the lines of `--json`."""
    lines = [json.loads(line) for line in text.splitlines()]
    found: dict[str, Any] = next(line["outcome"] for line in lines if line["event"] == "outcome")
    return found


def test_a_copy_over_the_limit_stops_and_is_resumed_with_a_higher_one(tmp_path: Path) -> None:
    source, target = world()
    with Endpoint(source, target).serving() as endpoint:
        project(tmp_path, endpoint, more=f"      max_quarantine: {POISON - 1}")
        stopped = command(tmp_path, "copy", "test")
        assert stopped.returncode == 1
        (line,) = [line for line in stopped.stderr.splitlines() if line.startswith("downstage: ")]
        assert line == (
            "downstage: table app-test: 3 items were quarantined, more than the 2 of 'max_quarantine' (3 × the item is "
            "larger than 400 KB): mend them in the source or mend the masking and start a new refresh, or raise "
            "'refresh.max_quarantine' and resume the run"
        )
        assert "go on with: downstage resume test-" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        (run,) = SqliteJournal(tmp_path / "state" / "journal.sqlite").runs()

        puts = sum(target.puts.values())
        again = command(tmp_path, "resume", run.run_id, "--json")
        assert again.returncode == 1
        assert report(again.stdout)["exit_code"] == 1
        assert sum(target.puts.values()) == puts, "with the limit that it stopped at, it copies no more"

        project(tmp_path, endpoint, more='      max_quarantine: "2%"')
        resumed = command(tmp_path, "resume", run.run_id)
        assert resumed.returncode == 6, resumed.stderr
        check(tmp_path, source, target)

        verified = command(tmp_path, "verify", "test", "--json")
        assert verified.returncode == report(verified.stdout)["exit_code"] == 6, verified.stdout


def test_the_report_of_a_single_step_has_the_exit_code_of_the_process(tmp_path: Path) -> None:
    source, target = world()
    for number in range(POISON):
        del source.items[json.dumps([{"S": f"big|{number}"}, {"S": "a"}], separators=(",", ":")).encode()]
    with Endpoint(source, target).serving() as endpoint:
        project(tmp_path, endpoint, workers=1)
        for step in ("copy", "verify"):
            answer = command(tmp_path, step, "test", "--json")
            assert answer.returncode == report(answer.stdout)["exit_code"] == 0, answer.stdout
        refused = command(tmp_path, "copy", "test", "--json")  # the target is not empty any more
        assert refused.returncode == report(refused.stdout)["exit_code"] == 3, refused.stdout
        target.items.popitem()
        differing = command(tmp_path, "verify", "test", "--json")
        assert differing.returncode == report(differing.stdout)["exit_code"] == 4, differing.stdout
