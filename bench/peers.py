"""Other tools, each installed at its first use into a place of its own outside the repository, and how all are run.

It imports nothing but the standard library: the peers' own interpreters import it too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PLACE = Path.home() / ".cache/downstage-bench"
"""Where they are, if the command line names no other place."""


def python_of(peers: Path, name: str, *packages: str) -> Path:
    """The interpreter of a virtual environment that holds `packages` (default: `name`), from PyPI."""
    place = peers / name
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/python", "-m", "pip", "install", "-q", *(packages or (name,))], check=True)
        (place / "ready").touch()
    return place / "bin/python"


def modules_of(peers: Path, name: str, *packages: str) -> Path:
    """The node_modules of a folder that holds `packages` (default: `name`), from npm."""
    place = peers / name
    if not (place / "ready").exists():
        place.mkdir(parents=True, exist_ok=True)
        options = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place)]
        subprocess.run(["npm", "install", *options, *(packages or (name,))], check=True)
        (place / "ready").touch()
    return place / "node_modules"


def environment(account: str = "222222222222") -> dict[str, str]:
    """Credentials for all, and no proxy in the way."""
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "RCLONE_CONFIG": os.devnull,
    }


def cpu() -> float:
    """Seconds of CPU (user and system) that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """The most memory that this process had resident, in MB: since it began as a program, not since it was forked."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel does not say how much memory this process had")


def measure(rows: Mapping[str, Callable[[str, str], int]]) -> None:
    """The command line of a script of `rows`: one of them copies the table `few` to warm up, then `source`; prints its
    CPU seconds, the items of both and its peak memory as JSON."""
    parser = argparse.ArgumentParser(description="One row in this process, against an endpoint that listens.")
    parser.add_argument("row", choices=tuple(rows))
    parser.add_argument("endpoint")
    arguments = parser.parse_args()
    run = rows[arguments.row]
    warm = run(arguments.endpoint, "few")
    before = cpu()
    items = run(arguments.endpoint, "source")
    print(json.dumps({"warm": warm, "items": items, "cpu": cpu() - before, "rss_mb": peak_mb()}))
