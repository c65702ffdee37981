"""Small files in one bucket: parcels, scripts and packages of the Glue job."""

from __future__ import annotations

import hashlib

from botocore.exceptions import ClientError

from downstage.aws.session import Session, calling
from downstage.errors import NotFound

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class BucketParcels:
    """Implements `ports.glue.Parcels`. The bucket must belong to the session's account."""

    def __init__(self, session: Session, bucket: str) -> None:
        self._session = session
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> None:
        """Writes."""
        with calling(self._session.environment, f"write to bucket {self._bucket}"):
            self._session.client("s3").put_object(Bucket=self._bucket, Key=key, Body=content, **self._ours)

    def claim(self, key: str, content: bytes) -> bool:
        """Writes, unless there is one."""
        with calling(self._session.environment, f"write to bucket {self._bucket}"):
            try:
                self._session.client("s3").put_object(
                    Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*", **self._ours
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _TAKEN:
                    return False
                raise
        return True

    def get(self, key: str) -> bytes | None:
        """Reads. Raises NotFound if there is no such bucket."""
        try:
            with calling(self._session.environment, f"read from bucket {self._bucket}"):
                answer = self._session.client("s3").get_object(Bucket=self._bucket, Key=key, **self._ours)
                return bytes(answer["Body"].read())
        except NotFound as error:
            if error.code == "NoSuchBucket":
                raise
            return None

    def put_once(self, key: str, content: bytes) -> bool:
        """Writes unless it is there, whole: `key` must hold a digest of the content. Tells whether it wrote."""
        there = self._size(key)
        if there == len(content):
            return False
        self.put(key, content)
        return True

    def holds(self, key: str, digest: str) -> bool:
        """Whether the file is there with that SHA-256 (hex)."""
        content = self.get(key)
        return content is not None and hashlib.sha256(content).hexdigest() == digest

    def _size(self, key: str) -> int | None:
        try:
            with calling(self._session.environment, f"look into bucket {self._bucket}"):
                answer = self._session.client("s3").head_object(Bucket=self._bucket, Key=key, **self._ours)
                return int(answer["ContentLength"])
        except NotFound:
            return None

    @property
    def _ours(self) -> dict[str, str]:
        """A bucket of that name in somebody else's account is not written to."""
        return {"ExpectedBucketOwner": self._session.environment.account}
