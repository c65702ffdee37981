"""Objects of more than 5 GB: copied in parts by boto3, with everything that a single CopyObject would carry over.

Each part names the ETag that was listed, so that no copy is made of two versions of an object. Metadata, content
headers and tags are read from the source and handed to the new upload, which knows nothing of them by itself. Whatever
fails aborts the upload: S3 keeps (and bills) the parts of one that was neither completed nor aborted.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from botocore.exceptions import BotoCoreError, ClientError

from downstage.aws.session import Session, calling
from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, DownstageError
from downstage.ports import CopyResult, ObjectFacts, Refusal

PART = 1024**3
MOST_PARTS = 10_000
_AT_ONCE = 8
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_REFUSALS: dict[str, Refusal] = {
    "PreconditionFailed": "changed",
    "412": "changed",
    "NoSuchKey": "gone",
    "404": "gone",
    "AccessDenied": "refused",
    "403": "refused",
    "InvalidObjectState": "refused",
    "ObjectNotInActiveTierError": "refused",
    "SlowDown": "busy",
    "InternalError": "busy",
}


class LargeCopies:
    """Copies of one session. `part_size` None: 1 GiB, more where 10,000 parts would not do."""

    def __init__(self, session: Session, options: SyncOptions, part_size: int | None = None) -> None:
        self._session = session
        self._options = options
        self._part_size = part_size
        self._stopped = threading.Event()

    def stop(self) -> None:
        """No further part is copied: what is under way is aborted."""
        self._stopped.set()

    def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        """One object in parts. Raises AwsError, Unreachable, CredentialsError for what is not its own."""
        what = f"copy a large object from bucket {source.name} to {target.name}"
        try:
            with calling(self._session.environment, what):
                return self._copied(source, target, item, to)
        except AwsError as error:
            refusal = _REFUSALS.get(error.code)
            if refusal is None:
                raise
            return CopyResult(refusal=refusal, code=error.code)

    def _copied(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        client = self._session.client("s3")
        where = {"Bucket": target.name, "Key": to, "ExpectedBucketOwner": target.account}
        made = client.create_multipart_upload(**where, **self._carried(client, source, item))
        upload = {**where, "UploadId": made["UploadId"]}
        try:
            parts = self._parts(client, source, item, upload)
            done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(ClientError, BotoCoreError, DownstageError):
                client.abort_multipart_upload(**upload)
            raise
        return CopyResult(done["ETag"], encrypted=str(done.get("ServerSideEncryption", "")).startswith("aws:kms"))

    def _carried(self, client: Any, source: SourceBucket, item: ObjectFacts) -> dict[str, Any]:
        """What the new object must be given."""
        where = {"Bucket": source.name, "Key": item.key, "ExpectedBucketOwner": source.account}
        head: Mapping[str, Any] = client.head_object(**where, IfMatch=item.etag)
        given: dict[str, Any] = {name: head[name] for name in _HEADERS if head.get(name)}
        given["Metadata"] = head.get("Metadata", {})
        if head.get("WebsiteRedirectLocation"):
            given["WebsiteRedirectLocation"] = head["WebsiteRedirectLocation"]
        options = self._options
        if options.tags == "copy":
            tags = client.get_object_tagging(**where)["TagSet"]
            if tags:
                given["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags], quote_via=quote)
        if options.storage_class is not None:
            given["StorageClass"] = item.storage_class if options.storage_class == "same" else options.storage_class
        if options.acl is not None:
            given["ACL"] = options.acl
        if options.kms_key is not None:
            given |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.kms_key}
        return given

    def _parts(
        self, client: Any, source: SourceBucket, item: ObjectFacts, upload: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        size = self._part_size or max(PART, -(-item.size // MOST_PARTS))
        ranges = [(start, min(start + size, item.size) - 1) for start in range(0, item.size, size)]

        def copy(number: int, first: int, last: int) -> dict[str, Any]:
            if self._stopped.is_set():
                raise AwsError("a large copy was stopped in time", "SlowDown")
            answer = client.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource={"Bucket": source.name, "Key": item.key},
                CopySourceIfMatch=item.etag,
                CopySourceRange=f"bytes={first}-{last}",
                ExpectedSourceBucketOwner=source.account,
            )
            return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="parts") as pool:
            futures = [pool.submit(copy, number, *bounds) for number, bounds in enumerate(ranges, 1)]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.cancel()
            # the first that failed tells why; those that it cancelled tell nothing
            failed = [future.exception() for future in futures if future.done() and not future.cancelled()]
            for error in failed:
                if error is not None:
                    raise error
            return [future.result() for future in futures]
