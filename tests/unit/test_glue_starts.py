"""That a start is asked for stands in the bucket before it is asked, with its time; then which Glue run it is. What a
launcher asked for before it died begins nothing any more once its run is resumed, however late AWS begins it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from downstage.engines.glue import EPOCH, PARCEL, RUN
from downstage.engines.glue_starts import starts_key
from downstage.engines.parcel import claim_key
from downstage.errors import HeldByAnother, RunConflict
from downstage.testing.lanework import Mark, noted
from tests.glue_server.launching import engine
from tests.glue_server.server import FakeGlue
from tests.unit.test_glue_engine import LANES, Ticking
from tests.unit.test_glue_engine import clock as clock
from tests.unit.test_glue_engine import glue as glue
from tests.unit.test_glue_engine import server as server

FOLDER = "downstage/parcels/test-1/"


def starts(glue: FakeGlue, epoch: int) -> list[dict[str, Any]]:
    content = glue.objects.get(f"/files/{starts_key(FOLDER, epoch)}")
    return [] if content is None else list(json.loads(content))


def begun_late(glue: FakeGlue, of: dict[str, str]) -> str:
    """The state that a run ends in that AWS begins only now, or shows only now."""
    run = glue.begin(of)
    glue.threads[-1].join(20)
    return run.states[0]


def test_the_intent_stands_with_its_time_before_the_start_and_the_run_after_it(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    found: list[list[dict[str, Any]]] = []
    job = glue.job
    assert job is not None

    def looking(arguments: list[str]) -> int | str:
        found.append(starts(glue, 1))
        return job(arguments)

    glue.job, glue.lose = looking, 1
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3
    parcel = glue.runs[0].arguments[PARCEL].removeprefix("s3://files/")
    asked = {"parcel": parcel, "asked": "2027-01-15T08:00:00Z", "glue_run": ""}
    assert found[0] == [asked], "before AWS was asked"
    assert starts(glue, 1) == [asked | {"glue_run": "jr_0000"}], "though the answer was lost"


def test_tables_and_buckets_stand_in_one_list(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    one = engine(glue, clock)
    for _ in range(2):
        list(one.run(Mark(tmp_path), LANES))
    assert [start["glue_run"] for start in starts(glue, 1)] == ["jr_0000", "jr_0001"]


def test_what_a_dead_launcher_asked_for_begins_nothing_after_the_resume(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    """It died while it asked, and AWS shows the run only when its successor has long begun its own."""

    class Dead(BaseException):
        """As SIGKILL: nothing is done any more."""

    job, glue.job = glue.job, None
    glue.lose, glue.late = 1, 999

    def die() -> None:
        raise Dead

    clock.when = die
    with pytest.raises(Dead):
        list(engine(glue, clock).run(Mark(tmp_path / "first"), LANES))
    unseen = glue.runs.pop()

    def go_on() -> None:
        for thread in list(glue.threads):
            thread.join(0.05)

    glue.job, glue.late = job, 0
    clock.when = go_on
    (tmp_path / "second").mkdir()
    done = list(engine(glue, clock, epoch=2).run(Mark(tmp_path / "second"), LANES))
    assert len(done) == 3
    withdrawn = glue.objects[f"/files/{claim_key(starts(glue, 1)[0]['parcel'])}"]
    assert withdrawn == b"withdrawn by epoch 2"
    assert begun_late(glue, unseen.arguments) == "SUCCEEDED"
    assert not (tmp_path / "first").exists(), "no lane of it was begun"
    assert all(len(noted(tmp_path / "second", f"lane-{segment}")) == 1 for segment in range(3))


def test_a_parcel_that_a_run_had_claimed_stays_that_runs(glue: FakeGlue, clock: Ticking, tmp_path: Path) -> None:
    list(engine(glue, clock).run(Mark(tmp_path), LANES))
    list(engine(glue, clock, epoch=2).run(Mark(tmp_path), LANES))
    claims = sorted(content for key, content in glue.objects.items() if key.endswith(".claim"))
    assert claims == [b"jr_0000", b"jr_0001"]


def test_a_run_whose_parcel_its_successor_withdrew_ends_its_launcher_in_one_line(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    """A launcher that only hung: its Glue run found its work withdrawn, and did nothing."""
    job = glue.job
    assert job is not None

    def withdrawn_before(arguments: list[str]) -> int | str:
        (start,) = starts(glue, 1)
        glue.objects[f"/files/{claim_key(start['parcel'])}"] = b"withdrawn by epoch 2"
        return job(arguments)

    glue.job = withdrawn_before
    with pytest.raises(HeldByAnother) as caught:
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert str(caught.value) == (
        "run test-1 was resumed meanwhile, by whom what this process had asked for was withdrawn by epoch 2: follow it "
        "with 'downstage status test-1'"
    )
    assert glue.runs[0].states == ["SUCCEEDED"]
    assert not noted(tmp_path, "lane-0"), "no lane was begun"
    assert glue.calls["StartJobRun"] == 1


def test_a_start_that_is_refused_leaves_neither_a_parcel_nor_an_intent(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    job, glue.job = glue.job, None
    other = glue.begin({RUN: "other-1", EPOCH: "1"}, ["RUNNING"])
    with pytest.raises(RunConflict):
        list(engine(glue, clock).run(Mark(tmp_path), LANES))
    assert not any(FOLDER in key for key in glue.objects)
    other.states, glue.job = ["STOPPED"], job
    assert len(list(engine(glue, clock).run(Mark(tmp_path), LANES))) == 3


def test_a_list_that_somebody_else_wrote_touches_nothing_of_other_places(
    glue: FakeGlue, clock: Ticking, tmp_path: Path
) -> None:
    for epoch, content in enumerate((b"no list", b'[{"parcel": "elsewhere/x.parcel", "asked": ""}]', b"[1]"), 1):
        glue.objects[f"/files/{starts_key(FOLDER, epoch)}"] = content
    assert len(list(engine(glue, clock, epoch=4).run(Mark(tmp_path), LANES))) == 3
    assert not any("elsewhere" in key for key in glue.objects)


def test_the_way_is_clear_only_when_what_an_earlier_attempt_left_has_ended(glue: FakeGlue, clock: Ticking) -> None:
    """Before anything is wiped: what it still wrote would stand in the emptied environment."""
    glue.job = None
    run = glue.begin({RUN: "test-1", EPOCH: "1"}, ["RUNNING"])

    def go_on() -> None:
        if len(run.states) > 1:
            run.states.pop(0)

    clock.when = go_on
    engine(glue, clock, epoch=2).clear_the_way()
    assert glue.stopped == ["jr_0000"]
    assert run.states == ["STOPPED"]
    assert glue.calls["StartJobRun"] == 0
