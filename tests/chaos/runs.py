"""Chaos over whole refreshes: the process is killed in every step and between side effect and record; the run is
resumed each time, and the proof must hold at the end. `python -m tests.chaos.runs --each 5 --log chaos-runs.md`

Each refresh is killed in every third step, at the next of that step's moments (`moments.py`), by a trap in the process
itself (`killable.py`): so a kill is booked to the step in which it struck, and to no other. A refresh that is killed
while it deploys is deployed by a CI, the others by a clone. Of every few refreshes one is resumed each time in a
directory that is empty but for the configuration, on the control table. It goes on until every step was killed so
many times, and ends with 0 only if, each time,

* the refresh was proven, and the consumers are on, on live streams;
* no step that had ended began again;
* every table and domain was deleted once, and the CI was asked for one deployment.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from downstage.app.clock import SystemClock
from downstage.workflow.refresh import STEPS
from tests.chaos.moments import Moment, in_turns, moments
from tests.ci_servers.circleci import PREFIX, PROJECT, TOKEN, CircleCiServer
from tests.ci_servers.server import Call, Reply, serving

PATIENCE = 420.0
MOST = 12
"""Refreshes, for one kill in every step: three would do if each moment were reached."""

FRESH = 8
"""One of so many refreshes is resumed in empty directories; that waits a minute for a dead process's lease."""

CLONE = "deploy: {clone: {}}"


@dataclass
class Place:
    """Where configurations lie. `deploying` is the one by which the CI deploys."""

    directory: Path
    config: Path
    deploying: Path
    made: int = 0

    def another(self, *changes: tuple[str, str]) -> Path:
        """The configuration, changed, in a directory of its own with nothing of an earlier life."""
        self.made += 1
        place = self.directory / f"place-{self.made}"
        place.mkdir()
        text = self.config.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (place / "downstage.yaml").write_text(text, encoding="utf-8")
        shutil.copy(self.config.parent / "mask.key", place / "mask.key")
        shutil.copytree(self.config.parent / "aws", place / "aws")
        return place / "downstage.yaml"


class Deploying(CircleCiServer):
    """A CircleCI whose workflow deploys: what it does is the clone of another configuration."""

    def __init__(self, place: Place) -> None:
        super().__init__(SystemClock())
        self.unfold = ("success",)
        self._place = place

    def answer(self, call: Call) -> Reply:
        reply = super().answer(call)
        if call.method == "POST":
            made = called("refresh", "test", "--only", "deploy", "--config", self._place.deploying, "--json")
            steps = json.loads(made.stdout.splitlines()[-1])["outcome"]["steps"]
            assert {"deploy": "done"}.items() <= {step["name"]: step["state"] for step in steps}.items(), made.stderr
        return reply


@dataclass
class Campaign:
    """What was done so far."""

    place: Place
    server: CircleCiServer
    log: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    proven: int = 0
    moments: dict[str, Iterator[Moment]] = field(default_factory=lambda: {step: moments(step) for step in STEPS})

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        self.log.append(text)


def called(*arguments: object, module: str = "downstage", **environ: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "CIRCLE_TOKEN": TOKEN, **environ},
    )


