"""Amazon's own engine takes what the copy sends, and the proof holds on it: see tests/dynamodb_local."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dynamodb_local import fetch

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def test_the_copy_against_dynamodb_local() -> None:
    reason = fetch.missing()
    if reason:
        pytest.skip(reason)
    command = ["unshare", "-rn", sys.executable, "-m", "tests.dynamodb_local.namespace"]
    answer = subprocess.run(
        [*command, str(fetch.emulator()), "tests/dynamodb_local/suite.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr[-2000:]
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed, answer.stdout[-2000:]
    assert int(passed[1]) >= 7
    assert "skipped" not in answer.stdout
