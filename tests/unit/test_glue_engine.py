"""The Glue engine keeps the contract of engines, starts nothing twice, and says what AWS made of a run.

Glue is a fake over real HTTP that can be told every state; the job is the real one, with its lanes in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from downstage.engines.glue import EPOCH, PARCEL, RUN
from downstage.engines.serial import SerialEngine
from downstage.errors import AwsError, ConfigError, DownstageError, RunConflict, Unreachable
from downstage.jobs import glue_main
from downstage.ports import Engine, Lane
from downstage.testing.contracts import EngineContract
from downstage.testing.lanework import FailAt, Mark, StumbleAt, noted
from tests.glue_server.launching import BY_ITSELF, KEY, engine
from tests.glue_server.server import FakeGlue, serving

LANES = [Lane("copy/t", (segment,)) for segment in range(3)]
SECRET = "ada@court.example.org"


class Ticking:
    """A clock on which sleeping is instant; `when` is called at each sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept = 0
        self.when: Callable[[], None] = lambda: None

    def now(self) -> float:
        return 1.8e9 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept += 1
        assert self.slept < 5000, "waits for ever"
        self.when()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGlue]:
    with serving() as fake:
        yield fake


@pytest.fixture
def glue(server: FakeGlue, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGlue]:
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "MASK": KEY}.items():
        monkeypatch.setenv(name, value)
    server.begin_anew()
    server.jobs["copy"] = {}
    server.job = lambda arguments: glue_main.main(arguments, lambda _at_once: SerialEngine())
    yield server
    for thread in server.threads:
        thread.join(10)


@pytest.fixture
def clock(glue: FakeGlue) -> Ticking:
    ticking = Ticking()

    def go_on() -> None:
        """What a real engine sleeps through: the job's thread goes on instead."""
        for thread in list(glue.threads):
            thread.join(0.05)

    ticking.when = go_on
    return ticking


class TestGlueEngine(EngineContract):
    @pytest.fixture
    def engine(self, glue: FakeGlue, clock: Ticking) -> Engine:
        return engine(glue, clock)


