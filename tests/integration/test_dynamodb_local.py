"""Amazon's own engine takes what the copy sends, and the proof holds on it: see tests/dynamodb_local."""

from __future__ import annotations

import pytest

from tests.dynamodb_local.run import run_suite

pytestmark = pytest.mark.integration


def test_the_copy_against_dynamodb_local() -> None:
    assert run_suite("suite.py") >= 7
