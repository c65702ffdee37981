"""A refresh that could not use the Glue job says so before it has wiped anything, and not after that; what its own
earlier attempt left there has ended by then. To `check` the environment's own run is none that stands in its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.app import glue as parts
from downstage.app import looks
from downstage.app.runs import Project
from downstage.domain.outcome import StepState
from downstage.engines.glue import EPOCH, RUN
from downstage.errors import ConfigError, RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.ports import RunRecord, StepRecord
from downstage.testing.lanework import Mark
from tests.glue_server.launching import sealer
from tests.glue_server.server import FakeGlue
from tests.unit.glue_world import configured, deploy, plan
from tests.unit.glue_world import glue as glue
from tests.unit.glue_world import server as server
from tests.unit.test_glue_engine import LANES, Ticking


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
        parts.engine_of(plan(config), record(), MemoryJournal(), sealer(), Ticking())
    (problem,) = parts.problems(plan(config))
    assert isinstance(problem, RunConflict)
    assert glue.stopped == []
    glue.runs[0].states = ["SUCCEEDED"]
    assert parts.problems(plan(config)) == []
    parts.engine_of(plan(config), record(), MemoryJournal(), sealer(), Ticking())


def test_what_an_earlier_attempt_left_has_ended_before_anything_is_wiped_again(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    deploy(config)
    run = glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    clock = Ticking()

    def go_on() -> None:
        if len(run.states) > 1:
            run.states.pop(0)

    clock.when = go_on
    parts.engine_of(plan(config), record(epoch=2), MemoryJournal(), sealer(), clock)
    assert (glue.stopped, run.states) == (["jr_0000"], ["STOPPED"])


def left_with(wipe: StepState, run: RunRecord) -> MemoryJournal:
    """The journal of a run whose wipe has come so far."""
    journal = MemoryJournal()
    journal.create_run(run)
    journal.save_step(run.run_id, run.epoch, StepRecord("wipe", wipe.value, 1.0, "", {}, {}))
    return journal


@pytest.mark.parametrize("wipe", list(StepState))
def test_a_refresh_that_has_wiped_is_gone_on_with_though_another_run_uses_the_job(
    glue: FakeGlue, tmp_path: Path, wipe: StepState
) -> None:
    """It may have nothing left but an approval, or the consumers: whoever starts lanes looks again."""
    config = configured(tmp_path, glue)
    deploy(config)
    glue.begin({RUN: "other-1", EPOCH: "1"}, ["RUNNING"])
    mine = glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    clock = Ticking()

    def go_on() -> None:
        if len(mine.states) > 1:
            mine.states.pop(0)

    clock.when = go_on
    run = record(epoch=2)
    journal = left_with(wipe, run)
    if wipe not in (StepState.DONE, StepState.SKIPPED):
        with pytest.raises(RunConflict, match="job copy has an active run, jr_0000, of downstage run other-1"):
            parts.engine_of(plan(config), run, journal, sealer(), clock)
        return
    engine = parts.engine_of(plan(config), run, journal, sealer(), clock)()
    assert (glue.stopped, mine.states) == (["jr_0001"], ["STOPPED"]), "its own is ended all the same"
    with pytest.raises(RunConflict, match="job copy has an active run, jr_0000, of downstage run other-1"):
        list(engine.run(Mark(tmp_path), LANES))
    assert not any("/parcels/" in key and ".starts." not in key for key in glue.objects), "a refusal leaves no parcel"
    glue.jobs["copy"]["Timeout"] = 1
    parts.engine_of(plan(config), run, journal, sealer(), clock)
    with pytest.raises(ConfigError, match="was changed by hand"):
        list(engine.run(Mark(tmp_path), LANES))
    assert glue.calls["StartJobRun"] == 0


def test_a_check_beside_the_environments_own_run_finds_nothing_in_its_way(glue: FakeGlue, tmp_path: Path) -> None:
    """Its run of now, that is: one that was cut off stands in the way, and so does that of another environment."""
    config = configured(tmp_path, glue)
    deploy(config)
    project = Project.open(config)
    project.journal("test").create_run(record())
    glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    notes: list[str] = []

    def found() -> list[str]:
        return [str(one) for one in looks.engine_problems(project, plan(config), notes.append) if "copy" in str(one)]

    (problem,) = found()
    assert problem.startswith("job copy has an active run, jr_0000, of downstage run test-1: wait")
    assert notes == []
    with project.lock("test").held(run_id="test-1"):
        assert found() == []
        assert notes == ["job copy is at work for test's own run test-1 (Glue run jr_0000)"]
        glue.runs[0].arguments[RUN] = "other-1"
        assert len(found()) == 1


def test_an_environment_may_have_a_job_of_its_own(
    glue: FakeGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a variable, or by one that the configuration names."""
    config = configured(tmp_path, glue)
    deploy(config)
    monkeypatch.setenv("DOWNSTAGE__ENGINE__GLUE__JOB", "copy-test2")
    assert deploy(config)[0] == 0
    assert parts.glue_of(plan(config)).job == "copy-test2"
    monkeypatch.delenv("DOWNSTAGE__ENGINE__GLUE__JOB")
    monkeypatch.setenv("TARGET", "test2")
    named = configured(tmp_path, glue, replaced=("job: copy,", 'job: "copy-${TARGET}",'))
    assert parts.glue_of(plan(named)).job == "copy-test2"
    assert glue.jobs.keys() == {"copy", "copy-test2"}


def test_a_command_that_has_no_lanes_asks_nothing_of_the_job(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.calls.clear()
    parts.engine_of(plan(config), record("wipe"), MemoryJournal(), sealer(), Ticking())
    assert not glue.calls
    with pytest.raises(ConfigError, match="is not deployed"):
        parts.engine_of(plan(config), record(), MemoryJournal(), sealer(), Ticking())


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
