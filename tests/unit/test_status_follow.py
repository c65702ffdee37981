"""`downstage status --follow`: each change of a step is told once, until nobody is behind the run any more, and then
how the environment stands and what can be done. Time is what the test makes of it: the run goes on in
each pause."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from downstage.app.runs import Project
from downstage.cli.main import app
from downstage.domain.outcome import MaskingOutcome
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import RunRecord, StepRecord
from tests.unit.plain_config import CONFIG

RUN = "test-20260101-050000-1a2b"
MASKING = asdict(MaskingOutcome("u-{token}@test.example.com", "hmac-sha256-128", "k", 0, 0))
SETTINGS = {
    "source": "prod",
    "source_account": "111111111111",
    "target_account": "222222222222",
    "steps": ["preflight", "wipe", "copy"],
    "masking": MASKING,
    "buckets": [],
    "streams": False,
}
NEXT = f"Next: go on with 'downstage resume {RUN}', or give it up: 'downstage cancel {RUN}'."


class Carried:
    """A run that a process is behind. Each pause of whoever follows does the next thing; one too many is an error."""

    def __init__(self, project: Project, process: ExitStack) -> None:
        self.journal = SqliteJournal(project.journal_path)
        self.pauses: list[float] = []
        self.then: list[Callable[[], None]] = []
        self._process = process

    def step(self, name: str, state: str, detail: str = "") -> None:
        self.journal.save_step(RUN, 1, StepRecord(name, state, 1.0, detail))

    def ends(self, state: str) -> None:
        self.journal.end_run(RUN, 1, state, "2026-01-01T06:00:00Z")
        self.killed()

    def killed(self) -> None:
        """The kernel lets go of the lock."""
        self._process.close()

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.then.pop(0)()


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Carried]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNSTAGE_CONFIG", raising=False)
    (tmp_path / "downstage.yaml").write_text(CONFIG, encoding="utf-8")
    project = Project.open(tmp_path / "downstage.yaml")
    with ExitStack() as process:
        process.enter_context(project.exclusive("test", RUN))
        run = Carried(project, process)
        run.journal.create_run(RunRecord(RUN, "test", "refresh", "running", 1, "2026-01-01T05:00:00Z", "", SETTINGS))
        monkeypatch.setattr("downstage.cli.runs.time.sleep", run.pause)
        yield run


def follow(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["status", "--follow", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_each_change_is_told_once_until_the_run_has_ended(carried: Carried) -> None:
    def fails() -> None:
        carried.step("copy", "failed", "AWS said no")
        carried.ends("failed")

    carried.step("preflight", "done", "nothing stands in the way")
    carried.step("wipe", "running")
    carried.then = [
        lambda: None,  # nothing new is not told
        lambda: carried.step("wipe", "done", "2 tables"),
        lambda: carried.step("copy", "running"),
        fails,
    ]
    done = follow()
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:6] == [
        "preflight: done: nothing stands in the way",
        "wipe: running",
        "wipe: done: 2 tables",
        "copy: running",
        "copy: failed: AWS said no",
        f"{RUN}: failed",
    ]
    assert NEXT in done.stdout
    assert carried.then == []
    assert set(carried.pauses) == {2.0}


def test_a_run_that_is_killed_is_told_as_cut_off_and_followed_no_longer(carried: Carried) -> None:
    """The journal goes on saying that it runs."""
    carried.step("wipe", "running")
    carried.then = [lambda: None, carried.killed]
    done = follow(RUN)
    assert f"{RUN}: cut off" in done.stdout
    assert NEXT in done.stdout
    assert len(carried.pauses) == 2


@pytest.mark.parametrize("state", ["parked", "waiting", "interrupted", "finished", "cancelled"])
def test_a_run_that_nobody_carries_is_told_at_once(carried: Carried, state: str) -> None:
    carried.step("wipe", "done")
    carried.ends(state)
    done = follow()
    assert carried.pauses == []
    assert done.stdout.startswith(f"wipe: done\n{RUN}: {state}\n")
    assert ("'downstage approve " in done.stdout) == (state == "waiting")
    assert ("Next: " in done.stdout) == (state not in ("finished", "cancelled"))


def test_a_step_that_begins_anew_is_told_again(carried: Carried) -> None:
    """`resume --from wipe` takes it back while somebody follows."""
    carried.step("wipe", "done")
    carried.then = [
        lambda: carried.journal.forget_step(RUN, 1, "wipe", ()),
        lambda: carried.step("wipe", "running"),
        lambda: carried.ends("interrupted"),
    ]
    assert follow().stdout.splitlines()[:3] == ["wipe: done", "wipe: pending", "wipe: running"]


def test_as_json_each_change_is_a_line_and_the_outcome_comes_last(carried: Carried) -> None:
    carried.step("wipe", "running")
    carried.then = [lambda: carried.step("wipe", "done", "2 tables"), lambda: carried.ends("finished")]
    lines = follow("--json").stdout.splitlines()
    changes = [json.loads(line) for line in lines[:2]]
    assert changes == [
        {"event": "step", "step": "wipe", "state": "running", "detail": ""},
        {"event": "step", "step": "wipe", "state": "done", "detail": "2 tables"},
    ]
    assert json.loads("\n".join(lines[2:]))["run_id"] == RUN


def test_without_follow_it_looks_once(carried: Carried) -> None:
    carried.step("wipe", "running")
    done = CliRunner().invoke(app, ["status"])
    assert done.stdout.startswith(f"{RUN}: running\n")
    assert carried.pauses == []
