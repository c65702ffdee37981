"""Whether a copied item costs the same with more workers and in larger tables, and whether memory stays flat.

Real lanes (`app.worker.copy_lane`: sealed checkpoints in a SQLite journal, the identity asked, four segments
interleaved) on the product's local engine, in its spawned processes, against the canned endpoint. Each worker copies a
small table first, which is not counted: sign-in and imports. It then writes down its CPU, its time and the most memory
that it ever had.

    workers   CPU an item with 1 and with 2 workers; the rate of both where each connection may do so much a second
    sizes     one worker, tables of 10,000, 100,000 and 1,000,000 items, no two alike (see `endpoint.py`)

Run it as README.md says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import peers
from copy_served import Served, served

from downstage.app.orders import Order
from downstage.app.places import SqlitePlace, open_journal
from downstage.app.worker import copy_lane
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates
from downstage.engines.local import LocalEngine
from downstage.masking.compile import fingerprint
from downstage.masking.keys import MaskKey
from downstage.ports import Lane, RunRecord
from downstage.workflow.parts import TableWork
from downstage.workflow.tables import INTERLEAVED

HERE = Path(__file__).parent
ACCOUNT = "222222222222"
PAGE_ITEMS = 900
SIZES = (10_000, 100_000, 1_000_000)
_MADE_PAGES = 60
_KEY = bytes(range(7, 71))
_PLAN = MaskingPlan("env:MASK_KEY", "u-{token}@test.example.com", "test")
_RUN = RunRecord("run-1", "test", "copy", "running", 1, "2027-01-15T08:00:00Z", "", {})
_FEW, _WHOLE = "few-target", "target"


@dataclass(frozen=True)
class Note:
    """What one worker wrote down after a lane: what it had used when it began to count, and by then."""

    worker: int
    began: float
    ended: float
    cpu_before: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Copied:
    """One copy of one table."""

    workers: int
    items: int
    cap: float
    us: float
    """CPU of all workers an item, in microseconds."""
    rate: float
    """Items a second, from the first lane's beginning to the last one's end."""
    peak_mb: float
    """Of the worker that had most."""
    load: float


def copy(endpoint: Served, workers: int, segments: int, cap: float, *, expected: int) -> Copied:
    """Copies the whole table by `workers` processes of the local engine. Raises if an item is missing or not masked."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        order = _order(endpoint, Path(folder), segments)
        open_journal(order.journal).create_run(_RUN)
        lanes = [
            Lane(f"copy/{_WHOLE}", tuple(range(first, segments, segments // INTERLEAVED)))
            for first in range(segments // INTERLEAVED)
        ]
        endpoint.counts()
        for _ in LocalEngine(workers).run(partial(counted, order, Path(folder)), lanes):
            pass
        written = endpoint.counts()
        noted = [Note(**json.loads(file.read_text())) for file in Path(folder).glob("lane-*.json")]
        checkpoints = open_journal(order.journal).checkpoints(_RUN.run_id, f"copy/{_WHOLE}")
        items = sum(checkpoint.counters["written"] for checkpoint in checkpoints)
    assert all(checkpoint.done for checkpoint in checkpoints), "a segment has not ended"
    assert items == expected <= written["written"], f"{items} items were copied of {expected}"
    assert written["addresses"] == 0, "an address got through"
    used = 0.0
    for worker in {note.worker for note in noted}:
        own = [note for note in noted if note.worker == worker]
        used += max(note.cpu for note in own) - min(note.cpu_before for note in own)
    seconds = max(note.ended for note in noted) - min(note.began for note in noted)
    peak = max(note.peak_mb for note in noted)
    assert len({note.worker for note in noted}) == workers, "a worker had nothing to do"
    return Copied(workers, items, cap, used / items * 1e6, items / seconds, peak, load)


def counted(order: Order, folder: Path, lane: Lane) -> None:
    """In a worker: one lane, and what it cost."""
    _warm_up(order, folder)
    began, before = time.time(), peers.cpu()
    copy_lane(order, lane)
    note = Note(os.getpid(), began, time.time(), before, peers.cpu(), peers.peak_mb())
    (folder / f"lane-{lane.segments[0]}.json").write_text(json.dumps(asdict(note)))


_warm: list[int] = []


def _warm_up(order: Order, folder: Path) -> None:
    """A segment of the small table that no other worker has, once a process."""
    if _warm:
        return
    number = next(number for number in count() if _claimed(folder / f"worker-{number}"))
    few = TableWork("few", f"{_FEW}-{number}", ("pk", "sk"), 1, None, 0.0)
    copy_lane(replace(order, tables=(few,)), Lane(f"copy/{few.target}", (0,)))
    _warm.append(number)


def _claimed(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _order(endpoint: Served, folder: Path, segments: int) -> Order:
    source = Environment("prod", ACCOUNT, "us-east-1", endpoint=endpoint.plain)
    target = Environment("test", ACCOUNT, "us-east-1", endpoint=endpoint.plain)
    return Order(
        source,
        target,
        _PLAN,
        fingerprint(_PLAN, MaskKey(_KEY)),
        None,
        Rates(1e9, 1e9, 1e9),
        2,
        SqlitePlace(folder / "journal.sqlite"),
        None,
        _RUN.run_id,
        _RUN.epoch,
        (TableWork("source", _WHOLE, ("pk", "sk"), segments, None, 0.0),),
    )


def by_workers(rounds: int, pages: int, page_items: int, cap: float) -> list[Copied]:
    """1 and 2 workers in turn, as fast as they can and with each connection capped."""
    found = []
    for rate in (0.0, cap):
        with served(pages=pages, page_items=page_items, rate=rate) as endpoint:
            for _ in range(rounds):
                found += [copy(endpoint, workers, 32, rate, expected=pages * page_items) for workers in (1, 2)]
    return found


def by_size(sizes: Sequence[int]) -> list[Copied]:
    """One worker, one table of each size."""
    found = []
    for size in sizes:
        pages = -(-size // PAGE_ITEMS)
        made = min(pages, _MADE_PAGES)
        cycles = -(-pages // made)
        with served(pages=made, page_items=PAGE_ITEMS, cycles=cycles) as endpoint:
            segments = 32 if pages >= 32 else INTERLEAVED
            found.append(copy(endpoint, 1, segments, 0.0, expected=made * cycles * PAGE_ITEMS))
    return found


def tables(workers: Sequence[Copied], sizes: Sequence[Copied], about: str) -> str:
    """The figures as markdown."""
    lines = [about, ""]
    if workers:
        lines += ["| endpoint | workers | µs CPU an item | times 1 worker's | items/s | times 1 worker's |"]
        lines += ["|---|--:|--:|--:|--:|--:|"]
        for cap in dict.fromkeys(each.cap for each in workers):
            name = f"{cap:.0f} items/s a connection" if cap else "as fast as it can"
            us = {number: _median(workers, cap, number, "us") for number in (1, 2)}
            rate = {number: _median(workers, cap, number, "rate") for number in (1, 2)}
            lines += [
                f"| {name} | {number} | {us[number]:.1f} | {us[number] / us[1]:.2f} | {rate[number]:,.0f} | "
                f"{rate[number] / rate[1]:.2f} |"
                for number in (1, 2)
            ]
        lines.append("")
    if sizes:
        lines += ["| items | µs CPU an item | items/s | peak memory of the worker, MB | load before |"]
        lines += ["|--:|--:|--:|--:|--:|"]
        lines += [
            f"| {each.items:,} | {each.us:.1f} | {each.rate:,.0f} | {each.peak_mb:.0f} | {each.load:.1f} |"
            for each in sizes
        ]
    return "\n".join(lines) + "\n"


def _median(found: Sequence[Copied], cap: float, workers: int, figure: str) -> float:
    values: list[float] = [getattr(each, figure) for each in found if (each.cap, each.workers) == (cap, workers)]
    return statistics.median(values)


def keep(workers: Sequence[Copied], sizes: Sequence[Copied], out: Path, rounds: int) -> str:
    """Writes what is known so far."""
    loads = ", ".join(f"{each.load:.1f}" for each in workers)
    about = (
        f"Made by `{shlex.join(['python', 'bench/copy_scale.py', *sys.argv[1:]])}`, workers: {rounds} rounds, "
        f"medians, sizes: once each; Python "
        f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores that the endpoint shares, load "
        f"before each copy by workers {loads or '–'}."
    )
    out.parent.mkdir(exist_ok=True)
    found = {"about": about, "workers": [asdict(each) for each in workers], "sizes": [asdict(each) for each in sizes]}
    out.write_text(json.dumps(found, indent=1) + "\n")
    text = tables(workers, sizes, about)
    out.with_suffix(".md").write_text(text)
    return text


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of workers; 0 leaves it out")
    parser.add_argument("--pages", type=int, default=64)
    parser.add_argument("--page-items", type=int, default=450)
    parser.add_argument("--cap", type=float, default=500.0, help="items a second on each connection")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE / "results/copy_scale.json")
    arguments = parser.parse_args()
    os.environ.update(peers.environment(ACCOUNT), MASK_KEY=_KEY.hex())
    workers: list[Copied] = []
    if arguments.rounds:
        workers = by_workers(arguments.rounds, arguments.pages, arguments.page_items, arguments.cap)
        keep(workers, [], arguments.out, arguments.rounds)
    sizes = by_size(arguments.sizes)
    print(keep(workers, sizes, arguments.out, arguments.rounds))


if __name__ == "__main__":
    main()
