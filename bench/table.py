"""From pyperf's JSON to what is kept: `results/masking.json` with the figures alone, and `results/masking.md`."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pyperf  # type: ignore[import-untyped]

_MICRO = 1_000_000
_MEGA = 1_000_000
_COMMAND = "python bench/masking.py -o masking.json && python bench/table.py masking.json"


def main(source: str) -> None:
    rows = []
    for bench in pyperf.BenchmarkSuite.load(source).get_benchmarks():
        mix, _, way = bench.get_name().partition(" / ")
        seconds, size = bench.median(), bench.get_metadata()["bytes"]
        row = {"mix": mix, "way": way, "bytes": size, "microseconds": round(seconds * _MICRO, 2)}
        rows.append(
            {**row, "spread": round(bench.median_abs_dev() * _MICRO, 2), "mb_per_s": round(size / seconds / _MEGA, 1)}
        )
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    about = {"command": _COMMAND, "python": platform.python_version(), "machine": platform.machine()}
    (folder / "masking.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    ours = {row["mix"]: row["microseconds"] for row in rows if row["way"] == "ours raw"}
    lines = [
        f"Made by `{_COMMAND}`, Python {about['python']} on {about['machine']}. Medians, ± the median deviation.",
        "",
    ]
    lines += ["| items | way | bytes | µs an item | MB/s a core | times ours raw |", "|---|---|--:|--:|--:|--:|"]
    for row in rows:
        ratio = f"{row['microseconds'] / ours[row['mix']]:.1f}"
        cost = f"{row['microseconds']} ± {row['spread']}"
        lines.append(f"| {row['mix']} | {row['way']} | {row['bytes']} | {cost} | {row['mb_per_s']} | {ratio} |")
    (folder / "masking.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
