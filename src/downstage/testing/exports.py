"""Exports to S3 in memory, and the files of an export as DynamoDB writes them: for any store that takes objects.

The service honours what matters: a client token starts one export and no second, an export shows the table as it was
when it was started and takes a while, and its objects have ETags of an upload in parts. Faults are a test's own: it may
change `objects` and `exports` as it likes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from downstage.domain.export import ExportOrder, root_of
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, NotFound
from downstage.ports import ExportFacts, Item, Piece, RestoreWindow, StoredFile
from downstage.testing.tables import MemoryTables
from downstage.wire.export import FILES, SUMMARY

EXPORTED = "2027-01-15T07:55:00.000Z"


@dataclass(frozen=True, slots=True)
class ExportText:
    """What is written of an export: object keys and contents. `data` are the keys of its data files, in their order."""

    objects: Mapping[str, bytes]
    data: tuple[str, ...]


def data_file(items: Sequence[Item]) -> bytes:
    """One data file: gzip of one item a line."""
    return gzip.compress(b"".join(orjson.dumps({"Item": item}) + b"\n" for item in items), mtime=0)


def md5_text(content: bytes) -> str:
    """The MD5 as manifests write it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def part_etag(content: bytes) -> str:
    """The ETag of an object that was uploaded in one part."""
    part = hashlib.md5(content, usedforsecurity=False).digest()
    return hashlib.md5(part, usedforsecurity=False).hexdigest() + "-1"


def export_text(
    arn: str, prefix: str, files: Sequence[tuple[bytes, int]], *, table_id: str = "", **changes: Any
) -> ExportText:
    """The objects of an export of (content, number of items) data files. `changes` replace fields of the summary."""
    root = root_of(prefix, arn)
    data = {f"{root}data/file{number:04}.json.gz": content for number, (content, _) in enumerate(files)}
    listed = b"".join(
        orjson.dumps(
            {"itemCount": items, "md5Checksum": md5_text(content), "etag": part_etag(content), "dataFileS3Key": key}
        )
        + b"\n"
        for (key, content), (_, items) in zip(data.items(), files, strict=True)
    )
    summary = {
        "version": "2020-06-30",
        "exportArn": arn,
        "startTime": EXPORTED,
        "endTime": EXPORTED,
        "tableArn": arn.partition("/export/")[0],
        "tableId": table_id,
        "exportTime": EXPORTED,
        "s3Prefix": prefix or None,
        "manifestFilesS3Key": root + FILES,
        "billedSizeBytes": 0,
        "itemCount": sum(items for _, items in files),
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    } | changes
    written = orjson.dumps(summary)
    objects = {
        f"{root}_started": b"",
        **data,
        root + SUMMARY: written,
        f"{root}manifest-summary.md5": md5_text(written).encode(),
        root + FILES: listed,
        f"{root}manifest-files.md5": md5_text(listed).encode(),
    }
    return ExportText(objects, tuple(data))


class MemoryExports:
    """Implements `ports.TableExports` and `ports.ExportFiles` over memory tables.

    `writes` takes note of starts and deletions. `looks` is how often an export is IN_PROGRESS before it is COMPLETED,
    `remembers` whether `start` still knows its tokens (AWS forgets them after eight hours), `recovery` the tables whose
    point-in-time recovery is on (None: all), `most` how many items a data file holds.
    """

    def __init__(self, tables: MemoryTables, account: str, writes: list[str]) -> None:
        self.objects: dict[str, bytes] = {}
        self.exports: dict[str, ExportFacts] = {}
        self.tokens: dict[str, str] = {}
        self.orders: list[ExportOrder] = []
        self.buckets: dict[str, str] = {}
        self.recovery: set[str] | None = None
        self.restorable = RestoreWindow(1_700_000_000.0, 1_799_999_700.0)
        self.remembers = True
        self.looks = 2
        self.most = 2
        self._tables = tables
        self._account = account
        self._writes = writes

    def window(self, table: str) -> RestoreWindow | None:
        """What the recovery can show."""
        return self.restorable if self.recovery is None or table in self.recovery else None

    def start(self, order: ExportOrder) -> str:
        """Starts an export of the table as it is now, once for each token."""
        if order.token in self.tokens and self.remembers:
            return self.tokens[order.token]
        self._writes.append(f"export {order.token}")
        name = order.table_arn.rpartition("/")[2]
        table_arn = order.table_arn.replace("000000000000", self._account)  # memory tables know no account
        arn = f"{table_arn}/export/{1_800_000_000_000 + len(self.exports):014}-0a1b2c3d"
        table = self._tables[name]
        parts: list[list[Item]] = [[] for _ in range(1 + len(table.items) // self.most)]
        for key, item in sorted(table.items.items()):
            parts[zlib.crc32(key) % len(parts)].append(item)
        text = export_text(
            arn, order.prefix, [(data_file(items), len(items)) for items in parts], table_id=table.table_id
        )
        self.objects |= text.objects
        self.exports[arn] = ExportFacts(
            arn=arn,
            status="IN_PROGRESS",
            table_arn=table_arn,
            table_id=table.table_id,
            bucket=order.bucket.name,
            bucket_owner=order.bucket.account,
            prefix=order.prefix,
            format="DYNAMODB_JSON",
            kind="FULL_EXPORT",
        )
        self.tokens[order.token] = arn
        self.orders.append(order)
        return arn

    def find(self, order: ExportOrder) -> str | None:
        """The export of the order's token."""
        return self.tokens.get(order.token)

    def facts(self, arn: str) -> ExportFacts:
        """The export; it completes after some looks."""
        if arn not in self.exports:
            raise NotFound(f"there is no export {arn}", "ExportNotFoundException")
        found = self.exports[arn]
        if found.status == "IN_PROGRESS":
            self.looks -= 1
            if self.looks < 0:
                self.exports[arn] = replace(found, status="COMPLETED")
        return found

    def check(self, bucket: ExportBucket) -> None:
        """The bucket is the account's: any name, unless `buckets` says whose it is."""
        if self.buckets.get(bucket.name, self._account) != bucket.account:
            raise AwsError(f"the export bucket {bucket.name} does not belong to account {bucket.account}", "403")

    def files(self, bucket: ExportBucket, root: str) -> Iterator[StoredFile]:
        """Objects below `root`."""
        for key in sorted(self.objects):
            if key.startswith(root):
                yield StoredFile(key, part_etag(self.objects[key]), len(self.objects[key]))

    def read(self, bucket: ExportBucket, key: str, start: int, length: int, etag: str | None) -> Piece:
        """Part of an object."""
        if key not in self.objects:
            raise NotFound(f"there is no object {key}", "NoSuchKey")
        content = self.objects[key]
        if etag is not None and etag != part_etag(content):
            raise AwsError(f"object {key} is another", "412")
        return Piece(content[start : start + length], len(content), part_etag(content))

    def versions(self, bucket: ExportBucket, root: str) -> Iterator[tuple[str, str]]:
        """One version of each object below `root`."""
        return ((found.key, "null") for found in self.files(bucket, root))

    def delete(self, bucket: ExportBucket, versions: Sequence[tuple[str, str]]) -> None:
        """Deletes them."""
        self._writes.append(f"delete {len(versions)} objects of {bucket.name}")
        for key, _ in versions:
            del self.objects[key]
