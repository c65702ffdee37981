"""Ten kills over whole refreshes, each between the end of a step's work and its record: the short form of
`make chaos-runs`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


def test_ten_kills() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos.runs", "--kills", "10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-2000:]
    assert answer.stdout.splitlines()[-1].startswith("10 kills (")
