"""The files of an S3 Inventory as S3 writes them: for any store that takes objects. The rows are in no order.

Faults are a test's own: it may change the objects, or the manifest's fields, as it likes.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import orjson

from downstage.ports import ObjectFacts
from downstage.wire.inventory import CHECKSUM, MANIFEST

COLUMNS = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag", "StorageClass")
VERSIONED = ("Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag")


def row(source: str, entry: ObjectFacts, **changes: str) -> dict[str, str]:
    """The values of one object, by the names of columns."""
    moment = datetime.fromtimestamp(entry.modified, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "Bucket": source,
        "Key": quote_plus(entry.key, safe="/"),
        "VersionId": "v1",
        "IsLatest": "true",
        "IsDeleteMarker": "false",
        "Size": str(entry.size),
        "LastModifiedDate": moment,
        "ETag": entry.etag.strip('"'),
        "StorageClass": entry.storage_class,
        **changes,
    }


def inventory_files(
    source: str,
    rows: Iterable[dict[str, str]],
    *,
    bucket: str,
    prefix: str,
    created: float,
    columns: Sequence[str] = COLUMNS,
    most: int = 2,
    **changes: Any,
) -> dict[str, bytes]:
    """The objects of an inventory below `prefix`, by key: data files of `most` rows, each out of order, the manifest
    and its checksum. `changes` replace fields of the manifest."""
    lines = [",".join(f'"{values[name]}"' for name in columns) + "\n" for values in rows]
    lines.sort(key=lambda line: hashlib.sha256(line.encode()).digest())
    data = {
        f"{prefix}/data/{int(created)}-{number:04}.csv.gz": gzip.compress(
            "".join(lines[at : at + most]).encode("ascii"), mtime=0
        )
        for number, at in enumerate(range(0, len(lines), most))
    }
    manifest = {
        "sourceBucket": source,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(created * 1000)),
        "fileFormat": "CSV",
        "fileSchema": ", ".join(columns),
        "files": [
            {"key": key, "size": len(content), "MD5checksum": hashlib.md5(content, usedforsecurity=False).hexdigest()}
            for key, content in data.items()
        ],
        **changes,
    }
    folder = f"{prefix}/{datetime.fromtimestamp(created, UTC):%Y-%m-%dT%H-%MZ}"
    written = orjson.dumps(manifest)
    checksum = hashlib.md5(written, usedforsecurity=False).hexdigest().encode()
    return {**data, f"{folder}/{MANIFEST}": written, f"{folder}/{CHECKSUM}": checksum + b"\n"}
