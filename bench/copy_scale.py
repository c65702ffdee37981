"""Whether a copied item costs the same with more workers and in larger tables, and whether memory stays flat.

Real lanes (`lanes.py`) on the product's local engine, in its spawned processes, against the canned endpoint. Each
worker copies a small table first, which is not counted: sign-in and imports.

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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import lanes
from copy_served import Served, served

from downstage.engines.local import LocalEngine
from downstage.planning.schedule import INTERLEAVED

HERE = Path(__file__).parent
PAGE_ITEMS = 900
SIZES = (10_000, 100_000, 1_000_000)
_MADE_PAGES = 60


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
        order = lanes.begun(endpoint.plain, Path(folder), segments)
        endpoint.counts()
        for _ in LocalEngine(workers).run(partial(lanes.counted, order, Path(folder)), lanes.lanes(segments)):
            pass
        there = endpoint.counts()
        written = lanes.written(order, Path(folder))
    assert written.items == expected <= there["written"], f"{written.items} items were copied of {expected}"
    assert there["addresses"] == 0, "an address got through"
    assert len(written.warm_up()) == workers, "a worker had nothing to do"
    peak = max(note.peak_mb for note in written.notes)
    us, rate = written.cpu() / written.items * 1e6, written.items / written.seconds
    return Copied(workers, written.items, cap, us, rate, peak, load)


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
    os.environ.update(lanes.environ())
    workers: list[Copied] = []
    if arguments.rounds:
        workers = by_workers(arguments.rounds, arguments.pages, arguments.page_items, arguments.cap)
        keep(workers, [], arguments.out, arguments.rounds)
    sizes = by_size(arguments.sizes)
    print(keep(workers, sizes, arguments.out, arguments.rounds))


if __name__ == "__main__":
    main()
