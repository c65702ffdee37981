"""A DynamoDB export to S3 as a table's source: what is asked for, where its files lie, what the copy relies on.

An export is a raw copy of production. It lies in a bucket of production's own account and never leaves it but masked;
one that a run started is deleted once the tables are verified. Everything here is plain data, without items.
"""

from __future__ import annotations

from dataclasses import dataclass

from downstage.domain.refs import ExportBucket

FOLDER = "AWSDynamoDB"
"""DynamoDB puts each export into a folder of its own below this one, below the prefix that was asked for."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """An export to read a table from: started by the run, or given by `arn`.

    `prefix` has no slash at either end. `at` is the instant (seconds since the epoch) that the export shows; None is
    the newest that all tables of the run can show. `patience` is in seconds.
    """

    bucket: ExportBucket
    prefix: str = ""
    kms: str | None = None
    at: float | None = None
    arn: str | None = None
    keep: bool = False
    patience: float = 6 * 3600.0

    @property
    def ours(self) -> bool:
        """Whether the run starts it."""
        return self.arn is None


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """One export to start. The same `token` never starts a second one."""

    table_arn: str
    bucket: ExportBucket
    prefix: str
    kms: str | None
    at: float | None
    token: str


@dataclass(frozen=True, slots=True)
class ExportSource:
    """What the lanes of a copy rely on, fixed before the first item is read.

    `manifest` is the key of the list of data files, `digest` the SHA-256 of that list in hex. `exported` is the instant
    that the export shows.
    """

    bucket: ExportBucket
    root: str
    manifest: str
    digest: str
    segments: int
    items: int
    exported: float


def export_id(arn: str) -> str:
    """The last part of the export's ARN, which names its folder."""
    return arn.rpartition("/")[2]


def bare_arn(arn: str) -> str:
    """The ARN without its partition, which is another in China and for governments: references have the common one."""
    return arn.partition(":")[2].partition(":")[2]


def root_of(prefix: str | None, arn: str) -> str:
    """The folder of an export, with a slash at its end: everything of it lies below, and nothing else does."""
    before = f"{prefix.strip('/')}/" if prefix and prefix.strip("/") else ""
    return f"{before}{FOLDER}/{export_id(arn)}/"
