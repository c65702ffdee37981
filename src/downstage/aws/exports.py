"""Exports of production's tables to S3: started and looked at (DynamoDB), their files read and deleted (S3).

All with production's own credentials. Every call on a bucket names the account that must own it. A file is read in
ranges, each of which comes whole or not at all; deleting deletes every version, for a delete marker hides a raw copy of
production, and removes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from downstage.aws.session import Session, calling
from downstage.copying.export import ANOTHER_OBJECT
from downstage.domain.export import ExportOrder, export_id
from downstage.domain.refs import ExportBucket
from downstage.errors import AwsError, NotFound, Unreachable
from downstage.planning.exports import recovery_off
from downstage.ports import ExportFacts, Piece, RestoreWindow, StoredFile

_OFF = "PointInTimeRecoveryUnavailableException"
_ABSENT = ("ExportNotFoundException", "TableNotFoundException")
_CLOCKS_APART = 15 * 60.0
_ID = re.compile(r"(\d{13,14})-[0-9a-f]+")


class ExportControl:
    """Implements `ports.TableExports` with the source's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _client(self) -> Any:
        return self._session.client("dynamodb")

    def window(self, table: str) -> RestoreWindow | None:
        """What point-in-time recovery can show of the table; None if it is off."""
        with calling(self._session.environment, f"look at the point-in-time recovery of table {table}"):
            answer = self._client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        recovery = answer.get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            return None
        earliest, latest = (_seconds(recovery.get(f"{end}RestorableDateTime")) for end in ("Earliest", "Latest"))
        return RestoreWindow(earliest or 0.0, latest or float("inf"))

    def start(self, order: ExportOrder) -> str:
        """Starts the export, or finds the one that the same order has started; gives its ARN."""
        table = order.table_arn.rpartition("/")[2]
        encryption = {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": order.kms} if order.kms else {}
        try:
            with calling(self._session.environment, f"start the export of table {table}"):
                answer = self._client.export_table_to_point_in_time(
                    TableArn=order.table_arn,
                    S3Bucket=order.bucket.name,
                    S3BucketOwner=order.bucket.account,
                    ExportFormat="DYNAMODB_JSON",
                    ExportType="FULL_EXPORT",
                    ClientToken=order.token,
                    **({"S3Prefix": order.prefix} if order.prefix else {}),
                    **({"ExportTime": datetime.fromtimestamp(order.at, UTC)} if order.at is not None else {}),
                    **encryption,
                )
        except AwsError as error:
            if error.code == _OFF:
                raise recovery_off(table) from None
            raise
        return str(answer["ExportDescription"]["ExportArn"])

    def find(self, order: ExportOrder) -> str | None:
        """The export that was started with the order's token, if DynamoDB still lists it."""
        table = order.table_arn.rpartition("/")[2]
        with calling(self._session.environment, f"list the exports of table {table}"):
            pages = self._client.get_paginator("list_exports").paginate(TableArn=order.table_arn)
            arns = [str(export["ExportArn"]) for page in pages for export in page["ExportSummaries"]]
        for arn in arns:
            if not _surely_before(arn, order.at) and self._description(arn).get("ClientToken") == order.token:
                return arn
        return None

    def facts(self, arn: str) -> ExportFacts:
        """What DynamoDB says of an export. Raises NotFound."""
        said = self._description(arn)
        failure = " ".join(f"{said.get('FailureCode') or ''} {said.get('FailureMessage') or ''}".split())
        return ExportFacts(
            arn=arn,
            status=said["ExportStatus"],
            table_arn=said["TableArn"],
            table_id=said.get("TableId") or "",
            bucket=said["S3Bucket"],
            bucket_owner=said.get("S3BucketOwner") or "",
            prefix=said.get("S3Prefix") or "",
            format=said.get("ExportFormat") or "DYNAMODB_JSON",
            kind=said.get("ExportType") or "FULL_EXPORT",
            failure=failure,
        )

    def _description(self, arn: str) -> dict[str, Any]:
        try:
            with calling(self._session.environment, f"look at export {export_id(arn)}"):
                description: dict[str, Any] = self._client.describe_export(ExportArn=arn)["ExportDescription"]
        except AwsError as error:
            if error.code in _ABSENT:
                raise NotFound(
                    f"environment {self._session.environment.name}: there is no export {arn} (AWS forgets one after 90 "
                    "days); correct the ARN",
                    error.code,
                ) from None
            raise
        return description


class ExportObjects:
    """Implements `ports.ExportFiles` with the source's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _client(self) -> Any:
        return self._session.client("s3")

    def check(self, bucket: ExportBucket) -> None:
        """Raises NotFound or AwsError if the bucket is not there, not ours to see, or another account's."""
        try:
            with calling(self._session.environment, f"look at the export bucket {bucket.name}"):
                self._client.head_bucket(Bucket=bucket.name, ExpectedBucketOwner=bucket.account)
        except AwsError as error:
            if error.code in ("403", "AccessDenied"):
                raise AwsError(
                    f"environment {self._session.environment.name}: the export bucket {bucket.name} does not belong to "
                    f"account {bucket.account}, or the role may not list it; correct 'export.bucket', or allow it",
                    error.code,
                ) from None
            raise

    def files(self, bucket: ExportBucket, root: str) -> Iterator[StoredFile]:
        """Every object below `root`, in key order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.name, Prefix=root, ExpectedBucketOwner=bucket.account
        )
        with calling(self._session.environment, f"list the export in bucket {bucket.name}"):
            for page in pages:
                for entry in page.get("Contents", []):
                    yield StoredFile(entry["Key"], entry["ETag"].strip('"'), entry["Size"])

    def read(self, bucket: ExportBucket, key: str, start: int, length: int, etag: str | None) -> Piece:
        """Part of an object, whole or not at all: an answer that breaks off is Unreachable."""
        try:
            with calling(self._session.environment, f"read export file {key}"):
                answer = self._client.get_object(
                    Bucket=bucket.name,
                    Key=key,
                    Range=f"bytes={start}-{start + length - 1}",
                    ExpectedBucketOwner=bucket.account,
                    **({"IfMatch": f'"{etag}"'} if etag else {}),
                )
                content: bytes = answer["Body"].read()
        except AwsError as error:
            if error.code == "InvalidRange" and start == 0:
                return Piece(b"", 0, etag or "")
            if error.code in ("PreconditionFailed", ANOTHER_OBJECT):
                raise AwsError(str(error), ANOTHER_OBJECT) from None
            if error.code == "IncompleteReadError":
                raise Unreachable(f"export file {key}: the answer broke off", error.code) from None
            raise
        total = int(answer.get("ContentRange", f"/{len(content)}").rpartition("/")[2])
        return Piece(content, total, answer["ETag"].strip('"'))

    def versions(self, bucket: ExportBucket, root: str) -> Iterator[tuple[str, str]]:
        """(key, version) of everything below `root`: older versions and delete markers too."""
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=bucket.name, Prefix=root, ExpectedBucketOwner=bucket.account
        )
        with calling(self._session.environment, f"list the export's versions in bucket {bucket.name}"):
            for page in pages:
                for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    yield entry["Key"], entry.get("VersionId") or "null"

    def delete(self, bucket: ExportBucket, versions: Sequence[tuple[str, str]]) -> None:
        """Deletes up to 1,000 versions. Raises AwsError if S3 says of any that it was not deleted."""
        with calling(self._session.environment, f"delete the export in bucket {bucket.name}"):
            answer = self._client.delete_objects(
                Bucket=bucket.name,
                Delete={"Objects": [{"Key": key, "VersionId": version} for key, version in versions], "Quiet": True},
                ExpectedBucketOwner=bucket.account,
            )
        errors = answer.get("Errors", [])
        if errors:
            code = str(errors[0].get("Code", "unknown"))
            raise AwsError(
                f"{len(errors):,} files of the export in bucket {bucket.name} were not deleted: S3 answered {code}; "
                "allow s3:DeleteObjectVersion there, or set 'export.keep: true'",
                code,
            )


def _surely_before(arn: str, at: float | None) -> bool:
    """Whether an export was started well before the instant it would have to show: its id begins with milliseconds."""
    found = _ID.fullmatch(export_id(arn))
    return found is not None and at is not None and int(found[1]) / 1000 < at - _CLOCKS_APART


def _seconds(moment: Any) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime) else None
