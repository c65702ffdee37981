"""Buckets, with the target's credentials: listings in key order, server-side copies, deletes with per-key answers.

Every call names the account that must own the bucket, so a bucket of the right name in the wrong account answers
403 instead of being written. A copy holds only if the source object is still the one that was listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, NotFound
from downstage.ports import ObjectDetails, ObjectFacts

_FREE_TEXT = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "WebsiteRedirectLocation",
)
"""Answers of HeadObject that are what somebody wrote when putting the object: a file's name, above all."""


class Buckets:
    """Implements `ports.ObjectStore` with the target's session."""

    def __init__(self, target: Session) -> None:
        self._target = target

    @property
    def _client(self) -> Any:
        return self._target.client("s3")

    def list(self, bucket: SourceBucket | TargetBucket, start_after: str | None) -> Iterator[ObjectFacts]:
        """Every object after `start_after`, as S3 lists them."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.name,
            ExpectedBucketOwner=bucket.account,
            **({"StartAfter": start_after} if start_after is not None else {}),
        )
        with calling(self._target.environment, f"list bucket {bucket.name}"):
            for page in pages:
                for entry in page.get("Contents", []):
                    yield ObjectFacts(
                        key=entry["Key"],
                        etag=entry["ETag"],
                        size=entry["Size"],
                        modified=entry["LastModified"].timestamp(),
                        storage_class=entry.get("StorageClass", "STANDARD"),
                    )

    def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts) -> None:
        """Copies one object of up to 5 GB with its metadata and tags. Raises AwsError if it changed since listed."""
        with calling(self._target.environment, f"copy an object from bucket {source.name} to {target.name}"):
            self._client.copy_object(
                Bucket=target.name,
                Key=item.key,
                CopySource={"Bucket": source.name, "Key": item.key},
                CopySourceIfMatch=item.etag,
                MetadataDirective="COPY",
                TaggingDirective="COPY",
                ExpectedBucketOwner=target.account,
                ExpectedSourceBucketOwner=source.account,
            )

    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None:
        """Metadata and tags of one object's newest version; None if it is not there."""
        where = {"Bucket": target.name, "Key": key, "ExpectedBucketOwner": target.account}
        try:
            with calling(self._target.environment, f"read metadata and tags of an object of bucket {target.name}"):
                head = self._client.head_object(**where)
                tagging = self._client.get_object_tagging(**where)
        except NotFound:
            return None
        written = {name: str(head[name]) for name in _FREE_TEXT if head.get(name)}
        tags = {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}
        return ObjectDetails({**written, **head.get("Metadata", {})}, tags)

    def delete(self, target: TargetBucket, keys: Sequence[str]) -> None:
        """Deletes up to 1,000 objects. Raises AwsError if S3 says of any that it was not deleted."""
        with calling(self._target.environment, f"delete objects of bucket {target.name}"):
            answer = self._client.delete_objects(
                Bucket=target.name,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
                ExpectedBucketOwner=target.account,
            )
        errors = answer.get("Errors", [])
        if errors:
            code = str(errors[0].get("Code", "unknown"))
            raise AwsError(f"{len(errors)} objects of bucket {target.name} were not deleted: S3 answered {code}", code)
