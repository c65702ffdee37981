"""Exports of tables to S3: started, found again, read, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from downstage.domain.export import ExportOrder
from downstage.domain.refs import ExportBucket


@dataclass(frozen=True, slots=True)
class RestoreWindow:
    """Between which instants (seconds since the epoch) a table's point-in-time recovery can show it."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """One export as DynamoDB describes it. `status` is IN_PROGRESS, COMPLETED or FAILED, `failure` AWS's own words."""

    arn: str
    status: str
    table_arn: str
    table_id: str
    bucket: str
    bucket_owner: str
    prefix: str
    format: str
    kind: str
    failure: str = ""


class TableExports(Protocol):
    """Exports of production's tables. `window` is None where point-in-time recovery is off.

    `start` gives the export's ARN; the same order gives the same export for hours, `find` the one of its token for as
    long as DynamoDB lists it. `facts` raises NotFound if there is no such export.
    """

    def window(self, table: str) -> RestoreWindow | None: ...
    def start(self, order: ExportOrder) -> str: ...
    def find(self, order: ExportOrder) -> str | None: ...
    def facts(self, arn: str) -> ExportFacts: ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One object of an export. `etag` is without quotes."""

    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of an object, and how long the whole object is."""

    content: bytes
    total: int
    etag: str


class ExportFiles(Protocol):
    """The objects of exports, with production's credentials; every call names the account that must own the bucket.

    `check` raises what would keep us from the bucket. `read` gives at most `length` bytes from `start` on, of the
    object that has this `etag` (None: whichever is there): NotFound if there is none, AwsError (code 412) if it is
    another. `versions` are (key, version) pairs, older ones and delete markers too; `delete` returns once all are gone.
    """

    def check(self, bucket: ExportBucket) -> None: ...
    def files(self, bucket: ExportBucket, root: str) -> Iterator[StoredFile]: ...
    def read(self, bucket: ExportBucket, key: str, start: int, length: int, etag: str | None) -> Piece: ...
    def versions(self, bucket: ExportBucket, root: str) -> Iterator[tuple[str, str]]: ...
    def delete(self, bucket: ExportBucket, versions: Sequence[tuple[str, str]]) -> None: ...
