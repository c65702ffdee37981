"""What a copied item costs the client: read, mask, digest, write, against an endpoint that costs nothing.

Each row is a process of its own; its CPU (user and system) is divided by the items. Wall time says little here: client
and endpoint share the machine. Rows are run in turn, several rounds, medians. Run it as README.md says.

    ours                 the copy loop with everything on: masking, digest, sealed checkpoints in memory
    ours, no digest      the same without the digest
    boto3                Table.scan and batch_writer, the same pseudonyms by a recursive walk over what they give
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = ("ours", "ours, no digest", "boto3")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_REGION = "us-east-1"


def pseudonyms() -> Any:
    from downstage.masking.email import EmailPseudonyms
    from downstage.masking.keys import MaskKey

    return EmailPseudonyms(MaskKey(bytes(range(7, 71))), "test", "u-{token}@test.example.com")


def ours(endpoint: str, *, digest: bool) -> int:
    """Copies the table with the product's own loop; gives the number of items."""
    from downstage.aws.dynamodb import BatchWriter, ScanReader
    from downstage.aws.http import DynamoTransport
    from downstage.aws.session import Session
    from downstage.copying import segment
    from downstage.domain.environment import Environment
    from downstage.domain.refs import SourceTable, TargetTable
    from downstage.masking.compile import ItemMasker
    from downstage.masking.keys import MaskKey
    from downstage.masking.sealing import KeySealer
    from downstage.ports import Checkpoint

    if not digest:
        segment.digest.raw_digest = lambda raw: 0  # type: ignore[assignment]
    session = Session(Environment("bench", "111111111111", _REGION, endpoint=endpoint))

    async def copy() -> int:
        read, write = DynamoTransport(session), DynamoTransport(session)
        done = await segment.copy_segment(
            segment.CopyTask("run/copy/t", ("pk", "sk")),
            Checkpoint(0, 1),
            reader=ScanReader(read, SourceTable("1", _REGION, "source")),
            mask=ItemMasker(pseudonyms()),
            writer=BatchWriter(write, TargetTable("2", _REGION, "target")),
            sealer=KeySealer(MaskKey(bytes(range(7, 71)))),
            save=lambda checkpoint: None,
            quarantine=lambda item, reason: sys.exit(reason),
        )
        read.close()
        write.close()
        return done.counters["written"]

    return asyncio.run(copy())


def boto3_loop(endpoint: str) -> int:
    """What a script does: resource, scan, walk, batch_writer."""
    import boto3

    replace = pseudonyms().replace

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return _ADDRESS.sub(lambda match: replace(match.group()), value)
        if isinstance(value, dict):
            return {masked(name): masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [masked(inner) for inner in value]
        return {masked(inner) for inner in value} if isinstance(value, set) else value

    resource_ = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=_REGION)
    source, target = resource_.Table("source"), resource_.Table("target")
    start: dict[str, Any] = {}
    count = 0
    with target.batch_writer() as batch:
        while True:
            page = source.scan(**start)
            for item in page["Items"]:
                batch.put_item(Item=masked(item))
                count += 1
            if "LastEvaluatedKey" not in page:
                return count
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


RUNNERS: dict[str, Callable[[str], int]] = {
    "ours": lambda endpoint: ours(endpoint, digest=True),
    "ours, no digest": lambda endpoint: ours(endpoint, digest=False),
    "boto3": boto3_loop,
}


def measure(row: str, endpoint: str) -> None:
    """One row in this process; prints CPU seconds and items. What imports cost is not counted."""
    RUNNERS[row](f"{endpoint}")  # warm: imports, first pages, caches as a long run has them
    before = resource.getrusage(resource.RUSAGE_SELF)
    items = RUNNERS[row](endpoint)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"items": items, "cpu": cpu, "rss_mb": after.ru_maxrss / 1024}))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", choices=ROWS)
    parser.add_argument("--endpoint")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--out", type=Path, default=HERE / "results/copy.json")
    arguments = parser.parse_args()
    if arguments.row:
        measure(arguments.row, arguments.endpoint)
        return
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "111111111111", "AWS_SECRET_ACCESS_KEY": "x"}
    server = subprocess.Popen(
        [sys.executable, HERE / "endpoint.py", "--pages", str(arguments.pages)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        endpoint = server.stdout.readline().strip()
        found: dict[str, list[float]] = {row: [] for row in ROWS}
        memory: dict[str, float] = {}
        for _ in range(arguments.rounds):
            for row in ROWS:
                command = [sys.executable, __file__, "--row", row, "--endpoint", endpoint]
                answer = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
                found[row].append(answer["cpu"] / answer["items"] * 1e6)
                memory[row] = answer["rss_mb"]
    finally:
        server.terminate()
        server.wait()
    medians = {row: statistics.median(values) for row, values in found.items()}
    arguments.out.write_text(json.dumps({"us_per_item": found, "rss_mb": memory, "load": os.getloadavg()}, indent=1))
    print("| | µs CPU an item | times less than boto3 | RSS, MB |\n|---|---|---|---|")
    for row, value in medians.items():
        print(f"| {row} | {value:.1f} | {medians['boto3'] / value:.1f} | {memory[row]:.0f} |")


if __name__ == "__main__":
    main()
