"""What a Glue run costs: by the second and a minute at least; and the most that it can be while AWS has not counted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from downstage.domain.glue import GlueRun

ASKED = "2026-01-01T10:00:00+00:00"
NOW = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run", "hours"),
    [
        (GlueRun("r", "RUNNING", started=ASKED, seconds=3600, dpus=10.0), 10.0),
        (GlueRun("r", "SUCCEEDED", started=ASKED, seconds=10, dpus=10.0), 10 * 60 / 3600),
        (GlueRun("r", "STARTING", started=ASKED, seconds=0, dpus=10.0), 0.0),
        (GlueRun("r", "WAITING", started=ASKED, seconds=0, dpus=10.0), 0.0),
        (GlueRun("r", "STOPPED", started=ASKED, seconds=0, dpus=10.0), 0.0),
        (GlueRun("r", "SUCCEEDED", started=ASKED, seconds=3600, dpus=10.0, dpu_seconds=7200.0), 2.0),
        (GlueRun("r", "SUCCEEDED", started=ASKED, seconds=3600), None),
    ],
)
def test_what_aws_has_counted_is_charged(run: GlueRun, hours: float | None) -> None:
    assert run.is_counted
    assert run.dpu_hours(NOW) == hours


@pytest.mark.parametrize("told", [None, 0.0])
def test_a_run_that_goes_on_and_is_not_counted_costs_what_it_can_at_most(told: float | None) -> None:
    run = GlueRun("r", "RUNNING", started=ASKED, dpus=10.0, dpu_seconds=told)
    assert not run.is_counted
    assert run.dpu_hours(NOW) == 15.0
    assert run.dpu_hours(datetime(2026, 1, 1, 10, 0, 5, tzinfo=UTC)) == 10 * 60 / 3600
    assert GlueRun("r", "RUNNING", started=ASKED).dpu_hours(NOW) is None
