"""Objects: listed, copied, deleted, and looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from downstage.domain.refs import SourceBucket, TargetBucket


class ObjectFacts(NamedTuple):
    """One object as a listing shows it. `etag` keeps its quotes; `modified` is seconds since the epoch; `restored`: an
    archived object of which a readable copy is there."""

    key: str
    etag: str
    size: int
    modified: float
    storage_class: str = "STANDARD"
    restored: bool = False


class ObjectPage(NamedTuple):
    """One page of a listing, in the order in which it came. `more`: the listing goes on after its last entry."""

    entries: Sequence[ObjectFacts]
    more: bool


Refusal = Literal["", "changed", "gone", "refused", "busy", "unfinished"]


class CopyResult(NamedTuple):
    """How the copy of one object ended. No `refusal`: it is there, as `etag`.

    `changed`: the source object is another than the one that was listed; `gone`: it is no more; `refused`: S3 will not
    copy it; `busy`: it did not get through after many tries. `code` is S3's word for it. `unfinished`: a large copy
    left off because of `pause`; `code` is then what `go_on` wants, or nothing if it had not begun. `encrypted`: with a
    key of KMS, so that ETags do not tell the content.
    """

    etag: str = ""
    refusal: Refusal = ""
    code: str = ""
    encrypted: bool = False


class ObjectTransfer(Protocol):
    """The hot calls of a bucket sync, with the target's credentials. Throttles and passing faults are its business.

    Every call names the account that must own the bucket. `page` lists in UTF-8 byte order of keys, those that begin
    with `prefix`, after `start_after`. `copy` puts the object `item` of the source at the key `to`, if it still is the
    one that was listed. From `pause` on a large copy goes on no longer than its parts under way take: it is unfinished,
    and `go_on` (of another transfer, in whatever process) copies what is missing. `delete` takes up to 1,000 keys and
    gives those that S3 has not deleted, with its word for why. All raise AwsError, Unreachable or CredentialsError for
    what is not one object's own.
    """

    async def page(
        self,
        bucket: SourceBucket | TargetBucket,
        *,
        prefix: str = "",
        start_after: str | None = None,
        limit: int = 1000,
    ) -> ObjectPage: ...
    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult: ...
    async def go_on(
        self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str, upload: str
    ) -> CopyResult: ...
    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]: ...
    def pause(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """What hangs on an object besides its content: metadata (a person's own, and headers of free text) and tags."""

    metadata: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What the target bucket is set to; None where we may not know. `expires_versions`: a lifecycle rule removes old
    versions and markers; `aborts_uploads`: one removes the parts of multipart uploads that were never ended."""

    versioned: bool | None
    expires_versions: bool | None
    aborts_uploads: bool | None = None


class ObjectStore(Protocol):
    """Buckets, seen with the target's credentials, one call at a time: for whatever is off the hot path.

    `list` is in UTF-8 byte order of keys, after `start_after`. `details` is None if there is no such object (any more).
    `content` is a digest of the object's first `limit` bytes, None if it is not (or no more) the one that was listed,
    or lies in an archive; `encrypted` says whether a key of KMS encrypts it.
    """

    def list(
        self, bucket: SourceBucket | TargetBucket, start_after: str | None, prefix: str = ""
    ) -> Iterator[ObjectFacts]: ...
    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None: ...
    def facts(self, target: TargetBucket) -> BucketFacts: ...
    def content(self, bucket: SourceBucket | TargetBucket, item: ObjectFacts, limit: int) -> bytes | None: ...
    def encrypted(self, bucket: SourceBucket | TargetBucket, key: str) -> bool: ...
