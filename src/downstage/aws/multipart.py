"""Objects of more than 5 GB: copied in parts by boto3, with everything that a single CopyObject would carry over.

Each part names the ETag that was listed, so that no copy is made of two versions of an object. Metadata, content
headers, tags and the kind of checksum are read from the source and handed to the new upload, which knows nothing of
them by itself; it ends only as an object of the size that was listed. Whatever fails aborts the upload: S3 keeps (and
bills) the parts of one that was neither completed nor aborted. One that is paused is left as it is, to be gone on with.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from botocore.exceptions import BotoCoreError, ClientError

from downstage.aws.session import Session, calling
from downstage.aws.unfinished import Unfinished, opened
from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, DownstageError
from downstage.ports import CopyResult, ObjectFacts, Refusal
from downstage.wire.s3 import NO_KEY, Fault, fault_of

PART = 1024**3
MOST_PARTS = 10_000
_AT_ONCE = 8
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_CHECKSUM = "Checksum"
_REFUSALS: dict[Fault, Refusal] = {
    Fault.CHANGED: "changed",
    Fault.GONE: "gone",
    Fault.DENIED: "refused",
    Fault.REFUSED: "refused",
    Fault.SLOW_DOWN: "busy",
    Fault.RETRY: "busy",
}
_BARE: dict[str, Refusal] = {"412": "changed", "404": "gone", "403": "refused"}
"""What a HEAD is answered with: it has no room for S3's word."""

_UPLOAD_GONE = ("NoSuchUpload", "InvalidPart")


class LargeCopies:
    """Copies of one session. `part_size` None: as the function has it."""

    def __init__(self, session: Session, options: SyncOptions, part_size: int | None = None) -> None:
        self._session = session
        self._options = options
        self._part_size = part_size
        self._stopped = threading.Event()
        self._paused = threading.Event()

    def stop(self) -> None:
        """No further part is copied: what is under way is aborted."""
        self._stopped.set()

    def pause(self) -> None:
        """No further part is copied: what is under way ends, and the upload is left as it is, to be gone on with."""
        self._paused.set()

    def copy(
        self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str, upload: str = ""
    ) -> CopyResult:
        """One object in parts; those of `upload`, which an earlier call left unfinished, are not copied again. Raises
        AwsError, Unreachable, CredentialsError for what is not its own."""
        if to == "":
            return CopyResult(refusal="refused", code=NO_KEY)
        what = f"copy a large object from bucket {source.name} to {target.name}"
        try:
            with calling(self._session.environment, what):
                return self._copied(source, target, item, to, upload)
        except AwsError as error:
            refusal = _refusal(error.code)
            if refusal is None:
                raise
            return CopyResult(refusal=refusal, code=error.code)

    def _copied(
        self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str, earlier: str
    ) -> CopyResult:
        client = self._session.client("s3")
        where = {"Bucket": target.name, "Key": to, "ExpectedBucketOwner": target.account}
        left = opened(earlier)
        if self._paused.is_set():
            return CopyResult(refusal="unfinished", code=earlier)
        if left is not None and not left.is_of(item, self._part_size or part_size(item.size)):
            with suppress(ClientError, BotoCoreError, DownstageError):
                client.abort_multipart_upload(**where, UploadId=left.upload)
            left = None
        if left is None:
            made = client.create_multipart_upload(**where, **self._carried(client, source, item))
            left = Unfinished(made["UploadId"], item.etag, item.size, self._part_size or part_size(item.size))
        upload = {**where, "UploadId": left.upload}
        try:
            parts, are_all = self._parts(client, source, item, upload, left)
            if not are_all:
                return CopyResult(refusal="unfinished", code=replace(left, parts=parts).closed())
            done = client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, MpuObjectSize=item.size)
        except BaseException:
            with suppress(ClientError, BotoCoreError, DownstageError):
                client.abort_multipart_upload(**upload)
            raise
        return CopyResult(done["ETag"], encrypted=str(done.get("ServerSideEncryption", "")).startswith("aws:kms"))

    def _carried(self, client: Any, source: SourceBucket, item: ObjectFacts) -> dict[str, Any]:
        """What the new object must be given."""
        where = {"Bucket": source.name, "Key": item.key, "ExpectedBucketOwner": source.account}
        head: Mapping[str, Any] = client.head_object(**where, IfMatch=item.etag, ChecksumMode="ENABLED")
        given: dict[str, Any] = {name: head[name] for name in _HEADERS if head.get(name)}
        given["Metadata"] = head.get("Metadata", {})
        if head.get("WebsiteRedirectLocation"):
            given["WebsiteRedirectLocation"] = head["WebsiteRedirectLocation"]
        given |= _checksum(head)
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
        self, client: Any, source: SourceBucket, item: ObjectFacts, upload: Mapping[str, str], left: Unfinished
    ) -> tuple[list[Mapping[str, Any]], bool]:
        """The parts that are there now, in order, and whether they are all: not if the copy was paused."""
        ranges = [(start, min(start + left.part, item.size) - 1) for start in range(0, item.size, left.part)]
        there = {part["PartNumber"]: part for part in left.parts}

        def copy(number: int, first: int, last: int) -> dict[str, Any] | None:
            if self._stopped.is_set():
                raise AwsError("a large copy was stopped in time", "SlowDown")
            if self._paused.is_set():
                return None
            answer = client.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource={"Bucket": source.name, "Key": item.key},
                CopySourceIfMatch=item.etag,
                CopySourceRange=f"bytes={first}-{last}",
                ExpectedSourceBucketOwner=source.account,
            )
            told: Mapping[str, Any] = answer["CopyPartResult"]
            named = {name: told[name] for name in told if name == "ETag" or name.startswith(_CHECKSUM)}
            return {"PartNumber": number, **named}

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="parts") as pool:
            futures = [
                pool.submit(copy, number, *bounds) for number, bounds in enumerate(ranges, 1) if number not in there
            ]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.cancel()
            # the first that failed tells why; those that it cancelled tell nothing
            failed = [future.exception() for future in futures if future.done() and not future.cancelled()]
            for error in failed:
                if error is not None:
                    raise error
            there |= {part["PartNumber"]: part for part in (future.result() for future in futures) if part is not None}
            return [there[number] for number in sorted(there)], len(there) == len(ranges)


def _refusal(code: str) -> Refusal | None:
    """What an error says of the one object; None if it is not its own."""
    if code in _UPLOAD_GONE:
        return "busy"
    fault = fault_of(code)
    return _BARE.get(code) if fault is None else _REFUSALS.get(fault)


def part_size(size: int) -> int:
    """Bytes of each part of an object of so many: 1 GiB, more where 10,000 parts would not do."""
    return max(PART, -(-size // MOST_PARTS))


def _checksum(head: Mapping[str, Any]) -> dict[str, str]:
    """The algorithm of the source's checksum, and its kind where S3 leaves a choice."""
    algorithms = [name.removeprefix(_CHECKSUM) for name in head if name.startswith(_CHECKSUM)]
    found = [name for name in algorithms if name != "Type"]
    if not found:
        return {}
    kind = head.get("ChecksumType")
    chosen = {"ChecksumType": str(kind)} if kind and found[0].startswith("CRC") else {}
    return {"ChecksumAlgorithm": found[0], **chosen}