def test_the_run_carries_names_and_nothing_of_the_work(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    list(engine(glue, clock).run(Mark(tmp_path), LANES))
    (run,) = glue.runs
    assert (run.arguments[RUN], run.arguments[EPOCH]) == ("test-1", "1")
    assert run.arguments[PARCEL].startswith("s3://files/downstage/parcels/test-1/1-copy-")
    assert run.arguments.items() >= BY_ITSELF.items(), "a run's arguments may replace all of the job's own"
    assert KEY not in json.dumps(run.arguments)
    assert b"Mark" not in b"".join(glue.objects.values()), "a parcel is sealed"


@pytest.mark.parametrize("sorry", [False, True])
def test_a_start_whose_answer_is_lost_is_found_by_looking(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, sorry: bool
) -> None:
    glue.lose, glue.sorry = 1, sorry
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    assert glue.calls["StartJobRun"] == 1
    assert len(glue.runs) == 1


def test_a_start_that_never_was_is_asked_for_again(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.lose_unstarted = 2
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    assert glue.calls["StartJobRun"] == 3
    assert len(glue.runs) == 1


def test_a_start_that_cannot_be_made_ends_the_run(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.lose_unstarted = 99
    with pytest.raises(Unreachable, match="start a run of Glue job copy"):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert glue.calls["StartJobRun"] == 3


def test_of_two_runs_with_one_parcel_one_carries_it_out(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    """The first start is seen so late that a second one is asked for: the lanes are done once all the same."""
    glue.lose, glue.late = 1, 20
    done = list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert sorted(lane.segments[0] for lane in done) == [0, 1, 2]
    assert len(glue.runs) == 2
    assert all(len(noted(tmp_path, f"lane-{segment}")) == 1 for segment in range(3))


@pytest.mark.parametrize("run", ["other-1", ""])
def test_beside_another_run_nothing_begins(glue: FakeGlue, clock: Ticking, tmp_path: Path, run: str) -> None:
    glue.job = None
    glue.begin({RUN: run, EPOCH: "1"} if run else {}, ["RUNNING"])
    whose = "of downstage run other-1" if run else "that Downstage did not start"
    how = "with 'downstage glue stop ENV other-1'" if run else "in AWS's console"
    with pytest.raises(RunConflict, match=rf"run, jr_0000, {whose}: .* or end it {how}; nothing was started"):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert glue.calls["StartJobRun"] == 0
    assert glue.stopped == []


def test_waiting_and_what_we_do_not_know_are_active(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job = None
    for state in ("WAITING", "STARTING", "STOPPING", "PONDERING"):
        glue.runs.clear()
        glue.begin({RUN: "other-1"}, [state])
        with pytest.raises(RunConflict):
            list(engine(glue, clock).run(Mark(tmp_path), LANES))


def test_what_a_killed_launcher_left_is_ended_before_anything_begins(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    """The journal refuses what an earlier epoch saves, so its run is not gone on with."""
    job, glue.job = glue.job, None
    glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    glue.job = job
    states: list[list[str]] = []

    def look() -> None:
        states.append([run.states[0] for run in glue.runs])
        first = glue.runs[0]
        if len(glue.runs) == 1 and first.states[0] == "STOPPING" and len(first.states) > 1:
            first.states.pop(0)
        for thread in list(glue.threads):
            thread.join(0.05)

    clock.when = look
    assert len(list(engine(glue, clock, epoch=2).run(Mark(tmp_path), LANES))) == 3
    assert glue.stopped == ["jr_0000"]
    assert glue.runs[0].states == ["STOPPED"]
    assert len(glue.runs) == 2
    assert not any(len(each) == 2 and each[0] != "STOPPED" for each in states), "two ran at one time"


def test_an_earlier_epoch_starts_nothing_beside_its_successor(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job = None
    glue.begin({RUN: "test-1", EPOCH: "3"}, ["RUNNING"])
    with pytest.raises(RunConflict):
        list(engine(glue, clock, epoch=2).run(Mark(tmp_path), LANES))
    assert glue.stopped == []


def test_a_refreshs_buckets_run_beside_its_tables(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    job, glue.job = glue.job, None
    glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    glue.job = job
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3


def test_as_many_active_runs_as_there_may_be_are_a_conflict_at_once(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    job, glue.job = glue.job, None
    for _ in range(2):
        glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])
    glue.job = job
    with pytest.raises(RunConflict, match="as many active runs as it may"):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert glue.calls["StartJobRun"] == 1


@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"])
def test_every_bad_end_is_told_with_awss_reason_and_the_log(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, state: str
) -> None:
    glue.job = None
    glue.script = ["WAITING", "STARTING", "PONDERING", "RUNNING", "STOPPING", state]
    glue.told = {"ErrorMessage": f"Command failed for {SECRET}\nTraceback", "StateDetail": "no capacity"}
    with pytest.raises(DownstageError) as caught:
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    said = str(caught.value)
    assert f"Glue run jr_0000 ended as {state}: Command failed for ‹address›; its log: https://" in said
    assert said.endswith("log-events/jr_0000; then resume the run")
    assert "Traceback" not in said
    assert SECRET not in said
    assert glue.calls["GetJobRun"] == 6, "every state before the last one was waited through"
    assert glue.stopped == []


def test_a_success_that_left_lanes_undone_is_none(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job, glue.script = None, ["SUCCEEDED"]
    with pytest.raises(DownstageError, match="ended as SUCCEEDED: it left lanes undone"):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))


def test_a_run_that_never_ends_is_ended(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job, glue.script, glue.told = None, ["WAITING"], {"StateDetail": "no capacity"}
    with pytest.raises(DownstageError, match=r"has been WAITING for too long \(no capacity\): see its log"):
        list(engine(glue, clock, patience=100.0).run(Mark(tmp_path), LANES))
    assert clock.seconds == pytest.approx(100, abs=20)
    assert glue.stopped == ["jr_0000"]


def test_lanes_that_ended_before_the_run_failed_are_told_and_then_its_error(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    told: list[Lane] = []
    with pytest.raises(AwsError, match="lane 1 failed") as caught:
        told.extend(lane for lane in engine(glue, clock).run(FailAt(tmp_path, 1), LANES))
    assert caught.value.code == "Boom"
    assert glue.runs[0].states == ["FAILED"]


def test_what_no_one_foresaw_leaves_the_job_as_its_kind_alone(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DownstageError, match=r"the Glue job died \(ValueError\)"):
        list(engine(glue, clock).run(StumbleAt(tmp_path, 0, SECRET, times=9), LANES))
    assert SECRET not in "".join(capfd.readouterr())


def test_stop_has_aws_end_the_run_for_good(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job, glue.script = None, ["RUNNING"]
    stopped = engine(glue, clock)
    clock.when = lambda: stopped.stop() if clock.slept == 3 else None
    with pytest.raises(DownstageError, match="the lanes were stopped: resume the run"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert glue.stopped == ["jr_0000"]
    with pytest.raises(DownstageError, match="the lanes were stopped: resume the run"):
        list(stopped.run(Mark(tmp_path), LANES))
    assert len(glue.runs) == 1


def test_who_no_longer_wants_the_lanes_has_the_run_ended(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    """As when another branch of the refresh failed, or Ctrl-C came while it waited."""
    glue.job, glue.script = None, ["RUNNING"]

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.when = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert glue.stopped == ["jr_0000"]


def test_arguments_that_are_too_long_are_refused(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    long = engine(glue, clock, arguments={"--downstage-source": "x" * 260_000})
    with pytest.raises(ConfigError, match=r"arguments would be 26\d,\d+ bytes long, AWS takes 250,000: shorten"):
        list(long.run(Mark(tmp_path), LANES))
    assert glue.runs == []
