"""Buckets off the hot path, by boto3 and with the target's credentials: short looks, details, settings, content.

Every call names the account that must own the bucket. What a sync calls by the million is in `objects`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, NotFound
from downstage.ports import BucketFacts, ObjectDetails, ObjectFacts
from downstage.syncing.results import ARCHIVED_CODES

_FREE_TEXT = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "WebsiteRedirectLocation",
)
"""Answers of HeadObject that are what somebody wrote when putting the object: a file's name, above all."""

_CHANGED = ("PreconditionFailed", "412", "InvalidRange", "416")
Bucket = SourceBucket | TargetBucket


class Buckets:
    """Implements `ports.ObjectStore` with the target's session. `source_region` is where source buckets are thought to
    be."""

    def __init__(self, target: Session, source_region: str | None = None) -> None:
        self._target = target
        self._source_region = source_region

    def list(self, bucket: Bucket, start_after: str | None, prefix: str = "") -> Iterator[ObjectFacts]:
        """Every object after `start_after`, as S3 lists them."""
        pages = (
            self._client(bucket)
            .get_paginator("list_objects_v2")
            .paginate(
                Bucket=bucket.name,
                ExpectedBucketOwner=bucket.account,
                **({"StartAfter": start_after} if start_after is not None else {}),
                **({"Prefix": prefix} if prefix else {}),
            )
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

    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None:
        """Metadata and tags of one object's newest version; None if it is not there."""
        where = {"Bucket": target.name, "Key": key, "ExpectedBucketOwner": target.account}
        try:
            with calling(self._target.environment, f"read metadata and tags of an object of bucket {target.name}"):
                head = self._client(target).head_object(**where)
                tagging = self._client(target).get_object_tagging(**where)
        except NotFound:
            return None
        written = {name: str(head[name]) for name in _FREE_TEXT if head.get(name)}
        tags = {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}
        return ObjectDetails({**written, **head.get("Metadata", {})}, tags)

    def facts(self, target: TargetBucket) -> BucketFacts:
        """What the bucket is set to, as far as we may know: the role need not be allowed to ask."""
        where = {"Bucket": target.name, "ExpectedBucketOwner": target.account}
        versioning = self._asked(target, "get_bucket_versioning", where)
        versioned = None if versioning is None else versioning.get("Status") in ("Enabled", "Suspended")
        lifecycle = self._asked(target, "get_bucket_lifecycle_configuration", where, absent=("Rules", []))
        if lifecycle is None:
            return BucketFacts(versioned, None)
        rules = [rule for rule in lifecycle.get("Rules", []) if rule.get("Status") == "Enabled"]
        return BucketFacts(
            versioned,
            any("NoncurrentVersionExpiration" in rule for rule in rules) if versioned else None,
            any("AbortIncompleteMultipartUpload" in rule for rule in rules),
        )

    def content(self, bucket: Bucket, item: ObjectFacts, limit: int) -> bytes | None:
        """SHA-256 of what the object begins with; None if it is not the one that was listed any more, or lies in an
        archive."""
        where = {"Bucket": bucket.name, "Key": item.key, "ExpectedBucketOwner": bucket.account, "IfMatch": item.etag}
        part = {"Range": f"bytes=0-{limit - 1}"} if item.size > limit else {}
        digest = hashlib.sha256()
        try:
            with calling(self._target.environment, f"read an object of bucket {bucket.name}"):
                body = self._client(bucket).get_object(**where, **part)["Body"]
                for chunk in body.iter_chunks(1 << 20):
                    digest.update(chunk)
        except NotFound:
            return None
        except AwsError as error:
            if error.code in _CHANGED or error.code in ARCHIVED_CODES:
                return None
            raise
        return digest.digest()

    def encrypted(self, bucket: Bucket, key: str) -> bool:
        """Whether a key of KMS (or the customer's own) encrypts the object; an absent one is not encrypted."""
        where = {"Bucket": bucket.name, "Key": key, "ExpectedBucketOwner": bucket.account}
        try:
            with calling(self._target.environment, f"read an object's encryption in bucket {bucket.name}"):
                head = self._client(bucket).head_object(**where)
        except NotFound:
            return False
        return str(head.get("ServerSideEncryption", "")).startswith("aws:kms") or "SSECustomerAlgorithm" in head

    def _asked(
        self, target: TargetBucket, operation: str, where: dict[str, str], absent: tuple[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The answer of one question about the bucket, None if we may not ask it; `absent` where it has no such
        setting."""
        try:
            with calling(self._target.environment, f"read the settings of bucket {target.name}"):
                answer: dict[str, Any] = getattr(self._client(target), operation)(**where)
        except AwsError as error:
            if absent is not None and error.code in ("NoSuchLifecycleConfiguration", "NoSuchConfiguration"):
                return dict([absent])
            return None
        return answer

    def _client(self, bucket: Bucket) -> Any:
        region = self._source_region if isinstance(bucket, SourceBucket) else None
        return self._target.client("s3", region) if region is not None else self._target.client("s3")
