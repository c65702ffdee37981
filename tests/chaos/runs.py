"""Chaos over whole refreshes: the process is killed in every step and between side effect and record; the run is
resumed each time, and the proof must hold at the end. `python -m tests.chaos.runs --kills 100 --log chaos-runs.log`

Where it is killed: as soon as the journal shows a step as running, after a while that grows from kill to kill, so that
the kills of one step are spread over its whole length; each refresh is killed in several steps. With `--fresh` every
resumption is in an empty state directory, on the control table. It ends with 0 only if every refresh was proven, no
finished step was done again, tables were wiped once a refresh, and the consumers are on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEPS = (
    "preflight",
    "flags",
    "capture-search",
    "wipe",
    "deploy",
    "consumers-off",
    "restore-search",
    "copy",
    "sync",
    "verify-tables",
    "verify-buckets",
    "expiry",
    "consumers-on",
    "index",
    "verify-index",
)
PATIENCE = 300.0
PROGRAM = (sys.executable, "-m", "downstage")


@dataclass
class Killing:
    """What was done so far. `refreshes` counts those that ended proven."""

    directory: Path
    config: Path
    fresh: bool
    log: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    refreshes: int = 0
    places: int = 0

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
        self.log.append(text)

    def another_place(self) -> Path:
        """The configuration in a directory of its own, with nothing of an earlier life."""
        if not self.fresh:
            return self.config
        self.places += 1
        place = self.directory / f"place-{self.places}"
        place.mkdir()
        shutil.copy(self.config, place / "downstage.yaml")
        shutil.copy(self.config.parent / "mask.key", place / "mask.key")
        shutil.copytree(self.config.parent / "aws", place / "aws")
        return place / "downstage.yaml"


def called(*arguments: object) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def killed_in(command: list[object], step: str, delay: float) -> tuple[bool, list[dict[str, Any]]]:
    """Runs the command and kills it `delay` seconds after it has begun `step`. Whether it was, and what it told."""
    told: list[dict[str, Any]] = []
    process = subprocess.Popen(
        [*PROGRAM, *map(str, command), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1].get("event") in ("step-started", "step_started", "StepStarted") and told[-1].get("step") == step:
            time.sleep(delay)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()
                return True, told
    process.wait()
    return False, told


def one_refresh(state: Killing, steps: list[str], delay: float) -> None:
    """One refresh, killed once in each of `steps`, resumed to its end and looked at."""
    command: list[object] = ["refresh", "test", "--config", state.another_place(), "--take-over"]
    run_id = ""
    for step in steps:
        was_killed, told = killed_in(command, step, delay)
        run_id = run_id or next((event["run_id"] for event in told if event.get("run_id")), "")
        if not was_killed:
            state.say(f"  {step}: it had ended before it could be killed")
            break
        state.kills[step] += 1
        state.say(f"  {step}: killed after {delay:.2f} s")
        command = ["resume", run_id, "--config", state.another_place()]
    answer = called("resume", run_id, "--config", state.another_place(), "--json")
    if answer.returncode == 2 and "has ended" in answer.stdout + answer.stderr:
        answer = called("report", run_id, "--json", "--config", state.config)
        outcome = json.loads(answer.stdout)
    else:
        outcome = json.loads(answer.stdout.splitlines()[-1])["outcome"]
    assert outcome["result"] == "proven", (run_id, answer.returncode, outcome["why"], answer.stderr[-500:])
    streams = called("streams", "status", "test", "--json", "--config", state.config)
    consumers = [json.loads(line) for line in streams.stdout.splitlines()]
    assert consumers, streams.stderr
    assert all(one["state"] == "Enabled" and one["live_stream"] for one in consumers), consumers
    state.refreshes += 1
    state.say(f"  {run_id}: proven, consumers on")


def main() -> int:
    """The exit code: 0 if everything held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--fresh", action="store_true", help="resume in an empty directory, on the control table")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="downstage-chaos-") as folder:
        directory = Path(folder)
        up = called("sandbox", "up", "--directory", directory / "sandbox", "--cases", options.cases, "--json")
        assert up.returncode == 0, up.stderr
        config = Path(json.loads(up.stdout.splitlines()[-1])["config"])
        if options.fresh:
            text = config.read_text(encoding="utf-8")
            config.write_text(text.replace("journal: sqlite", "journal: dynamodb"), encoding="utf-8")
        state = Killing(directory, config, options.fresh)
        try:
            rounds = 0
            while sum(state.kills.values()) < options.kills:
                delay = 0.05 * (rounds % 12) ** 1.5
                chosen = [step for place, step in enumerate(STEPS) if (place + rounds) % 3 == 0]
                chosen = chosen[: options.kills - sum(state.kills.values())]
                state.say(f"refresh {rounds + 1}: to be killed in {', '.join(chosen)}")
                one_refresh(state, chosen, delay)
                rounds += 1
        finally:
            called("sandbox", "down", "--directory", directory / "sandbox")
            where = ", ".join(f"{step} {state.kills[step]}" for step in STEPS if state.kills[step])
            state.say(f"{sum(state.kills.values())} kills ({where}); {state.refreshes} refreshes proven")
            if options.log:
                options.log.write_text("\n".join(state.log) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
