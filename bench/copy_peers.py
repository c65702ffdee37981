"""The other tools as rows of the benchmark. Each row runs under the interpreter that its tool is installed in.

    boto3          Table.scan and batch_writer: what a script does
    aiodynamo      its scan and batch_write, four writes at one time; numbers as Decimal, for its default loses digits
    dynamodump     its command line, backup then restore; it cannot mask, and its pauses of a second are taken out

Where a tool lets us in, every address is replaced by a recursive walk over what the tool gives, with the product's
pseudonyms and their memory. Of the product only those are imported, so `src` is on the path here.

    PYTHON bench/copy_peers.py "boto3" http://127.0.0.1:PORT      one row in this process
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from peers import measure

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_REGION = "us-east-1"
_BATCH = 25
_AT_ONCE = 4


def walk() -> Callable[[Any], Any]:
    """What masks a plain value, recursively."""
    from downstage.masking.email import EmailPseudonyms
    from downstage.masking.keys import MaskKey

    replace = EmailPseudonyms(MaskKey(bytes(range(7, 71))), "test", "u-{token}@test.example.com").replace

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return _ADDRESS.sub(lambda match: replace(match.group()), value)
        if isinstance(value, dict):
            return {masked(name): masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [masked(inner) for inner in value]
        return {masked(inner) for inner in value} if isinstance(value, set) else value

    return masked


def boto3_loop(endpoint: str, table: str) -> int:
    """Resource, scan, walk, batch_writer."""
    import boto3

    masked = walk()
    resource = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=_REGION)
    source, target = resource.Table(table), resource.Table("target")
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


def aiodynamo_loop(endpoint: str, table: str) -> int:
    """Its scan of whole pages, and batches written beside one another."""
    from decimal import Decimal

    from aiodynamo.client import Client  # type: ignore[import-not-found]
    from aiodynamo.credentials import Key, StaticCredentials  # type: ignore[import-not-found]
    from aiodynamo.http.aiohttp import AIOHTTP  # type: ignore[import-not-found]
    from aiodynamo.models import BatchWriteRequest  # type: ignore[import-not-found]
    from aiohttp import ClientSession  # type: ignore[import-not-found]
    from yarl import URL  # type: ignore[import-not-found]

    masked = walk()

    async def copy() -> int:
        async with ClientSession() as session:
            credentials = StaticCredentials(Key("222222222222", "secret"))
            client = Client(AIOHTTP(session), credentials, _REGION, URL(endpoint), numeric_type=Decimal)
            places = asyncio.Semaphore(_AT_ONCE)

            async def put(items: list[Any]) -> None:
                async with places:
                    result = await client.batch_write({"target": BatchWriteRequest(items_to_put=items)})
                    assert not result, "the endpoint takes everything"

            count = 0
            start = None
            while True:
                page = await client.scan_single_page(table, start_key=start)
                items = [masked(item) for item in page.items]
                await asyncio.gather(*(put(items[at : at + _BATCH]) for at in range(0, len(items), _BATCH)))
                count += len(items)
                start = page.last_evaluated_key
                if start is None:
                    return count

    return asyncio.run(copy())


def dynamodump_loop(endpoint: str, table: str) -> int:
    """Backup to files, restore from them."""
    import json

    from dynamodump import dynamodump  # type: ignore[import-not-found]

    dynamodump.THREAD_START_DELAY = 0
    url = urlsplit(endpoint)
    with TemporaryDirectory() as folder:
        common = ["--host", str(url.hostname), "--port", str(url.port), "-r", _REGION, "--accessKey", "222222222222"]
        common += ["--secretKey", "secret", "--dumpPath", folder, "--log", "ERROR", "-s", table]
        for more in (["-m", "backup"], ["-m", "restore", "-d", "target", "--dataOnly", "--skipThroughputUpdate"]):
            sys.argv = ["dynamodump", *common, *more]
            dynamodump.main()
        files = Path(folder, table, "data").glob("*.json")
        return sum(json.loads(file.read_text())["Count"] for file in files)


ROWS: dict[str, Callable[[str, str], int]] = {
    "boto3": boto3_loop,
    "aiodynamo": aiodynamo_loop,
    "dynamodump": dynamodump_loop,
}


if __name__ == "__main__":
    measure(ROWS)
