"""One run of one client that is Python: Downstage's sync, its whole command, or what a script would do with boto3.

A process of its own, and nothing is imported here that the client does not need: what a harness imports would be
counted as the client's.

    python bench/s3_rows.py downstage http://127.0.0.1:PORT
"""

from __future__ import annotations

import os
import sys

WORKERS = 32


def ours(endpoint: str) -> None:
    """The product's own sync in this process, with its plan pass, as a lane of a run does it."""
    import asyncio

    from downstage.aws.objects import S3Objects
    from downstage.aws.session import Session
    from downstage.domain.environment import Environment
    from downstage.domain.plan import BucketPair
    from downstage.domain.refs import SourceBucket, TargetBucket
    from downstage.syncing.whole import sync_whole

    session = Session(Environment("bench", "222222222222", "us-east-1", endpoint=endpoint))
    pair = BucketPair(SourceBucket("111111111111", "source"), TargetBucket("222222222222", "target"), delete=True)

    async def sync() -> None:
        transfer = S3Objects(session, "us-east-1")
        try:
            result = await sync_whole(pair, transfer, yes=True)
        finally:
            transfer.close()
        if not result.complete or result.failed:
            sys.exit(f"not complete: {result.counters}")

    asyncio.run(sync())


def whole_command(endpoint: str) -> None:
    """`downstage sync`: plan pass, sync, journal, worker processes, and the proof that the peers do not make (fresh
    listings of both sides, a sample's content, metadata and tags)."""
    import tempfile
    from pathlib import Path

    from downstage.cli.main import main as downstage

    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "credentials").write_text(
            "".join(
                f"[{name}]\naws_access_key_id = {account}\naws_secret_access_key = secret\n"
                for name, account in (("prod", "111111111111"), ("test", "222222222222"))
            )
        )
        (place / "downstage.yaml").write_text(_CONFIG.format(endpoint=endpoint))
        os.environ["MASK_KEY"] = "".join(f"{number * 37 % 251:02x}" for number in range(1, 33))
        sys.argv = ["downstage", "sync", "test", "--yes", "--config", str(place / "downstage.yaml")]
        downstage()


_CONFIG = """\
version: 1
state: state
environments:
  prod:
    account: "111111111111"
    region: us-east-1
    profile: prod
    credentials_file: credentials
    endpoint: "{endpoint}"
  test:
    account: "222222222222"
    region: us-east-1
    profile: test
    credentials_file: credentials
    endpoint: "{endpoint}"
    refresh: {{from: prod, buckets: [{{from: source, to: target, delete: true}}]}}
masking: {{key: "env:MASK_KEY", sink: "u-{{token}}@test.example.com"}}
"""


def boto3_threads(endpoint: str) -> None:
    """What a script does: two paginators, a merge, a pool of threads."""
    from concurrent.futures import ThreadPoolExecutor

    import boto3
    from botocore.config import Config

    client = boto3.client("s3", endpoint_url=endpoint, config=Config(max_pool_connections=WORKERS))

    def keys(bucket: str) -> dict[str, str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", [])}

    source, target = keys("source"), keys("target")

    def copy(key: str) -> None:
        client.copy_object(Bucket="target", Key=key, CopySource={"Bucket": "source", "Key": key})

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(copy, [key for key, etag in source.items() if target.get(key) != etag]):
            pass
    extra = [{"Key": key} for key in target if key not in source]
    for first in range(0, len(extra), 1000):
        client.delete_objects(Bucket="target", Delete={"Objects": extra[first : first + 1000], "Quiet": True})


ROWS = {"downstage": ours, "downstage sync": whole_command, "boto3 threads": boto3_threads}

if __name__ == "__main__":
    ROWS[sys.argv[1]](sys.argv[2])
