"""Runs one suite against DynamoDB Local, both in a network namespace of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dynamodb_local import fetch

ROOT = Path(__file__).parents[2]


def run_suite(name: str) -> int:
    """How many tests of `tests/dynamodb_local/NAME` passed. Skips, with the reason, where the engine cannot be had."""
    reason = fetch.missing()
    if reason:
        pytest.skip(reason)
    command = ["unshare", "-rn", sys.executable, "-m", "tests.dynamodb_local.namespace"]
    answer = subprocess.run(
        [*command, str(fetch.emulator()), f"tests/dynamodb_local/{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr[-2000:]
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed, answer.stdout[-2000:]
    assert "skipped" not in answer.stdout
    return int(passed[1])
