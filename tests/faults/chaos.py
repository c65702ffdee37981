"""kill -9 at seeded moments over real processes, and what must hold afterwards: CI does it ten times, this fifty.

    python -m tests.faults.chaos --moments 50 --log bench/results/chaos.md

Each time: a copy of 2,000 items (three of them poison) by the real command line with two workers against an endpoint
that keeps items, killed once, taken up again until it ends. Then: nothing is lost, nothing is doubled, nothing altered,
the digest of the checkpoints is that of the target, poison is counted once, and no more was written twice than one page
of each segment that was open.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from downstage.journals.sqlite import SqliteJournal
from downstage.planning.schedule import INTERLEAVED
from downstage.workflow.sums import summed, total_digest, whole
from tests.faults.endpoint import PROD, TEST, Endpoint, Item, Table
from tests.faults.lanes import KEYS, SOURCE, TARGET, items_of, masked, proof_of
from tests.faults.moments import Moment, moments

ROOT = Path(__file__).parents[2]
ITEMS = 2000
POISON = 3
PAGE = 25
WORKERS = 2
_PATIENCE = 120

_CONFIG = """\
version: 1
state: state
journal: sqlite
environments:
  prod: {{account: "{prod}", region: us-east-1, endpoint: "{url}", credentials_file: credentials, profile: prod,
    protected: true}}
  test:
    account: "{test}"
    region: us-east-1
    endpoint: "{url}"
    credentials_file: credentials
    profile: test
    refresh:
      from: prod
      tables: [{{from: {source}, to: {target}}}]
      rates: {{read: 1000000, write: 1000000, verify: 1000000}}
{more}
masking: {{key: "file:mask.key", sink: "u-{{token}}@test.example.com"}}
engine: {{workers: {workers}}}
"""


@dataclass(frozen=True)
class Killed:
    """How one moment went. `redone` items were written twice, of at most `bound`."""

    moment: Moment
    attempts: int
    redone: int
    bound: int
    seconds: float


def poisoned(count: int = ITEMS) -> list[Item]:
    """Items, and a few that no table takes."""
    text = {"S": "x" * (401 * 1024)}
    return [*items_of(count), *({"pk": {"S": f"big|{n}"}, "sk": {"S": "a"}, "text": text} for n in range(POISON))]


def project(folder: Path, endpoint: Endpoint, *, workers: int = WORKERS, more: str = "") -> Path:
    """A configuration that copies the endpoint's tables."""
    (folder / "mask.key").write_text(bytes(range(32)).hex())
    (folder / "mask.key").chmod(0o600)
    keys = "[{0}]\naws_access_key_id = AKIA{1}\naws_secret_access_key = secret\n"
    (folder / "credentials").write_text("".join(keys.format(name, name.upper()) for name in ("prod", "test")))
    path = folder / "downstage.yaml"
    path.write_text(
        _CONFIG.format(prod=PROD, test=TEST, url=endpoint.url, source=SOURCE, target=TARGET, workers=workers, more=more)
    )
    return path


def environ(**more: str) -> dict[str, str]:
    """The caller's environment without any AWS setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOWNSTAGE_", "MOMENT"))}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "AWS_EC2_METADATA_DISABLED": "true", **more}


def command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line behind the trap to its end."""
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killable.py")), *arguments],
        cwd=folder,
        env=environ(**env),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


def killed_at(moment: Moment, folder: Path) -> Killed:
    """Copies, dies at the moment, goes on. Raises AssertionError if anything that must hold does not."""
    began = time.monotonic()
    source = Table(SOURCE, KEYS, page_items=PAGE, account=PROD)
    source.put(poisoned())
    target = Table(TARGET, KEYS, page_items=PAGE)
    with Endpoint(source, target).serving() as endpoint:
        project(folder, endpoint)
        mark = folder / "struck"
        answer = command(folder, "copy", "test", MOMENT=moment.written(), MOMENT_MARK=str(mark))
        assert mark.exists(), f"{moment}: the trap did not strike: {answer.stderr[-2000:]}"
        attempts = 1
        while answer.returncode != 6:
            assert answer.returncode == -9, f"{moment}: exit code {answer.returncode}: {answer.stderr[-2000:]}"
            assert attempts == 1, f"{moment}: killed twice"
            attempts += 1
            runs = SqliteJournal(folder / "state" / "journal.sqlite").runs()
            again = ("resume", runs[-1].run_id) if runs else ("copy", "test")
            answer = command(folder, *again)
        redone = sum(target.puts.values()) - len(target.items)
        bound = WORKERS * INTERLEAVED * PAGE
        check(folder, source, target)
        assert redone <= bound, f"{moment}: {redone} items were written twice, more than {bound}"
        assert max(target.puts.values()) <= 2, f"{moment}: a page was redone more than once"
    return Killed(moment, attempts, redone, bound, time.monotonic() - began)


def check(folder: Path, source: Table, target: Table) -> None:
    """What must hold after any kill."""
    journal = SqliteJournal(folder / "state" / "journal.sqlite")
    run = journal.runs()[-1]
    task = f"copy/{TARGET}"
    checkpoints = journal.checkpoints(run.run_id, task)
    totals = summed(checkpoints)
    small = [item for item in source.items.values() if "text" not in item]
    assert whole(checkpoints), "not every segment has ended"
    assert target.items == masked(small), "an item was lost, doubled or altered"
    assert total_digest(checkpoints) == f"{proof_of(target):032x}", "the digest is not that of the target"
    assert totals["read"] == len(source.items), "items are counted twice, or not at all"
    assert totals["written"] == len(small)
    assert totals["quarantined"] == POISON == len(journal.quarantined(run.run_id, task)), "poison is not counted once"


def main() -> None:
    """Runs the moments and writes the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    lines = [
        f"# kill -9 at {arguments.moments} moments (seed {arguments.seed})",
        "",
        f"`make chaos`: a copy of {ITEMS:,} items and {POISON} that no table takes, {WORKERS} workers, pages of "
        f"{PAGE}. Each line is",
        "one copy that was killed once and then ended with every item in the target exactly once, the same",
        "digest on both sides and the poison counted once. `after` means: done, and not yet recorded.",
        "",
        "| # | killed | runs | items written twice | of at most | s |",
        "|---|---|---|---|---|---|",
    ]
    _say(*lines)
    ended: list[Killed] = []
    for number, moment in enumerate(moments(arguments.moments, arguments.seed), 1):
        with tempfile.TemporaryDirectory(prefix="downstage-chaos-") as folder:
            done = killed_at(moment, Path(folder))
        ended.append(done)
        lines.append(f"| {number} | {moment} | {done.attempts} | {done.redone} | {done.bound} | {done.seconds:.1f} |")
        _say(lines[-1])
    victims = Counter(done.moment.victim for done in ended)
    between = sum(_between(done.moment) for done in ended)
    lines += [
        "",
        f"{len(ended)} of {arguments.moments} moments held: {victims['worker']} times a worker died, "
        f"{victims['parent']} times the parent; {between} times between a write and its record. At most "
        f"{max(done.redone for done in ended)} items were written twice.",
    ]
    _say(*lines[-2:])
    if arguments.log is not None:
        arguments.log.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _between(moment: Moment) -> bool:
    return (moment.hook, moment.after) in (("post:BatchWriteItem", True), ("save_checkpoint", False))


if __name__ == "__main__":
    main()