def trace_of(path: Path) -> list[dict[str, str]]:
    """What the processes of one refresh have told."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def one_refresh(campaign: Campaign, steps: list[str], *, fresh: bool) -> None:
    """One refresh, killed once in each of the steps, resumed to its end and looked at. A step that does not come to its
    moment has ended the refresh: it is killed no more."""
    place, changes = campaign.place, []
    if "deploy" in steps:
        circleci = f"{{project: {PROJECT}, branch: test, rerun: deploy, endpoint: '{campaign.server.url}'}}"
        changes.append((CLONE, f"deploy: {{circleci: {circleci}}}"))
    if fresh:
        changes.append(("journal: sqlite", "journal: dynamodb"))
    config = place.another(*changes)
    trace = config.parent / "trace.jsonl"
    started = campaign.server.count("POST")
    command: list[object] = ["refresh", "test"]
    run_id = ""
    for step in steps:
        moment = next(campaign.moments[step])
        answer = called(
            *command, "--config", config, "--json", module="tests.chaos.killable",
            CHAOS_MOMENT=str(moment), CHAOS_TRACE=str(trace),
        )  # fmt: skip
        lines = [json.loads(line) for line in answer.stdout.splitlines()]
        run_id = run_id or next((line["run_id"] for line in lines if line.get("run_id")), "")
        if answer.returncode >= 0:  # it went to its end
            assert answer.returncode == 0, (str(moment), answer.stdout[-2000:], answer.stderr[-500:])
            campaign.say(f"  {moment}: not reached")
            break
        assert trace_of(trace)[-1] == {"killed": str(moment)}, (str(moment), answer.returncode, trace_of(trace)[-3:])
        campaign.kills[step] += 1
        campaign.say(f"  {moment}: killed")
        if fresh:
            config = place.another(*changes)
        command = ["resume", run_id]
    else:
        answer = called(
            *command, "--config", config, "--json", module="tests.chaos.killable", CHAOS_TRACE=str(trace)
        )  # fmt: skip
        assert answer.returncode == 0 or "has ended" in answer.stdout + answer.stderr, answer.stdout[-3000:]
    told = called("report", run_id, "--json", "--config", config)
    outcome = json.loads(told.stdout)
    assert outcome["result"] == "proven", (run_id, outcome["why"])
    nothing_twice(trace_of(trace))
    if changes and changes[0][0] == CLONE:
        asked = campaign.server.count("POST") - started
        assert asked == 1, f"{asked} deployments were asked for"
    consumers_are_on(config)
    shutil.rmtree(config.parent / ".downstage", ignore_errors=True)
    campaign.proven += 1
    where = ", each time in an empty directory" if fresh else ""
    campaign.say(f"  {run_id}: proven, nothing done twice, consumers on{where}")


def nothing_twice(trace: list[dict[str, str]]) -> None:
    """No step that has ended begins again, and nothing is deleted a second time."""
    ended: set[str] = set()
    for told in trace:
        if told.get("state") == "running":
            assert told["step"] not in ended, f"{told['step']} had ended, and was begun again"
        elif told.get("state") == "done":
            ended.add(told["step"])
    deleted = Counter(told["deleted"] for told in trace if "deleted" in told)
    assert deleted, "nothing was wiped"
    assert set(deleted.values()) == {1}, deleted


def consumers_are_on(config: Path) -> None:
    """All of them, and each listens to the stream that its table has now."""
    streams = called("streams", "status", "test", "--json", "--config", config)
    consumers = [json.loads(line) for line in streams.stdout.splitlines()]
    assert consumers, streams.stderr
    assert all(one["state"] == "Enabled" and one["live_stream"] for one in consumers), consumers


@contextmanager
def sandbox(directory: Path, cases: int) -> Iterator[Path]:
    """A sandbox's configuration while it is up."""
    up = called("sandbox", "up", "--directory", directory, "--cases", cases, "--json")
    assert up.returncode == 0, up.stderr
    try:
        yield Path(json.loads(up.stdout.splitlines()[-1])["config"])
    finally:
        called("sandbox", "down", "--directory", directory)


def carry_out(campaign: Campaign, most: int, kills: int | None) -> None:
    """Refresh after refresh, until every step was killed `most` times, or there were `kills` of them."""
    for number, steps in enumerate(islice(in_turns(), MOST * most)):
        wanted = [step for step in steps if campaign.kills[step] < most]
        if kills is not None:
            wanted = wanted[: kills - campaign.kills.total()]
        if wanted:
            campaign.say(f"refresh {number + 1}")
            one_refresh(campaign, wanted, fresh=number % FRESH == FRESH - 1)
        if campaign.kills.total() == kills or all(campaign.kills[step] >= most for step in STEPS):
            return
    raise AssertionError(f"not every step was reached {most} times: {dict(campaign.kills)}")


def main() -> int:
    """The exit code: 0 if everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=5, help="kills in every step")
    parser.add_argument("--kills", type=int, help="no more than so many in all")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="downstage-chaos-") as folder:
        directory = Path(folder)
        with sandbox(directory / "sandbox", options.cases) as config:
            place = Place(directory, config, config)
            place.deploying = place.another()
            with serving(Deploying(place), PREFIX) as server:
                server.workflow(server.pipeline(), "deploy", "success")
                campaign = Campaign(place, server)
                try:
                    carry_out(campaign, options.each, options.kills)
                finally:
                    where = ", ".join(f"{step} {campaign.kills[step]}" for step in STEPS if campaign.kills[step])
                    campaign.say(f"{campaign.kills.total()} kills ({where}); {campaign.proven} refreshes proven")
                    if options.log:
                        options.log.write_text(_as_markdown(campaign), encoding="utf-8")
            assert not server.contract.violations, server.contract.violations
    return 0


def _as_markdown(campaign: Campaign) -> str:
    lines: list[Any] = ["Made by `make chaos-runs`. What is held each time: `tests/chaos/runs.py`.", "", "```"]
    return "\n".join([*lines, *campaign.log, "```"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
