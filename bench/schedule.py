"""What the schedule of lanes makes of large refreshes, simulated: hours beside the estimate of `plan`, idle workers.

    python bench/schedule.py        # writes bench/results/schedule.{json,md}; a minute; the same figures anywhere

Nothing is measured here. The lanes are those that a refresh would hand out; workers and tables behave as the model in
docs/planning.md has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from downstage.console.estimate import duration
from downstage.domain.table_schema import Units
from downstage.planning.estimate import estimate
from downstage.planning.schedule import Cut, in_order, segments_of
from downstage.planning.workload import Means, TableLoad, Workload
from downstage.ports import Capacity
from downstage.testing.schedule import simulate, spread

_COMMAND = "python bench/schedule.py"
_BILLION = 1_000_000_000
_BYTES = 1_000
"""Of an item: a billion of them are a terabyte."""

_WORKERS = (36, 144)
_DENSE = {"none": None, "a tenth": (0.1, 0.2), "a hundredth": (0.01, 0.2), "a thousandth": (0.001, 0.2)}
_ONE = {"4,000 writes a second": [(1.0, 4_000)], "40,000 writes a second": [(1.0, 40_000)]}
_MANY = {
    "30 tables of 4,000": [(1 / 30, 4_000)] * 30,
    "5 tables, one slow": [(0.5, 40_000), (0.2, 8_000), (0.2, 40_000), (0.09, 40_000), (0.01, 40_000)],
}


def rows() -> Iterator[dict[str, object]]:
    """One for each refresh."""
    for workers in _WORKERS:
        for name, tables in {**_ONE, **_MANY}.items():
            for width, dense in _DENSE.items():
                for known in (False, True) if dense else (False,):
                    yield row(workers, name, tables, width, dense, known=known)


def row(
    workers: int,
    name: str,
    tables: list[tuple[float, int]],
    width: str,
    dense: tuple[float, float] | None,
    *,
    known: bool,
) -> dict[str, object]:
    """A refresh of a terabyte; the first table has the dense range, of which the last refresh told if it is `known`."""
    loads, cuts, items, takes = [], [], {}, {}
    for number, (share, capacity) in enumerate(tables):
        task, count = f"copy/{number}", share * _BILLION
        segments = segments_of(int(count * _BYTES), workers)
        items[task] = spread(segments, count, dense if number == 0 else None)
        takes[task] = float(capacity)
        weights = {segment: int(found) for segment, found in enumerate(items[task])} if known else {}
        cuts.append(Cut(task, task, segments, weights=weights))
        target = Capacity(on_demand=False, provisioned=Units(capacity, capacity))
        source = Capacity(warm=Units(10**9, 10**9))
        loads.append(TableLoad(task, task, round(count), round(count * _BYTES), read=source, write=target))
    found = simulate(in_order(cuts, workers), workers, items, takes)
    planned = estimate(Workload(tuple(loads), means=Means("spark", workers)))
    copying = next(step.seconds for step in planned.steps if step.step == "copy")
    return {
        "workers": workers,
        "tables": name,
        "dense": width,
        "known": known,
        "seconds": round(found.seconds),
        "estimate": round(copying),
        "idle_most": round(found.idle_most, 4),
        "idle": round(found.idle, 4),
    }


def main() -> None:
    """Writes the table."""
    found = list(rows())
    folder = Path(__file__).parent / "results"
    (folder / "schedule.json").write_text(json.dumps({"command": _COMMAND, "rows": found}, indent=1) + "\n")
    lines = [
        f"Made by `{_COMMAND}`: a simulation, nothing is measured. A terabyte, a billion items; of the first table, a",
        "range of its key space that is so wide holds 20 % of the items.",
        "",
        "| workers | tables | dense range | last refresh known | copy | as `plan` says | idle, longest | idle, all |",
        "|--:|---|---|---|--:|--:|--:|--:|",
    ]
    for each in found:
        hours = f"{duration(float(str(each['seconds'])))} | {duration(float(str(each['estimate'])))}"
        idle = f"{float(str(each['idle_most'])):.1%} | {float(str(each['idle'])):.1%}"
        known = "yes" if each["known"] else "no"
        lines.append(f"| {each['workers']} | {each['tables']} | {each['dense']} | {known} | {hours} | {idle} |")
    (folder / "schedule.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
