"""What passes ends no Glue run that is well: a slot that AWS frees late, failures of Glue's and S3's own, credentials
that are renewed meanwhile; but no patience is without end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from downstage.aws.glue import GlueJob
from downstage.aws.parcels import BucketParcels
from downstage.aws.passing import is_passing
from downstage.domain.glue import GlueRun
from downstage.errors import CredentialsError, DownstageError, RunConflict, Unreachable
from downstage.testing.lanework import Mark
from tests.glue_server.launching import engine
from tests.glue_server.server import BUSY, FakeGlue
from tests.unit.test_glue_engine import LANES, Ticking
from tests.unit.test_glue_engine import clock as clock
from tests.unit.test_glue_engine import glue as glue
from tests.unit.test_glue_engine import server as server


def test_a_slot_that_aws_frees_late_is_waited_for(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    """The run before is shown as ended, and still counts: here for half a minute, and then for good."""
    glue.refuse = 3
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    assert (glue.calls["StartJobRun"], len(glue.runs)) == (4, 1)
    glue.refuse = 999
    with pytest.raises(RunConflict, match="as many active runs as it may"):
        list(engine(glue, clock, epoch=2).run(Mark(tmp_path), LANES))
    assert 10 < glue.calls["StartJobRun"] - 4 < 16, "it is asked for again every ten seconds, for two minutes"
    assert len(glue.runs) == 1


def test_what_glue_and_s3_cannot_say_just_now_ends_nothing(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    """Failures of their own, too many calls: more often than botocore asks again by itself."""
    job, told = glue.job, threading.Event()
    assert job is not None
    glue.job = lambda arguments: 1 if not told.wait(20) else job(arguments)
    clock.when = lambda: _hush(glue, clock, 20, told)
    assert len(list(engine(glue, clock, patient=False).run(Mark(tmp_path), LANES))) == 3
    assert clock.slept > 20
    assert glue.busy == 0
    assert glue.stopped == []


@pytest.mark.parametrize(("status", "code"), [*BUSY, (503, "SlowDown"), (400, "AccessDeniedException")])
def test_which_answers_pass(status: int, code: str) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert is_passing(ClientError(answer, "GetJobRun")) is (code != "AccessDeniedException")  # type: ignore[arg-type]


def _hush(glue: FakeGlue, clock: Ticking, looks: int, told: threading.Event | None = None) -> None:
    """From the first wait on so many looks are told nothing; after them `told` is set."""
    if clock.slept == 1:
        glue.busy = looks
    if not glue.busy and told is not None:
        told.set()
    for thread in list(glue.threads):
        thread.join(0.05)


@pytest.mark.parametrize("passing", [Unreachable("S3 answered SlowDown"), CredentialsError("renew them")])
def test_who_carried_an_ended_run_out_is_asked_for_until_it_is_told(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passing: DownstageError
) -> None:
    """From the first look on that finds the run at its end: not one of its lanes is lost for that."""
    read, refused = BucketParcels.get, 0

    def get(parcels: BucketParcels, key: str) -> bytes | None:
        nonlocal refused
        if key.endswith(".claim"):
            refused += 1
            if refused <= times:
                raise passing
        return read(parcels, key)

    monkeypatch.setattr(BucketParcels, "get", get)
    times = 7
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    assert (refused, glue.runs[0].states) == (8, ["SUCCEEDED"])
    times = 10**6
    with pytest.raises(type(passing), match="then resume the run"):
        list(engine(glue, clock, epoch=2).run(Mark(tmp_path), LANES))
    assert refused < 50


def test_a_start_that_waits_for_room_is_not_ended_by_a_look_that_says_nothing(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = GlueJob.start

    def start(job: GlueJob, arguments: dict[str, str]) -> str:
        try:
            return ask(job, arguments)
        except RunConflict:
            glue.busy = 1
            raise

    monkeypatch.setattr(GlueJob, "start", start)
    glue.refuse = 3
    assert len(list(engine(glue, clock, patient=False).run(Mark(tmp_path), LANES))) == 3
    assert (glue.calls["StartJobRun"], len(glue.runs)) == (4, 1)
    glue.refuse = 999
    with pytest.raises(RunConflict, match="as many active runs as it may"):
        list(engine(glue, clock, epoch=2, patient=False).run(Mark(tmp_path), LANES))
    assert glue.calls["StartJobRun"] - 4 < 16, "nor is it asked for without end"


def test_a_glue_that_never_says_anything_ends_the_run(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    glue.job, glue.script = None, ["RUNNING"]
    clock.when = lambda: _hush(glue, clock, 10**6)
    with pytest.raises(Unreachable, match="then resume the run, whose Glue run jr_0000 ends by itself"):
        list(engine(glue, clock, patient=False).run(Mark(tmp_path), LANES))
    assert glue.stopped == ["jr_0000"]


def test_credentials_that_are_not_accepted_just_now_end_nothing(
    glue: FakeGlue, clock: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single sign-on that somebody renews beside us; and one that nobody does."""
    look, refused = GlueJob.run, 0

    def run(job: GlueJob, run_id: str) -> GlueRun:
        nonlocal refused
        refused += 1
        if refused <= times:
            raise CredentialsError("AWS does not accept the credentials; renew them")
        return look(job, run_id)

    monkeypatch.setattr(GlueJob, "run", run)
    times = 20
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    assert glue.stopped == []
    times = 10**6
    with pytest.raises(CredentialsError, match="renew them; then resume the run, whose Glue run jr_0001 ends"):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
