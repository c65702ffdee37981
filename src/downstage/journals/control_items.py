"""How the journal's records lie in the control table: under which keys, and as what.

The steps of a run and what its lanes write are spread over partitions, and what may be large is compressed, for an item
ends at 400 KB. What an item says is JSON in one attribute; beside it stand only the attributes that conditions need.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from downstage.errors import JournalError
from downstage.ports import Checkpoint, Item, RunRecord, StepRecord

SHARDS: Final = 16
"""Partitions (and epochs) that the lanes of one run share. A partition takes some 150 checkpoints a second."""

_INLINE = 2048
_LARGEST = 390_000


def shard_of(run_id: str, shard: int) -> str:
    """One of the partitions that the lanes of a run share."""
    return f"{run_id}#{shard:02}"


def place_of(run_id: str, task: str, part: int | str) -> str:
    """The partition of what belongs to that part of a task: always the same one."""
    return shard_of(run_id, zlib.crc32(f"{task}/{part}".encode()) % SHARDS)


def point_of(task: str, segment: int) -> str:
    """The sort key of a segment's checkpoint."""
    return f"point#{task}#{segment:08}"


def key_of(pk: str, sk: str) -> Item:
    """The two attributes that make up an item's key."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def body_of(value: Mapping[str, Any]) -> Item:
    """The JSON of a record: readable while it is small, compressed beyond that. Raises JournalError if too large."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if len(text) <= _INLINE:
        return {"body": {"S": text.decode()}}
    packed = zlib.compress(text, 6)
    if len(packed) > _LARGEST:
        raise JournalError(
            f"a record of {len(text):,} bytes does not fit into an item of the control table (400 KB): name fewer "
            "tables or buckets in one refresh, or use 'journal: sqlite'"
        )
    return {"packed": {"B": packed}}


def read_body(item: Item) -> dict[str, Any]:
    """What `body_of` has written."""
    body: dict[str, Any]
    if "body" in item:
        body = orjson.loads(item["body"]["S"])
        return body
    packed = item["packed"]["B"]
    body = orjson.loads(zlib.decompress(base64.b64decode(packed) if isinstance(packed, str) else bytes(packed)))
    return body


def run_of(item: Item) -> RunRecord:
    """The run that an item of the partition of runs tells."""
    body = read_body(item)
    return RunRecord(
        item["sk"]["S"],
        body["environment"],
        body["kind"],
        item["state"]["S"],
        int(item["epoch"]["N"]),
        body["started"],
        item["ended"]["S"],
        body["settings"],
    )


def step_of(item: Item) -> StepRecord:
    """The step that an item tells."""
    body = read_body(item)
    name = item["sk"]["S"].removeprefix("step#")
    return StepRecord(name, body["state"], body["seconds"], body["detail"], body["intent"], body["result"])


def checkpoint_of(item: Item) -> Checkpoint:
    """The checkpoint that an item tells."""
    body = read_body(item)
    return Checkpoint(
        body["segment"],
        body["total_segments"],
        body["cursor"],
        body["done"],
        int(body["digest"], 16),
        body["counters"],
    )
