"""Small files in one bucket: parcels, scripts and packages of the Glue job."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, IncompleteReadError

from downstage.aws.passing import code_of, is_passing
from downstage.aws.session import Session, calling
from downstage.errors import NotFound, Unreachable

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class BucketParcels:
    """Implements `ports.glue.Parcels`. The bucket must belong to the session's account. Every call raises Unreachable
    for an answer that passes, or that ends early."""

    def __init__(self, session: Session, bucket: str) -> None:
        self._session = session
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        """Writes, with a SHA-256 that S3 compares and keeps."""
        with self._calling("write to"):
            self._session.client("s3").put_object(
                Bucket=self._bucket, Key=key, Body=content, ChecksumSHA256=_checksum(_digest(content)), **self._ours
            )

    def claim(self, key: str, content: bytes) -> bool:
        """Writes, unless there is one."""
        with self._calling("write to"):
            try:
                self._session.client("s3").put_object(
                    Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*", **self._ours
                )
            except ClientError as error:
                if code_of(error) in _TAKEN:
                    return False
                raise
        return True

    def get(self, key: str) -> bytes | None:
        """Reads. Raises NotFound if there is no such bucket."""
        try:
            with self._calling("read from"):
                answer = self._session.client("s3").get_object(Bucket=self._bucket, Key=key, **self._ours)
                return bytes(answer["Body"].read())
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return None

    def put_once(self, key: str, content: bytes) -> bool:
        """Writes unless that very content is there, written by `put`. Tells whether it wrote."""
        if self.holds(key, _digest(content)):
            return False
        self.put(key, content)
        return True

    def holds(self, key: str, digest: str) -> bool:
        """Whether S3 says that the file has that SHA-256 (hex), without reading it. What was written without a
        SHA-256, or in parts, has none that would be the same: somebody else wrote that."""
        try:
            with self._calling("look into"):
                answer = self._session.client("s3").head_object(
                    Bucket=self._bucket, Key=key, ChecksumMode="ENABLED", **self._ours
                )
        except NotFound:
            return False
        return bool(answer.get("ChecksumSHA256") == _checksum(digest))

    @contextmanager
    def _calling(self, what: str) -> Iterator[None]:
        with calling(self._session.environment, f"{what} bucket {self._bucket}"):
            try:
                yield
            except ClientError as error:
                if not is_passing(error):
                    raise
                raise Unreachable(
                    f"could not {what} bucket {self._bucket}: S3 answered {code_of(error)}; try again later",
                    code_of(error),
                ) from None
            except IncompleteReadError:
                raise Unreachable(
                    f"could not {what} bucket {self._bucket}: its answer ended early; try again later"
                ) from None

    @property
    def _ours(self) -> dict[str, str]:
        """A bucket of that name in somebody else's account is not written to."""
        return {"ExpectedBucketOwner": self._session.environment.account}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checksum(digest: str) -> str:
    """A digest in hex as S3 writes it."""
    return base64.b64encode(bytes.fromhex(digest)).decode()
