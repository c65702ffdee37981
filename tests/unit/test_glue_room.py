"""A refresh that could not use the Glue job says so before it has wiped anything; what its own earlier attempt left
there has ended by then."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.app import glue as parts
from downstage.engines.glue import EPOCH, RUN
from downstage.errors import ConfigError, RunConflict
from downstage.ports import RunRecord
from tests.glue_server.launching import sealer
from tests.glue_server.server import FakeGlue
from tests.unit.glue_world import configured, deploy, plan
from tests.unit.glue_world import glue as glue
from tests.unit.glue_world import server as server
from tests.unit.test_glue_engine import Ticking


def record(kind: str = "refresh", epoch: int = 1) -> RunRecord:
    return RunRecord("test-1", "test", kind, "running", epoch, "2026-01-01T00:00:00Z", "", {})


@pytest.mark.parametrize("run", ["other-1", ""])
def test_a_job_that_another_run_uses_is_refused_with_the_parts_of_the_refresh(
    glue: FakeGlue, tmp_path: Path, run: str
) -> None:
    """Parts are made before the first step: nothing is wiped, no consumer is off."""
    config = configured(tmp_path, glue)
    deploy(config)
    glue.begin({RUN: run, EPOCH: "1"} if run else {}, ["RUNNING"])
    whose = "of downstage run other-1" if run else "that Downstage did not start"
    with pytest.raises(RunConflict, match=rf"job copy has an active run, jr_0000, {whose}: wait .* started"):
        parts.engine_of(plan(config), record(), sealer(), Ticking())
    (problem,) = parts.problems(plan(config))
    assert isinstance(problem, RunConflict)
    assert glue.stopped == []
    glue.runs[0].states = ["SUCCEEDED"]
    assert parts.problems(plan(config)) == []
    parts.engine_of(plan(config), record(), sealer(), Ticking())


def test_what_an_earlier_attempt_left_has_ended_before_anything_is_wiped_again(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    deploy(config)
    run = glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    clock = Ticking()

    def go_on() -> None:
        if len(run.states) > 1:
            run.states.pop(0)

    clock.when = go_on
    parts.engine_of(plan(config), record(epoch=2), sealer(), clock)
    assert (glue.stopped, run.states) == (["jr_0000"], ["STOPPED"])


def test_a_command_that_has_no_lanes_asks_nothing_of_the_job(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.calls.clear()
    parts.engine_of(plan(config), record("wipe"), sealer(), Ticking())
    assert not glue.calls
    with pytest.raises(ConfigError, match="is not deployed"):
        parts.engine_of(plan(config), record(), sealer(), Ticking())


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_logs_link_is_of_the_regions_own_console(region: str, host: str) -> None:
    from downstage.engines.glue import log_link

    assert log_link("jr_1", region).startswith(f"https://{host}/cloudwatch/home?region={region}#")
