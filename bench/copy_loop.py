"""What a copied item costs the client: read, mask, digest, write, against an endpoint that costs it nothing.

Each row is a process of its own that copies the table once; its CPU (user and system) is divided by the items. Imports
and a first small copy are not counted. Wall time says nothing here: client and endpoint share the machine. The rows of
a round are run in turn, several rounds, medians; after each the endpoint is asked whether everything was written, and
whether an address got through where there is a mask. A second table says which part of our loop costs what.

Run it as README.md says. What a row does: `copy_ours.py`, `copy_peers.py`, `copy_peer.js`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import copy_ours
import peers
from copy_served import Served, served

from downstage.masking.kernel import KERNEL

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src"
OURS, BOTO3, AIODYNAMO, DYNAMODUMP, NODE = "ours", "boto3", "aiodynamo", "dynamodump", "copy-dynamodb-table"
WHOLE = (OURS, "ours, no digest", "ours, no mask", "ours, no mask, no digest")
PARTS = ("read only", "write only", "mask only", "digest only", "loop only")
_PURE = {"DOWNSTAGE_PURE_PYTHON": "1"}
_FOR_PSEUDONYMS = ("idna", "cryptography")


@dataclass(frozen=True)
class Row:
    """One line of the table. `run` names it among those of its script; `writes` and `masks` say what is checked."""

    run: str
    script: str
    place: str = ""
    environment: Mapping[str, str] | None = None
    tls: bool = False
    writes: bool = True
    masks: bool = True


ROWS: dict[str, Row] = {
    **{name: Row(name, "copy_ours.py", masks="no mask" not in name) for name in WHOLE},
    "ours, TLS": Row(OURS, "copy_ours.py", tls=True),
    "ours, TLS, no digest": Row("ours, no digest", "copy_ours.py", tls=True),
    "ours, pure Python": Row(OURS, "copy_ours.py", environment=_PURE),
    BOTO3: Row(BOTO3, "copy_peers.py"),
    "boto3, TLS": Row(BOTO3, "copy_peers.py", tls=True),
    AIODYNAMO: Row(AIODYNAMO, "copy_peers.py", AIODYNAMO),
    "dynamodump, no mask": Row(DYNAMODUMP, "copy_peers.py", DYNAMODUMP, masks=False),
    NODE: Row("", "copy_peer.js", NODE),
    **{name: Row(name, "copy_ours.py", writes=False) for name in PARTS},
}
"""The rows of one round, in the order in which they are run."""


def install(place: Path, rows: Sequence[str]) -> None:
    """The peers that the rows need, each in a place of its own."""
    needed = {ROWS[name].place for name in rows}
    if AIODYNAMO in needed:
        peers.python_of(place, AIODYNAMO, "aiodynamo[aiohttp]", *_FOR_PSEUDONYMS)
    if DYNAMODUMP in needed:
        peers.python_of(place, DYNAMODUMP)
    if NODE in needed:
        peers.modules_of(place, NODE)


def run(row: Row, endpoint: Served, place: Path) -> dict[str, float]:
    """One row, once: microseconds of CPU an item, peak memory in MB. Raises if it did not do its work."""
    url = endpoint.tls if row.tls else endpoint.plain
    environment = {**peers.environment(), "AWS_CA_BUNDLE": str(endpoint.bundle), **(row.environment or {})}
    if row.script.endswith(".js"):
        command = ["node", str(HERE / row.script), url]
        environment["NODE_PATH"] = str(peers.modules_of(place, row.place))
        environment["AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE"] = "1"
    else:
        python = peers.python_of(place, row.place) if row.place else Path(sys.executable)
        command = [str(python), str(HERE / row.script), row.run, url]
        environment["PYTHONPATH"] = str(SOURCE)
    endpoint.counts()
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    answer: dict[str, float] = json.loads(output.splitlines()[-1])
    written = endpoint.counts()
    if row.writes and written["written"] != answer["warm"] + answer["items"]:
        raise AssertionError(f"{row}: {written['written']} items were written of {answer['warm'] + answer['items']}")
    if row.writes and (written["addresses"] == 0) != row.masks:
        raise AssertionError(f"{row}: {written['addresses']} addresses were written that are not at the sink")
    return {"items": answer["items"], "us": answer["cpu"] / answer["items"] * 1e6, "rss_mb": answer["rss_mb"]}


def tables(found: Mapping[str, Sequence[Mapping[str, float]]], about: str) -> str:
    """The figures as markdown: medians of the rounds, and the least and most of them."""
    spread = {name: [round_["us"] for round_ in rounds] for name, rounds in found.items()}
    us = {name: statistics.median(values) for name, values in spread.items()}
    lines = [about, ""]
    if BOTO3 in us:
        lines += ["| | µs CPU an item | least – most | times less than boto3 | items/s a core | peak RSS, MB |"]
        lines += ["|---|--:|--:|--:|--:|--:|"]
        for name in (name for name in us if name not in PARTS):
            against = us["boto3, TLS"] if ROWS[name].tls and "boto3, TLS" in us else us[BOTO3]
            memory = statistics.median(round_["rss_mb"] for round_ in found[name])
            lines.append(
                f"| {name} | {us[name]:.1f} | {min(spread[name]):.1f} – {max(spread[name]):.1f} | "
                f"{against / us[name]:.1f} | {1e6 / us[name]:,.0f} | {memory:.0f} |"
            )
        lines += ["", "A row over TLS is compared with boto3 over TLS.", ""]
    if {*WHOLE, *PARTS} <= us.keys():
        loop, whole = us["loop only"], us[OURS]
        parts = (
            ("read: scan, CRC32, cutting into items", us["read only"], ""),
            ("mask", us["mask only"] - loop, f"{whole - us['ours, no mask']:.1f}"),
            ("digest", us["digest only"] - loop, f"{whole - us['ours, no digest']:.1f}"),
            ("write: batches, SHA-256, signature", us["write only"], ""),
            ("the loop: keys, counters, sealed checkpoints", loop, ""),
        )
        lines += ["Where ours go:", "", "| part | µs an item, by itself | what the whole costs less without it |"]
        lines += ["|---|--:|--:|"]
        lines += [f"| {part} | {alone:.1f} | {less} |" for part, alone, less in parts]
        lines += [
            f"| the parts together | {sum(alone for _, alone, _ in parts):.1f} | |",
            f"| the whole | {whole:.1f} | |",
        ]
    return "\n".join(lines) + "\n"


def keep(
    found: Mapping[str, Sequence[Mapping[str, float]]], loads: Sequence[float], arguments: argparse.Namespace
) -> str:
    """Writes what is known so far."""
    command = shlex.join(["python", "bench/copy_loop.py", *sys.argv[1:]])
    rounds = min(len(values) for values in found.values())
    (items,) = {int(round_["items"]) for values in found.values() for round_ in values}
    about = (
        f"Made by `{command}`: {items:,} {arguments.mix} items of about 1.1 KB in {arguments.pages} pages, {rounds} "
        f"rounds, medians; Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores, load "
        f"before each round {', '.join(f'{load:.1f}' for load in loads)}; the compiled loops are "
        f"{'used' if KERNEL is not None else 'not built'}."
    )
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps({"about": about, "rows": found}, indent=1) + "\n")
    text = tables(found, about)
    arguments.out.with_suffix(".md").write_text(text)
    return text


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, default=16)
    parser.add_argument("--page-items", type=int, default=900)
    parser.add_argument("--mix", choices=("plain", "dense"), default="plain", help="which items of corpus.py")
    parser.add_argument("--rows", nargs="*", choices=tuple(ROWS), default=list(ROWS))
    parser.add_argument("--peers", type=Path, default=peers.PLACE)
    parser.add_argument("--out", type=Path, default=HERE / "results/copy.json")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    assert {*WHOLE, *PARTS} == set(copy_ours.ROWS)
    if NODE in arguments.rows and shutil.which("npm") is None:
        print(f"{NODE} is left out: there is no npm on this machine", file=sys.stderr)
        arguments.rows.remove(NODE)
    install(arguments.peers, arguments.rows)
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in arguments.rows}
    loads: list[float] = []
    with served(pages=arguments.pages, page_items=arguments.page_items, mix=arguments.mix) as endpoint:
        for _ in range(arguments.rounds):
            loads.append(os.getloadavg()[0])
            for name in arguments.rows:
                found[name].append(run(ROWS[name], endpoint, arguments.peers))
            text = keep(found, loads, arguments)
    print(text)


if __name__ == "__main__":
    main()
