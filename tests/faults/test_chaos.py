"""kill -9 over a copy by real processes, at ten of the fifty seeded moments (`make chaos` runs all)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chaos import killed_at
from tests.faults.moments import Moment, moments

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("moment", moments(10), ids=str)
def test_nothing_is_lost_doubled_or_altered(moment: Moment, tmp_path: Path) -> None:
    killed_at(moment, tmp_path)


def test_the_moments_are_what_they_claim_to_be() -> None:
    all_of_them = moments(50)
    assert all_of_them[:10] == moments(10)
    assert {moment.victim for moment in all_of_them} == {"worker", "parent"}
    assert len({(moment.hook, moment.after) for moment in all_of_them}) >= 10
    between = [one for one in all_of_them if (one.hook, one.after) == ("post:BatchWriteItem", True)]
    assert len(between) >= 3
